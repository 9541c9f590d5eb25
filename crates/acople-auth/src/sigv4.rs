//! AWS Signature Version 4.

use std::fmt;

use acople_core::{AuthProvider, AuthStamp, Context, Error, Refresh, Request, Result, Secret};
use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::digest::{Algorithm, hex};
use crate::percent::{decode_path, encode, encode_path, encoded_pairs, joined};
use crate::server_clock::ServerClock;
use crate::timestamp::TimeFormat;

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const CONTENT: HeaderName = HeaderName::from_static("x-amz-content-sha256");

/// Headers that are not signed: the transport or a proxy may change them.
const UNSIGNED: &[&str] = &[
    "accept-encoding",
    "authorization",
    "baggage",
    "connection",
    "content-length",
    "expect",
    "te",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-amzn-trace-id",
];

/// An access key of AWS, as an IAM user or a role has it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AwsKeys {
    /// The access key's id: `AKIA...`, or `ASIA...` for a temporary one.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: Secret,
    /// The session token of temporary credentials.
    #[serde(default)]
    pub session_token: Option<Secret>,
}

impl AwsKeys {
    /// The keys of a user.
    pub fn new(access_key_id: impl Into<String>, secret_access_key: impl Into<Secret>) -> Self {
        Self {
            access_key_id: access_key_id.into(),
            secret_access_key: secret_access_key.into(),
            session_token: None,
        }
    }

    /// Sets the session token of temporary credentials.
    pub fn with_session_token(mut self, token: impl Into<Secret>) -> Self {
        self.session_token = Some(token.into());
        self
    }
}

/// What the signature says of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Payload {
    /// The body is signed.
    Signed,
    /// The body is signed, and its digest is a header too: S3 and OpenSearch Serverless require that.
    SignedWithHeader,
    /// The body is not signed: `UNSIGNED-PAYLOAD`, which S3 accepts over https.
    Unsigned,
}

/// Signs requests to AWS and to what imitates it, by Signature Version 4
/// ([AWS: create a signed request](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html)).
///
/// Method, path, query, body and headers are signed, except for headers that proxies change. The signature
/// carries the time: give the client the clock's [classifier](ServerClock::classifier), and a wrong clock costs
/// one refusal. Service `s3` has its own rules (paths encoded once, the body's digest as a header), which are
/// followed when the service is named so.
///
/// ```
/// use acople_auth::{AwsKeys, ServerClock, SigV4};
/// use acople_core::{AuthProvider, Context, Request, Resources};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> acople_core::Result<()> {
/// # let resources = Resources::new(std::sync::Arc::new(acople_testkit::ScriptedTransport::new([])));
/// let keys = AwsKeys::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
/// let auth = SigV4::new(keys, "us-east-1", "ses", &ServerClock::new(&resources))?;
/// let url = url::Url::parse("https://email.us-east-1.amazonaws.com/v2/email/account").unwrap();
/// let mut request = Request::new(http::Method::GET, url);
/// auth.authorize(&Context::new(), &mut request).await?;
/// assert!(request.headers()["authorization"].to_str().unwrap().starts_with("AWS4-HMAC-SHA256 Credential="));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct SigV4 {
    keys: AwsKeys,
    region: String,
    service: String,
    payload: Payload,
    clock: ServerClock,
}

impl SigV4 {
    /// A signer for one service in one region, both as the service's signing name has them: `dynamodb`,
    /// `eu-west-1`.
    ///
    /// # Errors
    /// [`Config`](acople_core::ErrorKind::Config) that names the field that is empty or has characters that it
    /// cannot have.
    pub fn new(keys: AwsKeys, region: &str, service: &str, clock: &ServerClock) -> Result<Self> {
        for (field, text) in
            [("access_key_id", keys.access_key_id.as_str()), ("region", region), ("service", service)]
        {
            if text.is_empty() {
                return Err(Error::config(field, "must not be empty"));
            }
            if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b)) {
                return Err(Error::config(field, "has characters that no AWS name has"));
            }
        }
        if keys.secret_access_key.is_empty() {
            return Err(Error::config("secret_access_key", "must not be empty"));
        }
        if let Some(token) = &keys.session_token {
            if token.is_empty() {
                return Err(Error::config("session_token", "must not be empty: leave it out"));
            }
            token.header_value().map_err(|error| error.with_field("session_token"))?;
        }
        let payload = if is_s3(service) { Payload::SignedWithHeader } else { Payload::Signed };
        let (region, service) = (region.to_owned(), service.to_owned());
        Ok(Self { keys, region, service, payload, clock: clock.clone() })
    }

    /// Sets what the signature says of the body. The default is right for every service but OpenSearch
    /// Serverless, which wants [`Payload::SignedWithHeader`].
    pub fn payload(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }

    /// The digest of a request in the one form that client and vendor agree on.
    fn canonical(&self, request: &Request, content: &str, signed: &[(String, Vec<u8>)]) -> String {
        let path = request.url().path();
        let path =
            if is_s3(&self.service) { encode_path(&decode_path(path)) } else { encode_path(path.as_bytes()) };
        let mut pairs = encoded_pairs(request.url().query().unwrap_or_default().as_bytes());
        pairs.extend(
            request
                .secret_query()
                .iter()
                .map(|(name, value)| (encode(name.as_bytes()), encode(value.expose().as_bytes()))),
        );
        let mut text = Zeroizing::new(Vec::new());
        for line in [request.method().as_str(), &path, &joined(pairs)] {
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
        }
        for (name, value) in signed {
            text.extend_from_slice(name.as_bytes());
            text.push(b':');
            text.extend_from_slice(value);
            text.push(b'\n');
        }
        text.push(b'\n');
        text.extend_from_slice(names(signed).as_bytes());
        text.push(b'\n');
        text.extend_from_slice(content.as_bytes());
        hex(digest(&SHA256, &text).as_ref())
    }

    fn signature(&self, day: &str, text: &str) -> String {
        let mut secret = Zeroizing::new(Vec::with_capacity(4 + self.keys.secret_access_key.expose().len()));
        secret.extend_from_slice(b"AWS4");
        secret.extend_from_slice(self.keys.secret_access_key.expose().as_bytes());
        let key = [day, &self.region, &self.service, "aws4_request"]
            .into_iter()
            .fold(secret, |key, part| Zeroizing::new(Algorithm::HmacSha256.compute(&key, part.as_bytes())));
        hex(&Algorithm::HmacSha256.compute(&key, text.as_bytes()))
    }
}

#[async_trait]
impl AuthProvider for SigV4 {
    async fn authorize(&self, _cx: &Context, request: &mut Request) -> Result<AuthStamp> {
        let (now, stamp) = self.clock.now();
        let time = TimeFormat::Iso8601Basic.write(now);
        let day = time.get(..8).unwrap_or_default();
        // AWS takes `+` in a query for itself in some places and for a space in others.
        if let Some(query) = request.url().query().filter(|query| query.contains('+')) {
            let query = query.replace('+', "%20");
            request.url_mut().set_query(Some(&query));
        }
        let content = match self.payload {
            Payload::Unsigned => "UNSIGNED-PAYLOAD".to_owned(),
            Payload::Signed | Payload::SignedWithHeader => hex(digest(&SHA256, request.body()).as_ref()),
        };
        request.headers_mut().insert(DATE, plain(&time)?);
        if self.payload != Payload::Signed {
            request.headers_mut().insert(CONTENT, plain(&content)?);
        }
        if let Some(token) = &self.keys.session_token {
            request.headers_mut().insert(TOKEN, token.header_value()?);
        }
        let signed = signed_headers(request);
        let scope = [day, &self.region, &self.service, "aws4_request"].join("/");
        let canonical = self.canonical(request, &content, &signed);
        let signature = self.signature(day, &["AWS4-HMAC-SHA256", &time, &scope, &canonical].join("\n"));
        let value = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={}, Signature={signature}",
            self.keys.access_key_id,
            names(&signed),
        );
        request.set_secret_header(AUTHORIZATION, &value)?;
        Ok(stamp)
    }

    async fn refresh(&self, _cx: &Context, refused: AuthStamp) -> Result<Refresh> {
        Ok(self.clock.refresh(refused))
    }
}

impl fmt::Debug for SigV4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigV4")
            .field("region", &self.region)
            .field("service", &self.service)
            .field("payload", &self.payload)
            .finish_non_exhaustive()
    }
}

fn is_s3(service: &str) -> bool {
    service == "s3" || service.starts_with("s3-") || service == "s3express"
}

fn plain(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(|_| Error::config("request", "a time or digest that is none"))
}

/// The headers to sign, sorted: values trimmed, runs of spaces made one, repeated headers joined by commas.
fn signed_headers(request: &Request) -> Vec<(String, Vec<u8>)> {
    let headers = request.headers();
    let mut signed: Vec<_> = headers
        .keys()
        .filter(|name| !UNSIGNED.contains(&name.as_str()) && name.as_str() != "host")
        .map(|name| (name.as_str().to_owned(), joined_values(headers, name)))
        .collect();
    let host = headers.get("host").map_or_else(
        || {
            let host = request.url().host_str().unwrap_or_default();
            request.url().port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")).into_bytes()
        },
        |host| host.as_bytes().to_vec(),
    );
    signed.push(("host".to_owned(), host));
    signed.sort_unstable();
    signed
}

fn joined_values(headers: &HeaderMap, name: &HeaderName) -> Vec<u8> {
    let mut all = Vec::new();
    for (number, value) in headers.get_all(name).iter().enumerate() {
        if number > 0 {
            all.push(b',');
        }
        let words = value.as_bytes().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        for (number, word) in words.enumerate() {
            if number > 0 {
                all.push(b' ');
            }
            all.extend_from_slice(word);
        }
    }
    all
}

fn names(signed: &[(String, Vec<u8>)]) -> String {
    let mut text = String::new();
    for (name, _) in signed {
        if !text.is_empty() {
            text.push(';');
        }
        text.push_str(name);
    }
    text
}
