//! Asks the token endpoint: one form, one answer, and what a failure leaves open.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};

use acople_core::{Context, Error, ErrorKind, Resources, Result, Secret};
use acople_http::{Answer, BodyLimits, Call, Classifier, Client, Repeat, Settings, status_error};
use http::header::AUTHORIZATION;
use url::Url;

use crate::answer::{TokenAnswer, Wanted};
use crate::grant::{ASSERTION_TYPE, Form, OAuthClient, Ready, Rotation};
use crate::redactor::Redactor;
use crate::refusal::{is_final, refusal};
use crate::skew;

pub(crate) const OPERATION: &str = "get an access token";

/// Token answers are a few kilobytes.
const LARGEST_ANSWER: usize = 1 << 20;

/// Clocks that differ by less do not spoil an assertion, which is backdated by 30 s.
const TOLERATED_SKEW: i64 = 20;

/// Everything that one token call needs.
pub(crate) struct TokenEndpoint {
    pub(crate) url: Url,
    pub(crate) oauth: OAuthClient,
    pub(crate) grant: Ready,
    pub(crate) params: Form,
    pub(crate) wanted: Wanted,
    pub(crate) rotation: Rotation,
    client: Client,
    tenant: String,
    /// Seconds by which the vendor's clock is ahead of ours, once learned.
    skew: AtomicI64,
}

/// Why a call brought no token.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: Error,
    pub(crate) sign: Sign,
    skew: Option<i64>,
}

impl Failed {
    /// The grant is dead, and nobody has to be asked to know it.
    pub(crate) fn finished(error: Error) -> Self {
        Self { error, sign: Sign::Finished, skew: None }
    }
}

/// What a failure says about the grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// The grant is dead.
    Finished,
    /// The vendor may have granted a token, and the answer was lost.
    Lost,
    /// The vendor granted something, and its answer cannot be read.
    Unreadable,
    /// No token was granted.
    Nothing,
}

impl TokenEndpoint {
    /// # Errors
    /// `Config` when the client cannot be set up for the URL's host.
    pub(crate) fn new(url: Url, oauth: OAuthClient, grant: Ready, resources: &Resources) -> Result<Self> {
        let client = client(&url, matches!(grant, Ready::Device(_)), resources)?;
        let tenant = resources.tenant.clone();
        let (params, wanted, rotation) = (Form::new(), Wanted::default(), Rotation::default());
        let skew = AtomicI64::new(0);
        Ok(Self { url, oauth, grant, params, wanted, rotation, client, tenant, skew })
    }

    /// Whether a refresh token is redeemed.
    pub(crate) fn refreshes(&self) -> bool {
        self.grant.refreshes()
    }

    /// Whether asking twice may use something up.
    pub(crate) fn consumes(&self) -> bool {
        !(self.grant.is_repeatable() || (self.refreshes() && self.rotation == Rotation::Never))
    }

    /// Asks for a token, `refresh` being the newest refresh token.
    ///
    /// An assertion that was refused by a vendor whose clock differs from ours is signed anew by the
    /// vendor's clock, once.
    pub(crate) async fn ask(&self, refresh: Option<&Secret>) -> Result<TokenAnswer, Failed> {
        let failed = match self.once(refresh).await {
            Ok(answer) => return Ok(answer),
            Err(failed) => failed,
        };
        match failed.skew {
            Some(skew) if self.signs(&failed.error) && self.learns(skew) => self.once(refresh).await,
            _ => Err(failed),
        }
    }

    /// Whether a refused call carried the time in a signature, so that a wrong clock may be why. A refusal of the
    /// client comes before anything of the grant is used up.
    fn signs(&self, refusal: &Error) -> bool {
        matches!(self.grant, Ready::Jwt(_))
            || (self.oauth.signs() && refusal.fields().iter().any(|field| field == "client_id"))
    }

    async fn once(&self, refresh: Option<&Secret>) -> Result<TokenAnswer, Failed> {
        let nothing = |error: Error| Failed { error, sign: Sign::Nothing, skew: None };
        let mut redactor = Redactor::default();
        let call = self.call(refresh, &mut redactor).map_err(nothing)?;
        // Not the caller's context: a renewal goes on when the caller that began it has given up.
        let cx = Context::new().with_tenant(self.tenant.as_str());
        match self.client.send(&cx, &call).await {
            Ok(answer) => self.read(&answer, &redactor),
            Err(error) => {
                let answered = error.status().is_some_and(|s| (200..300).contains(&s));
                let sign = match error.kind() {
                    ErrorKind::Ambiguous => Sign::Lost,
                    ErrorKind::Protocol | ErrorKind::TooLarge if answered => Sign::Unreadable,
                    _ => Sign::Nothing,
                };
                Err(Failed { error: redactor.error(error), sign, skew: None })
            }
        }
    }

    /// The request, and its secrets noted in `redactor`.
    fn call(&self, refresh: Option<&Secret>, redactor: &mut Redactor) -> Result<Call> {
        let now = skew::shifted(self.client.clock().now(), self.skew.load(Ordering::Relaxed));
        let mut form = self.grant.form(refresh, now)?;
        let header = self.oauth.identify(&mut form, self.url.as_str(), now)?;
        form.extend(self.params.iter().cloned());
        for (name, value) in &form {
            if !matches!(name.as_ref(), "grant_type" | "scope" | "client_id" | ASSERTION_TYPE) {
                redactor.add(value);
            }
        }
        if let Some(secret) = &self.oauth.secret {
            redactor.add(secret);
        }
        let mut call = Call::post(OPERATION)
            .link(self.url.as_str())
            .form(form.iter().map(|(name, value)| (name.as_ref(), value.expose())))
            .repeat(if self.consumes() { Repeat::Never } else { Repeat::Harmless });
        if let Some(header) = header {
            let value = header.header_value().map_err(|error| error.with_field("client_secret"))?;
            call = call.header(AUTHORIZATION, value);
        }
        Ok(call)
    }

    fn read(&self, answer: &Answer, redactor: &Redactor) -> Result<TokenAnswer, Failed> {
        let status = answer.status();
        let read = self.wanted.read(answer.body());
        let said = match read {
            Ok(said) => said,
            Err(error) if status.is_success() => {
                let error = error.with_status(status.as_u16()).with_operation(OPERATION);
                return Err(Failed { error, sign: Sign::Unreadable, skew: None });
            }
            Err(_) => TokenAnswer::default(),
        };
        // Some vendors refuse with 200, so a success without a token may still be a refusal.
        if status.is_success() && !said.code.as_deref().is_some_and(is_final) {
            let what = match &said.access {
                Some(access) if is_sendable(access) => return Ok(said),
                Some(_) => "the token answer's access token cannot stand in a header",
                None => "the token answer holds no access token",
            };
            let error =
                Error::new(ErrorKind::Protocol, what).with_status(status.as_u16()).with_operation(OPERATION);
            return Err(Failed { error, sign: Sign::Unreadable, skew: None });
        }
        let refusal = refusal(answer, &said, self.refreshes(), redactor);
        let sign = if refusal.finished { Sign::Finished } else { Sign::Nothing };
        Err(Failed { error: refusal.error.with_operation(OPERATION), sign, skew: skew::ahead(answer) })
    }

    /// Takes over the vendor's clock; says whether that changes anything.
    fn learns(&self, skew: i64) -> bool {
        let known = self.skew.load(Ordering::Relaxed);
        if skew.saturating_sub(known).saturating_abs() <= TOLERATED_SKEW {
            return false;
        }
        tracing::warn!(
            seconds = skew,
            "the vendor's clock differs from ours: assertions follow the vendor's"
        );
        self.skew.store(skew, Ordering::Relaxed);
        true
    }
}

impl fmt::Debug for TokenEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.host_str().unwrap_or_default();
        f.debug_struct("TokenEndpoint").field("host", &host).finish_non_exhaustive()
    }
}

/// A client for forms to the authorization server. `polls`: whether "not yet" is left to the reader.
///
/// # Errors
/// `Config` when the client cannot be set up for the URL's host.
pub(crate) fn client(url: &Url, polls: bool, resources: &Resources) -> Result<Client> {
    let mut limits = BodyLimits::default();
    limits.bytes = LARGEST_ANSWER;
    // The host's time limits and retries hold here too. Answers are small whatever it allows others, and
    // the token endpoint being down says nothing about the vendor's API.
    let settings = resources.extensions.get::<Settings>().cloned().unwrap_or_default();
    let settings = settings.with_body_limits(limits).without_shared_breakers();
    // No provider of credentials here: they are in the form, and a refusal is not renewed.
    Ok(Client::with_resources(&url.origin().ascii_serialization(), resources)?
        .connector("oauth2")
        .classifier(TokenClassifier { polls })
        .settings(settings)
        .build())
}

/// Leaves refusals to the reader of token answers; says only what is worth another attempt.
#[derive(Debug)]
struct TokenClassifier {
    polls: bool,
}

impl Classifier for TokenClassifier {
    fn classify(&self, answer: &Answer) -> Result<()> {
        let status = answer.status();
        let again = status.is_server_error() || matches!(status.as_u16(), 408 | 423 | 425 | 429);
        if !again && !status.is_informational() {
            return Ok(());
        }
        // Some vendors report a dead grant as a failure of their own.
        let said = Wanted::default().read(answer.body()).unwrap_or_default();
        let code = said.code.as_deref();
        let not_yet = matches!(code, Some("slow_down" | "authorization_pending"));
        if code.is_some_and(is_final) || (self.polls && not_yet) { Ok(()) } else { Err(status_error(answer)) }
    }
}

/// RFC 6750 allows less, vendors send more; line breaks and controls cannot be sent.
fn is_sendable(access: &Secret) -> bool {
    !access.is_empty() && access.expose().bytes().all(|b| b.is_ascii_graphic())
}
