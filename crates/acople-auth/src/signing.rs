//! Signatures of vendors' own making, declared instead of programmed.

mod template;

use std::borrow::Cow;
use std::fmt;

use acople_core::{AuthProvider, AuthStamp, Context, Error, ErrorKind, Refresh, Request, Result, Secret};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderName;
use schemars::JsonSchema;
use serde::Deserialize;
use zeroize::Zeroizing;

use self::template::{Facts, Template};
use crate::digest::{Algorithm, Encoding};
use crate::nonce::nonce;
use crate::raw_json;
use crate::server_clock::ServerClock;
use crate::timestamp::TimeFormat;

/// How a vendor wants its requests signed.
///
/// Texts are templates. In braces:
///
/// | placeholder | stands for |
/// | --- | --- |
/// | `{method}` | `POST` |
/// | `{host}` | host, with the port where it is not the scheme's own |
/// | `{path}`, `{query}` | as they are on the wire; the query without `?` |
/// | `{url}`, `{url_encoded}` | scheme, host and path; the same, percent-encoded |
/// | `{params}` | pairs of query and form, percent-encoded and sorted: `a=1&b=2` |
/// | `{&params}` | the same, each with `&` before it |
/// | `{body}` | the body |
/// | `{body:sha256:hex}` | its digest: `md5`, `sha1`, `sha256`, `sha512`; `hex`, `base64`, `base64_url` |
/// | `{timestamp}`, `{nonce}` | the time, and 32 random digits; the same in all texts of an attempt |
/// | `{id}`, `{secret}` | the credentials |
/// | `{header:name}` | a header of the request |
/// | `{json:/a/b}` | a member of the JSON body, with its own digits |
/// | `{signature}` | the signature; not in the text that is signed |
///
/// `{{` and `}}` are braces.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RequestSigning {
    /// How the signature is computed.
    pub algorithm: Algorithm,
    /// How it is written.
    #[serde(default)]
    pub encoding: Encoding,
    /// How the secret becomes the key of an HMAC.
    #[serde(default)]
    pub key: KeyForm,
    /// How `{timestamp}` is written.
    #[serde(default)]
    pub time: TimeFormat,
    /// What is signed: the first rule that fits a request holds. A request without one is an error.
    pub rules: Vec<SigningRule>,
}

impl RequestSigning {
    /// Hexadecimal signatures, times in seconds.
    pub fn new(algorithm: Algorithm, rules: impl IntoIterator<Item = SigningRule>) -> Self {
        Self {
            algorithm,
            encoding: Encoding::default(),
            key: KeyForm::default(),
            time: TimeFormat::default(),
            rules: rules.into_iter().collect(),
        }
    }

    /// Sets how the signature is written.
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Sets how the secret becomes a key.
    pub fn key(mut self, key: KeyForm) -> Self {
        self.key = key;
        self
    }

    /// Sets how times are written.
    pub fn time(mut self, time: TimeFormat) -> Self {
        self.time = time;
        self
    }
}

/// How a secret becomes the key of an HMAC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeyForm {
    /// Its text is the key.
    #[default]
    Text,
    /// It is base64 of the key.
    Base64,
}

/// What is signed of some requests, and where the signature goes.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SigningRule {
    /// Only requests of this method.
    #[serde(default)]
    pub method: Option<String>,
    /// Only requests whose path ends so: `/users/*/cards`, where `*` stands for one segment.
    #[serde(default)]
    pub path: Option<String>,
    /// The text that is signed.
    pub text: String,
    /// Where things go. Nothing: such requests are not signed.
    pub put: Vec<Put>,
}

impl SigningRule {
    /// A rule for all requests.
    pub fn new(text: impl Into<String>, put: impl IntoIterator<Item = Put>) -> Self {
        Self { method: None, path: None, text: text.into(), put: put.into_iter().collect() }
    }

    /// Only for requests of this method.
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.method = Some(method.into());
        self
    }

    /// Only for requests whose path ends so; `*` is one segment.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }
}

/// Where a part of a signature goes. Values are templates.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Put {
    /// Into a header.
    Header {
        /// The header's name.
        name: String,
        /// Its value: `{id}:{signature}`.
        value: String,
    },
    /// Into the query; no log sees it.
    Query {
        /// The parameter's name.
        name: String,
        /// Its value.
        value: String,
    },
    /// Into the JSON body, as a string. What stands there is replaced, and nothing else changes.
    Json {
        /// Where: `/operation/token` (RFC 6901). The object around it is there already.
        pointer: String,
        /// Its value.
        value: String,
    },
}

/// Signs requests as a [`RequestSigning`] says.
///
/// Khipu's version 2, which signs method, URL and parameters for `Authorization: <receiver>:<hex>`:
///
/// ```
/// use acople_auth::{Algorithm, Put, RequestSigner, RequestSigning, ServerClock, SigningRule};
/// use acople_core::{AuthProvider, Context, Request, Resources, Secret};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> acople_core::Result<()> {
/// # let resources = Resources::new(std::sync::Arc::new(acople_testkit::ScriptedTransport::new([])));
/// let header = Put::Header { name: "authorization".into(), value: "{id}:{signature}".into() };
/// let rule = SigningRule::new("{method}&{url_encoded}{&params}", [header]);
/// let signing = RequestSigning::new(Algorithm::HmacSha256, [rule]);
/// let auth = RequestSigner::new("4711", Secret::from("s3cret"), &signing, &ServerClock::new(&resources))?;
///
/// let url = url::Url::parse("https://khipu.com/api/2.0/banks").unwrap();
/// let mut request = Request::new(http::Method::GET, url);
/// auth.authorize(&Context::new(), &mut request).await?;
/// assert!(request.headers()["authorization"].to_str().unwrap().starts_with("4711:"));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RequestSigner {
    id: String,
    secret: Secret,
    key: Zeroizing<Vec<u8>>,
    algorithm: Algorithm,
    encoding: Encoding,
    time: TimeFormat,
    rules: Vec<Rule>,
    clock: ServerClock,
}

#[derive(Clone)]
struct Rule {
    method: Option<String>,
    path: Option<String>,
    text: Template,
    put: Vec<(Place, Template)>,
}

#[derive(Clone)]
enum Place {
    Header(HeaderName),
    Query(Cow<'static, str>),
    Json(String),
}

impl RequestSigner {
    /// A signer. `id` may be empty where no template names it.
    ///
    /// # Errors
    /// [`Config`](acople_core::ErrorKind::Config) that names the field, such as `rules[0].put[1].name`: an empty
    /// secret, a placeholder that does not exist, a plain digest of a text without `{secret}`.
    pub fn new(
        id: impl Into<String>,
        secret: Secret,
        signing: &RequestSigning,
        clock: &ServerClock,
    ) -> Result<Self> {
        if secret.is_empty() {
            return Err(Error::config("secret", "must not be empty"));
        }
        let key = match signing.key {
            KeyForm::Text => secret.expose().as_bytes().to_vec(),
            KeyForm::Base64 => STANDARD
                .decode(secret.expose())
                .map_err(|_| Error::config("secret", "is not base64 with padding"))?,
        };
        if signing.rules.is_empty() {
            return Err(Error::config("rules", "must not be empty: no request could be signed"));
        }
        let rules = signing.rules.iter().enumerate();
        let rules =
            rules.map(|(number, rule)| Rule::new(rule, &format!("rules[{number}]"), signing.algorithm));
        Ok(Self {
            id: id.into(),
            secret,
            key: Zeroizing::new(key),
            algorithm: signing.algorithm,
            encoding: signing.encoding,
            time: signing.time,
            rules: rules.collect::<Result<_>>()?,
            clock: clock.clone(),
        })
    }
}

#[async_trait]
impl AuthProvider for RequestSigner {
    async fn authorize(&self, _cx: &Context, request: &mut Request) -> Result<AuthStamp> {
        let (now, stamp) = self.clock.now();
        let (method, path) = (request.method().as_str(), request.url().path());
        let Some(rule) = self.rules.iter().find(|rule| rule.fits(method, path)) else {
            return Err(Error::config("rules", format!("no rule says how to sign {method} of this path")));
        };
        if rule.put.is_empty() {
            return Ok(stamp);
        }
        let (timestamp, nonce) = (self.time.write(now), nonce()?);
        let mut facts = Facts {
            id: &self.id,
            secret: &self.secret,
            timestamp: &timestamp,
            nonce: &nonce,
            signature: None,
        };
        let text = rule.text.render(request, &facts)?;
        let signature = self.encoding.write(&self.algorithm.compute(&self.key, &text));
        request.note_secret(Secret::from(signature.as_str()));
        facts.signature = Some(&signature);
        let values: Result<Vec<_>> =
            rule.put.iter().map(|(place, value)| Ok((place, value.text(request, &facts)?))).collect();
        for (place, value) in values? {
            place.put(request, value)?;
        }
        Ok(stamp)
    }

    async fn refresh(&self, _cx: &Context, refused: AuthStamp) -> Result<Refresh> {
        Ok(self.clock.refresh(refused))
    }
}

impl fmt::Debug for RequestSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestSigner")
            .field("algorithm", &self.algorithm)
            .field("rules", &self.rules.len())
            .finish_non_exhaustive()
    }
}

impl Rule {
    fn new(rule: &SigningRule, field: &str, algorithm: Algorithm) -> Result<Self> {
        let text = Template::new(&rule.text, &format!("{field}.text"), false)?;
        if !algorithm.is_keyed() && !rule.put.is_empty() && !text.has_secret() {
            let message = "has no {secret}: anybody could compute this digest";
            return Err(Error::config(format!("{field}.text"), message));
        }
        let put = rule.put.iter().enumerate().map(|(number, put)| {
            let field = format!("{field}.put[{number}]");
            let (place, value) = match put {
                Put::Header { name, value } => {
                    let name = name
                        .parse()
                        .map_err(|_| Error::config(format!("{field}.header.name"), "is no header's name"))?;
                    (Place::Header(name), value)
                }
                Put::Query { name, value } => (Place::Query(name.clone().into()), value),
                Put::Json { pointer, value } if pointer.starts_with('/') => {
                    (Place::Json(pointer.clone()), value)
                }
                Put::Json { .. } => {
                    return Err(Error::config(format!("{field}.json.pointer"), "must begin with a slash"));
                }
            };
            Ok((place, Template::new(value, &format!("{field}.value"), true)?))
        });
        let (method, path) = (rule.method.clone(), rule.path.clone());
        Ok(Self { method, path, text, put: put.collect::<Result<_>>()? })
    }

    fn fits(&self, method: &str, path: &str) -> bool {
        self.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self.path.as_ref().is_none_or(|wanted| ends_with(path, wanted))
    }
}

impl Place {
    fn put(&self, request: &mut Request, value: Secret) -> Result<()> {
        match self {
            Self::Header(name) => {
                let value = value.header_value().map_err(|error| error.with_field(name.as_str()))?;
                request.headers_mut().insert(name.clone(), value);
            }
            Self::Query(name) => request.set_secret_query(name.clone(), value),
            Self::Json(pointer) => {
                let body = raw_json::set(request.body(), pointer, value.expose()).ok_or_else(|| {
                    let message = format!("the body is no JSON with an object for {pointer}");
                    Error::new(ErrorKind::Invalid, message).with_field(pointer)
                })?;
                request.note_secret(value);
                request.set_body(body);
            }
        }
        Ok(())
    }
}

/// Whether a path ends in these segments, `*` being any one.
fn ends_with(path: &str, wanted: &str) -> bool {
    let mut path = path.trim_end_matches('/').rsplit('/');
    let wanted = wanted.trim_matches('/').rsplit('/');
    wanted.into_iter().all(|segment| path.next().is_some_and(|found| segment == "*" || segment == found))
}
