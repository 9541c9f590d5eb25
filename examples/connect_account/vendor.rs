//! An invented vendor on the loopback interface: a consent page, tokens that rotate, and orders.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use acople::Secret;
use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::extract::{Form, RawQuery, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::form_urlencoded;

use crate::Outcome;
use crate::page::{escaped, page};

pub(crate) const CLIENT_ID: &str = "demo-host";
pub(crate) const CLIENT_SECRET: &str = "s3cret-of-the-host";

/// The vendor, for as long as the program runs.
#[derive(Clone)]
pub(crate) struct Vendor {
    pub(crate) issuer: String,
    redirect_url: String,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    issued: u64,
    /// The PKCE challenge that each code was asked for with.
    codes: HashMap<String, String>,
    refresh: HashSet<String>,
    access: HashSet<String>,
    renewals: u64,
}

type Fields = HashMap<String, String>;

impl Vendor {
    /// `redirect_url` is the one that the host's app has registered.
    pub(crate) async fn start(redirect_url: String) -> Outcome<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let issuer = format!("http://{}", listener.local_addr()?);
        let vendor = Self { issuer, redirect_url, known: Arc::default() };
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/authorize", get(ask).post(agree))
            .route("/token", post(token))
            .route("/revoke", post(revoke))
            .route("/orders", get(orders))
            .with_state(vendor.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(vendor)
    }

    /// Ends all access tokens.
    pub(crate) fn end_access(&self) {
        self.with(|known| known.access.clear());
    }

    pub(crate) fn renewals(&self) -> u64 {
        self.with(|known| known.renewals)
    }

    /// Refresh tokens that are good.
    pub(crate) fn refresh_tokens(&self) -> Vec<Secret> {
        self.with(|known| known.refresh.iter().map(|token| Secret::from(token.as_str())).collect())
    }

    fn with<T>(&self, act: impl FnOnce(&mut Known) -> T) -> T {
        act(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Known {
    fn new_token(&mut self, kind: &str) -> String {
        self.issued += 1;
        format!("vendor-{kind}-{:08}", self.issued)
    }

    fn pair(&mut self) -> Value {
        let (access, refresh) = (self.new_token("at"), self.new_token("rt"));
        self.access.insert(access.clone());
        self.refresh.insert(refresh.clone());
        json!({"access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": 3600,
            "scope": "orders"})
    }

    /// RFC 6749, 4.1.3 and 6; RFC 7636, 4.6.
    fn redeem(&mut self, form: &Fields) -> Option<Value> {
        let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        match field("grant_type") {
            "authorization_code" => {
                let challenge = self.codes.remove(field("code"))?;
                let verifier = digest(&SHA256, field("code_verifier").as_bytes());
                (URL_SAFE_NO_PAD.encode(verifier.as_ref()) == challenge).then(|| self.pair())
            }
            "refresh_token" => self.refresh.remove(field("refresh_token")).then(|| {
                self.renewals += 1;
                self.pair()
            }),
            _ => None,
        }
    }
}

fn answer(status: StatusCode, value: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

async fn metadata(State(vendor): State<Vendor>) -> Response {
    let issuer = &vendor.issuer;
    let value = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "authorization_response_iss_parameter_supported": true,
    });
    answer(StatusCode::OK, &value)
}

/// The page on which the user agrees: what was asked for stands in hidden fields.
async fn ask(State(vendor): State<Vendor>, RawQuery(query): RawQuery) -> Response {
    let asked: Fields = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
    let is = |name: &str, value: &str| asked.get(name).is_some_and(|found| found == value);
    if !(is("client_id", CLIENT_ID) && is("redirect_uri", &vendor.redirect_url)) {
        return page(StatusCode::BAD_REQUEST, "Unknown app", "");
    }
    let hidden = |name: &str| {
        let value = asked.get(name).map(String::as_str).unwrap_or_default();
        format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escaped(value))
    };
    let fields = ["state", "code_challenge", "code_challenge_method"].map(hidden).concat();
    let form = format!("<form method=\"post\" action=\"/authorize\">{fields}<button>Allow</button></form>");
    page(StatusCode::OK, "May the demo host read your orders?", &form)
}

async fn agree(State(vendor): State<Vendor>, Form(form): Form<Fields>) -> Response {
    let (Some(state), Some(challenge)) = (form.get("state"), form.get("code_challenge")) else {
        return page(StatusCode::BAD_REQUEST, "Not without PKCE", "");
    };
    if form.get("code_challenge_method").is_none_or(|method| method != "S256") {
        return page(StatusCode::BAD_REQUEST, "Not without PKCE", "");
    }
    let code = vendor.with(|known| {
        let code = known.new_token("code");
        known.codes.insert(code.clone(), challenge.clone());
        code
    });
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("code", &code).append_pair("state", state).append_pair("iss", &vendor.issuer);
    let back = format!("{}?{}", vendor.redirect_url, query.finish());
    (StatusCode::SEE_OTHER, [(LOCATION, back)]).into_response()
}

async fn token(State(vendor): State<Vendor>, headers: HeaderMap, Form(form): Form<Fields>) -> Response {
    if !is_client(&headers) {
        return answer(StatusCode::UNAUTHORIZED, &json!({"error": "invalid_client"}));
    }
    match vendor.with(|known| known.redeem(&form)) {
        Some(pair) => answer(StatusCode::OK, &pair),
        None => answer(StatusCode::BAD_REQUEST, &json!({"error": "invalid_grant"})),
    }
}

async fn revoke(State(vendor): State<Vendor>, headers: HeaderMap, Form(form): Form<Fields>) -> Response {
    if !is_client(&headers) {
        return answer(StatusCode::UNAUTHORIZED, &json!({"error": "invalid_client"}));
    }
    let token = form.get("token").map(String::as_str).unwrap_or_default();
    vendor.with(|known| {
        if known.refresh.remove(token) {
            known.access.clear();
        }
    });
    answer(StatusCode::OK, &json!({}))
}

async fn orders(State(vendor): State<Vendor>, headers: HeaderMap) -> Response {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = header.strip_prefix("Bearer ").unwrap_or_default();
    if vendor.with(|known| known.access.contains(token)) {
        answer(StatusCode::OK, &json!({"orders": [{"id": 1}, {"id": 2}, {"id": 3}]}))
    } else {
        answer(StatusCode::UNAUTHORIZED, &json!({"error": "invalid_token"}))
    }
}

fn is_client(headers: &HeaderMap) -> bool {
    let expected = format!("Basic {}", STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}")));
    headers.get(AUTHORIZATION).is_some_and(|value| value.as_bytes() == expected.as_bytes())
}
