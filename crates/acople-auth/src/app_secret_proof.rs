//! Meta's `appsecret_proof`: shows that a token is used by the app that got it.

use std::fmt;
use std::sync::Arc;

use acople_core::{AuthProvider, AuthStamp, Context, Endpoint, Error, Refresh, Request, Result, Secret};
use async_trait::async_trait;
use http::header::AUTHORIZATION;

use crate::digest::{Algorithm, hex};

const PROOF: &str = "appsecret_proof";

/// Adds `appsecret_proof` to what another provider authorizes: the HMAC-SHA256 of the access token, keyed with
/// the app's secret, as a query parameter
/// ([Meta: securing requests](https://developers.facebook.com/docs/graph-api/guides/secure-requests#appsecret_proof)).
///
/// The token is taken from where the other provider put it: `Authorization`, or the secret query parameter
/// `access_token`. A renewed token gets its own proof. The proof is added as the request is sent: no log sees it.
///
/// ```
/// use std::sync::Arc;
/// use acople_auth::{AppSecretProof, StaticAuth};
/// use acople_core::{AuthProvider, Context, Request, Secret};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> acople_core::Result<()> {
/// let token = StaticAuth::bearer(Secret::from("EAAB-token"));
/// let auth = AppSecretProof::new(Secret::from("app-secret"), Arc::new(token))?;
/// let mut request = Request::new(http::Method::GET, url::Url::parse("https://graph.facebook.com/me").unwrap());
/// auth.authorize(&Context::new(), &mut request).await?;
/// assert_eq!(request.secret_query()[0].0, "appsecret_proof");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct AppSecretProof {
    secret: Secret,
    inner: Arc<dyn AuthProvider>,
}

impl AppSecretProof {
    /// The proof for the tokens of `inner`.
    ///
    /// # Errors
    /// [`Config`](acople_core::ErrorKind::Config) when the secret is empty.
    pub fn new(app_secret: Secret, inner: Arc<dyn AuthProvider>) -> Result<Self> {
        if app_secret.is_empty() {
            return Err(Error::config("app_secret", "must not be empty"));
        }
        Ok(Self { secret: app_secret, inner })
    }
}

#[async_trait]
impl AuthProvider for AppSecretProof {
    async fn authorize(&self, cx: &Context, request: &mut Request) -> Result<AuthStamp> {
        let stamp = self.inner.authorize(cx, request).await?;
        let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = match header.and_then(|value| value.split_once(' ')) {
            Some((_, token)) => Some(token),
            None => request
                .secret_query()
                .iter()
                .find(|(name, _)| name == "access_token")
                .map(|(_, t)| t.expose()),
        };
        let token = token.ok_or_else(|| {
            let message = "there is no access token to prove: it stands in Authorization or in access_token";
            Error::config(PROOF, message)
        })?;
        let proof = Algorithm::HmacSha256.compute(self.secret.expose().as_bytes(), token.as_bytes());
        request.set_secret_query(PROOF, Secret::from(hex(&proof)));
        Ok(stamp)
    }

    async fn refresh(&self, cx: &Context, refused: AuthStamp) -> Result<Refresh> {
        self.inner.refresh(cx, refused).await
    }

    fn endpoint<'a>(&'a self, cx: &'a Context) -> Option<Endpoint<'a>> {
        self.inner.endpoint(cx)
    }
}

impl fmt::Debug for AppSecretProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppSecretProof").field("inner", &self.inner).finish_non_exhaustive()
    }
}
