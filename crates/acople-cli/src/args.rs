//! The command line.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use acople::json::FieldPath;
use acople::sync::QuarantineFilter;
use acople::{ReadMode, Stage, WriteMode};
use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;

use crate::exit;

/// Reads, writes, calls and syncs the systems of other companies.
#[derive(Debug, Parser)]
#[command(name = "acople", version, arg_required_else_help = true, after_help = exit::HELP)]
pub(crate) struct Cli {
    /// How much to log on standard error.
    #[arg(long, global = true, value_enum, default_value_t = Level::Warn, value_name = "LEVEL")]
    pub(crate) log: Level,
    /// Reports as JSON on standard output.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists the connectors.
    Connectors,
    /// Prints the JSON Schema of a connector's config; secrets are marked `writeOnly`.
    Spec {
        /// The connector's id, such as `hubspot`.
        connector: String,
    },
    /// Says whether the system answers and the credentials are good.
    Check {
        #[command(flatten)]
        connection: Connection,
    },
    /// Lists the streams, or describes one.
    Discover {
        #[command(flatten)]
        connection: Connection,
        /// Describes this stream with its fields.
        #[arg(long, value_name = "NAME")]
        stream: Option<String>,
    },
    /// Reads a stream and tells what its fields are like: types, nulls, distinct and frequent values.
    Profile(Profile),
    /// Reads a stream: one record a line on standard output.
    Read(Read),
    /// Writes the records that come as JSON lines on standard input: one outcome a line, in order.
    Write(Write),
    /// Calls an action of the connector and prints its answer.
    Invoke {
        /// The action's name; a wrong one lists those there are.
        action: String,
        #[command(flatten)]
        connection: Connection,
        /// The input: JSON, `@FILE` (JSON or YAML), or `-` for standard input.
        #[arg(long, value_name = "JSON|@FILE|-", default_value = "{}")]
        input: String,
    },
    /// Runs the syncs of a file.
    Sync {
        #[command(flatten)]
        chosen: Chosen,
        /// Allows the deletions that the last run has asked for, and goes on with them.
        #[arg(long)]
        approve: bool,
        /// Lists the keys of the sources and deletes what is gone, instead of reading records.
        #[arg(long, conflicts_with = "approve")]
        scan_keys: bool,
        /// Takes the shape of the sources' records as it is now.
        #[arg(long)]
        accept_schema: bool,
    },
    /// Shows, moves and resets what is remembered of syncs.
    State {
        #[command(subcommand)]
        command: State,
    },
    /// Shows and replays the records that syncs have set aside.
    Quarantine {
        #[command(subcommand)]
        command: Quarantine,
    },
    /// Verifies and shows audit logs.
    Audit {
        #[command(subcommand)]
        command: Audit,
    },
}

/// Which connection is meant.
#[derive(Debug, Args)]
pub(crate) struct Connection {
    /// The connector's id, such as `hubspot`.
    #[arg(long, value_name = "NAME")]
    pub(crate) connector: String,
    /// Its config: YAML, JSON if the name ends in `.json`, or `-` for standard input. `${NAME}` stands for an
    /// environment variable.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Opens a host, address or network that is not on the public internet, such as `erp.corp.example` or
    /// `10.20.0.0/16`. Only this machine is open otherwise.
    #[arg(long, value_name = "HOST|CIDR")]
    pub(crate) allow_private: Vec<String>,
    /// Keeps renewed tokens in this store, encrypted; without it they are lost with the process.
    #[arg(long, value_name = "FILE", requires = "store_key")]
    pub(crate) store: Option<PathBuf>,
    /// The environment variable that holds the store's key: 32 bytes in Base64.
    #[arg(long, value_name = "VARIABLE", requires = "store", group = "store_key")]
    pub(crate) key_env: Option<String>,
    /// The file that holds the store's keys, one a line, the newest first: an id and 32 bytes in Base64.
    #[arg(long, value_name = "FILE", requires = "store", group = "store_key")]
    pub(crate) key_file: Option<PathBuf>,
    /// The name under which the store keeps this connection's tokens.
    #[arg(long = "connection", value_name = "NAME", default_value = "default", requires = "store")]
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Profile {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// The stream.
    #[arg(long, value_name = "NAME")]
    pub(crate) stream: String,
    /// Everything, or in the order of changes.
    #[arg(long, value_enum, default_value_t = Mode::Full)]
    pub(crate) mode: Mode,
    /// Asks for these fields only.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(crate) fields: Option<Vec<String>>,
    /// Ends after this many records.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Shows no values: neither extremes nor frequent ones.
    #[arg(long)]
    pub(crate) no_values: bool,
    /// Shows no values of this field and what lies in it; as often as needed.
    #[arg(long, value_name = "PATH")]
    pub(crate) secret: Vec<FieldPath>,
}

#[derive(Debug, Args)]
pub(crate) struct Read {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// The stream.
    #[arg(long, value_name = "NAME")]
    pub(crate) stream: String,
    /// Everything, or what changed since the state.
    #[arg(long, value_enum, default_value_t = Mode::Full)]
    pub(crate) mode: Mode,
    /// Goes on from the cursor in this file, if there is one, and keeps the newest one there. It is written
    /// after the records before it. A full read that comes to its end removes it.
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// Asks for these fields only.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(crate) fields: Option<Vec<String>>,
    /// Ends after this many records.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Prints `{"change": "upsert" or "delete", "record": {..}}` instead of the bare record.
    #[arg(long)]
    pub(crate) changes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Write {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// The stream.
    #[arg(long, value_name = "NAME")]
    pub(crate) stream: String,
    /// What to do with each record.
    #[arg(long, value_enum, default_value_t = Action::Upsert)]
    pub(crate) mode: Action,
    /// The field by which records are found, such as `properties.email`.
    #[arg(long, value_name = "PATH")]
    pub(crate) key: Option<FieldPath>,
}

/// The syncs of a file, or one of them.
#[derive(Debug, Args)]
pub(crate) struct Chosen {
    /// The file: YAML, or JSON if its name ends in `.json`.
    #[arg(value_name = "SYNC.yaml")]
    pub(crate) file: PathBuf,
    /// Only the sync of this name.
    #[arg(long, value_name = "NAME")]
    pub(crate) only: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum State {
    /// Says of each sync where it is.
    Show {
        #[command(flatten)]
        chosen: Chosen,
    },
    /// Forgets where one sync is: its next run starts from the beginning. Quarantine and links stay.
    Reset {
        #[command(flatten)]
        chosen: Chosen,
    },
    /// Prints the states of the syncs as one JSON document.
    Export {
        #[command(flatten)]
        chosen: Chosen,
    },
    /// Writes states that `export` has printed.
    Import {
        #[command(flatten)]
        chosen: Chosen,
        /// The document, or `-` for standard input.
        document: PathBuf,
        /// Replaces states that are there.
        #[arg(long)]
        replace: bool,
    },
}

/// Which quarantined records are meant: all for which everything given is true.
#[derive(Debug, Default, Args)]
pub(crate) struct Filter {
    /// Where they were refused.
    #[arg(long, value_enum, value_name = "STAGE")]
    pub(crate) stage: Option<RefusedAt>,
    /// The vendor's code of the reason.
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Option<String>,
    /// The source stream.
    #[arg(long, value_name = "NAME")]
    pub(crate) stream: Option<String>,
    /// Set aside at this time or later, such as `2026-11-24T08:00:00Z`.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) since: Option<SystemTime>,
    /// Set aside before this time.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) before: Option<SystemTime>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RefusedAt {
    /// By the source, or because its shape was new.
    Read,
    /// By the mapping.
    Map,
    /// By the destination.
    Write,
    /// Because two sides changed it.
    Merge,
}

impl From<&Filter> for QuarantineFilter {
    fn from(filter: &Filter) -> Self {
        let stage = |at| match at {
            RefusedAt::Read => Stage::Read,
            RefusedAt::Map => Stage::Map,
            RefusedAt::Write => Stage::Write,
            RefusedAt::Merge => Stage::Merge,
        };
        Self {
            stage: filter.stage.map(stage),
            code: filter.code.clone(),
            stream: filter.stream.clone(),
            since: filter.since,
            before: filter.before,
            ..Self::default()
        }
    }
}

fn time(text: &str) -> Result<SystemTime, String> {
    let at = text.parse::<Timestamp>().map_err(|e| e.to_string())?;
    let since = Duration::try_from(at.as_duration()).map_err(|_| "a time before 1970".to_owned())?;
    Ok(SystemTime::UNIX_EPOCH + since)
}

#[derive(Debug, Subcommand)]
pub(crate) enum Quarantine {
    /// Lists the records with the reasons why they were refused.
    List {
        #[command(flatten)]
        chosen: Chosen,
        #[command(flatten)]
        filter: Filter,
    },
    /// Prints one record with everything that is known about it.
    Show {
        #[command(flatten)]
        chosen: Chosen,
        /// The record's id, as `list` prints it.
        id: String,
    },
    /// Maps and writes the records again; those that are accepted leave the quarantine.
    Replay {
        #[command(flatten)]
        chosen: Chosen,
        /// The ids of the records; all without it.
        ids: Vec<String>,
        #[command(flatten)]
        filter: Filter,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Says whether a log is as it was written, and names the first record that is not. Exit code 6 if there is
    /// one.
    Verify {
        /// The log: its folder, or one file.
        #[arg(value_name = "PATH")]
        path: PathBuf,
        /// The signed heads: one a line.
        #[arg(long, value_name = "PATH")]
        heads: Option<PathBuf>,
        /// The public key of whoever signs the heads: 32 bytes in Base64, or a file that holds that. May be given
        /// several times.
        #[arg(long, value_name = "FILE|BASE64", required = true)]
        public_key: Vec<String>,
        /// The number of the log's first record, when older files were put away.
        #[arg(long, value_name = "N")]
        since: Option<u64>,
    },
    /// Prints the records of a log without verifying it.
    Show {
        /// The log: its folder, or one file.
        #[arg(value_name = "PATH")]
        path: PathBuf,
        /// Only records of this tenant.
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
        /// Only records of this actor.
        #[arg(long, value_name = "NAME")]
        actor: Option<String>,
        /// Only records of this action, such as `read_secret`.
        #[arg(long, value_name = "WORD")]
        action: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Everything.
    Full,
    /// What changed since the state; everything when there is none.
    Incremental,
}

impl From<Mode> for ReadMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Full => Self::Full,
            Mode::Incremental => Self::Incremental,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Action {
    /// Creates; an existing record is a conflict.
    Insert,
    /// Changes existing records.
    Update,
    /// Creates or changes.
    Upsert,
    /// Removes.
    Delete,
}

impl From<Action> for WriteMode {
    fn from(action: Action) -> Self {
        match action {
            Action::Insert => Self::Insert,
            Action::Update => Self::Update,
            Action::Upsert => Self::Upsert,
            Action::Delete => Self::Delete,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
