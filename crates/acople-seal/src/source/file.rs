//! Keys in a file.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use zeroize::Zeroizing;

use acople_core::{Error, ErrorKind, Result, Secret};

use crate::{KeySource, Keyring};

/// Largest file of keys, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// Master keys in a file, as [`Keyring::parse`] reads them.
///
/// On Unix the file must be readable by its owner alone. Keep it on another disk than the store, and out of its
/// backups: together they are plaintext.
#[derive(Clone, Debug)]
pub struct FileKeys {
    path: PathBuf,
    group: bool,
}

impl FileKeys {
    /// Reads that file whenever the keys are asked for.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), group: false }
    }

    /// Accepts a file that its group can read, as orchestrators mount secrets.
    pub fn allow_group(mut self) -> Self {
        self.group = true;
        self
    }
}

#[async_trait]
impl KeySource for FileKeys {
    async fn keyring(&self) -> Result<Keyring> {
        let this = self.clone();
        tokio::task::spawn_blocking(move || this.read())
            .await
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Cancelled, "reading the keys was interrupted")))
    }
}

impl FileKeys {
    fn read(&self) -> Result<Keyring> {
        let path = &self.path;
        let unreadable = |e: io::Error| wrong(path, &format!("cannot be read: {e}"));
        let file = File::open(path).map_err(unreadable)?;
        let about = file.metadata().map_err(unreadable)?;
        if !about.is_file() {
            return Err(wrong(path, "is not a file"));
        }
        self.check_mode(&about)?;
        if about.len() > MAX_FILE {
            return Err(wrong(path, &format!("has more than {MAX_FILE} bytes")));
        }
        // Room for all of it at once, so that no copy is left behind.
        let room = usize::try_from(about.len()).unwrap_or(0) + 1;
        let mut text = Zeroizing::new(String::with_capacity(room));
        file.take(about.len()).read_to_string(&mut text).map_err(|e| match e.kind() {
            io::ErrorKind::InvalidData => wrong(path, "is not text"),
            _ => unreadable(e),
        })?;
        Keyring::parse(&Secret::from(text.as_str())).map_err(|e| {
            let message = format!("key file {}: {}", path.display(), e.message());
            e.with_message(message)
        })
    }

    #[cfg(unix)]
    fn check_mode(&self, about: &std::fs::Metadata) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let mode = about.permissions().mode() & 0o777;
        // Of the group, reading may be allowed; changing the key never is.
        let forbidden = if self.group { 0o037 } else { 0o077 };
        if mode & forbidden == 0 {
            return Ok(());
        }
        let path = self.path.display();
        let right = if self.group { "640" } else { "600" };
        Err(wrong(
            &self.path,
            &format!(
                "can be read or changed by others (mode {mode:03o}): run `chmod {right} {path}`, \
                 and replace the key if they may have read it"
            ),
        ))
    }

    #[cfg(not(unix))]
    #[allow(clippy::unused_self)] // there are no modes to check
    fn check_mode(&self, _: &std::fs::Metadata) -> Result<()> {
        Ok(())
    }
}

fn wrong(path: &Path, what: &str) -> Error {
    Error::config("master_key", format!("key file {} {what}", path.display()))
}
