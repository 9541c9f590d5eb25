//! A vendor with a token endpoint and one resource, and connections to it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use acople_auth::{ClientStyle, Grant, OAuth2, OAuth2Builder, OAuthClient};
use acople_core::{AuthProvider, Context, Request, Resources, Result, Secret};
use acople_http::{Call, Client};
use acople_testkit::{FakeClock, Reply, ScriptedTransport, Sent};

pub(crate) const BASE: &str = "https://api.example.com";
pub(crate) const TOKEN_URL: &str = "https://login.example.com/oauth/token";

/// How the vendor behaves, and what it knows.
#[derive(Debug)]
pub(crate) struct Rules {
    /// More members of the token answer, with a comma before them.
    pub(crate) members: String,
    /// Whether each refresh replaces the refresh token.
    pub(crate) rotates: bool,
    /// How long token calls take.
    pub(crate) delay: Duration,
    /// Answers for the next token calls, instead of the vendor's own; they do not touch its tokens.
    pub(crate) instead: Vec<Reply>,
    /// Whether the next token call is processed and its answer lost on the wire.
    pub(crate) lose_answer: bool,
    /// How long other calls take.
    pub(crate) resource_delay: Duration,
    /// The answer to the next revocation, instead of yes.
    pub(crate) revocation: Option<Reply>,
    /// The access token that is good.
    pub(crate) access: String,
    /// The refresh token that is good.
    pub(crate) refresh: String,
    issued: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Vendor {
    pub(crate) rules: Arc<Mutex<Rules>>,
    pub(crate) transport: ScriptedTransport,
    pub(crate) clock: FakeClock,
}

impl Vendor {
    /// A vendor that rotates refresh tokens and knows the access token `at-0` and the refresh token `rt-0`.
    pub(crate) fn new() -> Self {
        let rules = Arc::new(Mutex::new(Rules {
            members: r#","expires_in":3600"#.into(),
            rotates: true,
            delay: Duration::from_millis(300),
            instead: Vec::new(),
            lose_answer: false,
            resource_delay: Duration::ZERO,
            revocation: None,
            access: "at-0".into(),
            refresh: "rt-0".into(),
            issued: 0,
        }));
        let shared = rules.clone();
        let transport = ScriptedTransport::function(move |sent, _| {
            let mut rules = shared.lock().unwrap();
            match sent.request.url().path() {
                "/oauth/token" => rules.token(sent),
                "/oauth/revoke" => rules.revocation.take().unwrap_or_else(|| Reply::new(200, "")),
                _ => rules.resource(sent),
            }
        });
        Self { rules, transport, clock: FakeClock::new() }
    }

    pub(crate) fn with(self, change: impl FnOnce(&mut Rules)) -> Self {
        self.change(change);
        self
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.rules.lock().unwrap());
    }

    pub(crate) fn resources(&self) -> Resources {
        Resources::new(Arc::new(self.transport.clone())).with_clock(Arc::new(self.clock.clone()))
    }

    pub(crate) fn token_calls(&self) -> Vec<Sent> {
        self.transport.sent().into_iter().filter(|s| s.request.url().path() == "/oauth/token").collect()
    }

    pub(crate) fn resource_calls(&self) -> Vec<Sent> {
        self.transport.sent().into_iter().filter(|s| !s.request.url().path().starts_with("/oauth/")).collect()
    }

    pub(crate) fn revocations(&self) -> Vec<Sent> {
        self.transport.sent().into_iter().filter(|s| s.request.url().path() == "/oauth/revoke").collect()
    }
}

impl Rules {
    fn token(&mut self, sent: &Sent) -> Reply {
        if !self.instead.is_empty() {
            return self.instead.remove(0).after(self.delay);
        }
        let body = sent.body();
        if body.contains("grant_type=refresh_token")
            && !body.contains(&format!("refresh_token={}&", self.refresh))
        {
            return Reply::json(
                400,
                r#"{"error":"invalid_grant","error_description":"unknown refresh token"}"#,
            )
            .after(self.delay);
        }
        self.issued += 1;
        self.access = format!("at-{}", self.issued);
        let mut rotated = String::new();
        if self.rotates {
            self.refresh = format!("rt-{}", self.issued);
            rotated = format!(r#","refresh_token":"{}""#, self.refresh);
        }
        if std::mem::take(&mut self.lose_answer) {
            return Reply::fail(acople_core::Progress::MaybeSent, acople_core::WireFault::Reset)
                .after(self.delay);
        }
        let body =
            format!(r#"{{"access_token":"{}","token_type":"Bearer"{rotated}{}}}"#, self.access, self.members);
        Reply::json(200, body).after(self.delay)
    }

    fn resource(&self, sent: &Sent) -> Reply {
        let good = sent.header("authorization") == Some(&format!("Bearer {}", self.access));
        let reply = if good { Reply::json(200, "{}") } else { Reply::json(401, r#"{"message":"expired"}"#) };
        reply.after(self.resource_delay)
    }
}

/// A provider with a refresh token, not yet built.
pub(crate) fn refreshing(resources: &Resources, refresh_token: &str) -> OAuth2Builder {
    let grant = Grant::RefreshToken { refresh_token: refresh_token.into() };
    OAuth2::builder("example", TOKEN_URL, app(), grant, resources).unwrap()
}

pub(crate) fn app() -> OAuthClient {
    OAuthClient { id: "app".into(), secret: Some(Secret::from("app-s3cret")), style: ClientStyle::Body }
}

/// A client of the vendor's API, signed by `auth`.
pub(crate) fn client(vendor: &Vendor, auth: &OAuth2) -> Client {
    Client::with_resources(BASE, &vendor.resources()).unwrap().auth(Arc::new(auth.clone())).build()
}

pub(crate) async fn read(client: &Client, id: usize) -> Result<()> {
    client
        .send(&Context::new(), &Call::get("read record").path(["records", &id.to_string()]))
        .await
        .map(|_| ())
}

/// The `Authorization` that the provider puts on a request now.
pub(crate) async fn authorization(auth: &dyn AuthProvider) -> Result<String> {
    let mut request = Request::new(http::Method::GET, BASE.parse().unwrap());
    auth.authorize(&Context::new(), &mut request).await?;
    Ok(request.headers()["authorization"].to_str().unwrap().to_owned())
}
