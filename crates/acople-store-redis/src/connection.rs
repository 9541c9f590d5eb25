//! The connection, and commands that outlive its loss.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use acople_core::{Error, ErrorKind, Result};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, Script};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use crate::fault::Fault;

/// The first pause before another attempt; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// One connection that all callers share: Redis answers in order, and answers one at a time anyway.
pub(crate) struct Connection {
    /// For messages.
    pub(crate) name: String,
    client: Client,
    patience: Duration,
    command_timeout: Duration,
    /// The connection, and how many there were before it.
    current: Mutex<(u64, Option<MultiplexedConnection>)>,
    /// Connections up to this one are lost.
    lost: AtomicU64,
}

impl Connection {
    pub(crate) fn new(client: Client, name: String, patience: Duration, command_timeout: Duration) -> Self {
        let (current, lost) = (Mutex::new((0, None)), AtomicU64::new(0));
        Self { name, client, patience, command_timeout, current, lost }
    }

    /// Runs a script that may be run again, and does so until it succeeds, fails for good or the patience is at its
    /// end.
    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[&[u8]],
        arguments: &[&[u8]],
    ) -> Result<T> {
        let mut call = script.prepare_invoke();
        for key in keys {
            call.key(*key);
        }
        for argument in arguments {
            call.arg(*argument);
        }
        let give_up = Instant::now() + self.patience;
        let mut again = Again::default();
        loop {
            let fault = match self.get().await {
                Ok((number, mut connection)) => match call.invoke_async(&mut connection).await {
                    Ok(value) => return Ok(value),
                    Err(error) => self.failed(&error, number),
                },
                Err(fault) => fault,
            };
            again.after(fault, give_up, &self.name).await?;
        }
    }

    /// The same for a command.
    pub(crate) async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T> {
        let give_up = Instant::now() + self.patience;
        let mut again = Again::default();
        loop {
            let fault = match self.get().await {
                Ok((number, mut connection)) => match command.query_async(&mut connection).await {
                    Ok(value) => return Ok(value),
                    Err(error) => self.failed(&error, number),
                },
                Err(fault) => fault,
            };
            again.after(fault, give_up, &self.name).await?;
        }
    }

    /// The error for an answer that is not what the store's script gives.
    pub(crate) fn not_understood(&self) -> Error {
        Error::new(ErrorKind::Internal, format!("{}: what is stored is not understood", self.name))
    }

    /// The connection at hand, or a new one. Callers that find none wait for the one that makes it.
    async fn get(&self) -> Result<(u64, MultiplexedConnection), Fault> {
        let mut current = self.current.lock().await;
        let (number, connection) = &*current;
        if let Some(connection) = connection.as_ref().filter(|_| *number > self.lost.load(Ordering::Acquire))
        {
            return Ok((*number, connection.clone()));
        }
        let next = number + 1;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(self.command_timeout)
            .set_response_timeout(self.command_timeout);
        let made = self.client.get_multiplexed_async_connection_with_config(&config).await;
        let connection = made.map_err(|error| Fault::of_connect(&error))?;
        *current = (next, Some(connection.clone()));
        Ok((next, connection))
    }

    fn failed(&self, error: &redis::RedisError, number: u64) -> Fault {
        let fault = Fault::of(error);
        if fault.lost {
            self.lost.fetch_max(number, Ordering::AcqRel);
        }
        fault
    }
}

/// The attempts of one call.
struct Again {
    pause: Duration,
    unsure: bool,
}

impl Default for Again {
    fn default() -> Self {
        Self { pause: FIRST_PAUSE, unsure: false }
    }
}

impl Again {
    /// Waits for the next attempt, or says why there is none.
    async fn after(&mut self, fault: Fault, give_up: Instant, store: &str) -> Result<()> {
        self.unsure |= fault.unsure;
        // Spread, so that workers that lost the same server do not come back in step.
        let wait = self.pause.mul_f64(0.5 + 0.5 * fastrand::f64());
        if !fault.passing || Instant::now() + wait >= give_up {
            return Err(fault.error(store, self.unsure));
        }
        sleep(wait).await;
        self.pause = LONGEST_PAUSE.min(self.pause * 2);
        Ok(())
    }
}
