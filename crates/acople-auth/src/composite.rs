//! Several providers as one.

use std::fmt;
use std::sync::Arc;

use acople_core::{AuthProvider, AuthStamp, Context, Endpoint, Error, Refresh, Request, Result};
use async_trait::async_trait;

use crate::stamps::Stamps;

/// Several providers for one request, in order: a key of the app beside a token of the user, or a header that
/// the signature after it covers.
///
/// A refusal does not say whom it concerns, so each provider is told of the stamp that it had put on the refused
/// request: a static one says that it cannot help, one that has renewed meanwhile does nothing. The request is
/// repeated when at least one has something new. The account's address is that of the first that names one.
///
/// ```
/// use std::sync::Arc;
/// use acople_auth::{Composite, StaticAuth};
/// use acople_core::{AuthProvider, Context, Request, Secret};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> acople_core::Result<()> {
/// let key = StaticAuth::header(http::HeaderName::from_static("x-api-key"), Secret::from("app-key"));
/// let auth = Composite::new([Arc::new(key) as Arc<dyn AuthProvider>, Arc::new(StaticAuth::bearer("user".into()))]);
/// let mut request = Request::new(http::Method::GET, url::Url::parse("https://api.example.com/").unwrap());
/// auth.authorize(&Context::new(), &mut request).await?;
/// assert_eq!((&request.headers()["x-api-key"], &request.headers()["authorization"]), (&"app-key".parse().unwrap(), &"Bearer user".parse().unwrap()));
/// # Ok(()) }
/// ```
pub struct Composite {
    providers: Vec<Arc<dyn AuthProvider>>,
    stamps: Stamps,
}

impl Composite {
    /// These providers, in this order.
    pub fn new(providers: impl IntoIterator<Item = Arc<dyn AuthProvider>>) -> Self {
        Self { providers: providers.into_iter().collect(), stamps: Stamps::default() }
    }
}

#[async_trait]
impl AuthProvider for Composite {
    async fn authorize(&self, cx: &Context, request: &mut Request) -> Result<AuthStamp> {
        let mut parts = Vec::with_capacity(self.providers.len());
        for provider in &self.providers {
            parts.push(provider.authorize(cx, request).await?);
        }
        Ok(self.stamps.combined(parts))
    }

    async fn refresh(&self, cx: &Context, refused: AuthStamp) -> Result<Refresh> {
        let Some(parts) = self.stamps.parts(refused) else { return Ok(Refresh::Renewed) };
        let (mut renewed, mut failure): (bool, Option<Error>) = (false, None);
        for (provider, stamp) in self.providers.iter().zip(parts) {
            match provider.refresh(cx, stamp).await {
                Ok(Refresh::Renewed) => renewed = true,
                Ok(_) => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        match failure {
            // One that cannot renew leaves the request as refused as it was.
            Some(error) => Err(error),
            None if renewed => Ok(Refresh::Renewed),
            None => Ok(Refresh::Unsupported),
        }
    }

    fn endpoint<'a>(&'a self, cx: &'a Context) -> Option<Endpoint<'a>> {
        self.providers.iter().find_map(|provider| provider.endpoint(cx))
    }
}

impl fmt::Debug for Composite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.providers).finish()
    }
}
