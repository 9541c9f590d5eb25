//! HTTP/2 by hand, on both sides.

use acople_testkit::faults::{Ending, FaultServer, Script, h2};

use super::peer::{End, Peer, SOON};

/// SETTINGS, then a request on a stream: a header block of our own, which the server does not unpack.
fn request(stream: u32, body: Option<&[u8]>) -> Vec<u8> {
    let head = h2::headers(stream, b"block", body.is_none());
    [head, body.map_or_else(Vec::new, |body| h2::data(stream, body, true))].concat()
}

#[tokio::test]
async fn requests_are_read_frame_by_frame() {
    let script = Script::new()
        .h2_accept(&[(h2::MAX_CONCURRENT_STREAMS, 1)])
        .h2_read_request()
        .respond(|request| h2::answer(request.stream().unwrap(), b"{}"))
        .h2_read_request()
        .respond(|request| h2::rst_stream(request.stream().unwrap(), h2::REFUSED_STREAM))
        .write(h2::go_away(1, h2::NO_ERROR));
    let server = FaultServer::start(script).await.unwrap();
    let mut peer = Peer::connect(server.addr()).await;
    peer.send([h2::PREFACE, &h2::settings(&[]), &h2::ping(*b"12345678")].concat()).await;
    peer.send(request(1, None)).await;
    peer.send(request(3, Some(b"hello"))).await;
    let End::Closed(all) = peer.end().await else { panic!("reset") };
    let expected = [
        h2::settings(&[(3, 1)]),
        h2::settings_ack(),
        h2::frame(6, 1, 0, b"12345678"),
        h2::answer(1, b"{}"),
        h2::window_update(0, 5),
        h2::window_update(3, 5),
        h2::rst_stream(3, 7),
        h2::go_away(1, 0),
    ];
    assert_eq!(all, expected.concat());
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    for (request, stream, body) in [(&requests[0], 1, ""), (&requests[1], 3, "hello")] {
        assert_eq!((request.stream(), request.head()), (Some(stream), &b"block"[..]));
        assert_eq!((request.body(), request.complete()), (body.as_bytes(), true));
    }
    assert_eq!((requests[0].method(), requests[0].header("x")), ("", None));
}

#[tokio::test]
async fn a_window_stays_closed_where_only_heads_are_read() {
    let script = Script::new().h2_accept(&[(h2::INITIAL_WINDOW_SIZE, 0)]).h2_read_head();
    let server = FaultServer::start(script).await.unwrap();
    let mut peer = Peer::connect(server.addr()).await;
    peer.send([h2::PREFACE, &h2::settings(&[])].concat()).await;
    // A head in two frames, padded, with a priority.
    let padded = [&[2][..], &[0; 5], b"bl", &[0, 0]].concat();
    peer.send([h2::frame(1, 0x8 | 0x20, 1, &padded), h2::frame(9, 4, 1, b"ock")].concat()).await;
    let End::Closed(all) = peer.end().await else { panic!("reset") };
    assert_eq!(all, [h2::settings(&[(4, 0)]), h2::settings_ack()].concat());
    assert_eq!(server.requests()[0].head(), b"block");
    assert!(!server.requests()[0].complete());
}

#[tokio::test]
async fn what_is_not_http_2_is_unreadable() {
    let script = Script::new().h2_accept(&[]).h2_read_request();
    let server = FaultServer::start(script).await.unwrap();
    let mut peer = Peer::connect(server.addr()).await;
    peer.send("GET / HTTP/1.1\r\nhost: here\r\n\r\n").await;
    assert_eq!(server.ending(0, SOON).await, Some(Ending::Unreadable));
    for junk in [h2::frame(0xff, 0, 0, &vec![0; 70_000]), h2::frame(1, 0x8 | 4, 1, &[9, 0])] {
        let mut peer = Peer::connect(server.addr()).await;
        peer.send([h2::PREFACE, &junk[..]].concat()).await;
        let number = server.connections().len() - 1;
        assert_eq!(server.ending(number, SOON).await, Some(Ending::Unreadable));
    }
}
