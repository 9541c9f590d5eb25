//! Contexts and the signal to stop.

use std::time::{Duration, Instant};

use acople_core::{CancelToken, Context, ErrorKind};

#[tokio::test]
async fn everybody_who_waits_is_told_and_so_is_who_comes_later() {
    let token = CancelToken::new();
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let token = token.clone();
            tokio::spawn(async move { token.cancelled().await })
        })
        .collect();
    tokio::task::yield_now().await;
    assert!(!token.is_cancelled());
    token.cancel();
    token.cancel();
    for task in waiting {
        task.await.unwrap();
    }
    token.cancelled().await;
    let cx = Context::new().with_cancel(token);
    assert_eq!(cx.ensure_live().unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
#[allow(clippy::disallowed_methods)] // any instant will do
fn a_deadline_is_only_ever_moved_forward() {
    let soon = Instant::now() + Duration::from_secs(1);
    let late = soon + Duration::from_secs(1);
    assert_eq!(Context::new().with_deadline(soon).with_deadline(late).deadline(), Some(soon));
    assert_eq!(Context::new().with_deadline(late).with_deadline(soon).deadline(), Some(soon));
}
