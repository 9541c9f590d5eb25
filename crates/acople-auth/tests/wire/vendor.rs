//! A vendor on a socket that rotates refresh tokens, and connections to it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acople_auth::{ClientStyle, Grant, OAuth2, OAuthClient};
use acople_core::{Context, Request, Resources, Result};
use acople_http::{HttpTransport, TransportConfig};
use acople_testkit::faults::{FaultServer, HttpAnswer, Received, Script};
use tokio::time::Instant;

/// What the vendor knows.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Refresh tokens, and when those that were replaced were redeemed first.
    good: BTreeMap<String, Option<Instant>>,
    /// How long a replaced refresh token is taken once more.
    grace: Duration,
    issued: u64,
    pub(crate) calls: u64,
    pub(crate) refused: u64,
}

impl Ledger {
    pub(crate) fn new(refresh: &str, grace: Duration) -> Arc<Mutex<Self>> {
        let mut ledger = Self { grace, ..Self::default() };
        ledger.connect(refresh);
        Arc::new(Mutex::new(ledger))
    }

    /// The account is connected again.
    pub(crate) fn connect(&mut self, refresh: &str) {
        self.good.insert(refresh.to_owned(), None);
    }

    pub(crate) fn is_good(&self, refresh: &str) -> bool {
        self.good.get(refresh).is_some_and(|used| used.is_none_or(|used| used.elapsed() < self.grace))
    }

    pub(crate) fn answer(&mut self, received: &Received) -> HttpAnswer {
        self.calls += 1;
        let refresh = url::form_urlencoded::parse(received.body())
            .find_map(|(name, value)| (name == "refresh_token").then(|| value.into_owned()))
            .unwrap();
        let (status, body) = if self.is_good(&refresh) {
            self.good.entry(refresh).and_modify(|used| {
                used.get_or_insert_with(Instant::now);
            });
            self.issued += 1;
            let (access, refresh) = (format!("at-{}", self.issued), format!("rt-{}", self.issued));
            self.good.insert(refresh.clone(), None);
            (200, format!(r#"{{"access_token":"{access}","refresh_token":"{refresh}","expires_in":3600}}"#))
        } else {
            self.refused += 1;
            (400, r#"{"error":"invalid_grant"}"#.to_owned())
        };
        HttpAnswer::json(status, body).header("connection", "close")
    }
}

/// One request, one answer.
pub(crate) fn honest(ledger: &Arc<Mutex<Ledger>>) -> Script {
    let ledger = ledger.clone();
    Script::new().read_request().respond(move |received| ledger.lock().unwrap().answer(received)).close()
}

/// The vendor takes the request, renews, and the connection is reset before a byte of the answer.
pub(crate) fn resetting(ledger: &Arc<Mutex<Ledger>>) -> Script {
    let ledger = ledger.clone();
    Script::new()
        .read_request()
        .respond(move |received| {
            let _ = ledger.lock().unwrap().answer(received);
            bytes::Bytes::new()
        })
        .reset()
}

pub(crate) async fn serve(scripts: impl Into<acople_testkit::faults::Scripts>) -> FaultServer {
    FaultServer::start(scripts).await.unwrap()
}

pub(crate) fn resources() -> Resources {
    let config = TransportConfig::default().allow_loopback();
    Resources::new(Arc::new(HttpTransport::new(&config).unwrap()))
}

pub(crate) fn auth(url: &str, refresh: &str, resources: &Resources) -> OAuth2 {
    let client = OAuthClient { id: "app".into(), secret: Some("s3cret".into()), style: ClientStyle::Body };
    let grant = Grant::RefreshToken { refresh_token: refresh.into() };
    OAuth2::builder("example", &format!("{url}/token"), client, grant, resources).unwrap().build()
}

/// The access token in use, and the stamp to refuse it by.
pub(crate) async fn token(auth: &OAuth2) -> Result<(String, acople_core::AuthStamp)> {
    use acople_core::AuthProvider;
    let mut request = Request::new(http::Method::GET, "https://api.example.com".parse().unwrap());
    let stamp = auth.authorize(&Context::new(), &mut request).await?;
    let header = request.headers()["authorization"].to_str().unwrap();
    Ok((header.trim_start_matches("Bearer ").to_owned(), stamp))
}
