//! Downloads that break and go on.

use acople_core::{Context, ErrorKind};
use acople_http::{Call, RetryPolicy};
use acople_testkit::{Reply, ScriptedTransport, Sent};
use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::builder;

const FILE: &[u8] = b"0123456789abcdefghij";

/// What is read of a file before its end or an error.
async fn read(transport: &ScriptedTransport) -> Result<Vec<u8>, (usize, ErrorKind)> {
    let client = builder(transport).retry(RetryPolicy::default().with_attempts(3)).build();
    let call = Call::get("export").any_content();
    let mut file = client.download_resumable(&Context::new(), &call).await.map_err(|e| (0, e.kind()))?;
    let mut read = Vec::new();
    loop {
        match file.chunk().await {
            Ok(Some(piece)) => read.extend_from_slice(&piece),
            Ok(None) => return Ok(read),
            Err(error) => {
                assert!(file.chunk().await.unwrap().is_none(), "nothing comes behind an error");
                return Err((read.len(), error.kind()));
            }
        }
    }
}

fn first(len: usize) -> Reply {
    Reply::new(200, &FILE[..len]).header("etag", "\"v1\"").header("content-length", "20").truncated()
}

fn asked_from(sent: &Sent) -> usize {
    sent.header("range").unwrap().strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap()
}

fn rest(sent: &Sent, tag: &str) -> Reply {
    let from = asked_from(sent);
    Reply::new(206, &FILE[from..]).header("etag", tag).header("content-range", &format!("bytes {from}-19/20"))
}

#[tokio::test(start_paused = true)]
async fn body_03_a_download_goes_on_where_it_broke() {
    let transport = ScriptedTransport::function(|sent, number| match number {
        0 => first(5),
        1 => rest(sent, "\"v1\"").truncated(), // all bytes came, and then the connection broke
        _ => panic!("a third request"),
    });
    assert_eq!(read(&transport).await.unwrap(), FILE, "by its length it is whole");

    let transport = ScriptedTransport::function(|sent, number| match number {
        0 => first(5),
        1 => Reply::new(206, &FILE[5..12])
            .header("etag", "\"v1\"")
            .header("content-range", "bytes 5-19/20")
            .truncated(),
        _ => rest(sent, "\"v1\""),
    });
    assert_eq!(read(&transport).await.unwrap(), FILE);
    let sent = transport.sent();
    let ranges: Vec<_> = sent.iter().map(|s| (s.header("range"), s.header("if-range"))).collect();
    assert_eq!(
        ranges,
        [(None, None), (Some("bytes=5-"), Some("\"v1\"")), (Some("bytes=12-"), Some("\"v1\""))]
    );
    assert!(sent.iter().all(|s| s.header("accept-encoding") == Some("identity")));
}

#[tokio::test(start_paused = true)]
async fn body_03_parts_of_two_versions_are_never_put_together() {
    for (second, kind) in [
        // If-Range did its work: the whole of the new version.
        (Reply::new(200, "NEWNEWNEWNEWNEWNEWNE").header("etag", "\"v2\""), ErrorKind::CursorExpired),
        // A vendor that ignores it, or does not say which version it is.
        (
            Reply::new(206, &FILE[5..]).header("etag", "\"v2\"").header("content-range", "bytes 5-19/20"),
            ErrorKind::CursorExpired,
        ),
        (Reply::new(206, &FILE[5..]).header("content-range", "bytes 5-19/20"), ErrorKind::CursorExpired),
        // Other parts than the one that was asked for.
        (
            Reply::new(206, &FILE[4..]).header("etag", "\"v1\"").header("content-range", "bytes 4-19/20"),
            ErrorKind::Protocol,
        ),
        (
            Reply::new(206, &FILE[5..]).header("etag", "\"v1\"").header("content-range", "bytes 5-19/21"),
            ErrorKind::Protocol,
        ),
        (Reply::new(206, &FILE[5..]).header("etag", "\"v1\""), ErrorKind::Protocol),
        (Reply::new(204, "").header("etag", "\"v1\""), ErrorKind::Protocol),
    ] {
        let transport = ScriptedTransport::new([first(5), second]);
        assert_eq!(read(&transport).await, Err((5, kind)));
    }
}

#[tokio::test(start_paused = true)]
async fn body_03_a_vendor_without_ranges_sends_the_same_version_again() {
    let whole = Reply::new(200, FILE).header("etag", "\"v1\"").header("content-length", "20");
    let transport = ScriptedTransport::new([first(5), whole]);
    assert_eq!(read(&transport).await.unwrap(), FILE);
}

#[tokio::test(start_paused = true)]
async fn body_03_what_has_no_version_or_is_packed_is_not_resumed() {
    for reply in [
        Reply::new(200, &FILE[..5]).truncated(),
        Reply::new(200, &FILE[..5]).header("etag", "W/\"v1\"").truncated(),
        Reply::new(200, &FILE[..5]).header("etag", "\"v1\"").header("accept-ranges", "none").truncated(),
    ] {
        let transport = ScriptedTransport::new([reply]);
        assert_eq!(read(&transport).await, Err((5, ErrorKind::Protocol)));
        assert_eq!(transport.sent().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn body_03_attempts_are_counted_anew_once_bytes_have_come() {
    // One byte an attempt.
    let transport = ScriptedTransport::function(|sent, number| {
        if number == 0 {
            return first(1);
        }
        let from = asked_from(sent);
        let part = Reply::new(206, &FILE[from..=from])
            .header("etag", "\"v1\"")
            .header("content-range", &format!("bytes {from}-19/20"));
        if from == 19 { part } else { part.truncated() }
    });
    assert_eq!(read(&transport).await.unwrap(), FILE);
    // No byte an attempt.
    let transport = ScriptedTransport::function(|_, number| match number {
        0 => first(5),
        _ => {
            Reply::new(206, "").header("etag", "\"v1\"").header("content-range", "bytes 5-19/20").truncated()
        }
    });
    assert_eq!(read(&transport).await, Err((5, ErrorKind::Protocol)));
    assert_eq!(transport.sent().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn body_03_length_and_checksum_are_compared_when_they_are_given() {
    let good = format!("sha-256=:{}:", BASE64_STANDARD.encode(sha256(FILE)));
    let bad = format!("sha-256=:{}:", BASE64_STANDARD.encode(sha256(b"other")));
    let whole = |checksum: &str| Reply::new(200, FILE).header("content-digest", checksum);
    assert_eq!(read(&ScriptedTransport::new([whole(&good)])).await.unwrap(), FILE);
    assert_eq!(read(&ScriptedTransport::new([whole(&bad)])).await, Err((20, ErrorKind::Protocol)));
    assert_eq!(read(&ScriptedTransport::new([whole("sha-256=:??:")])).await.unwrap(), FILE);
    // Over both parts of one that was resumed.
    for (checksum, expected) in [(good, Ok(FILE.to_vec())), (bad, Err((20, ErrorKind::Protocol)))] {
        let transport = ScriptedTransport::function(move |sent, number| match number {
            0 => first(5).header("repr-digest", &checksum),
            _ => rest(sent, "\"v1\""),
        });
        assert_eq!(read(&transport).await, expected);
    }
    for length in ["19", "21"] {
        let transport = ScriptedTransport::new([Reply::new(200, FILE).header("content-length", length)]);
        assert_eq!(read(&transport).await, Err((20, ErrorKind::Protocol)), "{length}");
    }
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref().to_vec()
}
