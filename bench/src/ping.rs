//! Small requests through the whole request path.

use acople_core::Context;
use acople_http::Call;

use crate::{Failure, Host, Tally};

/// Sends `units` requests, `at_once` of them at any time.
pub(crate) async fn ping(host: &Host, units: u64, at_once: u64) -> Result<Tally, Failure> {
    let client = host.client()?;
    let cx = Context::new();
    let mut tasks = Vec::new();
    for task in 0..at_once {
        let share = units / at_once + u64::from(task < units % at_once);
        let (client, cx) = (client.clone(), cx.clone());
        tasks.push(tokio::spawn(async move {
            for _ in 0..share {
                client.send(&cx, &Call::get("ping").path(["ping"])).await?;
            }
            Ok::<u64, acople_core::Error>(share)
        }));
    }
    let mut tally = Tally::default();
    for task in tasks {
        tally.records += task.await??;
    }
    tally.bytes = cx.meter().usage().bytes_received;
    Ok(tally)
}
