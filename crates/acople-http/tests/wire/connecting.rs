//! No connection at all.

use std::time::Duration;

use acople_core::{Context, ErrorKind};
use acople_http::{Call, RetryPolicy, Within};
use acople_testkit::faults::{FaultServer, HttpAnswer, Script};
use tokio::net::TcpListener;

use super::client;

#[tokio::test]
async fn net_01_a_host_that_does_not_resolve_is_transient() {
    let client = client("https://no-such-host.invalid", RetryPolicy::none());
    let error =
        client.send(&Context::new().within(Duration::from_secs(10)), &Call::get("read")).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Transient | ErrorKind::Timeout), "{error:?}");
}

#[tokio::test]
async fn net_02_a_refused_connection_is_transient_for_any_method() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for call in [Call::get("read"), Call::post("create"), Call::patch("change"), Call::delete("remove")] {
        let error = client(&base, RetryPolicy::default()).send(&Context::new(), &call).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Transient, 3), "tried again");
        assert!(error.outcome_known(), "nothing was sent");
        assert!(!format!("{error:?}").contains(&base), "errors name no URL");
    }
}

#[tokio::test]
async fn net_02_a_write_goes_through_when_the_server_comes_up() {
    let answer = Script::new().read_request().answer(HttpAnswer::json(201, "{}"));
    let server = FaultServer::start(answer).await.unwrap();
    // The port is known and closed; it is opened between two attempts.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let upstream = server.addr();
    let up = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(60)).await;
        let listener = TcpListener::bind(address).await.unwrap();
        let (mut client, _) = listener.accept().await.unwrap();
        let mut server = tokio::net::TcpStream::connect(upstream).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    });
    let client = client(&format!("http://{address}"), RetryPolicy::default().with_attempts(20));
    let answer = client.send(&Context::new(), &Call::post("create").raw_json("{}")).await.unwrap();
    assert_eq!(answer.status(), 201);
    assert_eq!(server.requests().len(), 1, "and once");
    up.abort();
}
