//! Texts with placeholders for what a request has.

use acople_core::{Error, ErrorKind, Request, Result, Secret};
use http::HeaderName;
use url::Position;
use zeroize::Zeroizing;

use crate::digest::{Algorithm, Encoding};
use crate::oauth1::{address, is_form};
use crate::percent::{encode, encoded_pairs, joined};
use crate::raw_json;

/// What an attempt brings along besides its request.
pub(super) struct Facts<'a> {
    pub(super) id: &'a str,
    pub(super) secret: &'a Secret,
    pub(super) timestamp: &'a str,
    pub(super) nonce: &'a str,
    pub(super) signature: Option<&'a str>,
}

#[derive(Clone, Debug)]
pub(super) struct Template(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Method,
    Host,
    Path,
    Query,
    Url,
    UrlEncoded,
    Params { led: bool },
    Body,
    BodyDigest(Algorithm, Encoding),
    Timestamp,
    Nonce,
    Id,
    Secret,
    Signature,
    Header(HeaderName),
    Json(String),
}

impl Template {
    /// # Errors
    /// `Config` for `field`: a brace without its other, a placeholder that does not exist.
    pub(super) fn new(text: &str, field: &str, signed: bool) -> Result<Self> {
        let fault = |message: String| Error::config(field, message);
        let (mut parts, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            plain.push_str(before);
            let twice = [("{{", '{'), ("}}", '}')];
            let written = twice.iter().find_map(|(twice, once)| Some((from.strip_prefix(twice)?, once)));
            if let Some((after, brace)) = written {
                plain.push(*brace);
                rest = after;
                continue;
            }
            let Some((name, after)) = from.strip_prefix('{').and_then(|from| from.split_once('}')) else {
                return Err(fault("has a brace without its other: a brace as such is written twice".into()));
            };
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            let part = Part::new(name).filter(|part| signed || !matches!(part, Part::Signature));
            parts.push(
                part.ok_or_else(|| fault(format!("has a placeholder that is unknown here: {{{name}}}")))?,
            );
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }

    pub(super) fn has_secret(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Secret))
    }

    /// # Errors
    /// `Invalid` when the request lacks what a placeholder names.
    pub(super) fn render(&self, request: &Request, facts: &Facts<'_>) -> Result<Zeroizing<Vec<u8>>> {
        // Grown in steps, pieces of a secret would be left behind: most texts fit into this.
        let mut text = Zeroizing::new(Vec::with_capacity(1024 + request.body().len()));
        for part in &self.0 {
            part.write(&mut text, request, facts)?;
        }
        Ok(text)
    }

    pub(super) fn text(&self, request: &Request, facts: &Facts<'_>) -> Result<Secret> {
        let bytes = self.render(request, facts)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| {
            Error::new(ErrorKind::Invalid, "a body that is no text cannot be put into a value")
        })?;
        Ok(Secret::from(text))
    }
}

impl Part {
    fn new(name: &str) -> Option<Self> {
        Some(match name {
            "method" => Self::Method,
            "host" => Self::Host,
            "path" => Self::Path,
            "query" => Self::Query,
            "url" => Self::Url,
            "url_encoded" => Self::UrlEncoded,
            "params" => Self::Params { led: false },
            "&params" => Self::Params { led: true },
            "body" => Self::Body,
            "timestamp" => Self::Timestamp,
            "nonce" => Self::Nonce,
            "id" => Self::Id,
            "secret" => Self::Secret,
            "signature" => Self::Signature,
            _ => match name.split_once(':')? {
                ("header", name) => Self::Header(name.parse().ok()?),
                ("json", pointer) if pointer.starts_with('/') => Self::Json(pointer.to_owned()),
                ("body", how) => {
                    let (algorithm, encoding) = how.split_once(':')?;
                    Self::BodyDigest(digest(algorithm)?, written(encoding)?)
                }
                _ => return None,
            },
        })
    }

    fn write(&self, text: &mut Vec<u8>, request: &Request, facts: &Facts<'_>) -> Result<()> {
        let url = request.url();
        match self {
            Self::Text(plain) => text.extend_from_slice(plain.as_bytes()),
            Self::Method => text.extend_from_slice(request.method().as_str().as_bytes()),
            Self::Host => {
                text.extend_from_slice(url[Position::BeforeHost..Position::AfterPort].as_bytes());
            }
            Self::Path => text.extend_from_slice(url.path().as_bytes()),
            Self::Query => text.extend_from_slice(url.query().unwrap_or_default().as_bytes()),
            Self::Url => text.extend_from_slice(address(url).as_bytes()),
            Self::UrlEncoded => text.extend_from_slice(encode(address(url).as_bytes()).as_bytes()),
            Self::Params { led } => {
                let mut pairs = encoded_pairs(url.query().unwrap_or_default().as_bytes());
                if is_form(request) {
                    pairs.extend(encoded_pairs(request.body()));
                }
                if *led && !pairs.is_empty() {
                    text.push(b'&');
                }
                text.extend_from_slice(joined(pairs).as_bytes());
            }
            Self::Body => text.extend_from_slice(request.body()),
            Self::BodyDigest(algorithm, encoding) => {
                text.extend_from_slice(encoding.write(&algorithm.compute(&[], request.body())).as_bytes());
            }
            Self::Timestamp => text.extend_from_slice(facts.timestamp.as_bytes()),
            Self::Nonce => text.extend_from_slice(facts.nonce.as_bytes()),
            Self::Id => text.extend_from_slice(facts.id.as_bytes()),
            Self::Secret => text.extend_from_slice(facts.secret.expose().as_bytes()),
            Self::Signature => text.extend_from_slice(facts.signature.unwrap_or_default().as_bytes()),
            Self::Header(name) => {
                let value = request.headers().get(name).ok_or_else(|| missing("header", name.as_str()))?;
                text.extend_from_slice(value.as_bytes());
            }
            Self::Json(pointer) => {
                let value =
                    raw_json::read(request.body(), pointer).ok_or_else(|| missing("body member", pointer))?;
                text.extend_from_slice(value.as_bytes());
            }
        }
        Ok(())
    }
}

fn missing(what: &str, name: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("the signature covers the {what} {name}, which is not there"))
        .with_field(name)
}

fn digest(name: &str) -> Option<Algorithm> {
    Some(match name {
        "md5" => Algorithm::Md5,
        "sha1" => Algorithm::Sha1,
        "sha256" => Algorithm::Sha256,
        "sha512" => Algorithm::Sha512,
        _ => return None,
    })
}

fn written(name: &str) -> Option<Encoding> {
    Some(match name {
        "hex" => Encoding::Hex,
        "base64" => Encoding::Base64,
        "base64_url" => Encoding::Base64Url,
        _ => return None,
    })
}
