//! The host: four routes.

use std::sync::Arc;

use acople::auth::OAuth2;
use acople::http::{HttpTransport, TransportConfig};
use acople::store_redb::{MasterKey, RedbStore};
use acople::{ErrorKind, Resources, TokenStore};
use axum::Router;
use axum::extract::{Form, Path, RawQuery, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use crate::Outcome;
use crate::issuer::Issuer;
use crate::page::{escaped, page};
use crate::session::{Begun, Sessions, cookie};
use crate::settings::Settings;

/// The one connector of this host. Others would stand beside it in a map.
pub(crate) const CONNECTOR: &str = "example";

pub(crate) struct Host {
    issuer: Issuer,
    sessions: Sessions,
    store: RedbStore,
    base: Resources,
    secure: bool,
}

impl Host {
    /// `address` is where browsers find this host.
    pub(crate) async fn new(settings: &Settings, address: &str) -> Outcome<Arc<Self>> {
        let key = MasterKey::from_base64("connect-account-1", &settings.master_key)?;
        let store = RedbStore::builder().master_key(key).open(&settings.store).await?;
        let mut transport = TransportConfig::default();
        if settings.issuer.starts_with("http://") {
            transport = transport.allow_loopback();
        }
        let base =
            Resources::new(Arc::new(HttpTransport::new(&transport)?)).with_tokens(Arc::new(store.clone()));
        let issuer = Issuer::discover(settings, format!("{address}/callback"), &base).await?;
        let secure = address.starts_with("https://");
        Ok(Arc::new(Self { issuer, sessions: Sessions::default(), store, base, secure }))
    }

    /// What a customer's connections share: their tokens are filed under the customer.
    fn resources(&self, customer: &str) -> Resources {
        self.base.clone().with_tenant(customer)
    }

    /// The provider of a connected account, for the host's own calls.
    pub(crate) fn provider(&self, customer: &str) -> acople::Result<OAuth2> {
        self.issuer.connect(CONNECTOR, &self.resources(customer))?.app().provider()
    }

    fn begin(&self, session: &str, connector: &str) -> acople::Result<String> {
        let customer = self.sessions.customer(session).unwrap_or_default();
        let connect = self.issuer.connect(connector, &self.resources(&customer))?;
        let (url, pending) = connect.begin(session)?;
        self.sessions.keep(session, Begun { connector: connector.to_owned(), connect, pending });
        Ok(url.into())
    }
}

pub(crate) fn routes(host: Arc<Host>) -> Router {
    Router::new()
        .route("/connect/{connector}", get(connect))
        .route("/callback", get(callback))
        .route("/accounts", get(accounts))
        .route("/disconnect", post(disconnect))
        .with_state(host)
}

async fn connect(
    State(host): State<Arc<Host>>,
    Path(connector): Path<String>,
    headers: HeaderMap,
) -> Response {
    if connector != CONNECTOR {
        return page(StatusCode::NOT_FOUND, "There is no such connector", "");
    }
    let Some(session) = host.sessions.name(&headers).or_else(|| host.sessions.begin()) else {
        return page(StatusCode::SERVICE_UNAVAILABLE, "Too many sessions", "");
    };
    match host.begin(&session, &connector) {
        Ok(url) => {
            let headers = [(LOCATION, url), (SET_COOKIE, cookie(&session, host.secure))];
            (StatusCode::SEE_OTHER, headers).into_response()
        }
        Err(error) => failed(&error),
    }
}

async fn callback(State(host): State<Arc<Host>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let flow =
        host.sessions.name(&headers).and_then(|session| Some((host.sessions.take(&session)?, session)));
    let Some((begun, session)) = flow else {
        let text =
            "<p>Nothing was begun in this session. <a href=\"/connect/example\">Connect an account</a></p>";
        return page(StatusCode::BAD_REQUEST, "Not connected", text);
    };
    match begun.connect.complete(&session, begun.pending, &query.unwrap_or_default()).await {
        Ok(_) => {
            (StatusCode::SEE_OTHER, [(LOCATION, format!("/accounts#{}", begun.connector))]).into_response()
        }
        Err(error) => failed(&error),
    }
}

async fn accounts(State(host): State<Arc<Host>>, headers: HeaderMap) -> Response {
    let customer = host.sessions.name(&headers).and_then(|session| host.sessions.customer(&session));
    let Some(customer) = customer else { return page(StatusCode::OK, "Accounts", NONE) };
    let key = host.resources(&customer).connection_key(CONNECTOR);
    match host.store.load(&key).await {
        Ok(Some((tokens, _))) => {
            let said = |member: &str| escaped(tokens.extra.get(member).map_or("", String::as_str));
            let body = format!(
                "<p id=\"account\">{CONNECTOR}: connected {}, scope {}</p>\
                 <form method=\"post\" action=\"/disconnect\">\
                 <input type=\"hidden\" name=\"connector\" value=\"{CONNECTOR}\">\
                 <button id=\"disconnect\">Disconnect</button></form>",
                said("sub"),
                said("scope")
            );
            page(StatusCode::OK, "Accounts", &body)
        }
        Ok(None) => page(StatusCode::OK, "Accounts", NONE),
        Err(error) => failed(&error),
    }
}

const NONE: &str =
    "<p id=\"none\">None. <a id=\"connect\" href=\"/connect/example\">Connect an account</a></p>";

#[derive(Deserialize)]
struct Which {
    connector: String,
}

async fn disconnect(State(host): State<Arc<Host>>, headers: HeaderMap, Form(which): Form<Which>) -> Response {
    // The cookie's SameSite says as much to browsers; this says it to those that do not listen.
    if headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin") {
        return page(StatusCode::FORBIDDEN, "Not from another site", "");
    }
    let customer = host.sessions.name(&headers).and_then(|session| host.sessions.customer(&session));
    let Some(customer) = customer.filter(|_| which.connector == CONNECTOR) else {
        return page(StatusCode::NOT_FOUND, "There is no such account", "");
    };
    let revoked = match host.provider(&customer) {
        Ok(auth) => auth.revoke().await,
        Err(error) => Err(error),
    };
    match revoked {
        Ok(()) => (StatusCode::SEE_OTHER, [(LOCATION, "/accounts")]).into_response(),
        Err(error) => failed(&error),
    }
}

/// The error's own words are safe to show: they hold no secret. What they hold may be the vendor's, so it is escaped.
fn failed(error: &acople::Error) -> Response {
    let status = match error.kind() {
        ErrorKind::Invalid | ErrorKind::Reauth => StatusCode::BAD_REQUEST,
        ErrorKind::Permission => StatusCode::FORBIDDEN,
        _ => StatusCode::BAD_GATEWAY,
    };
    let again = "<p><a href=\"/connect/example\">Try again</a></p>";
    page(status, "Not connected", &format!("<p id=\"fault\">{}</p>{again}", escaped(&error.to_string())))
}
