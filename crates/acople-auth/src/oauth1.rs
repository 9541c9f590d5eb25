//! OAuth 1.0a: signed requests without a token call.

use std::fmt;

use acople_core::{AuthProvider, AuthStamp, Context, Error, Refresh, Request, Result, Secret};
use async_trait::async_trait;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use crate::digest::{Algorithm, Encoding};
use crate::nonce::nonce;
use crate::percent::{encode, encoded_pairs, joined};
use crate::server_clock::ServerClock;
use crate::timestamp::TimeFormat;

/// The credentials of OAuth 1.0a: an app's, and those by which an account has approved it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct OAuth1Keys {
    /// The app's key (`oauth_consumer_key`).
    pub consumer_key: String,
    /// The app's secret.
    pub consumer_secret: Secret,
    /// The account's token (`oauth_token`), where there is one.
    #[serde(default)]
    pub token: Option<String>,
    /// The token's secret.
    #[serde(default)]
    pub token_secret: Option<Secret>,
}

impl OAuth1Keys {
    /// An app without an account: two legs, as WooCommerce has it.
    pub fn new(consumer_key: impl Into<String>, consumer_secret: impl Into<Secret>) -> Self {
        Self {
            consumer_key: consumer_key.into(),
            consumer_secret: consumer_secret.into(),
            token: None,
            token_secret: None,
        }
    }

    /// Sets the account's token and its secret.
    pub fn with_token(mut self, token: impl Into<String>, secret: impl Into<Secret>) -> Self {
        (self.token, self.token_secret) = (Some(token.into()), Some(secret.into()));
        self
    }
}

/// How OAuth 1.0a signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[non_exhaustive]
pub enum OAuth1Method {
    /// `HMAC-SHA1`, the only one of RFC 5849 that is in use.
    #[serde(rename = "HMAC-SHA1")]
    HmacSha1,
    /// `HMAC-SHA256`, which NetSuite requires and WooCommerce takes.
    #[default]
    #[serde(rename = "HMAC-SHA256")]
    HmacSha256,
}

/// Signs requests by OAuth 1.0a ([RFC 5849](https://www.rfc-editor.org/rfc/rfc5849)): method, URL, query and
/// form, with a nonce of its own for each attempt.
///
/// The signature carries the time: give the client the clock's [classifier](ServerClock::classifier).
/// [WooCommerce](https://woocommerce.github.io/woocommerce-rest-api-docs/#authentication-over-http) wants it of
/// shops without https, without a token, [in the query](Self::in_query);
/// [NetSuite](https://docs.oracle.com/en/cloud/saas/netsuite/ns-online-help/section_4389727047.html) with the
/// account's id as [`realm`](Self::realm).
///
/// ```
/// use acople_auth::{OAuth1, OAuth1Keys, ServerClock};
/// use acople_core::{AuthProvider, Context, Request, Resources};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> acople_core::Result<()> {
/// # let resources = Resources::new(std::sync::Arc::new(acople_testkit::ScriptedTransport::new([])));
/// let keys = OAuth1Keys::new("ck-1", "cs-1").with_token("tk-1", "ts-1");
/// let auth = OAuth1::new(keys, &ServerClock::new(&resources))?.realm("1234567_SB1")?;
/// let url = url::Url::parse("https://1234567-sb1.suitetalk.api.netsuite.com/services/rest").unwrap();
/// let mut request = Request::new(http::Method::GET, url);
/// auth.authorize(&Context::new(), &mut request).await?;
/// let header = request.headers()["authorization"].to_str().unwrap();
/// assert!(header.starts_with(r#"OAuth realm="1234567_SB1", oauth_consumer_key="ck-1""#));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct OAuth1 {
    keys: OAuth1Keys,
    method: OAuth1Method,
    realm: Option<String>,
    in_query: bool,
    clock: ServerClock,
}

impl OAuth1 {
    /// A signer with HMAC-SHA256 that puts its parameters into `Authorization`.
    ///
    /// # Errors
    /// [`Config`](acople_core::ErrorKind::Config) that names the field that is empty, or a token without its
    /// secret.
    pub fn new(keys: OAuth1Keys, clock: &ServerClock) -> Result<Self> {
        let filled = |field: &str, empty: bool| {
            if empty { Err(Error::config(field, "must not be empty")) } else { Ok(()) }
        };
        filled("consumer_key", keys.consumer_key.is_empty())?;
        filled("consumer_secret", keys.consumer_secret.is_empty())?;
        filled("token", keys.token.as_ref().is_some_and(String::is_empty))?;
        if keys.token.is_some() != keys.token_secret.is_some() {
            let missing = if keys.token.is_some() { "token_secret" } else { "token" };
            return Err(Error::config(missing, "a token and its secret are given together"));
        }
        Ok(Self { keys, method: OAuth1Method::default(), realm: None, in_query: false, clock: clock.clone() })
    }

    /// Sets how it signs.
    pub fn method(mut self, method: OAuth1Method) -> Self {
        self.method = method;
        self
    }

    /// Sets the realm, which is sent and not signed: NetSuite's account id, in capitals, with `_` for `-`.
    ///
    /// # Errors
    /// [`Config`](acople_core::ErrorKind::Config) when it cannot stand between quotes in a header.
    pub fn realm(mut self, realm: &str) -> Result<Self> {
        if !realm.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\') {
            return Err(Error::config("realm", "has characters that a quoted text cannot have"));
        }
        self.realm = Some(realm.to_owned());
        Ok(self)
    }

    /// Puts the parameters into the query, for servers that never get to see `Authorization`. They are added
    /// as the request is sent: no log sees them.
    pub fn in_query(mut self) -> Self {
        self.in_query = true;
        self
    }

    /// The parameters, signature included, each name with its value as it is.
    fn parameters(&self, request: &Request, time: &str, nonce: &str) -> Vec<(&'static str, String)> {
        let method = match self.method {
            OAuth1Method::HmacSha1 => "HMAC-SHA1",
            OAuth1Method::HmacSha256 => "HMAC-SHA256",
        };
        let mut parameters = vec![
            ("oauth_consumer_key", self.keys.consumer_key.clone()),
            ("oauth_nonce", nonce.to_owned()),
            ("oauth_signature_method", method.to_owned()),
            ("oauth_timestamp", time.to_owned()),
        ];
        if let Some(token) = &self.keys.token {
            parameters.push(("oauth_token", token.clone()));
        }
        let signature = self.signature(request, &parameters);
        parameters.push(("oauth_signature", signature));
        parameters
    }

    /// RFC 5849, 3.4.
    fn signature(&self, request: &Request, parameters: &[(&'static str, String)]) -> String {
        let mut pairs = encoded_pairs(request.url().query().unwrap_or_default().as_bytes());
        let secret = request.secret_query().iter().filter(|(name, _)| !name.starts_with("oauth_"));
        pairs.extend(secret.map(|(n, v)| (encode(n.as_bytes()), encode(v.expose().as_bytes()))));
        if is_form(request) {
            pairs.extend(encoded_pairs(request.body()));
        }
        pairs.extend(
            parameters.iter().map(|(name, value)| (encode(name.as_bytes()), encode(value.as_bytes()))),
        );
        let text = Zeroizing::new(format!(
            "{}&{}&{}",
            request.method().as_str(),
            encode(address(request.url()).as_bytes()),
            encode(Zeroizing::new(joined(pairs)).as_bytes()),
        ));
        let mut key = Zeroizing::new(encode(self.keys.consumer_secret.expose().as_bytes()));
        key.push('&');
        if let Some(secret) = &self.keys.token_secret {
            key.push_str(&Zeroizing::new(encode(secret.expose().as_bytes())));
        }
        let algorithm = match self.method {
            OAuth1Method::HmacSha1 => Algorithm::HmacSha1,
            OAuth1Method::HmacSha256 => Algorithm::HmacSha256,
        };
        Encoding::Base64.write(&algorithm.compute(key.as_bytes(), text.as_bytes()))
    }

    fn put(&self, request: &mut Request, parameters: Vec<(&'static str, String)>) -> Result<()> {
        if self.in_query {
            for (name, value) in parameters {
                request.set_secret_query(name, Secret::from(value));
            }
            return Ok(());
        }
        let realm = self.realm.iter().map(|realm| format!(r#"realm="{realm}""#));
        let encoded = |(name, value): (&str, String)| format!(r#"{name}="{}""#, encode(value.as_bytes()));
        let all: Vec<_> = realm.chain(parameters.into_iter().map(encoded)).collect();
        let header = ["OAuth ", &all.join(", ")].concat();
        request.set_secret_header(AUTHORIZATION, &header)
    }
}

#[async_trait]
impl AuthProvider for OAuth1 {
    async fn authorize(&self, _cx: &Context, request: &mut Request) -> Result<AuthStamp> {
        let (now, stamp) = self.clock.now();
        let parameters = self.parameters(request, &TimeFormat::UnixSeconds.write(now), &nonce()?);
        self.put(request, parameters)?;
        Ok(stamp)
    }

    async fn refresh(&self, _cx: &Context, refused: AuthStamp) -> Result<Refresh> {
        Ok(self.clock.refresh(refused))
    }
}

impl fmt::Debug for OAuth1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth1")
            .field("method", &self.method)
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}

/// Scheme, host, port unless it is the scheme's own, path (RFC 5849, 3.4.1.2).
pub(crate) fn address(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

pub(crate) fn is_form(request: &Request) -> bool {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';')
        .next()
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use acople_core::Resources;
    use acople_testkit::ScriptedTransport;
    use http::{HeaderValue, Method};

    use super::*;

    fn signer(keys: OAuth1Keys, method: OAuth1Method) -> OAuth1 {
        let resources = Resources::new(Arc::new(ScriptedTransport::new([])));
        OAuth1::new(keys, &ServerClock::new(&resources)).unwrap().method(method)
    }

    fn signature(auth: &OAuth1, request: &Request, time: &str, nonce: &str) -> String {
        auth.parameters(request, time, nonce).pop().unwrap().1
    }

    #[test]
    fn the_example_of_rfc_5849_has_its_signature() {
        let keys = OAuth1Keys::new("dpf43f3p2l4k3l03", "kd94hf93k423kf44")
            .with_token("nnch734d00sl2jdk", "pfkkdhi9sl3r4s00");
        let url = "http://photos.example.net/photos?file=vacation.jpg&size=original".parse().unwrap();
        let (auth, mut request) = (signer(keys, OAuth1Method::HmacSha1), Request::new(Method::GET, url));
        let parameters = auth.parameters(&request, "137131202", "chapoH");
        assert_eq!(parameters.last().unwrap().1, "MdpQcU8iPSUjWoN/UDMsK2sui9I=");
        auth.realm("Photos").unwrap().put(&mut request, parameters).unwrap();
        assert_eq!(
            request.headers()["authorization"],
            "OAuth realm=\"Photos\", oauth_consumer_key=\"dpf43f3p2l4k3l03\", oauth_nonce=\"chapoH\", \
             oauth_signature_method=\"HMAC-SHA1\", oauth_timestamp=\"137131202\", \
             oauth_token=\"nnch734d00sl2jdk\", oauth_signature=\"MdpQcU8iPSUjWoN%2FUDMsK2sui9I%3D\""
        );
    }

    #[test]
    fn forms_are_signed_and_other_bodies_are_not() {
        // RFC 5849, 3.4.1.1, without its realm: query and form, repeated and empty names, odd spellings.
        let keys = OAuth1Keys::new("9djdj82h48djs9d2", "j49sk3j29djd")
            .with_token("kkk9d7dh3k39sjv7", "dh893hdasih9");
        let url = "http://example.com/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b".parse().unwrap();
        let mut request = Request::new(Method::POST, url);
        let form = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
        request.headers_mut().insert(CONTENT_TYPE, form);
        request.set_body("c2&a3=2+q");
        let auth = signer(keys, OAuth1Method::HmacSha1);
        let sign = |request: &Request| signature(&auth, request, "137131201", "7d8f3e4a");
        // The signature in the RFC is known to be wrong (errata 2550); this is the base string's own.
        assert_eq!(sign(&request), "r6/TJjbCOr97/+UU0NsvSne7s5g=");
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let other = sign(&request);
        request.set_body("another");
        assert_eq!(sign(&request), other);
    }

    #[test]
    fn sha256_without_a_token_is_what_woocommerce_computes() {
        // Computed apart, with Python's hmac.
        let keys = OAuth1Keys::new("ck_abc", "cs_xyz");
        let url = "http://localhost:8080/wp-json/wc/v3/orders?per_page=5".parse().unwrap();
        let request = Request::new(Method::GET, url);
        let auth = signer(keys, OAuth1Method::HmacSha256);
        assert_eq!(
            signature(&auth, &request, "1767225600", "0123456789abcdef"),
            "H2q8HWS8KkHlUSQvbJbV6NRkByuqbFttdi4r2yK/1CA="
        );
    }
}
