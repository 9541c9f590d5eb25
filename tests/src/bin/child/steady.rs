//! Many tasks that call one server through one client, until the process is killed.

use std::sync::Arc;
use std::time::Duration;

use acople::http::{Call, Client, HttpTransport, Limits, Timeouts, TransportConfig};
use acople::{Context, Result};
use acople_tests::job::Steady;

/// The bucket of all calls.
const APP: &str = "app";

pub(crate) async fn run(work: Steady) -> Result<()> {
    let transport = Arc::new(HttpTransport::new(&TransportConfig::default().allow_loopback())?);
    let limits = Limits::new().rate(APP, work.rate, Duration::from_secs(1)).class("default", &[APP]);
    let client = Client::builder(&work.url, transport)?
        .limits(limits)
        .timeouts(Timeouts::new(Duration::from_secs(1), Duration::from_secs(60)))
        .build();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..work.tasks {
        let client = client.clone();
        tasks.spawn(async move {
            loop {
                // What fails is asked for again, as a host would; the server counts.
                let _ = client.send(&Context::new(), &Call::get("read").path(["record"])).await;
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    Ok(())
}
