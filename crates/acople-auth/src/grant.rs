//! How an access token is obtained, and the form that asks for it.

use std::borrow::Cow;
use std::time::SystemTime;

use acople_core::{Error, ErrorKind, Result, Secret};
use aws_lc_rs::digest::{Context as Digest, SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::form_urlencoded::byte_serialize;

use crate::jwt::{JwtAlgorithm, Signer, SigningKey, client_assertion};
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
    /// By a signed assertion (RFC 7523): `iat` and `nbf` 30 s back, `exp` three minutes ahead. The key's id goes
    /// in with [`OAuth2Builder::key_id`](crate::OAuth2Builder::key_id) where the vendor wants it.
    JwtBearer {
        /// `iss`: the client, as the vendor knows it.
        issuer: String,
        /// `sub`: the user on whose behalf calls are made.
        subject: String,
        /// `aud`: usually the vendor's login host or token endpoint.
        audience: String,
        /// How it is signed: RS256 unless the vendor says otherwise.
        algorithm: JwtAlgorithm,
        /// The key as PEM text, not encrypted: RSA in PKCS#8 or PKCS#1, P-256 in PKCS#8. It is parsed once and not
        /// kept.
        private_key_pem: Secret,
    },
    /// By the tokens that the connecting of the account left in the host's token store: see
    /// [`Connect`](crate::Connect) and [`DeviceFlow`](crate::DeviceFlow). Renewed by their refresh token,
    /// as with [`RefreshToken`](Self::RefreshToken).
    Connected,
    /// By the token of another party (RFC 8693). Other parameters go in with
    /// [`OAuth2Builder::param`](crate::OAuth2Builder::param).
    TokenExchange {
        /// The token of the party on whose behalf calls are made.
        subject_token: Secret,
        /// What kind of token that is, such as `urn:ietf:params:oauth:token-type:jwt`.
        subject_token_type: String,
        /// The token of the party that acts, and its kind.
        actor: Option<(Secret, String)>,
        /// The service for which the token is meant, by its name.
        audience: Option<String>,
        /// The scopes, separated by spaces.
        scope: Option<String>,
    },
    /// By a user's name and password (RFC 6749, 4.3). RFC 9700 forbids it and newer servers have it no
    /// longer: it is here for vendors that offer nothing else. The password is sent at each renewal; a
    /// refresh token that comes with the answer is not used.
    DeprecatedPassword {
        /// The user.
        username: String,
        /// The user's password.
        password: Secret,
        /// The scopes, separated by spaces.
        scope: Option<String>,
    },
}

/// What a vendor does with refresh tokens at a refresh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rotation {
    /// They stay as they are: nothing is used up by a refresh, so one whose answer was lost is asked for
    /// again like any harmless call, and never means that the account has to be connected again.
    Never,
    /// An answer may hold a new one, which replaces the old one; without, the old one stays.
    #[default]
    Sometimes,
    /// Each answer holds a new one. An answer without is used all the same, with a warning in the log: the
    /// next refresh will probably be refused.
    Always,
}

/// The client's own credentials at the token endpoint.
#[derive(Clone, Debug)]
pub struct OAuthClient {
    /// The client's id.
    pub id: String,
    /// The client's secret; `None` for a public client. With [`ClientStyle::PrivateKeyJwt`] it is the client's
    /// private key as PEM text, which is never sent.
    pub secret: Option<Secret>,
    /// How they are sent.
    pub style: ClientStyle,
}

/// How a client's credentials are sent (RFC 6749, 2.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientStyle {
    /// As `client_id` and `client_secret` of the form.
    Body,
    /// As `Authorization: Basic`, both parts form-encoded first.
    Basic,
    /// As an assertion signed with the client's key (`private_key_jwt`: RFC 7523, 2.2; OpenID Connect Core, 9). It is
    /// signed anew for each call, by the vendor's clock once that is known.
    PrivateKeyJwt(ClientAssertion),
}

/// What a client's assertion says besides who the client is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientAssertion {
    /// How it is signed.
    pub algorithm: JwtAlgorithm,
    /// The key's id, where the vendor knows several of the client's keys.
    pub key_id: Option<String>,
    /// Whom it is for: the token endpoint unless told otherwise. Newer servers take nothing but their issuer.
    pub audience: Option<String>,
}

/// Parameters of a client's assertion.
pub(crate) const ASSERTION_TYPE: &str = "client_assertion_type";
const JWT_ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

pub(crate) type Form = Vec<(Cow<'static, str>, Secret)>;

/// A checked grant, ready to ask with.
#[derive(Debug)]
pub(crate) enum Ready {
    Refresh(Secret),
    Connected,
    ClientCredentials(Option<String>),
    Jwt(Box<Signer>),
    Exchange(Box<Exchange>),
    Password(String, Secret, Option<String>),
    /// The last step of the connect flow.
    Code {
        code: Secret,
        redirect: String,
        verifier: Secret,
    },
    /// One poll of the device flow.
    Device(Secret),
}

/// The parts of a token exchange.
#[derive(Debug)]
pub(crate) struct Exchange {
    subject: (Secret, String),
    actor: Option<(Secret, String)>,
    audience: Option<String>,
    scope: Option<String>,
}

impl Ready {
    /// # Errors
    /// `Config` that names the field.
    pub(crate) fn new(grant: Grant, client: &OAuthClient) -> Result<Self> {
        if client.id.is_empty() && !matches!(grant, Grant::JwtBearer { .. }) {
            return Err(Error::config("client_id", "is empty"));
        }
        client.check()?;
        Ok(match grant {
            Grant::RefreshToken { refresh_token } if refresh_token.is_empty() => {
                return Err(Error::config("refresh_token", "is empty"));
            }
            Grant::RefreshToken { refresh_token } => Self::Refresh(refresh_token),
            Grant::ClientCredentials { .. } if client.secret.as_ref().is_none_or(Secret::is_empty) => {
                return Err(Error::config("client_secret", "is empty"));
            }
            Grant::ClientCredentials { scope } => Self::ClientCredentials(scope),
            Grant::JwtBearer { issuer, subject, audience, algorithm, private_key_pem } => {
                Self::Jwt(Box::new(Signer::new(issuer, subject, audience, algorithm, &private_key_pem)?))
            }
            Grant::Connected => Self::Connected,
            Grant::TokenExchange { subject_token, subject_token_type, actor, audience, scope } => {
                for (field, empty) in [
                    ("subject_token", subject_token.is_empty()),
                    ("subject_token_type", subject_token_type.is_empty()),
                    ("actor_token", actor.as_ref().is_some_and(|(token, _)| token.is_empty())),
                ] {
                    if empty {
                        return Err(Error::config(field, "is empty"));
                    }
                }
                let subject = (subject_token, subject_token_type);
                Self::Exchange(Box::new(Exchange { subject, actor, audience, scope }))
            }
            Grant::DeprecatedPassword { username, .. } if username.is_empty() => {
                return Err(Error::config("username", "is empty"));
            }
            Grant::DeprecatedPassword { password, .. } if password.is_empty() => {
                return Err(Error::config("password", "is empty"));
            }
            Grant::DeprecatedPassword { username, password, scope } => {
                Self::Password(username, password, scope)
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

    /// Whether a refresh token is redeemed, from the config or from the store.
    pub(crate) fn refreshes(&self) -> bool {
        matches!(self, Self::Refresh(_) | Self::Connected)
    }

    /// Whether asking twice is harmless. A refresh token or a code may be used up by the first.
    pub(crate) fn is_repeatable(&self) -> bool {
        !matches!(self, Self::Refresh(_) | Self::Connected | Self::Code { .. } | Self::Device(_))
    }

    /// The grant's own part of the form; `refresh` is the newest refresh token.
    ///
    /// # Errors
    /// `Reauth` when there is no refresh token, `Internal` when the assertion cannot be signed.
    pub(crate) fn form(&self, refresh: Option<&Secret>, now: SystemTime) -> Result<Form> {
        let mut form: Form = Vec::new();
        let put = |form: &mut Form, name: &'static str, value: Secret| form.push((name.into(), value));
        match self {
            Self::Refresh(_) | Self::Connected => {
                let token = refresh.or(self.refresh_token());
                let token =
                    token.ok_or_else(|| Error::new(ErrorKind::Reauth, "there is no refresh token"))?;
                put(&mut form, "grant_type", "refresh_token".into());
                put(&mut form, "refresh_token", token.clone());
            }
            Self::ClientCredentials(scope) => {
                put(&mut form, "grant_type", "client_credentials".into());
                put_scope(&mut form, scope.as_deref());
            }
            Self::Exchange(exchange) => {
                put(&mut form, "grant_type", "urn:ietf:params:oauth:grant-type:token-exchange".into());
                put(&mut form, "subject_token", exchange.subject.0.clone());
                put(&mut form, "subject_token_type", exchange.subject.1.as_str().into());
                if let Some((token, kind)) = &exchange.actor {
                    put(&mut form, "actor_token", token.clone());
                    put(&mut form, "actor_token_type", kind.as_str().into());
                }
                if let Some(audience) = &exchange.audience {
                    put(&mut form, "audience", audience.as_str().into());
                }
                put_scope(&mut form, exchange.scope.as_deref());
            }
            Self::Password(username, password, scope) => {
                put(&mut form, "grant_type", "password".into());
                put(&mut form, "username", username.as_str().into());
                put(&mut form, "password", password.clone());
                put_scope(&mut form, scope.as_deref());
            }
            Self::Code { code, redirect, verifier } => {
                put(&mut form, "grant_type", "authorization_code".into());
                put(&mut form, "code", code.clone());
                put(&mut form, "redirect_uri", redirect.as_str().into());
                put(&mut form, "code_verifier", verifier.clone());
            }
            Self::Device(code) => {
                put(&mut form, "grant_type", "urn:ietf:params:oauth:grant-type:device_code".into());
                put(&mut form, "device_code", code.clone());
            }
            Self::Jwt(signer) => {
                put(&mut form, "grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer".into());
                put(&mut form, "assertion", signer.sign(now)?);
            }
        }
        Ok(form)
    }

    /// Tells one set of configured credentials from the next without revealing them: stored beside the
    /// tokens, it shows whether they descend from this config.
    ///
    /// The refresh token alone decides where there is one: its successors outlive a change of the
    /// client's secret or of the token endpoint's host. Empty where all that counts is in the store.
    pub(crate) fn mark(&self, token_url: &str, client_id: &str) -> String {
        if matches!(self, Self::Connected | Self::Code { .. } | Self::Device(_)) {
            return String::new();
        }
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
            Self::Exchange(exchange) => {
                let (subject, actor) = (exchange.subject.0.expose(), exchange.actor.as_ref());
                let (audience, scope) = (exchange.audience.as_deref(), exchange.scope.as_deref());
                let actor = actor.map_or("", |(token, _)| token.expose());
                [token_url, client_id, subject, actor].into_iter().for_each(&mut add);
                [audience, scope].into_iter().map(Option::unwrap_or_default).for_each(add);
            }
            Self::Password(username, _, scope) => {
                [token_url, client_id, username, scope.as_deref().unwrap_or_default()]
                    .into_iter()
                    .for_each(add);
            }
            Self::Connected | Self::Code { .. } | Self::Device(_) => {}
        }
        // 96 bits: equal by chance never, and too few to stand for the token.
        let hash = digest.finish();
        URL_SAFE_NO_PAD.encode(hash.as_ref().first_chunk::<12>().unwrap_or(&[0; 12]))
    }
}

fn put_scope(form: &mut Form, scope: Option<&str>) {
    if let Some(scope) = scope {
        form.push(("scope".into(), scope.into()));
    }
}

impl OAuthClient {
    /// # Errors
    /// `Config` for a private key that is none.
    pub(crate) fn check(&self) -> Result<()> {
        let ClientStyle::PrivateKeyJwt(assertion) = &self.style else { return Ok(()) };
        if self.id.is_empty() {
            return Err(Error::config("client_id", "is empty"));
        }
        self.key(assertion).map(|_| ())
    }

    /// Whether what it sends carries the time.
    pub(crate) fn signs(&self) -> bool {
        matches!(self.style, ClientStyle::PrivateKeyJwt(_))
    }

    /// Adds what the form says about the client, and gives the header's value where that is used. `token_url`: whom
    /// an assertion is for, unless it says otherwise.
    ///
    /// # Errors
    /// `Internal` when the assertion cannot be signed.
    pub(crate) fn identify(
        &self,
        form: &mut Form,
        token_url: &str,
        now: SystemTime,
    ) -> Result<Option<Secret>> {
        match (&self.secret, &self.style) {
            (Some(secret), ClientStyle::Basic) => {
                let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                let secret = zeroize::Zeroizing::new(encode(secret.expose()));
                return Ok(Some(basic(&encode(&self.id), &secret)));
            }
            (_, ClientStyle::PrivateKeyJwt(assertion)) => {
                let audience = assertion.audience.as_deref().unwrap_or(token_url);
                let signed = client_assertion(&self.key(assertion)?, &self.id, audience, now)?;
                form.push(("client_id".into(), self.id.as_str().into()));
                form.push((ASSERTION_TYPE.into(), JWT_ASSERTION.into()));
                form.push(("client_assertion".into(), signed));
            }
            _ if self.id.is_empty() => {}
            (Some(secret), ClientStyle::Body) => {
                form.push(("client_id".into(), self.id.as_str().into()));
                form.push(("client_secret".into(), secret.clone()));
            }
            (None, _) => form.push(("client_id".into(), self.id.as_str().into())),
        }
        Ok(None)
    }

    fn key(&self, assertion: &ClientAssertion) -> Result<SigningKey> {
        let pem = self.secret.as_ref().filter(|secret| !secret.is_empty());
        let pem =
            pem.ok_or_else(|| Error::config("client_secret", "is empty: it is the client's private key"))?;
        let key = SigningKey::new(assertion.algorithm, pem)
            .map_err(|error| Error::config("client_secret", error.message()))?;
        Ok(key.with_id(assertion.key_id.clone()))
    }
}
