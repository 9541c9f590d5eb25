//! The trait that puts credentials on a request.

use std::fmt;
use std::pin::Pin;

use async_trait::async_trait;
use url::Url;

use crate::{Context, Request, Result};

/// Puts credentials on one attempt and renews them when they are refused.
///
/// Credentials, not tokens: a provider sees the whole request, because some schemes sign its method,
/// URL and body. It runs once per attempt, after all waits, so that a signature is never stale.
#[async_trait]
pub trait AuthProvider: Send + Sync + fmt::Debug + 'static {
    /// Puts the credentials on the request and says which they were.
    ///
    /// Headers that carry a secret are marked sensitive. Setting a header that is already there
    /// replaces it: the same request comes again for its next attempt.
    async fn authorize(&self, cx: &Context, request: &mut Request) -> Result<AuthStamp>;

    /// Told which credentials were refused, renews them unless that has happened already.
    ///
    /// Any number of concurrent refusals of one stamp cause one renewal.
    async fn refresh(&self, cx: &Context, refused: AuthStamp) -> Result<Refresh>;

    /// The base URL of the account, for vendors that name it in the token's answer. `None`: the connection's
    /// own base URL stands, and no future is made to say so.
    fn endpoint<'a>(&'a self, cx: &'a Context) -> Option<Endpoint<'a>> {
        let _ = cx;
        None
    }
}

/// Finds out the base URL of an account: see [`AuthProvider::endpoint`].
pub type Endpoint<'a> = Pin<Box<dyn Future<Output = Result<Url>> + Send + 'a>>;

/// Which generation of the credentials a request carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuthStamp(pub u64);

/// What came of a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refresh {
    /// There are newer credentials now: repeat the request.
    Renewed,
    /// These credentials cannot be renewed (a static key): the refusal stands.
    Unsupported,
}
