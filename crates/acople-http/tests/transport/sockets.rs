//! How many connections there are, and what happens when there are no more.

use std::time::Duration;

use acople_core::{ErrorKind, Progress, Transport, TransportError, WireFault};
use acople_http::{HttpTransport, TransportConfig};
use futures_util::future::join_all;

use super::server::Server;
use super::{child, request};

/// Sends so many requests at once; what became of each.
async fn burst(transport: &HttpTransport, url: &str, count: usize) -> Vec<Result<(), TransportError>> {
    let request = request(url);
    join_all((0..count).map(|_| async {
        let response = transport.send(request.clone()).await?;
        let (_, _, mut body) = response.into_parts();
        while let Some(chunk) = body.chunk().await {
            chunk?;
        }
        Ok(())
    }))
    .await
}

#[tokio::test]
async fn net_17_more_requests_than_connections_wait_for_each_other() {
    let server = Server::at("127.0.0.1:0", Duration::from_millis(2)).await;
    let mut config = TransportConfig::default().allow_loopback();
    config.max_connections = 8;
    let transport = HttpTransport::new(&config).unwrap();
    for result in burst(&transport, &server.url(), 200).await {
        result.unwrap();
    }
    // A connection that was begun for a request that then got another one's stays for the next.
    assert!(server.most() <= 16, "{} connections", server.most());
}

#[tokio::test]
async fn net_17_waiting_for_a_connection_ends_with_a_clear_transient_error() {
    let server = Server::start().await;
    let mut config = TransportConfig::default().allow_loopback();
    config.max_connections = 1;
    config.max_wait = Duration::from_millis(50);
    let transport = HttpTransport::new(&config).unwrap();
    let with_body = || request(&format!("{}/body", server.url()));
    // Its body is not read to the end: the request is still on its way.
    let held = transport.send(with_body()).await.unwrap();
    let error = transport.send(request(&server.url())).await.unwrap_err();
    assert_eq!((error.progress(), error.fault()), (Progress::NotSent, WireFault::Exhausted));
    assert!(error.to_string().contains("max_connections"), "{error}");
    assert_eq!(error.into_error(false).kind(), ErrorKind::Transient);
    drop(held);
    let (_, _, mut body) = transport.send(with_body()).await.unwrap().into_parts();
    assert_eq!(body.chunk().await.unwrap().unwrap(), "body");
    assert!(body.chunk().await.is_none());
    // Read to its end, though not dropped yet; the next has no body to wait for.
    let _empty = transport.send(request(&server.url())).await.unwrap();
    transport.send(with_body()).await.unwrap();
}

#[tokio::test]
async fn net_17_without_sockets_the_error_is_transient_and_clear_and_passes() {
    if let Some(url) = child::url() {
        let mut config = TransportConfig::default().allow_loopback();
        config.max_connections = 500;
        let greedy = HttpTransport::new(&config).unwrap();
        let failed: Vec<_> = burst(&greedy, &url, 500).await.into_iter().filter_map(Result::err).collect();
        assert!(failed.len() > 300, "64 descriptors sufficed for {} of 500", 500 - failed.len());
        for error in failed {
            assert_eq!(
                (error.progress(), error.fault()),
                (Progress::NotSent, WireFault::Exhausted),
                "{error:?}"
            );
            assert!(error.to_string().contains("too many open files"), "{error}");
            assert_eq!(error.into_error(false).kind(), ErrorKind::Transient);
        }
        for result in burst(&greedy, &url, 5).await {
            result.unwrap();
        }
        drop(greedy);
        config.max_connections = 16;
        let modest = HttpTransport::new(&config).unwrap();
        for result in burst(&modest, &url, 500).await {
            result.unwrap();
        }
        return;
    }
    // Slow enough that all connections of a burst are wanted at once.
    let server = Server::at("127.0.0.1:0", Duration::from_millis(50)).await;
    let url = server.url();
    let child = move || {
        let test = "sockets::net_17_without_sockets_the_error_is_transient_and_clear_and_passes";
        child::run(test, &url, &[], "ulimit -n 64;")
    };
    tokio::task::spawn_blocking(child).await.unwrap();
    assert!(server.accepted() > 16);
}

#[test]
fn no_connections_at_all_are_a_config_error() {
    let mut config = TransportConfig::default();
    config.max_connections = 0;
    let error = HttpTransport::new(&config).unwrap_err();
    assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["max_connections".to_owned()][..]));
}
