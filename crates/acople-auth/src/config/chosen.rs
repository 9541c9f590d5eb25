//! Any provider, chosen by a config.

use std::collections::BTreeMap;
use std::sync::Arc;

use acople_core::{AuthProvider, Error, ErrorKind, Result, Secret};
use acople_http::Classifier;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{AuthServer, ClientCredentials, JwtBearer, RefreshToken};
use crate::csrf::watching;
use crate::{
    AppSecretProof, AwsKeys, Composite, Csrf, OAuth1, OAuth1Keys, OAuth1Method, ProviderToken, RequestSigner,
    RequestSigning, ServerClock, ServiceAccount, SessionConfig, SessionLogin, SigV4, StaticAuth,
};

/// The credentials of a connector whose vendor is a matter of its config, or that takes several kinds.
///
/// ```
/// use acople_auth::config::AnyAuth;
///
/// let auth: AnyAuth = serde_json::from_str(r#"{"headers": {"DD-API-KEY": "k1", "DD-APPLICATION-KEY": "k2"}}"#)?;
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum AnyAuth {
    /// A bearer token that does not change.
    Bearer {
        /// The token.
        token: Secret,
    },
    /// A token behind another word than `Bearer`.
    Scheme {
        /// The word: `Token`, `Zoho-oauthtoken`.
        scheme: String,
        /// The token.
        token: Secret,
    },
    /// Keys in headers of the vendor's own.
    Headers(BTreeMap<String, Secret>),
    /// User and password.
    Basic {
        /// The user, or a key that stands for one.
        user: String,
        /// The password.
        #[serde(default)]
        password: Secret,
    },
    /// A key as user, without a password.
    KeyAsUser {
        /// The key.
        key: Secret,
    },
    /// An API token of a user, as Zendesk has it.
    EmailToken {
        /// The user's e-mail address.
        email: String,
        /// The API token.
        token: Secret,
    },
    /// A key in the query.
    Query {
        /// The parameter.
        name: String,
        /// The key.
        value: Secret,
    },
    /// A key in the JSON body.
    JsonBody {
        /// Where: `/key`.
        pointer: String,
        /// The key.
        value: Secret,
    },
    /// A key in the form that is the body.
    FormBody {
        /// The field.
        name: String,
        /// The key.
        value: Secret,
    },
    /// OAuth 2 for a user who has approved the app.
    RefreshToken(RefreshToken),
    /// OAuth 2 for the app itself.
    ClientCredentials(ClientCredentials),
    /// OAuth 2 for a user on whose behalf the app signs.
    JwtBearer(JwtBearer),
    /// A Google service account.
    ServiceAccount {
        /// The text of its key file.
        key_file: Secret,
        /// What is asked for.
        scopes: Vec<String>,
        /// On whose behalf, where the domain allows that.
        #[serde(default)]
        user: Option<String>,
    },
    /// AWS Signature Version 4.
    Aws {
        /// The access key.
        keys: AwsKeys,
        /// The region: `eu-west-1`.
        region: String,
        /// The service's signing name: `dynamodb`.
        service: String,
    },
    /// OAuth 1.0a.
    #[serde(rename = "oauth1")]
    OAuth1 {
        /// The app's and the account's keys.
        keys: OAuth1Keys,
        /// How it signs.
        #[serde(default)]
        method: OAuth1Method,
        /// The realm: NetSuite's account id.
        #[serde(default)]
        realm: Option<String>,
        /// Whether the parameters go into the query.
        #[serde(default)]
        in_query: bool,
    },
    /// Signatures of the vendor's own making.
    Signing {
        /// What `{id}` stands for.
        #[serde(default)]
        id: String,
        /// The secret.
        secret: Secret,
        /// What is signed, and how.
        signing: RequestSigning,
    },
    /// Apple's provider token.
    Apns {
        /// The team's id.
        team_id: String,
        /// The key's id.
        key_id: String,
        /// The text of the `.p8` file.
        private_key: Secret,
    },
    /// A login that gives a session.
    Session(SessionConfig),
    /// Meta's proof beside the token of another kind.
    AppSecretProof {
        /// The app's secret.
        app_secret: Secret,
        /// Where the token comes from.
        auth: Box<AnyAuth>,
    },
    /// SAP's CSRF tokens beside credentials of another kind.
    Csrf {
        /// The service's document.
        url: String,
        /// The credentials.
        auth: Box<AnyAuth>,
    },
    /// Several kinds at once, in this order.
    All(Vec<AnyAuth>),
}

/// A provider that a config chose, and what the client's classifier has to do for it.
#[derive(Clone, Debug)]
pub struct Chosen {
    provider: Arc<dyn AuthProvider>,
    clock: ServerClock,
    csrf: Option<Csrf>,
}

impl Chosen {
    /// The provider.
    pub fn provider(&self) -> Arc<dyn AuthProvider> {
        self.provider.clone()
    }

    /// The vendor's classifier, which learns the vendor's time and sees refused CSRF tokens besides.
    pub fn classifier<C: Classifier>(&self, inner: C) -> impl Classifier + use<C> {
        self.clock.classifier(watching(self.csrf.as_ref(), inner))
    }
}

impl AnyAuth {
    /// The provider. `field` is where these credentials stand in the config: `auth`. `server` names the
    /// connector and, for OAuth 2, the token endpoint.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) with the path of the field that is wrong.
    pub fn choose(&self, field: &str, server: &AuthServer<'_>) -> Result<Chosen> {
        let mut chosen = Choosing { clock: ServerClock::new(server.resources), csrf: None, server };
        let provider = chosen.provider(self, field)?;
        Ok(Chosen { provider, clock: chosen.clock, csrf: chosen.csrf })
    }

    /// The name that this kind has in a config.
    fn name(&self) -> &'static str {
        match self {
            Self::Bearer { .. } => "bearer",
            Self::Scheme { .. } => "scheme",
            Self::Headers(_) => "headers",
            Self::Basic { .. } => "basic",
            Self::KeyAsUser { .. } => "key_as_user",
            Self::EmailToken { .. } => "email_token",
            Self::Query { .. } => "query",
            Self::JsonBody { .. } => "json_body",
            Self::FormBody { .. } => "form_body",
            Self::RefreshToken(_) => "refresh_token",
            Self::ClientCredentials(_) => "client_credentials",
            Self::JwtBearer(_) => "jwt_bearer",
            Self::ServiceAccount { .. } => "service_account",
            Self::Aws { .. } => "aws",
            Self::OAuth1 { .. } => "oauth1",
            Self::Signing { .. } => "signing",
            Self::Apns { .. } => "apns",
            Self::Session(_) => "session",
            Self::AppSecretProof { .. } => "app_secret_proof",
            Self::Csrf { .. } => "csrf",
            Self::All(_) => "all",
        }
    }
}

struct Choosing<'a> {
    clock: ServerClock,
    csrf: Option<Csrf>,
    server: &'a AuthServer<'a>,
}

impl Choosing<'_> {
    fn provider(&mut self, auth: &AnyAuth, parent: &str) -> Result<Arc<dyn AuthProvider>> {
        let (field, server, resources) =
            (format!("{parent}.{}", auth.name()), self.server, self.server.resources);
        let placed = |error: Error| below(&field, error);
        let filled = |name: &str, empty: bool| {
            let error = || Error::config(format!("{field}.{name}"), "must not be empty");
            if empty { Err(error()) } else { Ok(()) }
        };
        Ok(match auth {
            AnyAuth::Bearer { token } => {
                filled("token", token.is_empty())?;
                Arc::new(StaticAuth::bearer(token.clone()))
            }
            AnyAuth::Scheme { scheme, token } => {
                filled("scheme", scheme.trim().is_empty())?;
                filled("token", token.is_empty())?;
                Arc::new(StaticAuth::scheme(scheme, token.clone()))
            }
            AnyAuth::Headers(headers) => {
                filled("*", headers.is_empty())?;
                let named = headers.iter().map(|(name, value)| {
                    filled(name, value.is_empty())?;
                    let fault = |_| Error::config(format!("{field}.{name}"), "is no header's name");
                    Ok((name.parse().map_err(fault)?, value.clone()))
                });
                Arc::new(StaticAuth::headers(named.collect::<Result<Vec<_>>>()?))
            }
            AnyAuth::Basic { user, password } => {
                filled("user", user.is_empty())?;
                Arc::new(StaticAuth::basic(user, password))
            }
            AnyAuth::KeyAsUser { key } => {
                filled("key", key.is_empty())?;
                Arc::new(StaticAuth::key_as_user(key))
            }
            AnyAuth::EmailToken { email, token } => {
                filled("email", email.is_empty())?;
                filled("token", token.is_empty())?;
                Arc::new(StaticAuth::email_token(email, token))
            }
            AnyAuth::Query { name, value } => {
                filled("name", name.is_empty())?;
                filled("value", value.is_empty())?;
                Arc::new(StaticAuth::query(name.clone(), value.clone()))
            }
            AnyAuth::JsonBody { pointer, value } => {
                filled("pointer", pointer.is_empty())?;
                filled("value", value.is_empty())?;
                Arc::new(StaticAuth::json(pointer.clone(), value.clone()))
            }
            AnyAuth::FormBody { name, value } => {
                filled("name", name.is_empty())?;
                filled("value", value.is_empty())?;
                Arc::new(StaticAuth::form(name.clone(), value.clone()))
            }
            AnyAuth::RefreshToken(app) => Arc::new(app.oauth2(&field, server)?.build()),
            AnyAuth::ClientCredentials(app) => Arc::new(app.oauth2(&field, server)?.build()),
            AnyAuth::JwtBearer(app) => Arc::new(app.oauth2(&field, server.token_url, server)?.build()),
            AnyAuth::ServiceAccount { key_file, scopes, user } => {
                let account = ServiceAccount::from_json(key_file)
                    .map_err(|error| Error::config(format!("{field}.key_file"), error.message()))?;
                let auth = account.oauth2(server.connector, scopes, user.as_deref(), resources);
                Arc::new(auth.map_err(placed)?.build())
            }
            AnyAuth::Aws { keys, region, service } => {
                Arc::new(SigV4::new(keys.clone(), region, service, &self.clock).map_err(placed)?)
            }
            AnyAuth::OAuth1 { keys, method, realm, in_query } => {
                let mut auth = OAuth1::new(keys.clone(), &self.clock).map_err(placed)?.method(*method);
                if let Some(realm) = realm {
                    auth = auth.realm(realm).map_err(placed)?;
                }
                Arc::new(if *in_query { auth.in_query() } else { auth })
            }
            AnyAuth::Signing { id, secret, signing } => {
                let signer = RequestSigner::new(id, secret.clone(), signing, &self.clock);
                Arc::new(signer.map_err(placed)?)
            }
            AnyAuth::Apns { team_id, key_id, private_key } => {
                let auth = ProviderToken::apns(team_id, key_id, private_key, &self.clock);
                Arc::new(auth.map_err(|error| match error.fields() {
                    [key] if key == "private_key_pem" => {
                        Error::config(format!("{field}.private_key"), error.message())
                    }
                    _ => placed(error),
                })?)
            }
            AnyAuth::Session(login) => Arc::new(SessionLogin::new(login, resources).map_err(placed)?),
            AnyAuth::AppSecretProof { app_secret, auth } => {
                let inner = self.provider(auth, &format!("{field}.auth"))?;
                Arc::new(AppSecretProof::new(app_secret.clone(), inner).map_err(placed)?)
            }
            AnyAuth::Csrf { url, auth } => {
                if self.csrf.is_some() {
                    return Err(Error::config(field, "stands twice: one is enough"));
                }
                let inner = self.provider(auth, &format!("{field}.auth"))?;
                let csrf = Csrf::new(inner, url, resources)
                    .map_err(|error| Error::config(format!("{field}.url"), error.message()))?;
                self.csrf = Some(csrf.clone());
                Arc::new(csrf)
            }
            AnyAuth::All(all) => {
                filled("0", all.is_empty())?;
                let each = all.iter().enumerate();
                let each = each.map(|(number, auth)| self.provider(auth, &format!("{field}[{number}]")));
                Arc::new(Composite::new(each.collect::<Result<Vec<_>>>()?))
            }
        })
    }
}

/// The error with its field's place in the config.
fn below(parent: &str, error: Error) -> Error {
    match error.fields() {
        [field] if error.kind() == ErrorKind::Config => {
            Error::config(format!("{parent}.{field}"), error.message())
        }
        _ => error,
    }
}
