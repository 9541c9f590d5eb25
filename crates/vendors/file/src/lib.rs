#![doc = include_str!("../README.md")]

mod config;
mod fault;
mod journal;
mod name;
mod reader;
mod rows;
mod table;
mod tail;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use acople_core::{
    Catalog, Connector, ConnectorInfo, Context, Cursor, Deletes, Error, ErrorKind, Event, EventStream,
    Health, Listing, ReadMode, ReadRequest, Resources, Result, Stream, Vendor, WriteMode, WriteReport,
    WriteRequest, config_schema, csv::Layout, json::FieldPath, parse_vendor_config, record_schema,
};
use async_trait::async_trait;
use tokio::task::JoinHandle;

pub use config::{Config, Format};

use reader::{Part, Reader, State, VERSION};

const ID: &str = "file";

/// Longest line, in bytes.
pub(crate) const LINE_LIMIT: usize = 16 << 20;

/// How often and how long a write waits for another process that is writing the file.
const LOCK_ATTEMPTS: u32 = 100;
const LOCK_WAIT: Duration = Duration::from_millis(100);

/// The entry for a registry.
pub const VENDOR: Vendor = Vendor {
    id: ID,
    name: "JSON lines and CSV files",
    summary: "a folder of .jsonl and .csv files, one a stream: read whole or what was appended, written by appending",
    config_schema: config_schema::<Config>,
    connect: |config, resources| Ok(Arc::new(Files::new(parse_vendor_config(config)?, &resources)?)),
};

/// A folder of JSON lines and CSV files. Cheap to clone.
#[derive(Clone)]
pub struct Files(Arc<Inner>);

struct Inner {
    config: Config,
    info: ConnectorInfo,
    /// Held while a file is appended to: a lock of the system's does not keep threads apart everywhere.
    writing: Mutex<()>,
}

impl Files {
    /// The files of a config's folder. Does no I/O.
    ///
    /// # Errors
    /// `Config` with the field that is wrong.
    pub fn new(config: Config, _: &Resources) -> Result<Self> {
        config.validate()?;
        let info = ConnectorInfo::new(ID, VENDOR.name);
        Ok(Self(Arc::new(Inner { config, info, writing: Mutex::new(()) })))
    }

    /// The file of a stream, whether it is there or not. Where the config names no format, it looks which is there.
    ///
    /// # Errors
    /// `Config` when the name is empty or too long for a file, or there is one of each format.
    pub fn path(&self, stream: &str) -> Result<PathBuf> {
        Ok(self.locate(stream)?.0)
    }

    /// The file of a stream, and what is known of it when it is CSV.
    fn locate(&self, stream: &str) -> Result<(PathBuf, Option<Layout>)> {
        let Config { directory, format, csv, streams, .. } = &self.0.config;
        let path = |format| Ok::<_, Error>(directory.join(name::file_name(stream, format)?));
        let (lines, table) = (path(Format::JsonLines)?, path(Format::Csv)?);
        let there = |path: &Path| std::fs::symlink_metadata(path).is_ok();
        let csv_file = match format {
            Some(format) => *format == Format::Csv,
            None if there(&table) && there(&lines) => return Err(both(stream)),
            None => there(&table),
        };
        if !csv_file {
            return Ok((lines, None));
        }
        let known = streams.get(stream).cloned().unwrap_or_default();
        Ok((table, Some(Layout { dialect: csv.clone(), table: known })))
    }

    /// The streams whose files are there, sorted. Nothing, when the folder is not there yet.
    async fn streams(&self) -> Result<Vec<String>> {
        let Config { directory, format, .. } = self.0.config.clone();
        let formats = format.map_or(vec![Format::JsonLines, Format::Csv], |format| vec![format]);
        blocking(move || {
            let wrong = |e| fault::fault("list", &directory, e);
            let entries = match std::fs::read_dir(&directory) {
                Ok(entries) => entries,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(e) => return Err(wrong(e)),
            };
            let mut streams = Vec::new();
            for entry in entries {
                let entry = entry.map_err(wrong)?;
                // The entry's own type: a link is no file.
                if entry.file_type().map_err(wrong)?.is_file() {
                    let stream = |format| name::stream_name(entry.file_name().to_str()?, format);
                    streams.extend(formats.iter().find_map(|format| stream(*format)));
                }
            }
            streams.sort();
            match streams.windows(2).find(|pair| pair.first() == pair.last()).and_then(<[_]>::first) {
                Some(twice) => Err(both(twice)),
                None => Ok(streams),
            }
        })
        .await
    }

    /// What a stream's file is like. Reads no further than its header row.
    fn described(&self, stream: &str) -> Result<Stream> {
        let (path, layout) = self.locate(stream)?;
        let key = self.0.config.streams.get(stream).map(|table| table.key.as_slice()).unwrap_or_default();
        let mut described = plain(stream);
        described.key = key.iter().map(|name| FieldPath::from_iter([name.as_str()])).collect();
        if let Some(layout) = layout {
            let columns = rows::columns(&path, &layout)?;
            if !columns.is_empty() {
                described.schema = record_schema(columns.iter().map(|name| (name, layout.schema(name))), &[]);
            }
        }
        Ok(described)
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").field("config", &self.0.config).finish_non_exhaustive()
    }
}

#[async_trait]
impl Connector for Files {
    fn info(&self) -> &ConnectorInfo {
        &self.0.info
    }

    async fn check(&self, _: &Context) -> Result<Health> {
        let directory = self.0.config.directory.clone();
        let there = blocking(move || match std::fs::metadata(&directory) {
            Ok(found) if found.is_dir() => Ok(true),
            Ok(_) => Err(Error::config("directory", "is not a folder")),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(fault::fault("open", &directory, e).with_field("directory")),
        })
        .await?;
        let health = Health::ok(format!("{} streams", self.streams().await?.len()));
        Ok(if there {
            health
        } else {
            health.with_warning("the folder is not there yet: the first write makes it")
        })
    }

    async fn discover(&self, _: &Context) -> Result<Catalog> {
        let (this, names) = (self.clone(), self.streams().await?);
        blocking(move || {
            // A file that is no table is told when it is described or read: it hides no other.
            let described = |name: &String| this.described(name).unwrap_or_else(|_| plain(name));
            Ok(Catalog { streams: names.iter().map(described).collect() })
        })
        .await
    }

    /// Any name that a file can have: the first write makes the file.
    async fn describe(&self, _: &Context, stream: &str) -> Result<Stream> {
        let (this, stream) = (self.clone(), stream.to_owned());
        blocking(move || this.described(&stream)).await
    }

    fn read(&self, cx: &Context, request: ReadRequest) -> Result<EventStream> {
        name::file_name(request.stream(), Format::JsonLines)?;
        let (this, mode) = (self.clone(), request.mode());
        let state = request.cursor().map(|c| c.state::<State>(ID, request.stream(), VERSION)).transpose()?;
        if state.as_ref().is_some_and(|state| state.mode != mode) {
            return Err(Error::config(
                "cursor",
                "the cursor of a full read cannot go on in incremental mode, or back",
            ));
        }
        let cx = cx.clone();
        Ok(Box::pin(async_stream::try_stream! {
            let fresh = state.is_none();
            let stream = request.stream().to_owned();
            let complete = request.limit().is_none() && fresh && mode == ReadMode::Full;
            let prefetch = request.prefetch();
            if fresh && mode == ReadMode::Full {
                yield Event::SnapshotBegin;
            }
            let opened = blocking(move || {
                let (path, layout) = this.locate(request.stream())?;
                Reader::open(&path, layout.as_ref(), &request, state)
            });
            let mut next = read_on(opened.await?);
            loop {
                cx.ensure_live()?;
                let (part, reader) = joined(next.await)??;
                let Part { batch, state, cut_off } = part;
                let Some(batch) = batch else {
                    if cut_off {
                        yield Event::Warning(format!("{stream}: the last line is not complete, it is left for the next read"));
                    }
                    yield Event::Checkpoint(Cursor::new(ID, &stream, VERSION, &state)?);
                    break;
                };
                cx.meter().received(batch.bytes());
                let small = batch.bytes() <= prefetch;
                // Read while the consumer works, if it allows that.
                let ahead = if small { Ok(read_on(reader)) } else { Err(reader) };
                yield Event::Batch(batch);
                yield Event::Checkpoint(Cursor::new(ID, &stream, VERSION, &state)?);
                next = ahead.unwrap_or_else(read_on);
            }
            if complete {
                yield Event::SnapshotEnd;
            }
        }))
    }

    async fn write(&self, cx: &Context, request: WriteRequest) -> Result<WriteReport> {
        if request.mode() != WriteMode::Insert {
            return Err(Error::new(ErrorKind::Config, "files can only be appended to: write in insert mode"));
        }
        let records = request.batch().len();
        for attempt in 0..LOCK_ATTEMPTS {
            cx.ensure_live()?;
            if attempt > 0 {
                tokio::time::sleep(LOCK_WAIT).await;
            }
            let (this, batch) = (self.clone(), request.batch().clone());
            let outcomes = blocking(move || {
                let _alone = this.0.writing.lock().unwrap_or_else(PoisonError::into_inner);
                let (path, layout) = this.locate(batch.stream())?;
                writer::append(&path, layout.as_ref(), &batch, this.0.config.durable)
            });
            if let Some(outcomes) = outcomes.await? {
                return WriteReport::new(records, outcomes);
            }
        }
        Err(Error::new(ErrorKind::Transient, "another process is writing the file"))
    }
}

fn both(stream: &str) -> Error {
    Error::config("format", format!("`{stream}` has a .jsonl and a .csv file: say which format is meant"))
}

fn plain(stream: &str) -> Stream {
    Stream::new(stream)
        .reads([ReadMode::Full, ReadMode::Incremental])
        .writes([WriteMode::Insert])
        .batch(10_000, 64 << 20)
        .deletes(Deletes::Invisible)
        .listing(Listing::Stable)
}

/// Reads the next part on a thread that may block.
fn read_on(mut reader: Reader) -> JoinHandle<Result<(Part, Reader)>> {
    tokio::task::spawn_blocking(move || reader.next().map(|part| (part, reader)))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    joined(tokio::task::spawn_blocking(work).await)?
}

fn joined<T>(result: std::result::Result<T, tokio::task::JoinError>) -> Result<T> {
    result.map_err(|e| {
        let message =
            if e.is_cancelled() { "the runtime is shutting down" } else { "reading or writing panicked" };
        Error::new(if e.is_cancelled() { ErrorKind::Cancelled } else { ErrorKind::Internal }, message)
    })
}
