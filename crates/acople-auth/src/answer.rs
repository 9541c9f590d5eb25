//! Reads the answer of a token endpoint (RFC 6749, 5.1 and 5.2).

#![deny(clippy::arithmetic_side_effects)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use acople_core::{Error, ErrorKind, Result, Secret};
use acople_http::secure_base;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use url::Url;

use crate::lifetime::expires_in;

/// What a token endpoint said. Secrets are kept as such; members nobody asked for are skipped.
#[derive(Debug, Default)]
pub(crate) struct TokenAnswer {
    pub(crate) access: Option<Secret>,
    pub(crate) refresh: Option<Secret>,
    pub(crate) lifetime: Option<Duration>,
    /// How long the refresh token lives at most.
    pub(crate) refresh_lifetime: Option<Duration>,
    /// OpenID Connect's token about the user.
    pub(crate) id_token: Option<Secret>,
    pub(crate) endpoint: Option<String>,
    pub(crate) kept: BTreeMap<String, String>,
    /// The OAuth error code, or the vendor's own.
    pub(crate) code: Option<String>,
    /// What the vendor says about the error: may echo secrets.
    pub(crate) description: Option<String>,
}

/// Which members of the answer matter besides those of the standard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) endpoint: Option<&'static str>,
    pub(crate) keep: Vec<&'static str>,
}

impl Wanted {
    /// Reads an answer.
    ///
    /// # Errors
    /// `Protocol` for anything but one JSON object without duplicate members: two access tokens in one
    /// answer leave open which of them another reader took.
    pub(crate) fn read(&self, body: &[u8]) -> Result<TokenAnswer> {
        let mut parser = serde_json::Deserializer::from_slice(body);
        let (answer, duplicate) = Members(self)
            .deserialize(&mut parser)
            .and_then(|found| parser.end().map(|()| found))
            .map_err(|e| {
                // Position only: the parser's own message may quote the answer.
                let place = format!("line {}, column {}", e.line(), e.column());
                Error::new(
                    ErrorKind::Protocol,
                    format!("the token answer is not the JSON it should be ({place})"),
                )
            })?;
        if duplicate {
            return Err(Error::new(ErrorKind::Protocol, "the token answer has a member twice"));
        }
        Ok(answer)
    }
}

impl TokenAnswer {
    /// The account's base URL.
    ///
    /// # Errors
    /// What is wrong with it, after the member's name.
    pub(crate) fn endpoint_url(&self) -> Result<Option<Url>, &'static str> {
        self.endpoint.as_deref().map(secure_base).transpose()
    }
}

/// What vendors call the lifetime of a refresh token, in seconds: Google, Xero and others; QuickBooks;
/// Keycloak.
const REFRESH_LIFETIMES: [&str; 3] =
    ["refresh_token_expires_in", "x_refresh_token_expires_in", "refresh_expires_in"];

/// Keycloak writes 0 for a refresh token without an end.
fn refresh_lifetime(value: &Value) -> Option<Duration> {
    expires_in(Some(value)).filter(|life| !life.is_zero())
}

struct Members<'a>(&'a Wanted);

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = (TokenAnswer, bool);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = (TokenAnswer, bool);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut answer, mut seen, mut duplicate) = (TokenAnswer::default(), BTreeSet::new(), false);
        // A code of the vendor's own counts only where there is no `error`.
        let (mut vendor_code, mut message) = (None, None);
        while let Some(name) = map.next_key::<String>()? {
            let name = name.as_str();
            let kept = self.0.keep.contains(&name);
            let endpoint = self.0.endpoint == Some(name);
            match name {
                "access_token" => answer.access = text(map.next_value()?).map(Secret::from),
                "refresh_token" => {
                    answer.refresh = text(map.next_value()?).filter(|t| !t.is_empty()).map(Secret::from);
                }
                "expires_in" => answer.lifetime = expires_in(Some(&map.next_value()?)),
                "id_token" => answer.id_token = text(map.next_value()?).map(Secret::from),
                "error" => answer.code = text(map.next_value()?),
                "error_description" => answer.description = text(map.next_value()?),
                "message" if !kept && !endpoint => message = text(map.next_value()?),
                "status" | "errorCode" if !kept && !endpoint => {
                    vendor_code = text(map.next_value()?).or(vendor_code);
                }
                _ if kept || endpoint => {
                    let value: Value = map.next_value()?;
                    if endpoint {
                        answer.endpoint = value.as_str().map(str::to_owned);
                    }
                    if REFRESH_LIFETIMES.contains(&name) {
                        answer.refresh_lifetime = refresh_lifetime(&value);
                    }
                    if kept && !value.is_null() {
                        let value = match value {
                            Value::String(text) => text,
                            other => other.to_string(),
                        };
                        answer.kept.insert(name.to_owned(), value);
                    }
                }
                _ if REFRESH_LIFETIMES.contains(&name) => {
                    answer.refresh_lifetime = refresh_lifetime(&map.next_value()?);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            duplicate |= !seen.insert(name.to_owned());
        }
        answer.code = answer.code.or(vendor_code);
        answer.description = answer.description.or(message);
        Ok((answer, duplicate))
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_wanted_members_are_kept_and_numbers_become_text() {
        let wanted = Wanted { endpoint: Some("instance_url"), keep: vec!["hub_id", "scope", "tags", "gone"] };
        let body = br#"{"access_token":"a","hub_id":62515,"scope":"x y","tags":["p"],"gone":null,
            "instance_url":"https://x.example","refresh_token":"","unknown":{"deep":[1,2]}}"#;
        let answer = wanted.read(body).unwrap();
        let kept: Vec<_> = answer.kept.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(kept, [("hub_id", "62515"), ("scope", "x y"), ("tags", r#"["p"]"#)]);
        assert_eq!(answer.endpoint.as_deref(), Some("https://x.example"));
        assert!(answer.refresh.is_none(), "an empty refresh token is none");
    }

    #[test]
    fn the_lifetime_of_a_refresh_token_is_read_by_all_its_names() {
        let wanted = Wanted { endpoint: None, keep: vec!["refresh_expires_in"] };
        let life = |body: &str| wanted.read(body.as_bytes()).unwrap().refresh_lifetime.map(|d| d.as_secs());
        assert_eq!(life(r#"{"x_refresh_token_expires_in":8726400}"#), Some(8_726_400));
        assert_eq!(life(r#"{"refresh_token_expires_in":"604799"}"#), Some(604_799));
        assert_eq!(life(r#"{"refresh_expires_in":1800}"#), Some(1800));
        assert_eq!(life(r#"{"refresh_expires_in":0}"#), None);
        assert_eq!(life(r#"{"expires_in":60}"#), None);
        let kept = wanted.read(br#"{"refresh_expires_in":1800}"#).unwrap().kept;
        assert_eq!(kept["refresh_expires_in"], "1800");
    }

    #[test]
    fn auth_18_anything_but_one_object_without_duplicates_is_a_protocol_error() {
        let wanted = Wanted::default();
        for body in [
            r#"{"access_token":"first","access_token":"second"}"#,
            r#"{"access_token":"a","x":1,"x":2}"#,
            r#"{"access_token":"a"} trailing"#,
            r#"{"access_token":"a""#,
            r#"["access_token"]"#,
            "<html>login</html>",
            "",
        ] {
            let error = wanted.read(body.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{body}");
            assert!(!error.to_string().contains("first"), "{error}");
        }
    }
}
