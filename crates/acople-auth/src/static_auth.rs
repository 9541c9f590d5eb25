//! Credentials that never change: one provider for all of them.

use acople_core::{AuthProvider, AuthStamp, Context, Error, Refresh, Request, Result, Secret};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use zeroize::Zeroizing;

/// Static credentials: a bearer token, another scheme, a header of the vendor's own, user and password,
/// or a query parameter.
///
/// A refusal stands: [`refresh`](AuthProvider::refresh) answers [`Refresh::Unsupported`]. What cannot be
/// sent (an empty key, line breaks, a colon in a user name) is an error of kind
/// [`Config`](acople_core::ErrorKind::Config) at the first request; constructors do not fail.
///
/// ```
/// use acople_auth::StaticAuth;
/// use acople_core::{AuthProvider, Context, Request, Secret};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> acople_core::Result<()> {
/// let auth = StaticAuth::bearer(Secret::from("pat-na1-1234"));
/// let mut request = Request::new(http::Method::GET, url::Url::parse("https://api.example.com/").unwrap());
/// auth.authorize(&Context::new(), &mut request).await?;
/// assert_eq!(request.headers()["authorization"], "Bearer pat-na1-1234");
/// assert!(!format!("{auth:?}").contains("1234"));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct StaticAuth {
    place: Place,
    /// What makes the credentials unusable, found when they were made.
    fault: Option<&'static str>,
}

#[derive(Clone, Debug)]
enum Place {
    /// `None` for what no header can carry.
    Header(HeaderName, Option<HeaderValue>),
    Query(&'static str, Secret),
}

impl StaticAuth {
    /// `Authorization: Bearer <token>` (RFC 6750).
    pub fn bearer(token: Secret) -> Self {
        Self::scheme("Bearer", token)
    }

    /// `Authorization: <scheme> <token>`, for vendors whose scheme is not `Bearer`.
    pub fn scheme(scheme: &'static str, token: Secret) -> Self {
        let fault = token.is_empty().then_some("is empty");
        Self::in_header(AUTHORIZATION, &with_scheme(scheme, &token), fault)
    }

    /// A header of the vendor's own, such as `X-Api-Key`; also `Authorization` without a scheme.
    pub fn header(name: HeaderName, value: Secret) -> Self {
        let fault = value.is_empty().then_some("is empty");
        Self::in_header(name, &value, fault)
    }

    /// User and password (RFC 7617, as UTF-8). An empty password is allowed: some vendors take a key as
    /// the user's name.
    pub fn basic(user: &str, password: &Secret) -> Self {
        let fault = if user.contains(':') {
            Some("has a user name with a colon, which basic authentication cannot carry")
        } else if user.chars().chain(password.expose().chars()).any(char::is_control) {
            Some("has control characters")
        } else {
            None
        };
        Self::in_header(AUTHORIZATION, &basic(user, password.expose()), fault)
    }

    /// A secret query parameter. It is added to the URL when the request is sent, so that no log and no
    /// error sees it.
    pub fn query(name: &'static str, value: Secret) -> Self {
        let fault = value.is_empty().then_some("is empty");
        Self { place: Place::Query(name, value), fault }
    }

    /// The header is made once: requests share its text.
    fn in_header(name: HeaderName, value: &Secret, fault: Option<&'static str>) -> Self {
        let value = value.header_value().ok();
        let fault = fault.or(value.is_none().then_some("has characters that a header cannot carry"));
        Self { place: Place::Header(name, value), fault }
    }
}

#[async_trait]
impl AuthProvider for StaticAuth {
    async fn authorize(&self, _cx: &Context, request: &mut Request) -> Result<AuthStamp> {
        if let Some(fault) = self.fault {
            let field = match &self.place {
                Place::Header(name, _) => name.as_str(),
                Place::Query(name, _) => name,
            };
            return Err(Error::config(field, format!("the credential {fault}")));
        }
        match &self.place {
            Place::Header(name, Some(value)) => {
                request.headers_mut().insert(name.clone(), value.clone());
            }
            Place::Header(_, None) => {}
            Place::Query(name, value) => request.set_secret_query(*name, value.clone()),
        }
        Ok(AuthStamp::default())
    }

    async fn refresh(&self, _cx: &Context, _refused: AuthStamp) -> Result<Refresh> {
        Ok(Refresh::Unsupported)
    }
}

/// `<scheme> <token>`, allocated once so that no piece of the token is left behind.
pub(crate) fn with_scheme(scheme: &str, token: &Secret) -> Secret {
    let mut value = String::with_capacity(scheme.len() + 1 + token.expose().len());
    value.push_str(scheme);
    value.push(' ');
    value.push_str(token.expose());
    Secret::from(value)
}

/// `Basic <base64 of user:password>`.
pub(crate) fn basic(user: &str, password: &str) -> Secret {
    let mut pair = Zeroizing::new(String::with_capacity(user.len() + 1 + password.len()));
    pair.push_str(user);
    pair.push(':');
    pair.push_str(password);
    with_scheme("Basic", &Secret::from(STANDARD.encode(pair.as_bytes())))
}
