//! OAuth 2 as a provider of credentials.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use acople_core::{
    AuthProvider, AuthStamp, Clock, Context, Endpoint, Error, ErrorKind, Generation, Refresh, Request,
    Resources, Result, Secret, TokenSet,
};
use acople_http::{secure_base, secure_url};
use async_trait::async_trait;
use tokio::time::Instant;

use crate::cell::{Cell, Held, Need, Settings};
use crate::events::TokenEvents;
use crate::grant::{Grant, OAuthClient, Ready, Rotation};
use crate::jwt::Signer;
use crate::pinned::Pinned;
use crate::revocation::Revocation;
use crate::token_endpoint::TokenEndpoint;
use crate::vault::Vault;

/// OAuth 2: puts access tokens on requests and renews them, once for all callers.
///
/// Cheap to clone; clones share one set of tokens. Make one per connection: two of them would redeem the
/// same refresh token at the same time.
///
/// - Any number of concurrent refusals of one token cause one token call. A refusal of a token that has
///   been replaced meanwhile causes none.
/// - A token is renewed 60 s or a tenth of its lifetime before its end, whichever is shorter, by one
///   caller while the others go on with the old one. Without a lifetime it is used until it is refused.
/// - A rotated refresh token is stored before any caller gets the new access token. When the store fails,
///   the tokens are used from memory, saved again with growing pauses at later uses, and every failure is
///   an event of level `error`.
/// - A renewal that has begun goes on in a task of its own when its caller is dropped, so it needs a tokio
///   runtime that lives as long as the provider; call [`flush`](Self::flush) before shutting down.
/// - A finished grant is [`Reauth`](acople_core::ErrorKind::Reauth), without further token calls until the
///   token store or the config has other credentials. After other failures token calls pause: a second,
///   doubling up to a minute, after faults of the vendor; a minute where somebody has to mend something;
///   five minutes after a refusal that the vendor may lift.
#[derive(Clone)]
pub struct OAuth2(Arc<Cell>);

impl OAuth2 {
    /// Begins a provider. Does no I/O.
    ///
    /// `connector` is the connector's id: with tenant and connection of `resources` it names the tokens
    /// in the host's store.
    ///
    /// # Errors
    /// [`Config`](acople_core::ErrorKind::Config) that names the field: `token_url` is not https (plain
    /// http is for this machine only), an empty credential, a private key that is none.
    pub fn builder(
        connector: &str,
        token_url: &str,
        client: OAuthClient,
        grant: Grant,
        resources: &Resources,
    ) -> Result<OAuth2Builder> {
        let url = secure_url(token_url)
            .map_err(|fault| Error::config("token_url", format!("the token URL {fault}")))?;
        let grant = Ready::new(grant, &client)?;
        Ok(OAuth2Builder {
            endpoint: TokenEndpoint::new(url, client, grant, resources)?,
            vault: Vault::new(resources.tokens.clone(), resources.connection_key(connector)),
            clock: resources.clock.clone(),
            settings: Settings {
                scheme: "Bearer",
                seed: None,
                seed_endpoint: None,
                revocation: None,
                events: resources.extensions.get::<TokenEvents>().cloned(),
            },
            resources: resources.clone(),
        })
    }

    /// The credentials of one chain of pages, for vendors that bind cursors to tokens.
    pub fn pinned(&self) -> Pinned {
        Pinned::new(self.clone())
    }

    pub(crate) async fn held(&self) -> Result<Arc<Held>> {
        self.0.tokens(Need::Token).await
    }

    /// Begins with tokens that were stored just now.
    pub(crate) fn prime(
        &self,
        tokens: TokenSet,
        generation: Generation,
        lifetime: Option<Duration>,
        received: Instant,
    ) {
        self.0.prime(tokens, generation, lifetime, received);
    }

    /// A member of the token answer that the builder was told to [`keep`](OAuth2Builder::keep). Gets a
    /// token first if there is none.
    pub async fn kept(&self, member: &str) -> Result<Option<String>> {
        Ok(self.0.tokens(Need::Token).await?.tokens.extra.get(member).cloned())
    }

    /// Waits for a renewal that is under way and stores tokens that could not be stored before. To be
    /// called before the runtime shuts down.
    ///
    /// # Errors
    /// What the store says: the tokens in memory are lost when the process ends.
    pub async fn flush(&self) -> Result<()> {
        self.0.flush().await
    }

    /// Reads the token store now and says whether there was something new: after the account was connected
    /// again, or disconnected, elsewhere. Requests on their way end with the tokens that they carry; later ones
    /// carry the new ones. Without this, a change is noticed at the next renewal.
    ///
    /// # Errors
    /// What the store says.
    pub async fn reload(&self) -> Result<bool> {
        self.0.reload().await
    }

    /// Disconnects the account: the vendor revokes the grant (RFC 7009), then the store forgets the tokens.
    /// Later requests fail with [`Reauth`](acople_core::ErrorKind::Reauth) until the account is connected again.
    ///
    /// # Errors
    /// Nothing is forgotten when the vendor does not answer or refuses. `Config` when no
    /// [`revocation_url`](OAuth2Builder::revocation_url) is set.
    pub async fn revoke(&self) -> Result<()> {
        self.0.end(false).await
    }

    /// Disconnects the account as [`revoke`](Self::revoke) does, without telling the vendor.
    ///
    /// # Errors
    /// What the store says.
    pub async fn forget(&self) -> Result<()> {
        self.0.end(true).await
    }
}

#[async_trait]
impl AuthProvider for OAuth2 {
    async fn authorize(&self, _cx: &Context, request: &mut Request) -> Result<AuthStamp> {
        self.held().await?.put(request)
    }

    async fn refresh(&self, _cx: &Context, refused: AuthStamp) -> Result<Refresh> {
        self.0.tokens(Need::InPlaceOf(refused.0)).await?;
        Ok(Refresh::Renewed)
    }

    fn endpoint<'a>(&'a self, _cx: &'a Context) -> Option<Endpoint<'a>> {
        self.0.has_endpoint().then(|| -> Endpoint<'a> {
            Box::pin(async {
                let held = self.0.tokens(Need::Endpoint).await?;
                let missing = || Error::new(ErrorKind::Internal, "a token without the account's address");
                held.tokens.endpoint.clone().ok_or_else(missing)
            })
        })
    }
}

impl fmt::Debug for OAuth2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth2").field("connector", &self.0.connector()).finish_non_exhaustive()
    }
}

/// Sets up an [`OAuth2`].
pub struct OAuth2Builder {
    pub(crate) endpoint: TokenEndpoint,
    vault: Vault,
    clock: Arc<dyn Clock>,
    settings: Settings,
    resources: Resources,
}

impl OAuth2Builder {
    /// Names the member of the token answer that holds the account's base URL, such as `instance_url`. It
    /// becomes [`AuthProvider::endpoint`] and is checked first: https, or this machine; no credentials, no
    /// query. An answer without it, or with a bad one, is an error of kind
    /// [`Protocol`](acople_core::ErrorKind::Protocol).
    pub fn endpoint_member(mut self, member: &'static str) -> Self {
        self.endpoint.wanted.endpoint = Some(member);
        self
    }

    /// Keeps other members of the token answer, as text: see [`OAuth2::kept`]. They are stored beside the
    /// tokens and must not be secrets.
    pub fn keep(mut self, members: &[&'static str]) -> Self {
        self.endpoint.wanted.keep.extend_from_slice(members);
        self
    }

    /// Adds a parameter to the form of every token call. Its value is treated as a secret.
    pub fn param(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Secret>) -> Self {
        self.endpoint.params.push((name.into(), value.into()));
        self
    }

    /// An access token to begin with, from the connecting of the account. Stored tokens that descend from
    /// the same refresh token are newer and win.
    pub fn seed(mut self, access_token: Secret) -> Self {
        self.settings.seed = Some(access_token).filter(|token| !token.is_empty());
        self
    }

    /// The account's base URL to begin with, from the connecting of the account, until a token answer
    /// names one. Without it, a seeded token is renewed at once where the account's URL is needed.
    ///
    /// # Errors
    /// [`Config`](acople_core::ErrorKind::Config) when it is no base URL that credentials may travel to.
    pub fn seed_endpoint(mut self, url: &str) -> Result<Self> {
        let field = self.endpoint.wanted.endpoint.unwrap_or("endpoint");
        let url =
            secure_base(url).map_err(|fault| Error::config(field, format!("the account's URL {fault}")))?;
        self.settings.seed_endpoint = Some(url);
        Ok(self)
    }

    /// What the vendor does with refresh tokens at a refresh; [`Rotation::Sometimes`] unless told otherwise.
    pub fn rotation(mut self, rotation: Rotation) -> Self {
        self.endpoint.rotation = rotation;
        self
    }

    /// The vendor's revocation endpoint (RFC 7009), for [`OAuth2::revoke`].
    ///
    /// # Errors
    /// [`Config`](acople_core::ErrorKind::Config) when credentials may not travel there.
    pub fn revocation_url(mut self, url: &str) -> Result<Self> {
        self.settings.revocation = Some(Revocation::new(url, &self.resources)?);
        Ok(self)
    }

    /// Names the key that signs assertions in their header (`kid`), for vendors that know several keys of the app;
    /// without an effect on grants that have no assertion.
    pub fn key_id(self, key_id: impl Into<String>) -> Self {
        self.assertion(|signer| signer.name_key(key_id.into()))
    }

    /// Changes what assertions say; without an effect on grants that have none.
    pub(crate) fn assertion(mut self, change: impl FnOnce(&mut Signer)) -> Self {
        if let Ready::Jwt(signer) = &mut self.endpoint.grant {
            change(signer);
        }
        self
    }

    /// The scheme of the `Authorization` header, for vendors that want another than `Bearer`.
    pub fn scheme(mut self, scheme: &'static str) -> Self {
        self.settings.scheme = scheme;
        self
    }

    /// The provider.
    pub fn build(self) -> OAuth2 {
        OAuth2(Cell::new(self.endpoint, self.vault, self.clock, self.settings))
    }
}

impl fmt::Debug for OAuth2Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth2Builder").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
