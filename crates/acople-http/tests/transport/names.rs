//! Names that do not resolve, or not in time.

use std::future::pending;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use acople_core::Transport;
use acople_core::{Context, ErrorKind, Progress, WireFault};
use acople_http::{Call, HttpTransport, Resolver, TransportConfig};
use async_trait::async_trait;

use super::server::Server;
use super::{Stub, client, fault, get, request};

#[tokio::test]
async fn net_01_a_name_that_does_not_exist_is_transient_and_says_so() {
    for answer in [None, Some(vec![])] {
        let stub = Stub::new([answer]);
        let mut config = TransportConfig::default();
        config.resolver = stub.clone();
        let client = client("https://nowhere.example", &config);
        let error = client.send(&Context::new(), &Call::post("write")).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Transient, 3));
        assert_eq!(fault(&error), (Progress::NotSent, WireFault::Dns));
        assert!(error.to_string().contains("does not resolve"), "{error}");
        assert_eq!(stub.asked(), 3, "asked anew for each attempt");
    }
}

#[tokio::test]
async fn net_01_a_negative_answer_is_not_kept() {
    let server = Server::start().await;
    let mut config = TransportConfig::default().allow_loopback();
    config.resolver = Stub::new([None, Some(vec!["127.0.0.1"])]);
    let transport = HttpTransport::new(&config).unwrap();
    let request = request(&format!("http://late.example:{}/", server.address.port()));
    assert_eq!(transport.send(request.clone()).await.unwrap_err().fault(), WireFault::Dns);
    assert_eq!(transport.send(request.clone()).await.unwrap().status(), 204);
}

/// A name server that never answers.
#[derive(Debug)]
struct Silent;

#[async_trait]
impl Resolver for Silent {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        pending().await
    }
}

#[tokio::test]
async fn net_01_resolving_has_its_own_deadline() {
    // Alone, and when the whole connection has less time than that.
    for (dns, connect) in [(50, 60_000), (60_000, 50)] {
        let mut config = TransportConfig::default();
        config.resolver = Arc::new(Silent);
        config.dns_timeout = Duration::from_millis(dns);
        config.connect_timeout = Duration::from_millis(connect);
        let sent = tokio::time::timeout(Duration::from_secs(20), get(&config, "https://slow.example/"));
        let error = sent.await.unwrap().unwrap_err();
        assert_eq!((error.progress(), error.fault()), (Progress::NotSent, WireFault::Dns));
        assert!(error.to_string().contains("not resolved within 0.0"), "{error}");
        assert_eq!(error.into_error(false).kind(), ErrorKind::Transient);
    }
}
