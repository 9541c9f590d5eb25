//! Five hundred requests a second against a server that resets, throttles, fails and breaks off, and what became of
//! them: `acople-tests-soak 600` runs for ten minutes.
//!
//! Three phases: a sixth of the time without faults, which tells what is normal; four sixths with them; the rest
//! without, in which latency has to become normal again. Prints one line of JSON at the end and fails when anything was
//! lost, panicked or leaked.

mod process;
mod server;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use acople::http::{Call, Client, HttpTransport, TransportConfig};
use acople::{Context, Result};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use process::Process;
use server::Server;

/// Requests that the host wants to make in a second.
const RATE: u64 = 500;

/// Calls that the host makes at once. What does not fit waits for its turn: a host has a limit of its own, too.
const IN_FLIGHT: usize = 128;

/// Added to twice the normal latency before it counts as normal again: a loaded machine is not a fault.
const SLACK: Duration = Duration::from_millis(100);

/// The most file descriptors: both ends of each call's connection, of idle ones and of those that are just closing, and
/// a few of the process's own.
const DESCRIPTORS: u64 = 4 * IN_FLIGHT as u64 + 64;

/// The most that memory may grow in a run too short for a slope.
const GROWTH_KIB: u64 = 32 << 10;

/// A run below this has too few quiet seconds at its end to judge a recovery by.
const SHORT: Duration = Duration::from_secs(24);

/// Steepest slope of resident memory, in KiB a minute, in a run of five minutes or more.
const SLOPE_KIB: f64 = 1024.0;

/// What the calls came to.
#[derive(Debug)]
struct Tally {
    started: AtomicU64,
    done: AtomicU64,
    /// Calls that ended with an error, which the host made again.
    again: AtomicU64,
    /// Answers that belong to another call.
    wrong: AtomicU64,
    /// End and latency of each call in milliseconds and tenths, for the percentiles. In its full size from the start, so
    /// that the measurement does not grow.
    latencies: Vec<AtomicU64>,
}

impl Tally {
    fn new(most: usize) -> Self {
        let [started, done, again, wrong] = [(); 4].map(|()| AtomicU64::new(0));
        let latencies = (0..most).map(|_| AtomicU64::new(u64::MAX)).collect();
        Self { started, done, again, wrong, latencies }
    }

    /// The end and the latency of every call that is over.
    fn latencies(&self) -> Vec<(Duration, Duration)> {
        let all =
            self.latencies.iter().map(|slot| slot.load(Ordering::Relaxed)).filter(|slot| *slot != u64::MAX);
        all.map(|slot| (Duration::from_millis(slot >> 32), Duration::from_micros((slot & 0xffff_ffff) * 100)))
            .collect()
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(30);
    match soak(Duration::from_secs(seconds)).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("{error:?}"));
            ExitCode::FAILURE
        }
    }
}

async fn soak(total: Duration) -> Result<bool> {
    let panics = process::count_panics();
    let server = Server::start().await;
    let client = Client::builder(
        &server.url,
        Arc::new(HttpTransport::new(&TransportConfig::default().allow_loopback())?),
    )?
    .build();
    let most = usize::try_from(RATE * total.as_secs()).unwrap_or(usize::MAX).saturating_add(IN_FLIGHT);
    let tally = Arc::new(Tally::new(most));
    let (quiet, faulty) = (total / 6, total * 4 / 6);
    let begun = Instant::now();

    let mut ticks = interval(Duration::from_secs(1) / u32::try_from(RATE).unwrap_or(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut samples: Vec<(Duration, Process)> = Vec::new();
    let mut calls = JoinSet::new();
    while begun.elapsed() < total {
        ticks.tick().await;
        let now = begun.elapsed();
        server.set_faults(now >= quiet && now < quiet + faulty);
        if samples.last().is_none_or(|(at, _)| now >= *at + Duration::from_secs(1)) {
            samples.push((now, Process::look()));
        }
        while calls.len() >= IN_FLIGHT {
            calls.join_next().await;
        }
        while calls.try_join_next().is_some() {}
        let number = tally.started.fetch_add(1, Ordering::Relaxed);
        calls.spawn(call(client.clone(), tally.clone(), number, begun));
    }
    // Whatever is still under way must come to an end by itself.
    let patience = sleep(Duration::from_secs(90));
    tokio::pin!(patience);
    loop {
        tokio::select! {
            ended = calls.join_next() => if ended.is_none() { break },
            () = &mut patience => break,
        }
    }

    let latencies = tally.latencies();
    let normal = percentile_99(&latencies, Duration::ZERO, quiet);
    let under_faults = percentile_99(&latencies, quiet, quiet + faulty);
    let recovery = recovery(&latencies, quiet + faulty, total, normal * 2 + SLACK);
    let in_faults: Vec<_> =
        samples.iter().filter(|(at, _)| *at >= quiet + faulty / 4 && *at < quiet + faulty).collect();
    let slope = process::slope(in_faults.iter().map(|(at, process)| (*at, process.resident_kib)));
    let (first, last) = (in_faults.first().map(|s| s.1), in_faults.last().map(|s| s.1));
    let growth =
        first.zip(last).map_or(0, |(first, last)| last.resident_kib.saturating_sub(first.resident_kib));
    let most_descriptors = samples.iter().map(|(_, p)| p.descriptors).max().unwrap_or(0);
    let end_descriptors = Process::look().descriptors;

    let [started, done, again, wrong] =
        [&tally.started, &tally.done, &tally.again, &tally.wrong].map(|n| n.load(Ordering::Relaxed));
    let panics = panics.load(Ordering::Relaxed);
    let long = total >= Duration::from_secs(300);
    let memory_is_flat = if long { slope < SLOPE_KIB } else { growth < GROWTH_KIB };
    let good = started == done
        && wrong == 0
        && panics == 0
        && (recovery.is_some() || total < SHORT)
        && memory_is_flat
        && most_descriptors <= DESCRIPTORS;
    say(&json!({
        "good": good, "calls": started, "lost": started - done, "wrong": wrong, "panics": panics,
        "made_again_by_the_host": again, "requests": server.requests(), "faults": server.faults(),
        "p99_ms": { "quiet": millis(normal), "faults": millis(under_faults) },
        "recovered_after_ms": recovery.map(millis),
        "memory": { "slope_kib_per_minute": slope.round(), "growth_kib": growth },
        "descriptors": { "most": most_descriptors, "end": end_descriptors },
    })
    .to_string());
    Ok(good)
}

/// One call of the host, made again until it succeeds.
async fn call(client: Client, tally: Arc<Tally>, number: u64, begun: Instant) {
    let started = begun.elapsed();
    let id = number.to_string();
    loop {
        match client.send(&Context::new(), &Call::get("read record").path(["records", id.as_str()])).await {
            Ok(answer) => {
                if answer.body() != format!(r#"{{"id":{id},"padding":"{}"}}"#, server::PADDING).as_bytes() {
                    tally.wrong.fetch_add(1, Ordering::Relaxed);
                }
                break;
            }
            Err(error) => {
                tally.again.fetch_add(1, Ordering::Relaxed);
                sleep(error.retry_after().unwrap_or(Duration::from_millis(fastrand::u64(50..150)))).await;
            }
        }
    }
    let ended = begun.elapsed();
    let took = ended.saturating_sub(started).as_micros() / 100;
    let packed = (ended.as_millis() << 32) | took.min(0xffff_ffff);
    if let (Some(slot), Ok(packed)) =
        (usize::try_from(number).ok().and_then(|at| tally.latencies.get(at)), u64::try_from(packed))
    {
        slot.store(packed, Ordering::Relaxed);
    }
    tally.done.fetch_add(1, Ordering::Relaxed);
}

/// The latency that 99 of 100 calls which ended in a span kept below.
fn percentile_99(latencies: &[(Duration, Duration)], from: Duration, to: Duration) -> Duration {
    let mut found: Vec<Duration> =
        latencies.iter().filter(|(end, _)| *end >= from && *end < to).map(|(_, took)| *took).collect();
    found.sort_unstable();
    found.get((found.len() * 99 / 100).min(found.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// How long after the faults the first second came in which latency was normal; `None`: never, or later than thirty
/// seconds.
fn recovery(
    latencies: &[(Duration, Duration)],
    from: Duration,
    to: Duration,
    normal: Duration,
) -> Option<Duration> {
    let second = Duration::from_secs(1);
    let last = to.saturating_sub(from).as_secs().min(30);
    let mut after = (0..last).map(Duration::from_secs);
    after.find(|after| percentile_99(latencies, from + *after, from + *after + second) <= normal)
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

fn say(line: &str) {
    use std::io::Write;
    // Nobody is left to tell when the other end is closed.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
