//! The command line.

use std::path::PathBuf;

use acople::json::FieldPath;
use acople::{ReadMode, WriteMode};
use clap::{Args, Parser, Subcommand, ValueEnum};

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
    },
    /// Shows and replays the records that syncs have set aside.
    Quarantine {
        #[command(subcommand)]
        command: Quarantine,
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
    #[arg(long, value_name = "FILE", requires = "key_env")]
    pub(crate) store: Option<PathBuf>,
    /// The environment variable that holds the store's key: 32 bytes in Base64.
    #[arg(long, value_name = "VARIABLE", requires = "store")]
    pub(crate) key_env: Option<String>,
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
pub(crate) enum Quarantine {
    /// Lists the records with the reasons why they were refused.
    List {
        #[command(flatten)]
        chosen: Chosen,
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
