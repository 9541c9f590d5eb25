//! Tokens that the provider of a service signs for itself, and must neither keep nor renew too long.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use acople_core::{AuthProvider, AuthStamp, Context, Error, ErrorKind, Refresh, Request, Result, Secret};
use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::EcdsaKeyPair;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use tokio::time::Instant;

use crate::pem::p256_private_key;
use crate::server_clock::ServerClock;
use crate::static_auth::with_scheme;
use crate::timestamp::since_1970;

/// Apple refuses tokens that are renewed more often: `TooManyProviderTokenUpdates`.
const YOUNGEST: Duration = Duration::from_secs(20 * 60);

/// Apple refuses tokens of more than an hour. The rest is for clocks that differ and requests on their way.
const OLDEST: Duration = Duration::from_secs(50 * 60);

/// As for other assertions: vendors refuse what comes from the future.
const BACKDATED: Duration = Duration::from_secs(30);

/// Apple's provider token for push messages: an ES256 JWT, made of team, key id and key
/// ([Apple: establishing a token-based connection to APNs](https://developer.apple.com/documentation/usernotifications/establishing-a-token-based-connection-to-apns)).
///
/// One token serves all requests for 50 minutes. A refusal (`ExpiredProviderToken`, which the vendor's classifier
/// calls [`Reauth`](ErrorKind::Reauth)) brings a new one only when it is at least 20 minutes old, or when the
/// vendor's clock turned out to differ: Apple refuses tokens that change more often. Clones share one token.
///
/// ```
/// use acople_auth::{ProviderToken, ServerClock};
/// use acople_core::{Resources, Secret};
///
/// # fn example(resources: &Resources, p8: Secret) -> acople_core::Result<()> {
/// let auth = ProviderToken::apns("DEF123GHIJ", "ABC123DEFG", &p8, &ServerClock::new(resources))?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ProviderToken(Arc<Inner>);

struct Inner {
    issuer: String,
    key_id: String,
    key: EcdsaKeyPair,
    clock: ServerClock,
    held: Mutex<Option<Held>>,
}

#[derive(Clone)]
struct Held {
    stamp: u64,
    header: HeaderValue,
    made: Instant,
    /// Which lesson of the vendor's clock it was made by.
    lesson: AuthStamp,
    worn: bool,
}

impl ProviderToken {
    /// The tokens of a team, by a key of APNs: the text of the `.p8` file.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) that names the field: an empty id, a key that is no P-256 key.
    pub fn apns(team_id: &str, key_id: &str, private_key_pem: &Secret, clock: &ServerClock) -> Result<Self> {
        for (field, text) in [("team_id", team_id), ("key_id", key_id)] {
            if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric()) {
                return Err(Error::config(field, "must be the ten letters and digits that Apple shows"));
            }
        }
        Ok(Self(Arc::new(Inner {
            issuer: team_id.to_owned(),
            key_id: key_id.to_owned(),
            key: p256_private_key(private_key_pem.expose())?,
            clock: clock.clone(),
            held: Mutex::default(),
        })))
    }
}

impl Inner {
    fn held(&self) -> Result<Held> {
        let now = Instant::now();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = held.as_ref().filter(|held| !held.worn && now - held.made < OLDEST) {
            return Ok(held.clone());
        }
        let stamp = held.as_ref().map_or(1, |held| held.stamp + 1);
        let (header, lesson) = self.sign()?;
        Ok(held.insert(Held { stamp, header, made: now, lesson, worn: false }).clone())
    }

    fn sign(&self) -> Result<(HeaderValue, AuthStamp)> {
        let (now, lesson) = self.clock.now();
        let issued = since_1970(now).saturating_sub(BACKDATED).as_secs();
        // Letters and digits only: nothing to escape.
        let header = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, self.key_id);
        let claims = format!(r#"{{"iss":"{}","iat":{issued}}}"#, self.issuer);
        let mut token = URL_SAFE_NO_PAD.encode(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self
            .key
            .sign(&SystemRandom::new(), token.as_bytes())
            .map_err(|_| Error::new(ErrorKind::Internal, "the provider token cannot be signed"))?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature.as_ref(), &mut token);
        Ok((with_scheme("bearer", &Secret::from(token)).header_value()?, lesson))
    }
}

#[async_trait]
impl AuthProvider for ProviderToken {
    async fn authorize(&self, _cx: &Context, request: &mut Request) -> Result<AuthStamp> {
        let held = self.0.held()?;
        request.headers_mut().insert(AUTHORIZATION, held.header);
        Ok(AuthStamp(held.stamp))
    }

    async fn refresh(&self, _cx: &Context, refused: AuthStamp) -> Result<Refresh> {
        let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(held) = held.as_mut() else { return Ok(Refresh::Renewed) };
        let wrong_time = self.0.clock.refresh(held.lesson) == Refresh::Renewed;
        if held.stamp > refused.0 || held.worn {
            return Ok(Refresh::Renewed);
        }
        if wrong_time || held.made.elapsed() >= YOUNGEST {
            held.worn = true;
            return Ok(Refresh::Renewed);
        }
        Ok(Refresh::Unsupported)
    }
}

impl fmt::Debug for ProviderToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderToken").finish_non_exhaustive()
    }
}
