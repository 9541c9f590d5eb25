//! The limiter, the body reader and the batch writer.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use acople_core::{
    Batch, BatchLimits, Claim, Context, Error, ErrorKind, Lesson, Outcome, Progress, RateLimiter, Transport,
    WireFault,
};
use acople_http::{
    BodyLimits, Call, Client, Limits, LocalLimiter, Within, match_aligned, match_by_id, write_chunks,
};
use acople_testkit::{Reply, ScriptedTransport};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn no_window_ever_holds_more_than_the_limit() {
    let limiter = LocalLimiter::new(Limits::new().rate("app", 10, Duration::from_secs(1)));
    let mut times = Vec::new();
    for _ in 0..200 {
        let _permit = limiter.acquire(&Context::new(), &[Claim::one("app")]).await.unwrap();
        times.push(Instant::now());
    }
    for (index, start) in times.iter().enumerate() {
        let inside = times[index..].iter().take_while(|t| **t < *start + Duration::from_secs(1)).count();
        assert!(inside <= 11, "{inside} in the window that starts at {index}");
    }
    let rate = 200.0 / (times[199] - times[0]).as_secs_f64();
    assert!(rate > 4.5, "{rate} a second");
}

#[tokio::test(start_paused = true)]
async fn callers_leave_in_the_order_they_came() {
    let limiter = LocalLimiter::new(Limits::new().rate("app", 2, Duration::from_secs(1)));
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for n in 0..10 {
        let (limiter, order) = (limiter.clone(), order.clone());
        tasks.push(tokio::spawn(async move {
            let _permit = limiter.acquire(&Context::new(), &[Claim::one("app")]).await.unwrap();
            order.lock().unwrap().push(n);
        }));
        tokio::task::yield_now().await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), (0..10).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_call_spends_from_all_its_buckets_and_waits_for_the_slowest() {
    let limits =
        Limits::new().rate("app", 100, Duration::from_secs(1)).rate("search", 2, Duration::from_secs(1));
    let limiter = LocalLimiter::new(limits);
    let started = Instant::now();
    for _ in 0..6 {
        let claims = [Claim::one("app"), Claim::one("search")];
        let _permit = limiter.acquire(&Context::new(), &claims).await.unwrap();
    }
    assert!(started.elapsed() >= Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn slots_are_free_again_when_permits_and_waiting_callers_are_dropped() {
    let limiter = LocalLimiter::new(Limits::new().slots("app", 2));
    let claims = [Claim::one("app")];
    let first = limiter.acquire(&Context::new(), &claims).await.unwrap();
    let _second = limiter.acquire(&Context::new(), &claims).await.unwrap();
    for polls in 0..5 {
        // A caller that gives up while it waits takes nothing with it.
        let cx = Context::new();
        let waiting = limiter.acquire(&cx, &claims);
        let mut waiting = Box::pin(waiting);
        for _ in 0..polls {
            assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        }
    }
    drop(first);
    let third = tokio::time::timeout(Duration::from_secs(1), async {
        limiter.acquire(&Context::new(), &claims).await.map(drop)
    });
    third.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn rate_07_a_spent_quota_comes_back_at_once_with_the_time() {
    let limiter = LocalLimiter::new(Limits::new().rate("day", 1000, Duration::from_secs(86_400)));
    let claims = [Claim::one("day")];
    let until = acople_core::Clock::now(&acople_core::SystemClock) + Duration::from_secs(3600);
    limiter.observe(&claims, &Lesson::Exhausted { bucket: None, until: Some(until) });
    let error = limiter.acquire(&Context::new(), &claims).await.unwrap_err();
    assert_eq!((error.kind(), error.retry_at()), (ErrorKind::QuotaExhausted, Some(until)));
}

#[tokio::test(start_paused = true)]
async fn rate_15_a_cost_above_the_capacity_is_an_error_not_a_wait_for_ever() {
    let limiter = LocalLimiter::new(Limits::new().rate("app", 10, Duration::from_secs(1)));
    let error = limiter.acquire(&Context::new(), &[Claim::one("app").with_cost(11)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test(start_paused = true)]
async fn a_wait_beyond_the_deadline_is_not_begun() {
    let limiter = LocalLimiter::new(Limits::new().rate("app", 2, Duration::from_secs(60)));
    let claims = [Claim::one("app")];
    drop(limiter.acquire(&Context::new(), &claims).await.unwrap());
    let cx = Context::new().within(Duration::from_secs(5));
    let error = limiter.acquire(&cx, &claims).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert!(error.retry_after().is_some());
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn with_limits(reply: Reply, limits: BodyLimits) -> Client {
    let transport: Arc<dyn Transport> = Arc::new(ScriptedTransport::function(move |_, _| reply.clone()));
    Client::builder("https://api.example.com", transport).unwrap().body_limits(limits).build()
}

async fn body_of(reply: Reply, limits: BodyLimits) -> Result<Vec<u8>, Error> {
    let call = Call::get("read").any_content();
    with_limits(reply, limits).send(&Context::new(), &call).await.map(|a| a.body().to_vec())
}

#[tokio::test(start_paused = true)]
async fn gzip_answers_are_unpacked_whatever_their_size() {
    for size in [0usize, 1, 1000, 1_000_000] {
        let mut random = 7u32;
        let text: Vec<u8> = (0..size)
            .map(|_| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                b'a' + u8::try_from((random >> 24) % 26).unwrap()
            })
            .collect();
        let reply = Reply::new(200, gzip(&text)).header("content-encoding", "gzip");
        assert_eq!(body_of(reply, BodyLimits::default()).await.unwrap(), text);
    }
}

#[tokio::test(start_paused = true)]
async fn body_01_a_bomb_is_stopped_by_its_ratio_and_by_the_limit() {
    let bomb = gzip(&vec![0u8; 20 << 20]);
    assert!(bomb.len() < 30_000);
    let reply = Reply::new(200, bomb).header("content-encoding", "gzip");
    assert_eq!(body_of(reply.clone(), BodyLimits::default()).await.unwrap_err().kind(), ErrorKind::TooLarge);
    let mut limits = BodyLimits::default();
    limits.ratio = usize::MAX;
    limits.bytes = 4 << 20;
    assert_eq!(body_of(reply, limits).await.unwrap_err().kind(), ErrorKind::TooLarge);
}

#[tokio::test(start_paused = true)]
async fn body_02_encodings_that_were_not_asked_for_and_broken_ones_are_errors() {
    let limits = BodyLimits::default();
    for encoding in ["br", "deflate", "gzip, gzip", "zstd"] {
        let reply = Reply::new(200, "x").header("content-encoding", encoding);
        assert_eq!(body_of(reply, limits).await.unwrap_err().kind(), ErrorKind::Protocol, "{encoding}");
    }
    let whole = gzip(b"hello, hello, hello");
    for cut in 1..whole.len() {
        let reply = Reply::new(200, whole[..cut].to_vec()).header("content-encoding", "gzip");
        assert_eq!(body_of(reply, limits).await.unwrap_err().kind(), ErrorKind::Protocol, "cut at {cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn body_04_a_body_larger_than_the_limit_is_an_error() {
    let mut limits = BodyLimits::default();
    limits.bytes = 10;
    assert_eq!(body_of(Reply::new(200, "0123456789"), limits).await.unwrap(), b"0123456789");
    assert_eq!(
        body_of(Reply::new(200, "0123456789a"), limits).await.unwrap_err().kind(),
        ErrorKind::TooLarge
    );
    let announced = Reply::new(200, "0").header("content-length", "11");
    assert_eq!(body_of(announced, limits).await.unwrap_err().kind(), ErrorKind::TooLarge);
}

#[tokio::test(start_paused = true)]
async fn a_download_comes_piece_by_piece_and_unpacked() {
    let text = vec![b'x'; 50_000];
    let reply = Reply::new(200, gzip(&text)).header("content-encoding", "gzip");
    let client = with_limits(reply, BodyLimits::default());
    let mut download = client.download(&Context::new(), &Call::get("export").any_content()).await.unwrap();
    let mut total = 0;
    while let Some(piece) = download.chunk().await.unwrap() {
        total += piece.len();
    }
    assert_eq!(total, text.len());
}

fn batch(records: usize) -> Batch {
    Batch::from_records("things", (0..records).map(|n| format!(r#"{{"n":{n}}}"#))).unwrap()
}

fn limits(records: usize) -> BatchLimits {
    BatchLimits { records, bytes: 1 << 20 }
}

#[tokio::test]
async fn a_batch_is_cut_by_records_and_by_bytes_and_outcomes_keep_their_order() {
    let sizes = std::sync::Mutex::new(Vec::new());
    let send = |part: Batch| {
        sizes.lock().unwrap().push(part.len());
        let outcomes = part.iter().map(|r| Outcome::accepted(r.raw(), None)).collect();
        async move { Ok(outcomes) }
    };
    let report = write_chunks(&batch(25), limits(10), send).await.unwrap();
    assert_eq!(*sizes.lock().unwrap(), [10, 10, 5]);
    for (n, outcome) in report.outcomes().iter().enumerate() {
        assert!(
            matches!(outcome, Outcome::Accepted { id: Some(id), .. } if *id == format!(r#"{{"n":{n}}}"#))
        );
    }
    sizes.lock().unwrap().clear();
    write_chunks(&batch(10), BatchLimits { records: 10, bytes: 20 }, send).await.unwrap();
    assert!(sizes.lock().unwrap().iter().all(|n| *n <= 2));
}

#[tokio::test]
async fn write_06_a_part_that_is_refused_whole_is_halved_until_the_culprit_stands_alone() {
    let calls = AtomicUsize::new(0);
    let send = |part: Batch| {
        calls.fetch_add(1, Ordering::Relaxed);
        let bad = part.iter().any(|r| r.raw().contains(":13}"));
        let outcomes: Vec<Outcome> = part.iter().map(|_| Outcome::accepted("x", None)).collect();
        async move { if bad { Err(Error::new(ErrorKind::Invalid, "one is bad")) } else { Ok(outcomes) } }
    };
    let report = write_chunks(&batch(32), limits(32), send).await.unwrap();
    assert_eq!(report.accepted(), 31);
    assert!(
        matches!(&report.outcomes()[13], Outcome::Refused { error } if error.kind() == ErrorKind::Invalid)
    );
    assert!(calls.into_inner() <= 11);
}

#[tokio::test]
async fn a_call_that_may_have_taken_effect_leaves_its_records_unknown_and_the_rest_goes_on() {
    let send = |part: Batch| {
        let lost = part.iter().any(|r| r.raw().contains(":3}"));
        let outcomes: Vec<Outcome> = part.iter().map(|_| Outcome::accepted("x", None)).collect();
        async move { if lost { Err(Error::new(ErrorKind::Ambiguous, "lost")) } else { Ok(outcomes) } }
    };
    let report = write_chunks(&batch(6), limits(2), send).await.unwrap();
    let unknown: Vec<usize> =
        (0..6).filter(|n| matches!(report.outcomes()[*n], Outcome::Unknown { .. })).collect();
    assert_eq!(unknown, [2, 3]);
    assert_eq!(report.accepted(), 4);
}

#[tokio::test]
async fn err_means_that_nothing_was_written() {
    let stop = |_: Batch| async { Err(Error::new(ErrorKind::Reauth, "no")) };
    assert_eq!(write_chunks(&batch(6), limits(2), stop).await.unwrap_err().kind(), ErrorKind::Reauth);

    let count = AtomicUsize::new(0);
    let later = |part: Batch| {
        let first = count.fetch_add(1, Ordering::Relaxed) == 0;
        let outcomes: Vec<Outcome> = part.iter().map(|_| Outcome::accepted("x", None)).collect();
        async move { if first { Ok(outcomes) } else { Err(Error::new(ErrorKind::Reauth, "no")) } }
    };
    let report = write_chunks(&batch(6), limits(2), later).await.unwrap();
    assert_eq!((report.accepted(), report.outcomes().len()), (2, 6));
    assert_eq!(count.into_inner(), 2, "what stopped one call would stop the next");
}

#[test]
fn write_05_an_answer_of_another_length_says_nothing_about_any_record() {
    let error = match_aligned(3, vec![1, 2], |_, _| Outcome::accepted("x", None)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Ambiguous);
    let outcomes =
        match_by_id(&["a", "b"], [("b", Outcome::accepted("2", None)), ("z", Outcome::accepted("9", None))]);
    assert!(matches!(outcomes[0], Outcome::Unknown { .. }) && outcomes[1].is_accepted());
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_certificates_is_a_matter_of_configuration_and_not_tried_again() {
    let transport = ScriptedTransport::function(|_, _| Reply::fail(Progress::NotSent, WireFault::Tls));
    let client = Client::builder("https://api.example.com", Arc::new(transport.clone())).unwrap().build();
    let error = client.send(&Context::new(), &Call::get("read")).await.unwrap_err();
    assert_eq!((error.kind(), transport.sent().len()), (ErrorKind::Config, 1));
}
