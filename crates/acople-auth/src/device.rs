//! The device flow (RFC 8628): the user types a code in at another screen.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use acople_core::{Context, Error, ErrorKind, Result, Secret};
use acople_http::{Answer, Call, Client, Repeat, secure_url};
use http::header::AUTHORIZATION;
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use crate::answer::Wanted;
use crate::app::{OAuthApp, detached};
use crate::grant::{Form, Ready};
use crate::oauth2::OAuth2;
use crate::redactor::Redactor;
use crate::refusal::refusal;
use crate::token_endpoint::{TokenEndpoint, client};

const OPERATION: &str = "connect the account by a code";

/// The interval when the vendor names none (RFC 8628, 3.2), and by how much it grows at each `slow_down` (3.5).
const INTERVAL: Duration = Duration::from_secs(5);

/// Longer lifetimes and intervals are cut to this.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Connects accounts from a machine without a browser.
#[derive(Clone)]
pub struct DeviceFlow {
    app: OAuthApp,
    url: Url,
    client: Client,
}

/// What the user has to be told, and what [`wait`](DeviceFlow::wait) needs.
pub struct DeviceCode {
    code: Secret,
    /// What the user types in.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// The same with the code in it, for a link or a QR code, where the vendor has that.
    pub verification_uri_complete: Option<String>,
    interval: Duration,
    ends: Instant,
}

impl DeviceFlow {
    /// A flow through the vendor's device authorization endpoint.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when credentials may not travel there.
    pub fn new(app: OAuthApp, device_url: &str) -> Result<Self> {
        let url = secure_url(device_url)
            .map_err(|fault| Error::config("device_url", format!("the device URL {fault}")))?;
        let client = client(&url, false, &app.resources)?;
        Ok(Self { app, url, client })
    }

    /// Gets a code for the user.
    ///
    /// # Errors
    /// As for token calls.
    pub async fn begin(&self) -> Result<DeviceCode> {
        let mut form = Form::new();
        let (token_url, now) = (self.app.token_url.as_str(), self.app.resources.clock.now());
        let header = self.app.client.identify(&mut form, token_url, now)?;
        if let Some(scope) = &self.app.scope {
            form.push(("scope".into(), scope.as_str().into()));
        }
        let mut redactor = Redactor::default();
        if let Some(secret) = &self.app.client.secret {
            redactor.add(secret);
        }
        let mut call = Call::post(OPERATION)
            .link(self.url.as_str())
            .form(form.iter().map(|(name, value)| (name.as_ref(), value.expose())))
            .repeat(Repeat::Harmless);
        if let Some(header) = header {
            call = call.header(AUTHORIZATION, header.header_value()?);
        }
        let cx = Context::new().with_tenant(self.app.resources.tenant.as_str());
        let answer = self.client.send(&cx, &call).await.map_err(|error| redactor.error(error))?;
        read(&answer, &redactor).map_err(|error| error.with_operation(OPERATION))
    }

    /// Waits until the user has agreed, and gives a provider when the tokens are durable in the host's store.
    /// It may be dropped: then nothing is asked any more.
    ///
    /// # Errors
    /// [`Permission`](ErrorKind::Permission) when the user declines, [`Reauth`](ErrorKind::Reauth) when the code is
    /// over; otherwise as for token calls.
    pub async fn wait(&self, code: DeviceCode) -> Result<OAuth2> {
        let endpoint = Arc::new(self.app.endpoint(Ready::Device(code.code))?);
        let mut interval = code.interval;
        loop {
            if Instant::now() + interval >= code.ends {
                tokio::time::sleep_until(code.ends).await;
                return Err(expired());
            }
            tokio::time::sleep(interval).await;
            match self.poll(&endpoint).await {
                Ok(Some(auth)) => return Ok(auth),
                Ok(None) => {}
                Err(error) => match (error.code(), error.kind()) {
                    (Some("slow_down"), _) => interval = interval.saturating_add(INTERVAL),
                    (Some("expired_token"), _) => return Err(expired()),
                    (Some("access_denied"), _) => {
                        let text = "the user or the vendor declined";
                        return Err(error.with_kind(ErrorKind::Permission).with_message(text));
                    }
                    // RFC 8628, 3.5: connection time-outs double the interval.
                    (_, ErrorKind::Timeout | ErrorKind::Ambiguous | ErrorKind::Transient) => {
                        interval = interval.saturating_mul(2).min(LONGEST);
                    }
                    (_, ErrorKind::RateLimited) => {
                        interval =
                            interval.saturating_add(INTERVAL).max(error.retry_after().unwrap_or_default());
                    }
                    _ => return Err(error),
                },
            }
        }
    }

    /// Asks once; `None`: not yet. Once asked, an answer is stored whoever waits for it.
    async fn poll(&self, endpoint: &Arc<TokenEndpoint>) -> Result<Option<OAuth2>> {
        let (app, endpoint) = (self.app.clone(), endpoint.clone());
        let asked = detached(async move {
            let answer = endpoint.ask(None).await.map_err(|failed| failed.error)?;
            app.settle(answer, Instant::now(), BTreeMap::new()).await
        });
        match asked.await {
            Err(error) if error.code() == Some("authorization_pending") => Ok(None),
            result => result.map(Some),
        }
    }
}

impl fmt::Debug for DeviceFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceFlow").field("app", &self.app).finish_non_exhaustive()
    }
}

impl fmt::Debug for DeviceCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceCode")
            .field("verification_uri", &self.verification_uri)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Said {
    device_code: Secret,
    user_code: String,
    /// Google says `verification_url`.
    #[serde(alias = "verification_url")]
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: Option<f64>,
    interval: Option<f64>,
}

fn read(answer: &Answer, redactor: &Redactor) -> Result<DeviceCode> {
    if !answer.status().is_success() {
        let said = Wanted::default().read(answer.body()).unwrap_or_default();
        return Err(refusal(answer, &said, false, redactor).error);
    }
    // The parser's message may quote the answer.
    let said: Said = serde_json::from_slice(answer.body())
        .map_err(|_| Error::new(ErrorKind::Protocol, "the answer holds no code for the user"))?;
    let seconds = |seconds: f64| Duration::from_secs_f64(seconds.clamp(0.0, LONGEST.as_secs_f64()));
    let life = said.expires_in.filter(|life| !life.is_nan()).map_or(LONGEST, seconds);
    let interval = said.interval.filter(|pause| *pause >= 1.0).map_or(INTERVAL, seconds);
    Ok(DeviceCode {
        code: said.device_code,
        user_code: said.user_code,
        verification_uri: said.verification_uri,
        verification_uri_complete: said.verification_uri_complete,
        interval,
        ends: Instant::now() + life,
    })
}

fn expired() -> Error {
    let text = "the code ended before the user agreed: begin again";
    Error::new(ErrorKind::Reauth, text).with_code("expired_token").with_operation(OPERATION)
}
