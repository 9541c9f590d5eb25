//! Proxies are explicit; the environment is read when asked for.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};

use acople_core::{Secret, Transport, WireFault};
use acople_http::{HttpTransport, Proxy, TransportConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

use super::server::Server;
use super::{Stub, child, get, request};

/// Nobody listens there (port 9 is `discard`).
const CLOSED: &str = "http://127.0.0.1:9";

#[tokio::test]
async fn net_16_the_environments_proxies_are_not_used_unasked() {
    if let Some(url) = child::url() {
        let config = TransportConfig::default().allow_loopback();
        assert_eq!(get(&config, &url).await.unwrap().status(), 204);
        return;
    }
    let server = Server::start().await;
    let variables = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"]
        .map(|n| (n, CLOSED));
    let url = server.url();
    let child = move || {
        child::run("proxies::net_16_the_environments_proxies_are_not_used_unasked", &url, &variables, "")
    };
    tokio::task::spawn_blocking(child).await.unwrap();
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn net_16_the_environments_proxies_are_used_when_asked_for_and_logged_once() {
    if let Some(url) = child::url() {
        let log = Log::default();
        let mut config = TransportConfig::default().allow_loopback();
        config.proxy = Proxy::Environment;
        let transport =
            tracing::subscriber::with_default(log.clone(), || HttpTransport::new(&config)).unwrap();
        for _ in 0..2 {
            assert_eq!(transport.send(request("http://elsewhere.example/")).await.unwrap().status(), 204);
        }
        // Not for hosts that are excepted.
        assert_eq!(transport.send(request(&url)).await.unwrap().status(), 204);
        println!("{}", log.0.lock().unwrap());
        return;
    }
    let (server, proxy) = (Server::start().await, Server::start().await);
    let (url, with) = (server.url(), format!("http://user:canary@localhost:{}", proxy.address.port()));
    let child = move || {
        let variables = [("HTTP_PROXY", with.as_str()), ("NO_PROXY", "127.0.0.1")];
        let test = "proxies::net_16_the_environments_proxies_are_used_when_asked_for_and_logged_once";
        child::run(
            test,
            &url,
            &variables,
            "unset http_proxy no_proxy https_proxy HTTPS_PROXY all_proxy ALL_PROXY;",
        )
    };
    let said = tokio::task::spawn_blocking(child).await.unwrap();
    assert_eq!((proxy.accepted(), server.accepted()), (1, 1));
    assert_eq!(said.matches("through a proxy that the environment names").count(), 1, "{said}");
    assert!(said.contains("host=localhost") && !said.contains("canary"), "{said}");
}

#[tokio::test]
async fn an_explicit_proxy_gets_names_to_resolve_and_addresses_are_checked_all_the_same() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let head = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut head = vec![0u8; 4096];
        let read = socket.read(&mut head).await.unwrap();
        socket.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        String::from_utf8_lossy(&head[..read]).into_owned()
    });
    // The proxy's own name leads into the host's network: the config that names it says that this is meant.
    let stub = Stub::new([Some(vec!["127.0.0.1"])]);
    let mut config = TransportConfig::default();
    config.resolver = stub.clone();
    config.proxy = Proxy::Url(Secret::from(format!("http://user:canary@proxy.corp.example:{port}")));
    assert!(!format!("{config:?}").contains("canary"));
    for literal in ["http://10.0.0.1/", "http://2130706433/"] {
        assert_eq!(get(&config, literal).await.unwrap_err().fault(), WireFault::Forbidden);
    }
    assert_eq!(stub.asked(), 0);
    assert_eq!(get(&config, "http://api.example.com/x").await.unwrap().status(), 204);
    let head = head.await.unwrap();
    assert!(head.starts_with("GET http://api.example.com/x HTTP/1.1\r\n"), "{head}");
    assert!(head.to_lowercase().contains("proxy-authorization: basic "), "{head}");
    assert_eq!(stub.asked(), 1, "the proxy's name and no other");
}

#[tokio::test]
async fn a_proxy_that_wants_other_credentials_is_a_config_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read(&mut [0u8; 4096]).await;
        let _ = socket
            .write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
            .await;
    });
    let mut config = TransportConfig::default();
    config.proxy = Proxy::Url(Secret::from(proxy));
    let error = get(&config, "https://api.example.com/").await.unwrap_err();
    assert_eq!(error.fault(), WireFault::BadRequest, "{error:?}");
}

#[test]
fn what_is_no_proxy_is_refused_at_once_without_repeating_it() {
    for wrong in
        ["", "socks5://user:canary@proxy.example:1080", "http://", "http://user:canary@", "ftp://canary"]
    {
        let mut config = TransportConfig::default();
        config.proxy = Proxy::Url(Secret::from(wrong));
        let error = HttpTransport::new(&config).unwrap_err();
        assert_eq!(error.fields(), ["proxy"], "{wrong}");
        assert!(!format!("{error:?}").contains("canary"));
    }
}

/// Keeps what is logged.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<String>>);

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("acople")
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push_str(&line.0);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = writeln!(self.0, "{}={value:?}", field.name());
    }
}
