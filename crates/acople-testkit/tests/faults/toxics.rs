//! The proxy and its toxics.

use std::time::{Duration, Instant};

use acople_testkit::faults::{Direction, Ending, FaultServer, Script, Toxic, Toxics};
use tokio::io::AsyncReadExt;

use super::peer::{End, Peer, SOON};

const MOMENT: Duration = Duration::from_millis(150);

/// A server that says how much it was sent when the peer has done sending, and a proxy before it.
async fn echo(bytes: &'static [u8]) -> (FaultServer, Toxics) {
    let server = FaultServer::start(Script::new().read(4).write(bytes)).await.unwrap();
    let proxy = Toxics::start(server.addr()).await.unwrap();
    (server, proxy)
}

/// What a client gets through the proxy, and how long that took.
#[expect(clippy::disallowed_methods, reason = "real sockets, real time")]
async fn ask(proxy: &Toxics) -> (End, Duration) {
    let began = Instant::now();
    let mut peer = Peer::connect(proxy.addr()).await;
    peer.send("ping").await;
    (peer.end().await, began.elapsed())
}

#[tokio::test]
async fn without_toxics_bytes_go_through() {
    let (server, proxy) = echo(b"pong").await;
    assert_eq!(ask(&proxy).await.0, End::Closed(b"pong".to_vec()));
    assert_eq!(server.ending(0, SOON).await, Some(Ending::Played));
    assert_eq!(proxy.connections(), 1);
    assert_eq!(proxy.url(), format!("http://{}", proxy.addr()));
}

#[tokio::test]
async fn latency_delays_each_way_and_can_be_taken_away() {
    let (_server, proxy) = echo(b"pong").await;
    let late = Toxic::Latency { delay: MOMENT, jitter: Duration::from_millis(50) };
    proxy.add(Direction::ToServer, late);
    proxy.add(Direction::ToClient, Toxic::Latency { delay: MOMENT, jitter: Duration::ZERO });
    let (end, took) = ask(&proxy).await;
    assert_eq!(end, End::Closed(b"pong".to_vec()));
    assert!(took >= Duration::from_millis(250), "{took:?}");
    proxy.remove(Direction::ToServer, late);
    proxy.clear();
    let (end, took) = ask(&proxy).await;
    assert_eq!(end, End::Closed(b"pong".to_vec()));
    assert!(took < SOON);
}

#[tokio::test]
async fn bandwidth_and_slices_change_the_pace_and_no_byte() {
    static BYTES: [u8; 3000] = [b'x'; 3000];
    let (_server, proxy) = echo(&BYTES).await;
    for toxic in [
        Toxic::Bandwidth { bytes_per_second: 10_000 },
        Toxic::Slicer { size: 500, pause: Duration::from_millis(50) },
    ] {
        proxy.clear();
        proxy.add(Direction::ToClient, toxic);
        let (end, took) = ask(&proxy).await;
        assert_eq!(end, End::Closed(BYTES.to_vec()));
        assert!(took >= Duration::from_millis(250), "{took:?}");
    }
}

#[tokio::test]
async fn a_limit_closes_the_connection_after_so_many_bytes() {
    let (server, proxy) = echo(b"0123456789").await;
    proxy.add(Direction::ToClient, Toxic::LimitData { bytes: 4 });
    assert_eq!(ask(&proxy).await.0, End::Closed(b"0123".to_vec()));
    proxy.clear();
    proxy.add(Direction::ToServer, Toxic::LimitData { bytes: 2 });
    ask(&proxy).await;
    assert_eq!(server.ending(1, SOON).await, Some(Ending::PeerLeft), "two bytes of four came");
}

#[tokio::test]
async fn a_slow_close_holds_the_end_back() {
    let (_server, proxy) = echo(b"pong").await;
    proxy.add(Direction::ToClient, Toxic::SlowClose { delay: MOMENT });
    let (end, took) = ask(&proxy).await;
    assert_eq!(end, End::Closed(b"pong".to_vec()));
    assert!(took >= MOMENT, "{took:?}");
}

#[tokio::test]
async fn a_timeout_swallows_bytes_and_closes_or_never_does() {
    let (_server, proxy) = echo(b"pong").await;
    proxy.add(Direction::ToClient, Toxic::Timeout { after: MOMENT });
    let (end, took) = ask(&proxy).await;
    assert_eq!(end, End::Closed(Vec::new()));
    assert!(took >= MOMENT, "{took:?}");
    let (server, proxy) = {
        let server =
            FaultServer::start(Script::new().read(4).write("pong").read(4).write("late")).await.unwrap();
        let proxy = Toxics::start(server.addr()).await.unwrap();
        (server, proxy)
    };
    let swallow = Toxic::Timeout { after: Duration::ZERO };
    proxy.add(Direction::ToClient, swallow);
    let mut peer = Peer::connect(proxy.addr()).await;
    peer.send("ping").await;
    assert!(peer.is_silent().await);
    assert!(server.connections()[0].bytes_written() > 0);
    proxy.remove(Direction::ToClient, swallow);
    peer.send("ping").await;
    assert_eq!(peer.end().await, End::Closed(b"late".to_vec()), "changed while the connection was open");
}

#[tokio::test]
async fn a_reset_reaches_the_side_that_it_is_for() {
    let (_server, proxy) = echo(b"pong").await;
    proxy.add(Direction::ToClient, Toxic::ResetPeer { after: Duration::from_millis(20) });
    assert_eq!(ask(&proxy).await.0, End::Reset);
}

#[tokio::test]
async fn a_server_that_is_down_comes_up_again() {
    let server = FaultServer::start(Script::new().read(4).stall(SOON)).await.unwrap();
    let proxy = Toxics::start(server.addr()).await.unwrap();
    let mut open = Peer::connect(proxy.addr()).await;
    open.send("ping").await;
    assert!(
        server.until(SOON, |server| server.connections().first().is_some_and(|c| c.bytes_read() == 4)).await
    );
    proxy.set_down(true);
    assert_eq!(open.end().await, End::Closed(Vec::new()));
    assert!(Peer::connect(proxy.addr()).await.0.read_u8().await.is_err());
    proxy.set_down(false);
    let mut open = Peer::connect(proxy.addr()).await;
    open.send("ping").await;
    assert!(server.until(SOON, |server| server.connections().len() == 2).await);
}
