//! Google's service accounts: a key file, redeemed for access tokens.

use std::fmt;

use acople_core::{Error, Resources, Result, Secret};
use acople_http::secure_url;
use serde::Deserialize;

use crate::{ClientStyle, Grant, JwtAlgorithm, OAuth2, OAuth2Builder, OAuthClient};

const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

/// The key file of a Google service account
/// ([Google: using OAuth 2.0 for server to server applications](https://developers.google.com/identity/protocols/oauth2/service-account)).
///
/// ```
/// use std::sync::Arc;
/// use acople_auth::ServiceAccount;
/// use acople_core::{Resources, Secret};
///
/// # fn example(resources: &Resources, key_file: Secret) -> acople_core::Result<()> {
/// let account = ServiceAccount::from_json(&key_file)?;
/// let scopes = ["https://www.googleapis.com/auth/analytics.readonly"];
/// let auth = account.oauth2("google-analytics-4", scopes, None, resources)?.build();
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ServiceAccount {
    email: String,
    private_key: Secret,
    key_id: String,
    token_url: String,
}

#[derive(Deserialize)]
struct KeyFile {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    client_email: String,
    #[serde(default)]
    private_key: Secret,
    #[serde(default)]
    private_key_id: String,
    #[serde(default)]
    token_uri: Option<String>,
}

impl ServiceAccount {
    /// Reads the key file's text.
    ///
    /// # Errors
    /// [`Config`](acople_core::ErrorKind::Config) that says what is wrong: no JSON, the file of another kind of
    /// client, a token URL that is not Google's.
    pub fn from_json(key_file: &Secret) -> Result<Self> {
        let field = "service_account";
        let file: KeyFile = serde_json::from_str(key_file.expose()).map_err(|e| {
            // Position only: the parser's own message may quote the key.
            let place = format!("line {}, column {}", e.line(), e.column());
            Error::config(field, format!("the key file is not the JSON that Google made ({place})"))
        })?;
        if file.r#type != "service_account" {
            let message = "the key file is not one of a service account: create a JSON key for it";
            return Err(Error::config(field, message));
        }
        if file.client_email.is_empty() || file.private_key.is_empty() {
            return Err(Error::config(field, "the key file has no client_email or no private_key"));
        }
        let token_url = file.token_uri.unwrap_or_else(|| TOKEN_URL.to_owned());
        // A file from elsewhere must not send assertions elsewhere.
        let host = secure_url(&token_url).ok().and_then(|url| url.host_str().map(str::to_owned));
        if !host.is_some_and(|h| h == "accounts.google.com" || h.ends_with(".googleapis.com")) {
            return Err(Error::config(field, "the key file's token_uri is not Google's"));
        }
        Ok(Self {
            email: file.client_email,
            private_key: file.private_key,
            key_id: file.private_key_id,
            token_url,
        })
    }

    /// The account's e-mail address, which resources are shared with.
    pub fn email(&self) -> &str {
        &self.email
    }

    /// The provider of its access tokens. `user`: on whose behalf, where an administrator has allowed that for
    /// the whole domain; otherwise the account acts as itself.
    ///
    /// # Errors
    /// [`Config`](acople_core::ErrorKind::Config): no scopes, a key that is none.
    pub fn oauth2<S: AsRef<str>>(
        &self,
        connector: &str,
        scopes: impl IntoIterator<Item = S>,
        user: Option<&str>,
        resources: &Resources,
    ) -> Result<OAuth2Builder> {
        let scopes: Vec<String> = scopes.into_iter().map(|scope| scope.as_ref().to_owned()).collect();
        if scopes.is_empty() {
            return Err(Error::config("scopes", "must not be empty"));
        }
        let client = OAuthClient { id: String::new(), secret: None, style: ClientStyle::Body };
        let grant = Grant::JwtBearer {
            issuer: self.email.clone(),
            subject: user.unwrap_or(&self.email).to_owned(),
            audience: self.token_url.clone(),
            algorithm: JwtAlgorithm::Rs256,
            private_key_pem: self.private_key.clone(),
        };
        let alone = user.is_none();
        Ok(OAuth2::builder(connector, &self.token_url, client, grant, resources)?.assertion(|signer| {
            signer.scope = Some(scopes.join(" "));
            signer.name_key(self.key_id.clone());
            if alone {
                signer.subject.clear();
            }
        }))
    }
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAccount").field("email", &self.email).finish_non_exhaustive()
    }
}
