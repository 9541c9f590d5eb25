//! Bodies that stall, trickle, or are packed in odd ways.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use acople_core::{Body, Context, Error, ErrorKind, Request, Response, Result, Transport, TransportError};
use acople_http::{Answer, BodyLimits, Call, Classifier, Client, RetryPolicy, StatusClassifier};
use acople_testkit::{Reply, ScriptedTransport};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, Method, StatusCode};
use tokio::time::Instant;

use super::{builder, client};

/// Answers with pieces, each after a pause.
#[derive(Clone, Debug)]
pub(crate) struct Pieces(pub(crate) Vec<(Duration, &'static [u8])>);

#[async_trait]
impl Transport for Pieces {
    async fn send(&self, _: Request) -> Result<Response, TransportError> {
        let pieces = futures_util::stream::iter(self.0.clone()).then(|(pause, piece)| async move {
            tokio::time::sleep(pause).await;
            Ok(Bytes::from_static(piece))
        });
        Ok(Response::new(StatusCode::OK, HeaderMap::new(), Body::stream(pieces)))
    }
}

fn slow(pieces: Vec<(u64, &'static [u8])>) -> Client {
    let pieces = pieces.into_iter().map(|(s, p)| (Duration::from_secs(s), p)).collect();
    let transport: Arc<dyn Transport> = Arc::new(Pieces(pieces));
    Client::builder("https://api.example.com", transport).unwrap().retry(RetryPolicy::none()).build()
}

async fn download(client: &Client, think: Duration) -> (usize, Option<ErrorKind>, Duration) {
    let began = Instant::now();
    let call = Call::get("export").any_content();
    let mut download = client.download(&Context::new(), &call).await.unwrap();
    let mut bytes = 0;
    loop {
        match download.chunk().await {
            Ok(Some(piece)) => bytes += piece.len(),
            Ok(None) => return (bytes, None, began.elapsed()),
            Err(error) => return (bytes, Some(error.kind()), began.elapsed()),
        }
        tokio::time::sleep(think).await;
    }
}

#[tokio::test(start_paused = true)]
async fn net_09_a_body_that_comes_drop_by_drop_is_given_up() {
    let drops = vec![(10, &b"x"[..]); 1000];
    let (_, error, took) = download(&slow(drops), Duration::ZERO).await;
    assert_eq!(error, Some(ErrorKind::Timeout));
    assert!(took <= Duration::from_secs(60), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn net_09_a_stall_that_ends_and_a_consumer_that_takes_its_time_are_no_fault() {
    let stalls = vec![(25, &[b'x'; 1000][..]); 20];
    assert_eq!(download(&slow(stalls), Duration::ZERO).await.1, None);
    let quick = vec![(0, &b"x"[..]); 50];
    let (bytes, error, _) = download(&slow(quick), Duration::from_secs(3600)).await;
    assert_eq!((bytes, error), (50, None));
    let worked_out = vec![(0, &b"["[..]), (25, &b"1"[..]), (0, &b"]"[..])];
    let answer = slow(worked_out).send(&Context::new(), &Call::get("read")).await.unwrap();
    assert_eq!(answer.body(), b"[1]", "a short answer to a long question");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_falls_silent_is_given_up() {
    let (bytes, error, took) = download(&slow(vec![(0, b"x"), (31, b"y")]), Duration::ZERO).await;
    assert_eq!((bytes, error, took), (1, Some(ErrorKind::Timeout), Duration::from_secs(30)));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(start_paused = true)]
async fn body_02_a_body_packed_in_several_members_is_one_body() {
    let members = [gzip(b"[1,"), gzip(b""), gzip(b"2]")].concat();
    let reply = Reply::json(200, members.clone()).header("content-encoding", "gzip");
    let transport = ScriptedTransport::function(move |_, _| reply.clone());
    let answer = client(&transport).send(&Context::new(), &Call::get("read")).await.unwrap();
    assert_eq!(answer.body(), b"[1,2]");
    for junk in [&b"junk behind the last member"[..], &members[..members.len() - 1]] {
        let body = [&members[..], junk].concat();
        let reply = Reply::json(200, body).header("content-encoding", "gzip");
        let transport = ScriptedTransport::function(move |_, _| reply.clone());
        let error = client(&transport).send(&Context::new(), &Call::get("read")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
    }
}

#[tokio::test(start_paused = true)]
async fn body_02_two_headers_of_encoding_are_two_encodings() {
    let reply =
        Reply::json(200, gzip(b"{}")).header("content-encoding", "gzip").header("content-encoding", "br");
    let transport = ScriptedTransport::function(move |_, _| reply.clone());
    let error = client(&transport).send(&Context::new(), &Call::get("read")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
}

#[tokio::test(start_paused = true)]
async fn body_01_a_bomb_does_not_go_off_in_a_download_either() {
    let bomb = gzip(&vec![0u8; 50 << 20]);
    let reply = Reply::new(200, bomb).header("content-encoding", "gzip");
    let transport = ScriptedTransport::function(move |_, _| reply.clone());
    let (bytes, error, _) = download(&client(&transport), Duration::ZERO).await;
    assert_eq!(error, Some(ErrorKind::TooLarge));
    assert!(bytes < 8 << 20, "{bytes}");
}

#[tokio::test(start_paused = true)]
async fn net_12_the_answer_to_head_announces_a_body_that_does_not_come() {
    let mut limits = BodyLimits::default();
    limits.bytes = 100;
    let transport = ScriptedTransport::function(|_, _| {
        Reply::new(200, "").header("content-length", "5000000000").header("content-encoding", "gzip")
    });
    let client = builder(&transport).body_limits(limits).build();
    let answer = client.send(&Context::new(), &Call::new("look", Method::HEAD)).await.unwrap();
    assert_eq!(answer.header("content-length"), Some("5000000000"));
}

/// Knows the login page of its vendor.
#[derive(Debug)]
struct KnowsLogin;

impl Classifier for KnowsLogin {
    fn classify(&self, answer: &Answer) -> Result<()> {
        if memchr::memmem::find(answer.body(), b"id=\"login\"").is_some() {
            return Err(Error::new(ErrorKind::Reauth, "the session has ended"));
        }
        StatusClassifier.classify(answer)
    }
}

#[tokio::test(start_paused = true)]
async fn body_05_a_login_page_is_a_matter_of_credentials_where_the_connector_says_so() {
    let page = "<html><form id=\"login\">canary</form></html>";
    let other = "<html><h1>canary</h1></html>";
    for (body, kind) in [(page, ErrorKind::Reauth), (other, ErrorKind::Protocol)] {
        let transport = ScriptedTransport::function(move |_, _| {
            Reply::new(200, body).header("content-type", "Text/HTML; charset=utf-8")
        });
        let client = builder(&transport).classifier(KnowsLogin).build();
        let error = client.send(&Context::new(), &Call::get("read")).await.unwrap_err();
        assert_eq!((error.kind(), transport.sent().len()), (kind, 1));
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn body_02_one_layer_of_what_was_asked_for_and_no_other() {
    let once = gzip(b"{\"a\":1}");
    let twice = gzip(&once);
    for (encoding, body, expected) in [
        ("gzip", once.clone(), Ok(b"{\"a\":1}".to_vec())),
        ("X-GZIP", once.clone(), Ok(b"{\"a\":1}".to_vec())),
        ("identity", b"{}".to_vec(), Ok(b"{}".to_vec())),
        // Packed twice and said once: one layer comes off, what is below is not looked into.
        ("gzip", twice.clone(), Ok(once.clone())),
        ("gzip, gzip", twice, Err(ErrorKind::Protocol)),
        ("gzip, identity", once.clone(), Err(ErrorKind::Protocol)),
        ("br", once.clone(), Err(ErrorKind::Protocol)),
        ("compress", once.clone(), Err(ErrorKind::Protocol)),
        ("what-ever", once.clone(), Err(ErrorKind::Protocol)),
        // The header says one thing, the body is another.
        ("gzip", b"{\"a\":1}".to_vec(), Err(ErrorKind::Protocol)),
        ("identity", once.clone(), Ok(once)),
    ] {
        let reply = Reply::new(200, body).header("content-encoding", encoding);
        let transport = ScriptedTransport::function(move |_, _| reply.clone());
        let call = Call::get("read").any_content();
        let got = client(&transport).send(&Context::new(), &call).await;
        assert_eq!(got.map(|answer| answer.body().to_vec()).map_err(|e| e.kind()), expected, "{encoding}");
    }
}
