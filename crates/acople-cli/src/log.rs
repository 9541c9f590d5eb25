//! The logger: only the command installs one.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::Level;

/// Logs to standard error, without colours when it is not a terminal.
pub(crate) fn install(level: Level) {
    let level = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    // Our own crates keep secrets out of their logs. HTTP and TLS libraries at debug level do not promise it.
    let targets = Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("acople", level);
    let lines =
        tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    // An error means that there is a logger already, which is as good.
    let _ = tracing_subscriber::registry().with(targets).with(lines).try_init();
}
