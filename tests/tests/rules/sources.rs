//! The repository's files.

use std::path::{Path, PathBuf};

/// The repository.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A file below the root.
pub fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// All files below a folder whose names end like that, with their texts.
pub fn files(folder: &str, ending: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries {
            let entry = entry.unwrap();
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            let name = entry.file_name().to_string_lossy().into_owned();
            if kind.is_dir() && !["target", "node_modules", "corpus", "artifacts"].contains(&name.as_str()) {
                folders.push(path);
            } else if kind.is_file() && name.ends_with(ending) {
                found.push((path.clone(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// The product's own sources: of the crates, without their tests.
pub fn library_sources() -> Vec<(PathBuf, String)> {
    let mut found = files("crates", ".rs");
    found.retain(|(path, _)| path.components().any(|part| part.as_os_str() == "src"));
    for (_, text) in &mut found {
        // By the house's style the tests of a module stand at its end.
        if let Some(at) = text.find("#[cfg(test)]\nmod ") {
            text.truncate(at);
        }
    }
    found
}
