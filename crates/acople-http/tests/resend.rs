//! Writes at vendors without idempotency keys: look up, then resend.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use acople_core::{Context, Error, ErrorKind, Progress, WireFault};
use acople_http::{Call, Client, Within, Written};
use acople_testkit::{Reply, ScriptedTransport};

const LAG: Duration = Duration::from_secs(2);

fn client(replies: impl IntoIterator<Item = Reply>) -> (Client, ScriptedTransport) {
    let transport = ScriptedTransport::new(replies);
    let client = Client::builder("https://api.example.com", Arc::new(transport.clone())).unwrap().build();
    (client, transport)
}

fn lost() -> Reply {
    Reply::fail(Progress::MaybeSent, WireFault::Reset)
}

fn create() -> Call {
    Call::post("create").path(["orders"]).raw_json("{}")
}

#[tokio::test(start_paused = true)]
async fn net_05_a_lost_answer_is_looked_up_and_what_is_there_is_not_made_twice() {
    let (client, transport) = client([lost()]);
    let written = client.send_or_find(&Context::new(), &create(), LAG, || async { Ok(Some("17")) }).await;
    assert!(matches!(written.unwrap(), Written::Found("17")));
    assert_eq!(transport.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_sent_again_after_the_vendors_lag() {
    let (client, transport) = client([lost(), lost(), Reply::json(201, "{}")]);
    let looked = AtomicUsize::new(0);
    let look_up = || async {
        looked.fetch_add(1, Ordering::SeqCst);
        Ok(None::<u8>)
    };
    let written = client.send_or_find(&Context::new(), &create(), LAG, look_up).await.unwrap();
    assert!(matches!(written, Written::Answered(answer) if answer.status() == 201));
    let sent = transport.sent();
    assert_eq!((sent.len(), looked.load(Ordering::SeqCst)), (3, 2));
    assert!(sent[1].at >= LAG && sent[2].at >= 2 * LAG);
}

#[tokio::test(start_paused = true)]
async fn attempts_are_bounded_and_the_last_loss_is_ambiguous() {
    let (client, transport) = client((0..9).map(|_| lost()));
    let error = client.send_or_find(&Context::new(), &create(), LAG, || async { Ok(None::<u8>) }).await;
    let error = error.unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome_known(), transport.sent().len()),
        (ErrorKind::Ambiguous, false, 3)
    );
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_fails_or_is_too_late_leaves_the_outcome_open() {
    let (client, transport) = client((0..9).map(|_| lost()));
    let fails = || async { Err::<Option<u8>, _>(Error::new(ErrorKind::Permission, "no search here")) };
    let error = client.send_or_find(&Context::new(), &create(), LAG, fails).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Ambiguous, Some("reset")));
    let hangs = std::future::pending::<acople_core::Result<Option<u8>>>;
    let cx = Context::new().within(Duration::from_secs(5));
    let error = client.send_or_find(&cx, &create(), LAG, hangs).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Ambiguous);
    assert_eq!(transport.sent().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_known_is_neither_looked_up_nor_sent_again() {
    let (client, transport) = client([Reply::json(422, "{}")]);
    let look_up = || async { panic!("the vendor refused, there is nothing to look up") };
    let written: Result<Written<u8>, _> = client.send_or_find(&Context::new(), &create(), LAG, look_up).await;
    assert_eq!(written.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(transport.sent().len(), 1);
}
