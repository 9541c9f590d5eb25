//! Scripts, and what is remembered of them.

use std::time::Duration;

use acople_testkit::faults::{Bounds, Ending, FaultServer, HttpAnswer, Script, Scripts};
use bytes::Bytes;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::peer::{End, GET, Peer, SOON};

#[tokio::test]
async fn requests_are_remembered_as_they_came() {
    let one = Script::new().read_request().answer(HttpAnswer::json(200, "{}"));
    let server = FaultServer::start(Script::new().repeat(3, one)).await.unwrap();
    let mut peer = Peer::connect(server.addr()).await;
    let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    for request in [
        GET,
        "POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
        "PATCH /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nt: 1\r\n\r\n",
    ] {
        peer.send(request).await;
        assert_eq!(peer.receive(answer.len()).await, answer);
    }
    let requests = server.requests();
    let seen: Vec<_> = requests.iter().map(|r| (r.method(), r.target(), r.body(), r.complete())).collect();
    let expected: [(&str, &str, &[u8], bool); 3] = [
        ("GET", "/things?id=7", b"", true),
        ("POST", "/a", b"hello", true),
        ("PATCH", "/b", b"abc0123456789", true),
    ];
    assert_eq!(seen, expected);
    assert_eq!(requests[0].header("x-key"), Some("canary"));
    assert!(requests[0].head_text().starts_with("GET "));
    assert_eq!(server.ending(0, SOON).await, Some(Ending::Played));
    assert_eq!((server.connections().len(), server.connections()[0].requests()), (1, 3));
    assert_eq!(peer.end().await, End::Closed(Vec::new()));
}

#[tokio::test]
async fn each_connection_has_its_script_and_the_last_script_is_repeated() {
    let server = FaultServer::start([Script::new().write("one"), Script::new().write("more")]).await.unwrap();
    for text in ["one", "more", "more"] {
        assert_eq!(Peer::connect(server.addr()).await.end().await, End::Closed(text.into()));
    }
    let numbered = Scripts::function(|number| Script::new().write(format!("connection {number}")));
    let server = FaultServer::start(numbered).await.unwrap();
    for number in 0..3 {
        let text = format!("connection {number}");
        assert_eq!(Peer::connect(server.addr()).await.end().await, End::Closed(text.into()));
    }
}

#[tokio::test]
async fn a_reset_is_a_reset_and_a_close_is_none() {
    let server = FaultServer::start([
        Script::new().read_request().reset(),
        Script::new().read_request().close(),
        Script::new().read_request().half_close().read_request().reset(),
    ])
    .await
    .unwrap();
    for end in [End::Reset, End::Closed(Vec::new())] {
        let mut peer = Peer::connect(server.addr()).await;
        peer.send(GET).await;
        assert_eq!(peer.end().await, end);
    }
    let mut peer = Peer::connect(server.addr()).await;
    peer.send(GET).await;
    assert_eq!(peer.end().await, End::Closed(Vec::new()), "the sending side is closed");
    peer.send(GET).await;
    assert!(server.until(SOON, |server| server.requests().len() == 4).await, "the other side is not");
    assert_eq!(server.ending(2, SOON).await, Some(Ending::Played));
}

#[tokio::test]
async fn an_answer_may_be_made_of_the_request() {
    let echo = |request: &acople_testkit::faults::Received| {
        HttpAnswer::new(200).body(request.body().to_vec()).chunked(2)
    };
    let server = FaultServer::start(Script::new().read_request().respond(echo)).await.unwrap();
    let mut peer = Peer::connect(server.addr()).await;
    peer.send("POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc").await;
    let answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
    assert_eq!(peer.end().await, End::Closed(answer.to_vec()));
}

#[tokio::test]
async fn an_interim_answer_may_come_between_head_and_body() {
    let script = Script::new()
        .read_head()
        .answer(HttpAnswer::new(100))
        .read_body()
        .answer(HttpAnswer::new(204))
        .read_to_end(SOON);
    let server = FaultServer::start(script).await.unwrap();
    let mut peer = Peer::connect(server.addr()).await;
    peer.send("PUT / HTTP/1.1\r\ncontent-length: 4\r\n\r\n").await;
    assert_eq!(peer.receive(25).await, b"HTTP/1.1 100 Continue\r\n\r\n");
    assert!(!server.requests()[0].complete());
    peer.send("body").await;
    assert_eq!(peer.receive(27).await, b"HTTP/1.1 204 No Content\r\n\r\n");
    assert!(server.requests()[0].complete());
    drop(peer);
    assert_eq!(server.ending(0, SOON).await, Some(Ending::PeerLeft));
}

#[tokio::test]
async fn an_endless_body_is_made_as_the_peer_takes_it() {
    let generated = Script::new().write_generated(10 << 30, SOON, |at| {
        assert!(at < 10 << 30);
        Bytes::from(vec![b'x'; 64 << 10])
    });
    let server = FaultServer::start(generated).await.unwrap();
    let mut peer = Peer::connect(server.addr()).await;
    assert_eq!(peer.receive(1 << 20).await, vec![b'x'; 1 << 20]);
    drop(peer);
    assert_eq!(server.ending(0, SOON).await, Some(Ending::PeerLeft));
    let written = server.connections()[0].bytes_written();
    assert!((1 << 20..1 << 30).contains(&written), "no more than was taken and is in the system: {written}");
}

#[tokio::test]
async fn what_is_generated_ends_at_its_bounds() {
    let never_taken = Duration::from_millis(100);
    let server = FaultServer::start([
        Script::new().write_generated(100, SOON, |_| Bytes::from_static(&[b'x'; 64])),
        Script::new().write_generated(1000, SOON, |at| if at == 0 { "once".into() } else { Bytes::new() }),
        Script::new().write_generated(u64::MAX, never_taken, |_| Bytes::from(vec![b'x'; 64 << 10])),
    ])
    .await
    .unwrap();
    assert_eq!(Peer::connect(server.addr()).await.end().await, End::Closed(vec![b'x'; 100]));
    assert_eq!(Peer::connect(server.addr()).await.end().await, End::Closed(b"once".to_vec()));
    let taker = Peer::connect(server.addr()).await;
    assert_eq!(server.ending(2, SOON).await, Some(Ending::Played));
    drop(taker);
}

#[tokio::test]
async fn slow_bytes_come_in_pieces() {
    let slow = Script::new().write_slowly("abcdef", 2, Duration::from_millis(60));
    let server = FaultServer::start(slow).await.unwrap();
    let mut peer = Peer::connect(server.addr()).await;
    let mut buffer = [0; 16];
    for piece in ["ab", "cd", "ef"] {
        let read = peer.0.read(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..read], piece.as_bytes());
    }
}

#[tokio::test]
async fn a_script_that_stalls_is_silent_and_ends_in_time() {
    let mut bounds = Bounds::default();
    bounds.life = Duration::from_millis(400);
    let stall = Script::new().read_request().stall(Duration::from_secs(3600));
    let server = FaultServer::builder(stall).bounds(bounds).start().await.unwrap();
    let mut peer = Peer::connect(server.addr()).await;
    peer.send(GET).await;
    assert!(peer.is_silent().await);
    assert_eq!(server.ending(0, SOON).await, Some(Ending::OutOfBounds));
    assert_eq!(peer.end().await, End::Closed(Vec::new()));
}

#[tokio::test]
async fn what_is_kept_and_played_is_bounded() {
    let mut bounds = Bounds::default();
    (bounds.steps, bounds.head, bounds.body, bounds.connections) = (10, 100, 4, 3);
    let script = Script::new().repeat(usize::MAX, Script::new().read_request());
    let server = FaultServer::builder(script).bounds(bounds).start().await.unwrap();
    let mut peer = Peer::connect(server.addr()).await;
    peer.send("POST / HTTP/1.1\r\ncontent-length: 6\r\n\r\nabcdef").await;
    for _ in 0..9 {
        peer.send("GET / HTTP/1.1\r\n\r\n").await;
    }
    assert_eq!(server.ending(0, SOON).await, Some(Ending::OutOfBounds), "of steps");
    let first = &server.requests()[0];
    assert_eq!((first.body(), first.body_len()), (&b"abcd"[..], 6));
    let mut peer = Peer::connect(server.addr()).await;
    peer.send([b'x'; 1000]).await;
    assert_eq!(server.ending(1, SOON).await, Some(Ending::Unreadable), "a head without end");
    let mut peer = Peer::connect(server.addr()).await;
    peer.send("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n").await;
    assert_eq!(server.ending(2, SOON).await, Some(Ending::Unreadable), "a chunk without size");
    assert!(TcpStream::connect(server.addr()).await.is_err(), "the fourth connection");
}

#[tokio::test]
async fn a_dropped_server_takes_its_connections_along() {
    let server = FaultServer::start(Script::new().stall(SOON * 6)).await.unwrap();
    let mut peer = Peer::connect(server.addr()).await;
    assert!(server.until(SOON, |server| server.connections().len() == 1).await);
    let address = server.addr();
    drop(server);
    assert_eq!(peer.end().await, End::Closed(Vec::new()));
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_condition_that_never_holds_is_given_up() {
    let server = FaultServer::start(Script::new()).await.unwrap();
    assert!(!server.until(Duration::from_millis(50), |server| !server.requests().is_empty()).await);
    assert_eq!(server.ending(0, Duration::from_millis(50)).await, None);
    assert_eq!(server.url_as("https"), format!("https://{}", server.addr()));
    assert_eq!(server.url(), format!("http://{}", server.addr()));
}
