//! The service provider: what it is told, and the two halves of a login.

use std::sync::Arc;
use std::time::Duration;

use acople_core::{Clock, Error, ErrorKind, Result, SystemClock};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use super::answer::{Answer, Expected};
use super::certificate::Certificate;
use super::metadata;
use super::pending::{PendingLogin, Posted, digest};
use super::replay::{InMemoryReplay, ReplayMemory};
use super::request::{RequestSigner, authn_request};
use super::secure;
use crate::Identity;

const OPERATION: &str = "SAML login";

/// Largest leeway: beyond it a clock has to be set.
const LARGEST_LEEWAY: Duration = Duration::from_secs(300);

/// The identity provider, as the host's configuration has it.
#[derive(Clone, Debug)]
pub struct Idp {
    pub(super) entity_id: String,
    pub(super) sso_url: Url,
    pub(super) certificates: Vec<Certificate>,
}

impl Idp {
    /// An identity provider: its entity id, its single sign-on address for the redirect binding, and the certificates
    /// that it signs with: two while it changes from one to the next.
    ///
    /// All three come from the configuration. What an answer brings along (`KeyInfo`) is never trusted.
    ///
    /// # Errors
    /// `Config` that names the field: no entity id, no https address, no certificate.
    pub fn new(entity_id: impl Into<String>, sso_url: &str, certificates: Vec<Certificate>) -> Result<Self> {
        let entity_id = entity_id.into();
        if entity_id.is_empty() {
            return Err(Error::config("entity_id", "the identity provider has no entity id"));
        }
        if certificates.is_empty() {
            return Err(Error::config(
                "certificates",
                "the identity provider has no signing certificate: without one nothing can be believed",
            ));
        }
        Ok(Self { entity_id, sso_url: secure("sso_url", sso_url)?, certificates })
    }
}

/// What has to be signed. Whatever is signed beyond it has to be right, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signed {
    /// The assertion.
    #[default]
    Assertion,
    /// The answer around it: what is in it counts with it.
    Answer,
    /// Both.
    Both,
}

/// A SAML 2.0 service provider.
///
/// ```
/// # fn main() -> acople_core::Result<()> {
/// # let pem = include_str!("../../tests/saml/idp.pem");
/// use acople_identity::saml::{Certificate, Idp, ServiceProvider};
///
/// let idp = Idp::new("https://idp.example.com", "https://idp.example.com/sso", Certificate::parse(pem)?)?;
/// let app = ServiceProvider::builder("https://app.example.com/saml", "https://app.example.com/saml/acs", idp)
///     .email_from("mail")
///     .groups_from("memberOf")
///     .build()?;
///
/// // A user wants in: keep `pending` on the server's side, send the browser to `address`.
/// let (address, pending) = app.begin("the user's session")?;
/// assert!(address.as_str().starts_with("https://idp.example.com/sso?SAMLRequest="));
/// # let _ = pending;
/// # Ok(())
/// # }
/// ```
///
/// Cheap to clone; clones share the memory of what was used.
#[derive(Clone, Debug)]
pub struct ServiceProvider(Arc<Settings>);

#[derive(Debug)]
pub(super) struct Settings {
    pub(super) entity_id: String,
    pub(super) acs_url: Url,
    pub(super) idp: Idp,
    pub(super) signed: Signed,
    pub(super) signer: Option<RequestSigner>,
    pub(super) names: Names,
    leeway: Duration,
    patience: Duration,
    max_bytes: usize,
    replay: Arc<dyn ReplayMemory>,
    clock: Arc<dyn Clock>,
}

/// Which attributes say what.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    pub(super) subject: Option<String>,
    pub(super) name: Option<String>,
    pub(super) email: Option<String>,
    pub(super) groups: Vec<String>,
}

impl ServiceProvider {
    /// A service provider with this entity id, whose answers are posted to `acs_url` (its assertion consumer
    /// service). Both are told to the identity provider, letter by letter.
    pub fn builder(
        entity_id: impl Into<String>,
        acs_url: impl Into<String>,
        idp: Idp,
    ) -> ServiceProviderBuilder {
        ServiceProviderBuilder {
            entity_id: entity_id.into(),
            acs_url: acs_url.into(),
            idp,
            signed: Signed::default(),
            signer: None,
            names: Names::default(),
            leeway: Duration::from_secs(60),
            patience: Duration::from_secs(600),
            max_bytes: 256 << 10,
            replay: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// The metadata document to give to the identity provider, of the type `application/samlmetadata+xml`.
    pub fn metadata(&self) -> String {
        metadata::document(&self.0)
    }

    /// Begins a login: the address to send the user to, and what [`complete`](Self::complete) needs to know.
    ///
    /// `session` names the user's session at the host, such as the value of its cookie; only its hash is kept. The
    /// answer is posted from another site, so that cookie has to be `SameSite=None; Secure`.
    ///
    /// # Errors
    /// `Config` for an empty session, `Internal` when the system has no random numbers.
    pub fn begin(&self, session: &str) -> Result<(Url, PendingLogin)> {
        let pending = PendingLogin::new(session, self.0.clock.now())?;
        let address = authn_request(&self.0, &pending)?;
        Ok((address, pending))
    }

    /// The `RelayState` of a posted form, by which the host finds the login that it keeps. Nothing is verified yet.
    ///
    /// # Errors
    /// As [`complete`](Self::complete) for what is no answer's form.
    pub fn relay_state(&self, form: &str) -> Result<String> {
        Ok(Posted::read(form, self.0.max_bytes)?.relay_state)
    }

    /// Ends a login: `form` is the body that was posted to the assertion consumer service, as it came
    /// (`application/x-www-form-urlencoded`). `pending` was taken out of where the host keeps it: each is good for
    /// one answer.
    ///
    /// # Errors
    /// - `Reauth`: the answer is refused; the message says why and what to set right, for the host's log.
    /// - `Invalid`: it belongs to no login of this session, or was used before.
    /// - `Protocol`, `TooLarge`: it is no SAML answer, has what XML must not have here, or passes a bound.
    /// - Whatever the memory of used assertions says.
    pub async fn complete(&self, session: &str, pending: PendingLogin, form: &str) -> Result<Identity> {
        self.finish(session, pending, form).await.map_err(|error| error.with_operation(OPERATION))
    }

    async fn finish(&self, session: &str, pending: PendingLogin, form: &str) -> Result<Identity> {
        let settings = &*self.0;
        let invalid = |message| Error::new(ErrorKind::Invalid, message);
        let posted = Posted::read(form, settings.max_bytes)?;
        if !pending.is_of(session, &posted.relay_state) {
            return Err(invalid("the answer does not belong to a login of this session"));
        }
        let now = settings.clock.now();
        let until = pending.begun_at + settings.patience;
        if now > until {
            return Err(Error::new(ErrorKind::Reauth, "the user took too long: begin again"));
        }
        let text: String = posted.answer.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let document =
            STANDARD.decode(text).map_err(|_| Error::new(ErrorKind::Protocol, "the answer is not base64"))?;
        let expected = Expected { settings, request_id: &pending.request_id, now, leeway: settings.leeway };
        let answer = Answer::read(&expected, &document, settings.max_bytes)?;

        let request = digest(&format!("request {}", pending.request_id));
        if !settings.replay.note(&request, now, until).await? {
            return Err(invalid("the login was completed before"));
        }
        let assertion = digest(&format!("assertion {} {}", settings.idp.entity_id, answer.assertion_id));
        if !settings.replay.note(&assertion, now, answer.usable_until + settings.leeway).await? {
            return Err(invalid("the assertion was used before"));
        }
        Ok(answer.identity)
    }
}

/// Says what a service provider is to be.
#[derive(Clone, Debug)]
pub struct ServiceProviderBuilder {
    entity_id: String,
    acs_url: String,
    idp: Idp,
    signed: Signed,
    signer: Option<RequestSigner>,
    names: Names,
    leeway: Duration,
    patience: Duration,
    max_bytes: usize,
    replay: Option<Arc<dyn ReplayMemory>>,
    clock: Arc<dyn Clock>,
}

impl ServiceProviderBuilder {
    /// What has to be signed; the assertion unless told otherwise.
    pub fn signed(mut self, signed: Signed) -> Self {
        self.signed = signed;
        self
    }

    /// Signs the requests.
    pub fn sign_requests(mut self, signer: RequestSigner) -> Self {
        self.signer = Some(signer);
        self
    }

    /// Takes the subject from an attribute, for providers whose name id changes with each login (`transient`).
    pub fn subject_from(mut self, attribute: impl Into<String>) -> Self {
        self.names.subject = Some(attribute.into());
        self
    }

    /// Takes the name to call the user by from an attribute.
    pub fn name_from(mut self, attribute: impl Into<String>) -> Self {
        self.names.name = Some(attribute.into());
        self
    }

    /// Takes the e-mail address from an attribute; without it, a name id of the format `emailAddress` says it.
    pub fn email_from(mut self, attribute: impl Into<String>) -> Self {
        self.names.email = Some(attribute.into());
        self
    }

    /// Takes groups from an attribute, one for each of its values; may be called again for more.
    pub fn groups_from(mut self, attribute: impl Into<String>) -> Self {
        self.names.groups.push(attribute.into());
        self
    }

    /// How far the provider's clock may be off: a minute unless told otherwise, five at most.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// How long the user may take; ten minutes unless told otherwise.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Largest answer, in bytes of XML; 256 KiB unless told otherwise.
    pub fn max_bytes(mut self, max_bytes: usize) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// The memory of what was used; one of this process unless told otherwise.
    pub fn replay_memory(mut self, memory: Arc<dyn ReplayMemory>) -> Self {
        self.replay = Some(memory);
        self
    }

    /// The clock that validity is measured with.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The service provider.
    ///
    /// # Errors
    /// `Config` that names the field.
    pub fn build(self) -> Result<ServiceProvider> {
        if self.entity_id.is_empty() {
            return Err(Error::config("entity_id", "the service provider has no entity id"));
        }
        if self.leeway > LARGEST_LEEWAY {
            return Err(Error::config("leeway", "is more than five minutes: set the clock instead"));
        }
        let acs_url = secure("acs_url", &self.acs_url)?;
        if acs_url.as_str() != self.acs_url {
            return Err(Error::config("acs_url", format!("is not in its usual form: write {acs_url}")));
        }
        Ok(ServiceProvider(Arc::new(Settings {
            entity_id: self.entity_id,
            acs_url,
            idp: self.idp,
            signed: self.signed,
            signer: self.signer,
            names: self.names,
            leeway: self.leeway,
            patience: self.patience,
            max_bytes: self.max_bytes,
            replay: self.replay.unwrap_or_else(|| Arc::new(InMemoryReplay::default())),
            clock: self.clock,
        })))
    }
}
