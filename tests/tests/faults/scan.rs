//! Finds the tests of the repository and the ids in their names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The sections of the contract, as names of tests begin.
const SECTIONS: [&str; 12] =
    ["rate", "auth", "net", "body", "url", "page", "write", "state", "dist", "hook", "sec", "host"];

/// Where sources are.
const FOLDERS: [&str; 4] = ["crates", "examples", "tests", "fuzz"];

/// The tests below the root by the ids in their names.
pub fn tests_by_id(root: &Path) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in FOLDERS.iter().flat_map(|folder| sources(&root.join(folder))) {
        let text = std::fs::read_to_string(&path).unwrap();
        for name in tests(&text) {
            for id in ids(&name) {
                found.entry(id).or_default().push(name.clone());
            }
        }
    }
    found
}

/// The names of the functions of a source that stand below an attribute of a test.
pub fn tests(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim_start) {
        is_test |=
            ["#[test]", "#[tokio::test]", "#[tokio::test("].iter().any(|start| line.starts_with(start));
        if let Some(name) = function(line)
            && std::mem::take(&mut is_test)
        {
            names.push(name.to_owned());
        }
    }
    names
}

/// The ids with which a name begins: `sec_01_and_sec_03_no_secret` carries two.
pub fn ids(name: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut words = name.split('_').peekable();
    loop {
        if !ids.is_empty() {
            words.next_if_eq(&"and");
        }
        let (Some(section), Some(number)) = (words.next(), words.next()) else { break };
        if !SECTIONS.contains(&section) || number.len() != 2 || !number.bytes().all(|b| b.is_ascii_digit()) {
            break;
        }
        ids.push(format!("{}-{number}", section.to_uppercase()));
    }
    ids
}

/// The name that a line declares, if it begins a function.
fn function(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub ").unwrap_or(line);
    let line = line.strip_prefix("async ").unwrap_or(line);
    let name = line.strip_prefix("fn ")?;
    name.split(['(', '<']).next()
}

/// All Rust sources below a folder; nothing when there is no such folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries {
            let entry = entry.unwrap();
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            let skipped = ["target", "node_modules"].iter().any(|name| path.ends_with(name));
            if kind.is_dir() && !skipped {
                folders.push(path);
            } else if kind.is_file() && path.extension().is_some_and(|end| end == "rs") {
                found.push(path);
            }
        }
    }
    found
}
