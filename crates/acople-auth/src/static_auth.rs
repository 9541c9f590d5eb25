//! Credentials that never change: one provider for all of them.

use std::borrow::Cow;

use acople_core::{AuthProvider, AuthStamp, Context, Error, ErrorKind, Refresh, Request, Result, Secret};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::oauth1::is_form;
use crate::raw_json;

/// Static credentials: a bearer token, another scheme, headers of the vendor's own, user and password, a query
/// parameter, or a member of the body.
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
    /// What a vendor sees that decodes the header: it may be quoted in the vendor's words as well.
    decoded: Option<Secret>,
    /// What makes the credentials unusable, found when they were made: where, and what.
    fault: Option<(Cow<'static, str>, &'static str)>,
}

#[derive(Clone, Debug)]
enum Place {
    /// `None` for what no header can carry.
    Headers(Vec<(HeaderName, Option<HeaderValue>)>),
    Query(Cow<'static, str>, Secret),
    Json(Cow<'static, str>, Secret),
    Form(Cow<'static, str>, Secret),
}

impl StaticAuth {
    /// `Authorization: Bearer <token>` (RFC 6750).
    pub fn bearer(token: Secret) -> Self {
        Self::scheme("Bearer", token)
    }

    /// `Authorization: <scheme> <token>`, for vendors whose scheme is not `Bearer`: `Token`, `JWT`, `OAuth`,
    /// `Zoho-oauthtoken`.
    pub fn scheme(scheme: &str, token: Secret) -> Self {
        let fault = token.is_empty().then_some("is empty");
        Self::in_header(AUTHORIZATION, &with_scheme(scheme, &token), fault)
    }

    /// A header of the vendor's own, such as `X-Api-Key`; also `Authorization` without a scheme.
    pub fn header(name: HeaderName, value: Secret) -> Self {
        Self::headers([(name, value)])
    }

    /// Several headers, for vendors with two keys: Datadog's `DD-API-KEY` and `DD-APPLICATION-KEY`
    /// ([Datadog: authentication](https://docs.datadoghq.com/api/latest/authentication/)).
    pub fn headers(headers: impl IntoIterator<Item = (HeaderName, Secret)>) -> Self {
        let (mut all, mut fault) = (Vec::new(), None);
        for (name, value) in headers {
            let (header, found) = checked(&value, value.is_empty().then_some("is empty"));
            fault = fault.or(found.map(|found| (Cow::Owned(name.as_str().to_owned()), found)));
            all.push((name, header));
        }
        Self { place: Place::Headers(all), decoded: None, fault }
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
        let auth = Self::in_header(AUTHORIZATION, &basic(user, password.expose()), fault);
        Self { decoded: Some(password.clone()), ..auth }
    }

    /// A key as the user of basic authentication, without a password
    /// ([Stripe: authentication](https://docs.stripe.com/api/authentication)).
    pub fn key_as_user(key: &Secret) -> Self {
        let mut auth = Self::basic(key.expose(), &Secret::default());
        auth.decoded = Some(key.clone());
        if key.is_empty() {
            auth.fault = Some((AUTHORIZATION.as_str().into(), "is empty"));
        }
        auth
    }

    /// An API token of a user, `<email>/token` being the user of basic authentication
    /// ([Zendesk: security and authentication](https://developer.zendesk.com/api-reference/introduction/security-and-auth/#api-token)).
    pub fn email_token(email: &str, token: &Secret) -> Self {
        let mut auth = Self::basic(&format!("{email}/token"), token);
        if email.is_empty() || token.is_empty() {
            auth.fault = Some((AUTHORIZATION.as_str().into(), "lacks the e-mail address or the token"));
        }
        auth
    }

    /// A secret query parameter. It is added to the URL when the request is sent, so that no log and no
    /// error sees it.
    pub fn query(name: impl Into<Cow<'static, str>>, value: Secret) -> Self {
        Self::elsewhere(name.into(), value, Place::Query)
    }

    /// A key inside the JSON body, where a pointer (RFC 6901) such as `/key` or `/merchant/apiKey` says. The body
    /// is an object; one that is empty becomes an object. All its other bytes stay as they are.
    pub fn json(pointer: impl Into<Cow<'static, str>>, value: Secret) -> Self {
        let pointer = pointer.into();
        let bad = !pointer.starts_with('/');
        let mut auth = Self::elsewhere(pointer.clone(), value, Place::Json);
        if bad {
            auth.fault = Some((pointer, "has a place in the body that does not begin with a slash"));
        }
        auth
    }

    /// A key as a field of the form that is the body. A body that is empty becomes a form.
    pub fn form(name: impl Into<Cow<'static, str>>, value: Secret) -> Self {
        Self::elsewhere(name.into(), value, Place::Form)
    }

    fn elsewhere(
        name: Cow<'static, str>,
        value: Secret,
        place: impl Fn(Cow<'static, str>, Secret) -> Place,
    ) -> Self {
        let fault = value.is_empty().then(|| (name.clone(), "is empty"));
        Self { place: place(name, value), decoded: None, fault }
    }

    /// The header is made once: requests share its text.
    fn in_header(name: HeaderName, value: &Secret, fault: Option<&'static str>) -> Self {
        let (header, fault) = checked(value, fault);
        let fault = fault.map(|fault| (Cow::Owned(name.as_str().to_owned()), fault));
        Self { place: Place::Headers(vec![(name, header)]), decoded: None, fault }
    }
}

#[async_trait]
impl AuthProvider for StaticAuth {
    async fn authorize(&self, _cx: &Context, request: &mut Request) -> Result<AuthStamp> {
        if let Some((field, fault)) = &self.fault {
            return Err(Error::config(field.as_ref(), format!("the credential {fault}")));
        }
        match &self.place {
            Place::Headers(headers) => {
                for (name, value) in headers {
                    if let Some(value) = value {
                        request.headers_mut().insert(name.clone(), value.clone());
                    }
                }
                if let Some(secret) = &self.decoded {
                    request.note_secret(secret.clone());
                }
            }
            Place::Query(name, value) => request.set_secret_query(name.clone(), value.clone()),
            Place::Json(pointer, value) => {
                let body: &[u8] = if request.body().is_empty() { b"{}" } else { request.body() };
                let body = raw_json::set(body, pointer, value.expose())
                    .ok_or_else(|| unfit(pointer, "is no JSON with an object for the key"))?;
                carry(request, body, "application/json", value);
            }
            Place::Form(name, value) => {
                if !request.body().is_empty() && !is_form(request) {
                    return Err(unfit(name, "is no form that could take the key"));
                }
                let mut form = form_urlencoded::Serializer::new(String::new());
                let others = form_urlencoded::parse(request.body()).filter(|(other, _)| other != name);
                form.extend_pairs(others).append_pair(name, value.expose());
                let body = form.finish();
                carry(request, body.into_bytes(), "application/x-www-form-urlencoded", value);
            }
        }
        Ok(AuthStamp::default())
    }

    async fn refresh(&self, _cx: &Context, _refused: AuthStamp) -> Result<Refresh> {
        Ok(Refresh::Unsupported)
    }
}

/// Sets a body with the key in it.
fn carry(request: &mut Request, body: Vec<u8>, kind: &'static str, secret: &Secret) {
    request.set_body(body);
    request.headers_mut().entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
    request.note_secret(secret.clone());
}

fn unfit(field: &str, what: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("the request's body {what}")).with_field(field)
}

fn checked(value: &Secret, fault: Option<&'static str>) -> (Option<HeaderValue>, Option<&'static str>) {
    let header = value.header_value().ok();
    let fault = fault.or(header.is_none().then_some("has characters that a header cannot carry"));
    (header, fault)
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
