//! A laptop that was shut, a virtual machine that was paused: no burst afterwards.

use std::sync::Arc;
use std::time::Duration;

use acople::auth::{ClientStyle, Grant, OAuth2, OAuthClient};
use acople::http::{Call, Client, Limits};
use acople::{Context, Resources};
use acople_testkit::{FakeClock, Reply, ScriptedTransport};

/// Requests a second that the vendor allows.
const RATE: u32 = 20;

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_05_a_process_that_was_stopped_does_not_catch_up() {
    use acople_tests::job::{Job, Steady};

    let server = server::Server::start().await;
    let job = Job::Steady(Steady { url: server.url.clone(), tasks: 100, rate: RATE });
    let child = tokio::process::Command::new(env!("CARGO_BIN_EXE_acople-tests-child"))
        .arg(serde_json::to_string(&job).unwrap())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let pid = child.id().unwrap().to_string();
    let signal = |name: &str| {
        let done = std::process::Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(done.success());
    };
    server.wait_for(40).await;
    signal("-STOP");
    tokio::time::sleep(Duration::from_millis(300)).await; // what was on its way arrives
    let before = server.arrivals();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(server.arrivals(), before, "a stopped process sends nothing");
    signal("-CONT");
    server.wait_for(before + 1).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let after = server.arrivals() - before;
    // In one and a half seconds: what the rate allows, the tenth of it that may go at once, and the calls that were in
    // flight and are repeated. Three seconds of pause would be sixty more.
    assert!((10..=50).contains(&after), "{after} requests in 1.5 s after the pause, at {RATE} a second");
}

#[tokio::test(start_paused = true)]
async fn host_05_after_two_hours_the_token_is_renewed_once_and_the_limit_still_holds() {
    let clock = FakeClock::new();
    let transport = ScriptedTransport::function(|sent, number| match sent.request.url().path() {
        "/oauth/token" => {
            let answer = format!(
                r#"{{"access_token":"at-{number}","refresh_token":"rt-{number}","expires_in":3600}}"#
            );
            Reply::json(200, answer).after(Duration::from_millis(200))
        }
        _ => Reply::json(200, "{}").after(Duration::from_millis(50)),
    });
    let resources = Resources::new(Arc::new(transport.clone())).with_clock(Arc::new(clock.clone()));
    let app = OAuthClient { id: "app".into(), secret: None, style: ClientStyle::Body };
    let grant = Grant::RefreshToken { refresh_token: "rt".into() };
    let auth =
        OAuth2::builder("example", "https://login.example.com/oauth/token", app, grant, &resources).unwrap();
    let limits = Limits::new().rate("app", RATE, Duration::from_secs(1)).class("default", &["app"]);
    let client = Client::with_resources("https://api.example.com", &resources)
        .unwrap()
        .auth(Arc::new(auth.build()))
        .limits(limits)
        .build();
    let token_calls =
        || transport.sent().iter().filter(|sent| sent.request.url().path() == "/oauth/token").count();
    client.send(&Context::new(), &Call::get("read").path(["x"])).await.unwrap();
    assert_eq!(token_calls(), 1);

    // The machine sleeps; both clocks have moved when it wakes up.
    clock.advance(Duration::from_secs(7_200));
    tokio::time::advance(Duration::from_secs(7_200)).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let client = client.clone();
        calls.spawn(
            async move { client.send(&Context::new(), &Call::get("read").path(["x"])).await.map(drop) },
        );
    }
    while let Some(call) = calls.join_next().await {
        call.unwrap().unwrap();
    }
    assert_eq!(token_calls(), 2, "one renewal for all");
    let sent: Vec<Duration> = transport
        .sent()
        .iter()
        .filter(|sent| sent.request.url().path() == "/x")
        .skip(1)
        .map(|sent| sent.at)
        .collect();
    assert_eq!(sent.len(), 200, "no request is made twice");
    let busiest = sent
        .iter()
        .map(|from| sent.iter().filter(|at| *at >= from && **at < *from + Duration::from_secs(1)).count());
    let busiest = busiest.max().unwrap();
    // The rate, the tenth of it that may go at once, and those that had their permit while the token was renewed.
    // Two hours of pause would be all two hundred.
    assert!(busiest <= RATE as usize + 2 + 4, "{busiest} requests in one second");
}

/// A server that counts requests and answers each after a moment.
#[cfg(unix)]
mod server {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::{sleep, timeout};

    pub struct Server {
        pub url: String,
        arrivals: Arc<AtomicU64>,
    }

    impl Server {
        pub async fn start() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let arrivals = Arc::new(AtomicU64::new(0));
            let counter = arrivals.clone();
            tokio::spawn(async move {
                while let Ok((mut socket, _)) = listener.accept().await {
                    let counter = counter.clone();
                    tokio::spawn(async move {
                        let mut seen = Vec::new();
                        while let Ok(1..) = socket.read_buf(&mut seen).await {
                            while let Some(end) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
                                seen.drain(..end + 4);
                                counter.fetch_add(1, Ordering::SeqCst);
                                sleep(Duration::from_millis(100)).await;
                                let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
                                if socket.write_all(answer).await.is_err() {
                                    return;
                                }
                            }
                        }
                    });
                }
            });
            Self { url, arrivals }
        }

        pub fn arrivals(&self) -> u64 {
            self.arrivals.load(Ordering::SeqCst)
        }

        /// Waits until so many requests have come.
        pub async fn wait_for(&self, count: u64) {
            let enough = async {
                while self.arrivals() < count {
                    sleep(Duration::from_millis(5)).await;
                }
            };
            timeout(Duration::from_secs(30), enough).await.expect("requests come");
        }
    }
}
