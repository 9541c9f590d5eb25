//! The connect flow: authorization code (RFC 6749, 4.1) with PKCE (RFC 7636).

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use acople_core::{Error, ErrorKind, Result, Secret};
use acople_http::secure_url;
use tokio::time::Instant;
use url::Url;

use crate::answer::TokenAnswer;
use crate::app::{OAuthApp, detached};
use crate::callback::Callback;
use crate::grant::Ready;
use crate::id_token::check_id_token;
use crate::oauth2::OAuth2;
use crate::pending::{PendingConnect, digest, equal, random_text};

mod redeem;

pub use redeem::LoginTokens;

const OPERATION: &str = "connect the account";

/// How long a user may take at the vendor.
const PATIENCE: Duration = Duration::from_secs(600);

/// How many used states are remembered.
const REMEMBERED: usize = 10_000;

/// The member of `extra` by which a callback is recognised that was used in another process.
const FLOW: &str = "acople.flow";

/// Parameters that the flow sets itself: none of them is the host's to change.
const RESERVED: [&str; 11] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "request",
    "request_uri",
    "client_secret",
];

/// Connects accounts by sending their owners to the vendor and taking them back.
///
/// 1. [`begin`](Self::begin) gives the address to send the user to, and a value to keep in the user's session.
/// 2. The vendor sends the user back to the redirect URL.
/// 3. [`complete`](Self::complete) checks what came back, gets the tokens, stores them, and gives a provider.
///
/// Cheap to clone; clones remember together which callbacks were used.
///
/// - PKCE with S256 is part of every flow and cannot be turned off.
/// - The flow is bound to the session in which it began. A callback counts once.
/// - An account that is connected already keeps its tokens until the new ones are stored in their place.
/// - The exchange goes on in a task of its own when the caller of `complete` is dropped, so it needs a tokio
///   runtime that goes on.
#[derive(Clone)]
pub struct Connect {
    app: OAuthApp,
    authorize_url: Url,
    redirect_url: String,
    params: Vec<(Cow<'static, str>, String)>,
    issuer_required: bool,
    openid: bool,
    patience: Duration,
    used: Arc<Mutex<VecDeque<[u8; 32]>>>,
}

impl Connect {
    /// A flow through the vendor's authorization endpoint. `redirect_url` is one that the app has registered
    /// there; it is sent letter by letter as it stands.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) that names the field: a URL that is not https (plain http is for this
    /// machine only; an app on a device may be redirected to a scheme with a dot in it, RFC 8252, 7.1), or
    /// that has a parameter in it which the flow sets itself.
    pub fn new(app: OAuthApp, authorize_url: &str, redirect_url: &str) -> Result<Self> {
        let authorize_url = secure_url(authorize_url)
            .map_err(|fault| Error::config("authorize_url", format!("the authorization URL {fault}")))?;
        if let Some((name, _)) = authorize_url.query_pairs().find(|(name, _)| RESERVED.contains(&&**name)) {
            return Err(Error::config("authorize_url", format!("holds {name}, which the flow sets itself")));
        }
        let is_private = Url::parse(redirect_url).is_ok_and(|url| url.scheme().contains('.'));
        if !is_private {
            secure_url(redirect_url)
                .map_err(|fault| Error::config("redirect_url", format!("the redirect URL {fault}")))?;
        }
        Ok(Self {
            app,
            authorize_url,
            redirect_url: redirect_url.to_owned(),
            params: Vec::new(),
            issuer_required: false,
            openid: false,
            patience: PATIENCE,
            used: Arc::default(),
        })
    }

    /// Adds a parameter to the authorization URL, such as `prompt` or `access_type`.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for a parameter that the flow sets itself.
    pub fn param(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Result<Self> {
        let name = name.into();
        if RESERVED.contains(&name.as_ref()) {
            return Err(Error::config(name, "is set by the flow itself"));
        }
        self.params.push((name, value.into()));
        Ok(self)
    }

    /// Refuses callbacks without the app's [`issuer`](OAuthApp::issuer) (RFC 9207): for servers whose metadata
    /// say `authorization_response_iss_parameter_supported`. An `iss` that is there is checked in any case.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when the app has no issuer.
    pub fn require_issuer(mut self) -> Result<Self> {
        if self.app.issuer.is_none() {
            return Err(Error::config("issuer", "is not set"));
        }
        self.issuer_required = true;
        Ok(self)
    }

    /// Asks for an id token too (OpenID Connect): with a nonce, and with `openid` among the scopes. It comes
    /// straight from the token endpoint, so its claims are checked and its signature is not (OpenID Connect
    /// Core, 3.1.3.7). The provider has its subject as `kept("sub")`.
    pub fn openid(mut self) -> Self {
        self.openid = true;
        self
    }

    /// How long the user may take; ten minutes unless told otherwise.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Begins a flow: the address to send the user to, and what [`complete`](Self::complete) needs to know.
    ///
    /// `session` names the user's session at the host, such as the value of its cookie; only its hash is kept.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for an empty session, [`Internal`](ErrorKind::Internal) when the system has
    /// no random numbers.
    pub fn begin(&self, session: &str) -> Result<(Url, PendingConnect)> {
        if session.is_empty() {
            return Err(Error::config("session", "is empty"));
        }
        let pending = PendingConnect {
            state: random_text()?,
            verifier: Secret::from(random_text()?),
            nonce: if self.openid { Some(random_text()?) } else { None },
            session: digest(session),
            redirect_url: self.redirect_url.clone(),
            begun_at: self.app.resources.clock.now(),
        };
        let mut url = self.authorize_url.clone();
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.app.client.id)
            .append_pair("redirect_uri", &self.redirect_url)
            .append_pair("state", &pending.state)
            .append_pair("code_challenge", &digest(pending.verifier.expose()))
            .append_pair("code_challenge_method", "S256");
        if let Some(scope) = self.scope() {
            query.append_pair("scope", &scope);
        }
        if let Some(nonce) = &pending.nonce {
            query.append_pair("nonce", nonce);
        }
        for (name, value) in &self.params {
            query.append_pair(name, value);
        }
        drop(query);
        Ok((url, pending))
    }

    /// Ends a flow. `callback` is the URL to which the user came back, or its query alone, or the form that the
    /// vendor posted there. `pending` is taken out of the session for it: each is good for one callback.
    ///
    /// Returns when the tokens are durable in the host's store.
    ///
    /// # Errors
    /// - [`Invalid`](ErrorKind::Invalid): the callback belongs to no flow of this session, or was used, or is
    ///   from another server. Nothing was sent.
    /// - [`Permission`](ErrorKind::Permission): the user or the vendor said no.
    /// - [`Reauth`](ErrorKind::Reauth): begin again; the code is over, or the answer to it was lost.
    /// - Otherwise as for every token call, and what the store says.
    pub async fn complete(&self, session: &str, pending: PendingConnect, callback: &str) -> Result<OAuth2> {
        self.finish(session, pending, callback).await.map_err(|error| match error.operation() {
            Some(_) => error,
            None => error.with_operation(OPERATION),
        })
    }

    /// The app that accounts are connected to.
    pub fn app(&self) -> &OAuthApp {
        &self.app
    }

    async fn finish(&self, session: &str, pending: PendingConnect, callback: &str) -> Result<OAuth2> {
        let (code, flow) = self.accept(session, &pending, callback)?;
        if self.was_used_elsewhere(&flow).await? {
            return Err(used_before());
        }
        let app = self.app.clone();
        detached(exchange(app, code, pending, flow)).await
    }

    /// The code in a callback that belongs to this flow and was not used before, and the flow's name.
    fn accept(&self, session: &str, pending: &PendingConnect, callback: &str) -> Result<(Secret, String)> {
        let callback = Callback::read(callback)?;
        let state = callback.state.as_deref().ok_or_else(|| invalid("the callback has no state"))?;
        pending.check()?;
        // All of it is compared, whatever differs first.
        let is_ours = equal(state, &pending.state) & equal(&digest(session), &pending.session);
        if !is_ours {
            return Err(invalid("the callback does not belong to a flow of this session"));
        }
        let flow = digest(state);
        if !self.first_use(state) {
            return Err(used_before());
        }
        let age = self.app.resources.clock.now().duration_since(pending.begun_at).unwrap_or_default();
        if age > self.patience {
            return Err(Error::new(ErrorKind::Reauth, "the user took too long: begin again"));
        }
        if pending.redirect_url != self.redirect_url {
            return Err(invalid("the flow began with another redirect URL"));
        }
        self.check_issuer(callback.issuer.as_deref())?;
        let mut redactor = self.app.redactor();
        redactor.add(&pending.verifier);
        if let Some(error) = callback.refusal(redactor) {
            return Err(error);
        }
        let code = callback.code.ok_or_else(|| invalid("the callback has neither a code nor an error"))?;
        Ok((code, flow))
    }

    fn scope(&self) -> Option<Cow<'_, str>> {
        match (self.app.scope.as_deref(), self.openid) {
            (None, true) => Some("openid".into()),
            (Some(scope), true) if !scope.split_whitespace().any(|s| s == "openid") => {
                Some(format!("openid {scope}").into())
            }
            (scope, _) => scope.map(Cow::from),
        }
    }

    fn check_issuer(&self, issuer: Option<&str>) -> Result<()> {
        match (&self.app.issuer, issuer) {
            (Some(expected), Some(issuer)) if !equal(expected, issuer) => {
                Err(invalid("the callback is from another authorization server"))
            }
            (_, None) if self.issuer_required => {
                Err(invalid("the callback does not say from which server it is"))
            }
            _ => Ok(()),
        }
    }

    /// Notes a state; false when it was noted before.
    fn first_use(&self, state: &str) -> bool {
        let hash = crate::pending::hash(state);
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.contains(&hash) {
            return false;
        }
        if used.len() >= REMEMBERED {
            used.pop_front();
        }
        used.push_back(hash);
        true
    }

    /// Whether the stored tokens came of this very callback: another process was asked too.
    async fn was_used_elsewhere(&self, flow: &str) -> Result<bool> {
        let stored = self.app.vault().load().await.map_err(|e| e.with_operation("load the tokens"))?;
        Ok(stored.is_some_and(|(tokens, _)| tokens.extra.get(FLOW).is_some_and(|theirs| theirs == flow)))
    }
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect").field("app", &self.app).finish_non_exhaustive()
    }
}

async fn exchange(app: OAuthApp, code: Secret, pending: PendingConnect, flow: String) -> Result<OAuth2> {
    let (answer, nonce) = ask(&app, code, pending).await?;
    let received = Instant::now();
    let mut more = BTreeMap::from([(FLOW.to_owned(), flow)]);
    if let Some(nonce) = nonce {
        let now = app.resources.clock.now();
        let subject =
            check_id_token(answer.id_token.as_ref(), &app.client.id, app.issuer.as_deref(), &nonce, now)?;
        more.insert("sub".to_owned(), subject);
    }
    app.settle(answer, received, more).await
}

/// What the token endpoint gives for a code, and the flow's nonce.
async fn ask(app: &OAuthApp, code: Secret, pending: PendingConnect) -> Result<(TokenAnswer, Option<String>)> {
    let PendingConnect { verifier, nonce, redirect_url, .. } = pending;
    let endpoint = app.endpoint(Ready::Code { code, redirect: redirect_url, verifier })?;
    let answer = endpoint.ask(None).await.map_err(|failed| match failed.error.kind() {
        // A code is good once: whether it was used up by a call whose answer is lost cannot be known.
        ErrorKind::Ambiguous => {
            let text = "the answer to the authorization code was lost: begin again";
            failed.error.with_message(text).with_kind(ErrorKind::Reauth)
        }
        _ => failed.error,
    })?;
    Ok((answer, nonce))
}

fn used_before() -> Error {
    invalid("the callback was used before")
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::Invalid, message)
}
