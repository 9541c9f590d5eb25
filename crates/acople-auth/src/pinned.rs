//! One access token for a whole chain of pages.

use std::fmt;
use std::sync::Arc;

use acople_core::{AuthProvider, AuthStamp, Context, Endpoint, Error, ErrorKind, Refresh, Request, Result};
use async_trait::async_trait;
use tokio::sync::OnceCell;

use crate::cell::Held;
use crate::oauth2::OAuth2;

/// The credentials of [`OAuth2`] for one chain of pages, where the vendor binds cursors to tokens: all its requests
/// carry the token that the first one had, whatever is renewed or replaced meanwhile. A chain whose token has ended is
/// [`CursorExpired`](ErrorKind::CursorExpired): it begins again, by then with the new token. Never a page of one token
/// with a cursor of another.
///
/// ```
/// use std::sync::Arc;
/// use acople_auth::OAuth2;
/// use acople_core::Resources;
/// use acople_http::Client;
///
/// # fn example(auth: &OAuth2, resources: &Resources) -> acople_core::Result<()> {
/// // One for each chain; `auth` stays for everything else.
/// let chain = Client::with_resources("https://api.example.com", resources)?
///     .auth(Arc::new(auth.pinned()))
///     .build();
/// # Ok(()) }
/// ```
pub struct Pinned {
    auth: OAuth2,
    held: OnceCell<Arc<Held>>,
}

impl Pinned {
    pub(crate) fn new(auth: OAuth2) -> Self {
        Self { auth, held: OnceCell::new() }
    }

    async fn held(&self) -> Result<&Arc<Held>> {
        self.held.get_or_try_init(|| self.auth.held()).await
    }
}

#[async_trait]
impl AuthProvider for Pinned {
    async fn authorize(&self, _cx: &Context, request: &mut Request) -> Result<AuthStamp> {
        self.held().await?.put(request)
    }

    /// Renews the token for everybody else, and ends this chain.
    async fn refresh(&self, cx: &Context, refused: AuthStamp) -> Result<Refresh> {
        self.auth.refresh(cx, refused).await?;
        let text = "the token that this chain of pages began with has ended: the chain begins again";
        Err(Error::new(ErrorKind::CursorExpired, text))
    }

    fn endpoint<'a>(&'a self, cx: &'a Context) -> Option<Endpoint<'a>> {
        self.auth.endpoint(cx)
    }
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pinned").field("auth", &self.auth).finish_non_exhaustive()
    }
}
