//! One file a group of commands.

mod audit;
mod connectors;
mod discover;
mod invoke;
mod profile;
mod quarantine;
mod read;
mod state;
mod sync;
mod write;

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use acople::{CancelToken, Error, ErrorKind};
use futures_util::future::{Either, select};
use tokio::runtime::{Builder, Runtime};

use crate::args::{Cli, Command};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;
use crate::{log, signals};

/// How long the end waits for what was handed to the store.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// Runs a command and tells what went wrong.
pub(crate) fn run(cli: Cli) -> Exit {
    log::install(cli.log);
    let mut out = Out::new();
    let result = dispatch(cli.command, &mut out, cli.json);
    // What was done is told, also when the rest failed.
    let flushed = out.flush();
    match result.and_then(|exit| flushed.map(|()| exit)) {
        Ok(exit) => exit,
        Err(failure) => failure.report(),
    }
}

fn dispatch(command: Command, out: &mut Out, json: bool) -> Result<Exit, Failure> {
    // These talk to nobody: they need no runtime.
    match &command {
        Command::Connectors => return connectors::list(out, json),
        Command::Spec { connector } => return connectors::spec(out, connector),
        Command::Audit { command } => return audit::run(command, out, json),
        _ => {}
    }
    let runtime = runtime()?;
    let result = runtime.block_on(talk(command, out, json));
    runtime.shutdown_timeout(LAST_WRITES);
    result
}

/// The runtime: this thread runs the command and may block on standard output; workers serve connections.
fn runtime() -> Result<Runtime, Failure> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(|e| Failure::machine("threads cannot be started", &e))
}

async fn talk(command: Command, out: &mut Out, json: bool) -> Result<Exit, Failure> {
    let cancel = signals::watch()?;
    match command {
        Command::Check { connection } => unless(&cancel, discover::check(&connection, out, json)).await,
        Command::Discover { connection, stream } => {
            unless(&cancel, discover::discover(&connection, stream.as_deref(), out, json)).await
        }
        Command::Invoke { action, connection, input } => {
            unless(&cancel, invoke::invoke(&action, &connection, &input, out)).await
        }
        Command::Profile(args) => profile::profile(&args, out, json, &cancel).await,
        Command::Read(args) => read::read(&args, out, &cancel).await,
        Command::Write(args) => write::write(&args, out, &cancel).await,
        Command::Sync { chosen, approve, scan_keys, accept_schema } => {
            let wish = sync::Wish { approve, scan_keys, accept_schema };
            sync::sync(&chosen, wish, out, json, &cancel).await
        }
        Command::State { command } => state::run(&command, out, json).await,
        Command::Quarantine { command } => quarantine::run(&command, out, json, &cancel).await,
        Command::Audit { .. } | Command::Connectors | Command::Spec { .. } => {
            Err(Error::new(ErrorKind::Internal, "this command needs no connection").into())
        }
    }
}

/// Work that can be left at any moment: it ends with the first signal.
async fn unless(
    cancel: &CancelToken,
    work: impl Future<Output = Result<Exit, Failure>>,
) -> Result<Exit, Failure> {
    match select(pin!(work), pin!(cancel.cancelled())).await {
        Either::Left((result, _)) => result,
        Either::Right(_) => Ok(Exit::Interrupted),
    }
}
