//! How an access token is obtained, and the form that asks for it.

use std::borrow::Cow;
use std::time::SystemTime;

use acople_core::{Error, Result, Secret};
use aws_lc_rs::digest::{Context as Digest, SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::form_urlencoded::byte_serialize;

use crate::jwt::Signer;
use crate::static_auth::basic;

/// How an access token is obtained.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Grant {
    /// By a refresh token (RFC 6749, 6) that the host got when its customer connected the account. The
    /// vendor may rotate it: the newest one is kept in the host's token store.
    RefreshToken {
        /// The refresh token of the connecting. When it changes, tokens stored before are forgotten.
        refresh_token: Secret,
    },
    /// By the client's own credentials (RFC 6749, 4.4).
    ClientCredentials {
        /// The scopes, separated by spaces.
        scope: Option<String>,
    },
    /// By a signed assertion (RFC 7523, RS256): `iat` and `nbf` 30 s back, `exp` three minutes ahead.
    JwtBearer {
        /// `iss`: the client, as the vendor knows it.
        issuer: String,
        /// `sub`: the user on whose behalf calls are made.
        subject: String,
        /// `aud`: usually the vendor's login host or token endpoint.
        audience: String,
        /// The RSA key as PEM text, PKCS#8 or PKCS#1, not encrypted. It is parsed once and not kept.
        private_key_pem: Secret,
    },
}

/// The client's own credentials at the token endpoint.
#[derive(Clone, Debug)]
pub struct OAuthClient {
    /// The client's id.
    pub id: String,
    /// The client's secret; `None` for a public client.
    pub secret: Option<Secret>,
    /// How they are sent.
    pub style: ClientStyle,
}

/// How a client's credentials are sent (RFC 6749, 2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientStyle {
    /// As `client_id` and `client_secret` of the form.
    Body,
    /// As `Authorization: Basic`, both parts form-encoded first.
    Basic,
}

pub(crate) type Form = Vec<(Cow<'static, str>, Secret)>;

/// A checked grant, ready to ask with.
#[derive(Debug)]
pub(crate) enum Ready {
    Refresh(Secret),
    ClientCredentials(Option<String>),
    Jwt(Box<Signer>),
}

impl Ready {
    /// # Errors
    /// `Config` that names the field.
    pub(crate) fn new(grant: Grant, client: &OAuthClient) -> Result<Self> {
        if client.id.is_empty() && !matches!(grant, Grant::JwtBearer { .. }) {
            return Err(Error::config("client_id", "is empty"));
        }
        Ok(match grant {
            Grant::RefreshToken { refresh_token } if refresh_token.is_empty() => {
                return Err(Error::config("refresh_token", "is empty"));
            }
            Grant::RefreshToken { refresh_token } => Self::Refresh(refresh_token),
            Grant::ClientCredentials { .. } if client.secret.as_ref().is_none_or(Secret::is_empty) => {
                return Err(Error::config("client_secret", "is empty"));
            }
            Grant::ClientCredentials { scope } => Self::ClientCredentials(scope),
            Grant::JwtBearer { issuer, subject, audience, private_key_pem } => {
                Self::Jwt(Box::new(Signer::new(issuer, subject, audience, &private_key_pem)?))
            }
        })
    }

    /// The refresh token of the config.
    pub(crate) fn refresh_token(&self) -> Option<&Secret> {
        match self {
            Self::Refresh(token) => Some(token),
            _ => None,
        }
    }

    /// Whether asking twice is harmless. A refresh token may be used up by the first.
    pub(crate) fn is_repeatable(&self) -> bool {
        !matches!(self, Self::Refresh(_))
    }

    /// The grant's own part of the form; `refresh` is the newest refresh token.
    pub(crate) fn form(&self, refresh: Option<&Secret>, now: SystemTime) -> Result<Form> {
        let mut form: Form = Vec::new();
        let mut put = |name: &'static str, value: Secret| form.push((name.into(), value));
        match self {
            Self::Refresh(configured) => {
                put("grant_type", "refresh_token".into());
                put("refresh_token", refresh.unwrap_or(configured).clone());
            }
            Self::ClientCredentials(scope) => {
                put("grant_type", "client_credentials".into());
                if let Some(scope) = scope {
                    put("scope", scope.as_str().into());
                }
            }
            Self::Jwt(signer) => {
                put("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer".into());
                put("assertion", signer.sign(now)?);
            }
        }
        Ok(form)
    }

    /// Tells one set of configured credentials from the next without revealing them: stored beside the
    /// tokens, it shows whether they descend from this config.
    ///
    /// The refresh token alone decides where there is one: its successors outlive a change of the
    /// client's secret or of the token endpoint's host.
    pub(crate) fn mark(&self, token_url: &str, client_id: &str) -> String {
        let mut digest = Digest::new(&SHA256);
        let mut add = |part: &str| {
            digest.update(&(part.len() as u64).to_be_bytes());
            digest.update(part.as_bytes());
        };
        add("acople seed 1");
        match self {
            Self::Refresh(token) => add(token.expose()),
            Self::ClientCredentials(scope) => {
                [token_url, client_id, scope.as_deref().unwrap_or_default()].into_iter().for_each(add);
            }
            Self::Jwt(signer) => {
                [token_url, client_id, &signer.issuer, &signer.subject, &signer.audience]
                    .into_iter()
                    .chain(signer.scope.as_deref())
                    .for_each(add);
            }
        }
        // 96 bits: equal by chance never, and too few to stand for the token.
        let hash = digest.finish();
        URL_SAFE_NO_PAD.encode(hash.as_ref().first_chunk::<12>().unwrap_or(&[0; 12]))
    }
}

impl OAuthClient {
    /// Adds what the form says about the client, and gives the header's value where that is used.
    pub(crate) fn identify(&self, form: &mut Form) -> Option<Secret> {
        match (&self.secret, self.style) {
            (Some(secret), ClientStyle::Basic) => {
                let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                return Some(basic(&encode(&self.id), &zeroize::Zeroizing::new(encode(secret.expose()))));
            }
            _ if self.id.is_empty() => {}
            (Some(secret), ClientStyle::Body) => {
                form.push(("client_id".into(), self.id.as_str().into()));
                form.push(("client_secret".into(), secret.clone()));
            }
            (None, _) => form.push(("client_id".into(), self.id.as_str().into())),
        }
        None
    }
}
