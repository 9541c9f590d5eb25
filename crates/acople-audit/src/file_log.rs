//! A log in files.

mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::oneshot;

use acople_core::{Clock, Error, ErrorKind, Result, SystemClock};

use crate::{AuditSink, Chain, Entry, Head, HeadSink, SigningKey};
use writer::Writer;

/// An audit log in the files of one folder, each record synced before [`append`](AuditSink::append) returns.
///
/// Cheap to clone; one process at a time. Appends that come together share one write and one sync. All calls need a
/// tokio runtime; the work runs on its blocking threads. A call whose future is dropped may still take effect.
#[derive(Clone)]
pub struct FileLog(Arc<Shared>);

struct Shared {
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    signing: Option<Signing>,
    /// The last record that a kept head speaks of.
    signed: AtomicU64,
    queue: Mutex<Vec<Waiting>>,
    writer: Arc<tokio::sync::Mutex<Writer>>,
    repaired: Option<u64>,
}

struct Signing {
    key: SigningKey,
    sink: Arc<dyn HeadSink>,
    every: u64,
}

struct Waiting {
    entry: Entry,
    done: oneshot::Sender<Result<()>>,
}

/// Options of a [`FileLog`].
pub struct FileLogBuilder {
    max_file: u64,
    clock: Arc<dyn Clock>,
    signing: Option<Signing>,
}

impl FileLogBuilder {
    /// The size in bytes from which on the next record goes into a new file. Default 64 MiB.
    pub fn max_file_size(mut self, bytes: u64) -> Self {
        self.max_file = bytes;
        self
    }

    /// Signs the head after every so many records, at [`FileLog::sign_head`], and at [`FileLog::close`].
    pub fn sign(mut self, key: SigningKey, sink: Arc<dyn HeadSink>, every: u64) -> Self {
        self.signing = Some(Signing { key, sink, every: every.max(1) });
        self
    }

    /// Replaces the clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Opens the log in that folder, or begins one. Its newest file is checked, and a record that a crash has torn is
    /// cut off, which is recorded; see [`FileLog::repaired`].
    ///
    /// # Errors
    /// `Config` when another process has it open or the folder cannot be used; `Internal` when its newest file is
    /// damaged: it is left as it is, for the verifier.
    pub async fn open(self, folder: impl AsRef<Path>) -> Result<FileLog> {
        let (folder, max_file, clock) = (folder.as_ref().to_owned(), self.max_file, self.clock.clone());
        let (writer, repaired) = {
            let folder = folder.clone();
            blocking(move || Writer::open(folder, max_file, clock.now())).await?
        };
        Ok(FileLog(Arc::new(Shared {
            folder,
            clock: self.clock,
            signing: self.signing,
            signed: AtomicU64::new(0),
            queue: Mutex::default(),
            writer: Arc::new(tokio::sync::Mutex::new(writer)),
            repaired,
        })))
    }
}

impl FileLog {
    /// Opens a log with the default options, and without signatures: its end can then be cut off unnoticed.
    ///
    /// # Errors
    /// See [`FileLogBuilder::open`].
    pub async fn open(folder: impl AsRef<Path>) -> Result<Self> {
        Self::builder().open(folder).await
    }

    /// Starts from the default options.
    pub fn builder() -> FileLogBuilder {
        FileLogBuilder { max_file: 64 << 20, clock: Arc::new(SystemClock), signing: None }
    }

    /// How many bytes of a torn record were cut off when the log was opened.
    pub fn repaired(&self) -> Option<u64> {
        self.0.repaired
    }

    /// Signs the end of the log and gives the head to its sink; for a timer of the host. Without a signing key, and
    /// when the newest record is signed already, nothing happens.
    ///
    /// # Errors
    /// Those of the sink.
    pub async fn sign_head(&self) -> Result<()> {
        let chain = self.0.writer.lock().await.chain().clone();
        self.keep_head(&chain).await
    }

    /// Signs the end of the log and lets go of its files. Later calls fail with `Config`.
    ///
    /// # Errors
    /// Those of the sink; the files are closed all the same.
    pub async fn close(&self) -> Result<()> {
        let chain = {
            let mut writer = self.0.writer.lock().await;
            writer.close();
            writer.chain().clone()
        };
        self.keep_head(&chain).await
    }

    async fn keep_head(&self, chain: &Chain) -> Result<()> {
        let shared = &*self.0;
        let Some(signing) = &shared.signing else { return Ok(()) };
        if chain.seq() <= shared.signed.load(Ordering::Acquire) {
            return Ok(());
        }
        let head = Head::sign(chain, shared.clock.now(), &signing.key);
        signing.sink.keep(&head).await.map_err(|e| e.with_operation("keep the head of the audit log"))?;
        shared.signed.fetch_max(head.seq, Ordering::AcqRel);
        Ok(())
    }

    /// Writes everything that waits.
    async fn write_queue(&self) -> Result<Chain> {
        let shared = self.0.clone();
        let mut writer = shared.writer.clone().lock_owned().await;
        blocking(move || {
            let waiting = std::mem::take(&mut *shared.queue.lock().unwrap_or_else(PoisonError::into_inner));
            let results = writer.write(waiting.iter().map(|waiting| &waiting.entry));
            for (waiting, result) in waiting.into_iter().zip(results) {
                let _: std::result::Result<(), _> = waiting.done.send(result);
            }
            Ok(writer.chain().clone())
        })
        .await
    }
}

#[async_trait]
impl AuditSink for FileLog {
    async fn append(&self, entry: &Entry) -> Result<()> {
        let (done, answer) = oneshot::channel();
        let waiting = Waiting { entry: entry.clone(), done };
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner).push(waiting);
        // Whoever has the turn next writes it along with the others; with an empty queue this is cheap.
        let chain = self.write_queue().await?;
        let gone = || Error::new(ErrorKind::Cancelled, "writing the audit log was interrupted");
        answer.await.map_err(|_| gone())??;
        let unsigned = chain.seq().saturating_sub(self.0.signed.load(Ordering::Acquire));
        if self.0.signing.as_ref().is_some_and(|signing| unsigned >= signing.every)
            && let Err(error) = self.keep_head(&chain).await
        {
            // The record is written: what is missing is only that it is vouched for.
            tracing::error!(%error, unsigned, "a head of the audit log was not kept");
        }
        Ok(())
    }
}

impl fmt::Debug for FileLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileLog").field("folder", &self.0.folder).finish_non_exhaustive()
    }
}

impl fmt::Debug for FileLogBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileLogBuilder").field("max_file", &self.max_file).finish_non_exhaustive()
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(Error::new(ErrorKind::Cancelled, "the audit log was interrupted")))
}
