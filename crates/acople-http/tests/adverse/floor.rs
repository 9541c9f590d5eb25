//! How slowly a body may come.

use std::sync::Arc;
use std::time::Duration;

use acople_core::{Context, ErrorKind, Transport};
use acople_http::{BodyLimits, Call, Client, RetryPolicy};

use super::bodies::Pieces;

/// What becomes of a byte every so many seconds, 40 times.
async fn dripped(every: u64, limits: BodyLimits) -> Result<usize, ErrorKind> {
    let pieces = vec![(Duration::from_secs(every), &b"x"[..]); 40];
    let transport: Arc<dyn Transport> = Arc::new(Pieces(pieces));
    let client = Client::builder("https://api.example.com", transport)
        .unwrap()
        .retry(RetryPolicy::none())
        .body_limits(limits)
        .build();
    let call = Call::get("read").any_content();
    let mut download = client.download(&Context::new(), &call).await.unwrap();
    let mut bytes = 0;
    while let Some(piece) = download.chunk().await.map_err(|e| e.kind())? {
        bytes += piece.len();
    }
    Ok(bytes)
}

#[tokio::test(start_paused = true)]
async fn net_09_the_floor_of_a_bodys_pace_is_the_hosts_to_set() {
    assert_eq!(dripped(5, BodyLimits::default()).await, Err(ErrorKind::Timeout));
    let mut low = BodyLimits::default();
    low.floor_bytes = 4;
    assert_eq!(dripped(5, low).await, Ok(40));
    let mut off = BodyLimits::default();
    off.floor_bytes = 0;
    assert_eq!(dripped(25, off).await, Ok(40));
    let mut strict = BodyLimits::default();
    (strict.floor_bytes, strict.floor_window) = (100, Duration::from_secs(60));
    assert_eq!(dripped(2, strict).await, Err(ErrorKind::Timeout));
    let mut patient = BodyLimits::default();
    (patient.floor_bytes, patient.floor_window) = (20, Duration::from_secs(120));
    assert_eq!(dripped(5, patient).await, Ok(40), "24 bytes in each window");
}
