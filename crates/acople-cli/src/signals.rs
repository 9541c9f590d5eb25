//! Ctrl-C: the first time the work ends at its next good place, the second time at once.

use std::io;

use acople::CancelToken;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::note;

/// Listens from now on. The token is cancelled by the first signal.
pub(crate) fn watch() -> Result<CancelToken, Failure> {
    let mut signals = Signals::listen().map_err(|e| Failure::machine("signals cannot be received", &e))?;
    let token = CancelToken::new();
    let cancel = token.clone();
    tokio::spawn(async move {
        signals.next().await;
        cancel.cancel();
        note("stopping at the next good place; interrupt again to stop at once");
        signals.next().await;
        std::process::exit(Exit::Interrupted.code().into());
    });
    Ok(token)
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn listen() -> io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn next(&mut self) {
        self.0.recv().await;
    }
}
