//! What bodies cost in memory, each measured in a process of its own.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that fails may panic
#![allow(clippy::print_stdout)] // how the child tells what it took

use std::io::Write;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use acople_core::{
    Body, Context, ErrorKind, Progress, Request, Response, Transport, TransportError, WireFault,
};
use acople_http::{BodyLimits, Call, Client, Lines};
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

const MIB: u64 = 1 << 20;

/// Says to a test that it is the child which does the work and tells what it took.
const CHILD: &str = "as-the-measured-child";

/// By how many bytes the peak of a process grows with the work of a test; `None` in the child itself.
fn growth(test: &str, work: impl AsyncFnOnce()) -> Option<u64> {
    if std::env::args().any(|argument| argument == CHILD) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { tokio::task::yield_now().await });
        let before = peak();
        runtime.block_on(work());
        println!("<grew by {} bytes>", peak() - before);
        return None;
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args([test, CHILD, "--exact", "--nocapture", "--test-threads=1"])
        .output()
        .unwrap();
    let said = String::from_utf8(child.stdout).unwrap();
    assert!(child.status.success(), "{said}");
    let (_, grown) = said.split_once("<grew by ").expect("the child tells what it took");
    Some(grown.split_once(' ').unwrap().0.parse().unwrap())
}

/// The most memory that this process has held, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
}

fn headers<const N: usize>(pairs: [(&'static str, &str); N]) -> HeaderMap {
    let pair = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    pairs.map(pair).into_iter().collect()
}

/// 100 MiB of zeros in some 100 KB.
#[derive(Debug)]
struct Bomb(Bytes);

impl Bomb {
    fn new() -> Self {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let zeros = vec![0; 1 << 16];
        for _ in 0..1600 {
            encoder.write_all(&zeros).unwrap();
        }
        let packed = encoder.finish().unwrap();
        assert!(packed.len() < 110_000, "{}", packed.len());
        Self(packed.into())
    }
}

#[async_trait]
impl Transport for Bomb {
    async fn send(&self, _: Request) -> Result<Response, TransportError> {
        let headers = headers([("content-encoding", "gzip")]);
        Ok(Response::new(StatusCode::OK, headers, Body::full(self.0.clone())))
    }
}

fn bombed(limits: BodyLimits) -> Client {
    Client::builder("https://api.example.com", Arc::new(Bomb::new())).unwrap().body_limits(limits).build()
}

fn unratioed(bytes: usize) -> BodyLimits {
    let mut limits = BodyLimits::default();
    (limits.bytes, limits.ratio) = (bytes, usize::MAX);
    limits
}

fn bomb_on_a_limit_of(limit: u64, test: &str) {
    let grown = growth(test, async || {
        let client = bombed(unratioed(usize::try_from(limit).unwrap()));
        let error = client.send(&Context::new(), &Call::get("read")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
    });
    let Some(grown) = grown else { return };
    assert!(grown < 2 * limit, "{grown} bytes");
}

#[test]
fn body_01_a_bomb_takes_less_than_twice_a_small_limit() {
    bomb_on_a_limit_of(4 * MIB, "body_01_a_bomb_takes_less_than_twice_a_small_limit");
}

#[test]
fn body_01_a_bomb_takes_less_than_twice_the_default_limit() {
    bomb_on_a_limit_of(64 * MIB, "body_01_a_bomb_takes_less_than_twice_the_default_limit");
}

#[test]
fn body_01_a_bomb_is_found_by_its_ratio_before_it_has_gone_off() {
    let grown = growth("body_01_a_bomb_is_found_by_its_ratio_before_it_has_gone_off", async || {
        let client = bombed(BodyLimits::default());
        let error = client.send(&Context::new(), &Call::get("read")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
    });
    let Some(grown) = grown else { return };
    assert!(grown < 32 * MIB, "{grown} bytes");
}

#[test]
fn body_01_a_bomb_is_streamed_in_small_pieces() {
    let grown = growth("body_01_a_bomb_is_streamed_in_small_pieces", async || {
        let client = bombed(unratioed(1));
        let mut download =
            client.download(&Context::new(), &Call::get("export").any_content()).await.unwrap();
        let mut bytes = 0;
        while let Some(piece) = download.chunk().await.unwrap() {
            bytes += piece.len() as u64;
        }
        assert_eq!(bytes, 100 * MIB);
    });
    let Some(grown) = grown else { return };
    assert!(grown < 32 * MIB, "{grown} bytes");
}

/// A file of 10 GB that is on no disk; every connection to it breaks after 3 GB.
#[derive(Debug)]
struct Huge {
    asked: AtomicUsize,
    announced: bool,
}

impl Huge {
    fn new(announced: bool) -> Arc<Self> {
        Arc::new(Self { asked: AtomicUsize::new(0), announced })
    }
}

const HUGE: u64 = 10_000_000_000;
const BREAK: u64 = 3_000_000_000;

#[async_trait]
impl Transport for Huge {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let range = request.headers().get("range").map(|range| range.to_str().unwrap());
        let from = range.map_or(0, |range| {
            range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap()
        });
        let piece = Bytes::from(vec![b'x'; 1 << 20]);
        let pieces = futures_util::stream::unfold(from, move |at: u64| {
            let piece = piece.clone();
            async move {
                if at == HUGE {
                    return None;
                }
                if at - from >= BREAK {
                    let reset = TransportError::new(Progress::Answered, WireFault::Reset, "broken");
                    return Some((Err(reset), at));
                }
                let len = (HUGE - at).min(piece.len() as u64);
                Some((Ok(piece.slice(..usize::try_from(len).unwrap())), at + len))
            }
        });
        let last = HUGE - 1;
        let (status, headers) = if !self.announced {
            (StatusCode::OK, HeaderMap::new())
        } else if from == 0 {
            (StatusCode::OK, headers([("etag", "\"v\""), ("content-length", &HUGE.to_string())]))
        } else {
            let range = format!("bytes {from}-{last}/{HUGE}");
            (StatusCode::PARTIAL_CONTENT, headers([("etag", "\"v\""), ("content-range", &range)]))
        };
        Ok(Response::new(status, headers, Body::stream(pieces)))
    }
}

#[test]
fn body_03_ten_gigabytes_take_constant_memory_and_go_on_where_they_broke() {
    let test = "body_03_ten_gigabytes_take_constant_memory_and_go_on_where_they_broke";
    let grown = growth(test, async || {
        let huge = Huge::new(true);
        let client = Client::builder("https://api.example.com", huge.clone()).unwrap().build();
        let call = Call::get("export").any_content();
        let mut file = client.download_resumable(&Context::new(), &call).await.unwrap();
        let mut bytes = 0;
        while let Some(piece) = file.chunk().await.unwrap() {
            bytes += piece.len() as u64;
        }
        assert_eq!((bytes, file.position(), file.total()), (HUGE, HUGE, Some(HUGE)));
        assert_eq!(huge.asked.load(Ordering::Relaxed), 4);
    });
    let Some(grown) = grown else { return };
    assert!(grown < 32 * MIB, "{grown} bytes");
}

#[test]
fn body_04_ten_gigabytes_where_a_page_was_expected_are_given_up_at_the_limit() {
    let test = "body_04_ten_gigabytes_where_a_page_was_expected_are_given_up_at_the_limit";
    let grown = growth(test, async || {
        let mut limits = BodyLimits::default();
        limits.bytes = 8 << 20;
        let huge = Huge::new(false);
        let client = Client::builder("https://api.example.com", huge).unwrap().body_limits(limits).build();
        let error = client.send(&Context::new(), &Call::get("read")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
    });
    let Some(grown) = grown else { return };
    assert!(grown < 16 * MIB, "{grown} bytes");
}

/// One line without an end.
#[derive(Debug)]
struct Endless;

#[async_trait]
impl Transport for Endless {
    async fn send(&self, _: Request) -> Result<Response, TransportError> {
        let piece = Bytes::from(vec![b'x'; 1 << 16]);
        let pieces = futures_util::stream::repeat_with(move || Ok(piece.clone()));
        Ok(Response::new(StatusCode::OK, HeaderMap::new(), Body::stream(pieces)))
    }
}

#[test]
fn body_15_an_endless_line_takes_no_more_than_its_limit() {
    let grown = growth("body_15_an_endless_line_takes_no_more_than_its_limit", async || {
        let client = Client::builder("https://api.example.com", Arc::new(Endless)).unwrap().build();
        let download = client.download(&Context::new(), &Call::get("export").any_content()).await.unwrap();
        let error = Lines::new(download).longest(8 << 20).next().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
    });
    let Some(grown) = grown else { return };
    assert!(grown < 24 * MIB, "{grown} bytes");
}
