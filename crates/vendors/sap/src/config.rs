//! The connection's config.

use std::collections::BTreeMap;
use std::time::Duration;

use acople_auth::StaticAuth;
use acople_auth::config::filled;
use acople_core::{Error, Result, Secret};
use acople_odata::{Options, Protocol};
use http::HeaderName;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{ID, said};

/// Names under which SAP's services keep the time of the last change, the finest first.
const CHANGE_NAMES: &[&str] = &[
    "LastChangeDateTime",
    "LastChangedDateTime",
    "LastModifiedDateTime",
    "LastChangeTimestamp",
    "LastChangedAt",
    "LastModifiedAt",
    "ModifiedAt",
    "ChangedAt",
    "LastModified",
    "LastModifiedOn",
    "ModifiedOn",
    "LastChangeDate",
    "LastChangedDate",
    "ChangedOn",
];

/// What a connection to one OData service needs.
///
/// ```
/// let config: acople_sap::Config = serde_json::from_value(serde_json::json!({
///     "base_url": "https://s4.example.com/sap/opu/odata/sap/API_BUSINESS_PARTNER",
///     "protocol": "v2",
///     "client": "100",
///     "auth": { "basic": { "user": "ACOPLE", "password": "secret" } },
///     "change_fields": { "A_BusinessPartner": "LastChangeDate" },
/// }))?;
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The service root: the address to which `$metadata` can be appended.
    pub base_url: String,
    /// The version of OData that the service speaks.
    #[serde(default)]
    pub protocol: Protocol,
    /// How the service knows us.
    pub auth: Auth,
    /// The SAP client (`sap-client`): three digits, needed by most on-premise systems.
    #[serde(default)]
    pub client: Option<String>,
    /// The language of labels and messages (`sap-language`), such as `EN`.
    #[serde(default)]
    pub language: Option<String>,
    /// The field that grows with every change, by entity set. Where none is named, the service's metadata is
    /// searched for a field with one of the usual names (`LastChangeDateTime`, `modifiedAt` ...).
    #[serde(default)]
    pub change_fields: BTreeMap<String, String>,
    /// Records asked for in one page; the service may give fewer.
    #[serde(default = "page_size")]
    pub page_size: u32,
    /// How far an incremental read goes back behind the last one, to catch changes that were committed late.
    /// A field that holds dates only goes back a day at least.
    #[serde(default = "look_back")]
    pub look_back_seconds: u32,
    /// Whether pages are asked for by key (`Key gt 'last'`), which stays right while data changes. `false` is
    /// for services that cannot filter by their keys: next links are followed instead.
    #[serde(default = "yes")]
    pub keyset: bool,
    /// Keeps path and query of a next link but sends it to the connection's own origin: for services behind
    /// a proxy that name their internal host. Without it such a link is refused.
    #[serde(default)]
    pub swap_next_origin: bool,
}

/// How a service knows us.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Auth {
    /// A communication user (RFC 7617).
    #[serde(rename_all = "snake_case")]
    Basic {
        /// The user.
        user: String,
        /// Its password.
        password: Secret,
    },
    /// An access token that the host obtained.
    Bearer {
        /// The token.
        token: Secret,
    },
    /// A key in a header, as SAP's API sandbox and API management want it.
    ApiKey {
        /// The header.
        #[serde(default = "api_key_header")]
        header: String,
        /// The key.
        key: Secret,
    },
}

impl Config {
    /// A connection with everything else at its default.
    pub fn new(base_url: impl Into<String>, auth: Auth) -> Self {
        Self {
            base_url: base_url.into(),
            protocol: Protocol::default(),
            auth,
            client: None,
            language: None,
            change_fields: BTreeMap::new(),
            page_size: page_size(),
            look_back_seconds: look_back(),
            keyset: true,
            swap_next_origin: false,
        }
    }

    /// Sets the version of OData.
    pub fn with_protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Checks what the types cannot.
    pub(crate) fn validate(&self) -> Result<()> {
        if let Some(client) = &self.client
            && (client.len() != 3 || !client.bytes().all(|b| b.is_ascii_digit()))
        {
            return Err(Error::config("client", "a SAP client has three digits"));
        }
        if let Some(language) = &self.language
            && (language.is_empty()
                || language.len() > 16
                || !language.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
        {
            return Err(Error::config("language", "not a language, such as EN"));
        }
        if !(1..=100_000).contains(&self.page_size) {
            return Err(Error::config("page_size", "between 1 and 100000 records"));
        }
        Ok(())
    }

    /// How the service is spoken to.
    pub(crate) fn options(self) -> Options {
        let mut options = Options::new(ID, self.protocol);
        let query = [("sap-client", self.client), ("sap-language", self.language)];
        options.query = query.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        options.change_names = CHANGE_NAMES;
        options.change_fields = self.change_fields;
        options.page_size = self.page_size;
        options.look_back = Duration::from_secs(self.look_back_seconds.into());
        options.keyset = self.keyset;
        options.swap_next_origin = self.swap_next_origin;
        options.warning = Some(said::warning);
        options
    }
}

impl Auth {
    /// # Errors
    /// `Config` with the path of the field that is wrong.
    pub(crate) fn provider(&self) -> Result<StaticAuth> {
        match self {
            Self::Basic { user, password } => {
                filled("auth.basic", "user", user)?;
                filled("auth.basic", "password", password.expose())?;
                if user.contains(':') {
                    return Err(Error::config("auth.basic.user", "a user has no colon"));
                }
                Ok(StaticAuth::basic(user, password))
            }
            Self::Bearer { token } => {
                filled("auth.bearer", "token", token.expose())?;
                Ok(StaticAuth::bearer(token.clone()))
            }
            Self::ApiKey { header, key } => {
                filled("auth.api_key", "key", key.expose())?;
                let name: HeaderName = header
                    .parse()
                    .map_err(|_| Error::config("auth.api_key.header", "not a header's name"))?;
                Ok(StaticAuth::header(name, key.clone()))
            }
        }
    }
}

fn page_size() -> u32 {
    1000
}

fn look_back() -> u32 {
    60
}

fn yes() -> bool {
    true
}

fn api_key_header() -> String {
    "APIKey".into()
}
