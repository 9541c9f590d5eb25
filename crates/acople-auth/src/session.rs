//! Sessions: a login request, and what it gives on every request after it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use acople_core::{
    AuthProvider, AuthStamp, Context, Error, ErrorKind, Refresh, Request, Resources, Result, Secret,
};
use acople_http::{Answer, BodyLimits, Call, Classifier, Client, Repeat, Settings, secure_url, status_error};
use async_trait::async_trait;
use http::header::COOKIE;
use http::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::cookies;
use crate::fetched::Fetched;
use crate::raw_json;
use crate::redactor::Redactor;

const OPERATION: &str = "log in";

/// Login answers are small; pages in their place need not be read whole.
const LARGEST_ANSWER: usize = 1 << 20;

/// How a vendor is logged in to.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SessionConfig {
    /// Where the login goes, by POST.
    pub login_url: String,
    /// The login's fields: user, password and what else the vendor asks for.
    pub fields: BTreeMap<String, Secret>,
    /// Whether the fields are sent as a form instead of JSON.
    #[serde(default)]
    pub form: bool,
    /// Where the answer has the session.
    pub take: SessionFrom,
    /// The header that carries the session afterwards; cookies go into `Cookie` without being told.
    #[serde(default)]
    pub header: Option<String>,
    /// What stands before the session in that header: `Bearer `, or `JSESSIONID=` in `Cookie`.
    #[serde(default)]
    pub prefix: String,
    /// How long a session is used, in seconds. Without it: until it is refused.
    #[serde(default)]
    pub lifetime_seconds: Option<u64>,
}

impl SessionConfig {
    /// A login with JSON fields whose cookies are the session.
    pub fn new<N: Into<String>, V: Into<Secret>>(
        login_url: impl Into<String>,
        fields: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        Self {
            login_url: login_url.into(),
            fields: fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            form: false,
            take: SessionFrom::Cookies(Vec::new()),
            header: None,
            prefix: String::new(),
            lifetime_seconds: None,
        }
    }

    /// Sends the fields as a form.
    pub fn form(mut self) -> Self {
        self.form = true;
        self
    }

    /// Sets where the answer has the session.
    pub fn take(mut self, take: SessionFrom) -> Self {
        self.take = take;
        self
    }

    /// Sets the header that carries the session, and what stands before it there.
    pub fn header(mut self, name: impl Into<String>, prefix: impl Into<String>) -> Self {
        (self.header, self.prefix) = (Some(name.into()), prefix.into());
        self
    }

    /// Sets how long a session is used.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime_seconds = Some(lifetime.as_secs());
        self
    }
}

/// Where a login's answer has the session.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum SessionFrom {
    /// In these cookies, all of which must be set; in all that are set when none is named.
    Cookies(Vec<String>),
    /// In a header.
    Header(String),
    /// In a member of the JSON body: `/data/token` (RFC 6901).
    Json(String),
}

/// Logs in and puts the session on every request.
///
/// Any number of callers log in once, and a session that is refused with 401 is replaced once. After a login
/// that was refused the next one waits five minutes, so that no account is locked by trying; after other faults,
/// a second, doubling up to a minute. Clones share one session.
///
/// SAP Business One's Service Layer, whose sessions end after 30 minutes without use
/// ([SAP: Service Layer, login and logout](https://help.sap.com/docs/SAP_BUSINESS_ONE/68a2e87fb29941b5bf959a184d9c6727)):
///
/// ```
/// use acople_auth::{SessionConfig, SessionFrom, SessionLogin};
/// use acople_core::Resources;
///
/// # fn example(resources: &Resources) -> acople_core::Result<()> {
/// let login = SessionConfig::new(
///     "https://b1.example.com:50000/b1s/v2/Login",
///     [("CompanyDB", "SBODEMO"), ("UserName", "manager"), ("Password", "s3cret")],
/// )
/// .take(SessionFrom::Cookies(vec!["B1SESSION".into()]));
/// let auth = SessionLogin::new(&login, resources)?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct SessionLogin(Arc<Inner>);

struct Inner {
    url: Url,
    fields: BTreeMap<String, Secret>,
    form: bool,
    take: SessionFrom,
    header: HeaderName,
    prefix: String,
    lifetime: Option<Duration>,
    client: Client,
    tenant: String,
    session: Fetched<Secret>,
}

impl SessionLogin {
    /// A login. Does no I/O.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) that names the field: a URL that credentials may not travel to, no fields, no
    /// header for a session that is no cookie.
    pub fn new(config: &SessionConfig, resources: &Resources) -> Result<Self> {
        let url = secure_url(&config.login_url)
            .map_err(|fault| Error::config("login_url", format!("the login's URL {fault}")))?;
        if config.fields.values().all(Secret::is_empty) {
            return Err(Error::config("fields", "has no user and no password"));
        }
        if let SessionFrom::Json(pointer) = &config.take
            && !pointer.starts_with('/')
        {
            return Err(Error::config("take", "a member's place begins with a slash: /token"));
        }
        let header = match (&config.header, &config.take) {
            (Some(name), _) => name.parse().map_err(|_| Error::config("header", "is no header's name"))?,
            (None, SessionFrom::Cookies(_)) => COOKIE,
            (None, _) => return Err(Error::config("header", "is missing: where does the session go?")),
        };
        let mut limits = BodyLimits::default();
        limits.bytes = LARGEST_ANSWER;
        let settings = resources.extensions.get::<Settings>().cloned().unwrap_or_default();
        let client = Client::with_resources(&url.origin().ascii_serialization(), resources)?
            .connector("session")
            .classifier(LoginClassifier)
            .settings(settings.with_body_limits(limits).without_shared_breakers())
            .build();
        Ok(Self(Arc::new(Inner {
            url,
            fields: config.fields.clone(),
            form: config.form,
            take: config.take.clone(),
            header,
            prefix: config.prefix.clone(),
            lifetime: config.lifetime_seconds.map(Duration::from_secs),
            client,
            tenant: resources.tenant.clone(),
            session: Fetched::default(),
        })))
    }
}

impl Inner {
    async fn login(&self) -> Result<(Secret, Option<Duration>)> {
        let call = Call::post(OPERATION).link(self.url.as_str()).any_content().repeat(Repeat::Harmless);
        let fields = self.fields.iter().map(|(name, value)| (name.as_str(), value.expose()));
        let call =
            if self.form { call.form(fields) } else { call.json(&fields.collect::<BTreeMap<_, _>>())? };
        let cx = Context::new().with_tenant(self.tenant.as_str());
        let answer = self.client.send(&cx, &call).await.map_err(|error| {
            let mut redactor = Redactor::default();
            self.fields.values().for_each(|secret| redactor.add(secret));
            redactor.error(error)
        })?;
        let (session, place) = match &self.take {
            SessionFrom::Cookies(names) => (cookies::set_by(&answer, names), "cookies"),
            SessionFrom::Header(name) => (answer.header(name).map(Secret::from), "header"),
            SessionFrom::Json(pointer) => {
                (raw_json::read(answer.body(), pointer).map(Secret::from), "member of the body")
            }
        };
        let session = session.filter(|session| !session.is_empty()).ok_or_else(|| {
            let message = format!("the login was answered without the {place} that are to hold the session");
            Error::new(ErrorKind::Protocol, message)
                .with_status(answer.status().as_u16())
                .with_operation(OPERATION)
                .with_field("take")
        })?;
        session.header_value().map_err(|_| {
            Error::new(ErrorKind::Protocol, "the session has characters that a header cannot carry")
                .with_operation(OPERATION)
        })?;
        Ok((session, self.lifetime))
    }
}

#[async_trait]
impl AuthProvider for SessionLogin {
    async fn authorize(&self, _cx: &Context, request: &mut Request) -> Result<AuthStamp> {
        let kept = self.0.session.get(self.0.login()).await?;
        let mut value = String::with_capacity(self.0.prefix.len() + kept.value.expose().len());
        value.push_str(&self.0.prefix);
        value.push_str(kept.value.expose());
        let value = Secret::from(value);
        if self.0.header == COOKIE {
            cookies::add(request, &value)?;
        } else {
            let header: HeaderValue =
                value.header_value().map_err(|error| error.with_field(self.0.header.as_str()))?;
            request.headers_mut().insert(self.0.header.clone(), header);
            request.note_secret(kept.value.clone());
        }
        Ok(AuthStamp(kept.stamp))
    }

    async fn refresh(&self, _cx: &Context, refused: AuthStamp) -> Result<Refresh> {
        self.0.session.forget(refused.0);
        self.0.session.get(self.0.login()).await?;
        Ok(Refresh::Renewed)
    }
}

impl fmt::Debug for SessionLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.url.host_str().unwrap_or_default();
        f.debug_struct("SessionLogin").field("host", &host).finish_non_exhaustive()
    }
}

/// Logins by form end in redirects, which are not followed: their cookies are all that is wanted.
#[derive(Debug)]
struct LoginClassifier;

impl Classifier for LoginClassifier {
    fn classify(&self, answer: &Answer) -> Result<()> {
        let status = answer.status();
        if status.is_success() || status.is_redirection() {
            return Ok(());
        }
        let error = status_error(answer);
        Err(match status.as_u16() {
            400 | 401 | 403 | 422 => error
                .with_kind(ErrorKind::Reauth)
                .with_message("the login is refused: check user and password, and that the user may log in"),
            404 | 405 | 410 => error
                .with_kind(ErrorKind::Config)
                .with_message("there is no login at this URL")
                .with_field("login_url"),
            _ => error,
        })
    }
}
