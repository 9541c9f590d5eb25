//! How a connection to HubSpot is configured.

use std::sync::Arc;
use std::time::Duration;

use acople_auth::config::{AuthServer, RefreshToken, filled};
use acople_auth::{ClientStyle, StaticAuth};
use acople_core::{AuthProvider, Error, Resources, Result, Secret};
use acople_http::Limits;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::VENDOR;

/// The version of the paths unless told otherwise.
pub const DEFAULT_API_VERSION: &str = "2026-03";

/// Where HubSpot answers, for all accounts and regions.
pub const DEFAULT_BASE_URL: &str = "https://api.hubapi.com";

/// A connection to one HubSpot account.
///
/// ```
/// use acople_hubspot::Config;
///
/// let config: Config = acople_core::parse_config(serde_json::json!({
///     "auth": { "token": "pat-na1-00000000" },
///     "tier": "professional",
///     "objects": ["products"],
/// }))?;
/// assert_eq!(config.api_version, "2026-03");
/// # Ok::<(), acople_core::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The credentials.
    pub auth: Auth,
    /// Where the API answers.
    #[serde(default = "default_base_url")]
    pub base_url: String,
    /// The version in the paths: a release such as `2026-03` or `2026-09`, or `v3` for the old paths, which
    /// HubSpot does not support after September 2027. From `2026-09` on, writes are held to the validation
    /// rules that the account's administrators set.
    #[serde(default = "default_api_version")]
    pub api_version: String,
    /// What the account has paid for: decides how many requests leave in ten seconds.
    #[serde(default)]
    pub tier: Tier,
    /// Objects to discover beside contacts, companies, deals, tickets and the account's own objects:
    /// `products`, `line_items`, `notes` ...
    #[serde(default)]
    pub objects: Vec<String>,
    /// How many seconds an incremental read goes back behind the last change it knows. HubSpot's search
    /// index is eventually consistent: a change that appears in it later than this is missed until the
    /// record changes again.
    #[serde(default = "default_look_back")]
    pub look_back_seconds: u32,
    /// The account's time zone in minutes east of UTC (New York in winter: -300). HubSpot resets the daily
    /// quota at the account's midnight.
    #[serde(default)]
    pub utc_offset_minutes: i16,
}

fn default_base_url() -> String {
    DEFAULT_BASE_URL.to_owned()
}

fn default_api_version() -> String {
    DEFAULT_API_VERSION.to_owned()
}

fn default_look_back() -> u32 {
    600
}

impl Config {
    /// A configuration with everything but the credentials at its default.
    pub fn new(auth: Auth) -> Self {
        Self {
            auth,
            base_url: default_base_url(),
            api_version: default_api_version(),
            tier: Tier::default(),
            objects: Vec::new(),
            look_back_seconds: default_look_back(),
            utc_offset_minutes: 0,
        }
    }

    /// Sets where the API answers.
    pub fn with_base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// Sets the version in the paths.
    pub fn with_api_version(mut self, version: impl Into<String>) -> Self {
        self.api_version = version.into();
        self
    }

    /// Sets what the account has paid for.
    pub fn with_tier(mut self, tier: Tier) -> Self {
        self.tier = tier;
        self
    }

    /// Sets the further objects to discover.
    pub fn with_objects<S: Into<String>>(mut self, objects: impl IntoIterator<Item = S>) -> Self {
        self.objects = objects.into_iter().map(Into::into).collect();
        self
    }

    pub(crate) fn look_back(&self) -> Duration {
        Duration::from_secs(self.look_back_seconds.into())
    }

    pub(crate) fn validate(&self) -> Result<()> {
        // `2026-03`, or `2026-09-beta` before a release is out.
        let date = self.api_version.strip_suffix("-beta").unwrap_or(&self.api_version);
        let fits = |(at, b): (usize, u8)| if at == 4 { b == b'-' } else { b.is_ascii_digit() };
        if self.api_version != "v3" && !(date.len() == 7 && date.bytes().enumerate().all(fits)) {
            return Err(Error::config("api_version", "is neither a release (2026-03) nor v3"));
        }
        self.objects.iter().try_for_each(|object| check_object("objects", object).map(drop))?;
        if self.utc_offset_minutes.unsigned_abs() > 18 * 60 {
            return Err(Error::config("utc_offset_minutes", "is not the offset of a time zone"));
        }
        Ok(())
    }

    pub(crate) fn provider(&self, resources: &Resources) -> Result<Arc<dyn AuthProvider>> {
        let app = match &self.auth {
            Auth::Token(token) => {
                filled("auth", "token", token.expose())?;
                return Ok(Arc::new(StaticAuth::bearer(token.clone())));
            }
            Auth::RefreshToken(app) => app,
        };
        let field = "auth.refresh_token";
        filled(field, "client_secret", app.client_secret.as_ref().map_or("", Secret::expose))?;
        let token_url = &format!("{}/oauth/{}/token", self.base_url.trim_end_matches('/'), self.api_version);
        let server = AuthServer { connector: VENDOR.id, token_url, style: ClientStyle::Body, resources };
        Ok(Arc::new(app.oauth2(field, &server)?.build()))
    }
}

/// The text, if it can be the name of an object type: `contacts`, `2-123456`, `p_name`, `p123_name`.
pub(crate) fn check_object<'a>(field: &str, name: &'a str) -> Result<&'a str> {
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if name.is_empty() || name.len() > 200 || !name.bytes().all(known) {
        let message = "an object is named by letters, digits, _ and - (contacts, 2-123456, p_name)";
        return Err(Error::config(field, message));
    }
    Ok(name)
}

/// How a connection shows who it is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Auth {
    /// The access token of a private app, or a service key. It does not expire.
    Token(Secret),
    /// An app that a user of the account has installed: access tokens of 30 minutes. The client secret is
    /// needed.
    RefreshToken(RefreshToken),
}

/// What the account has paid for.
///
/// The numbers are those of <https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines>.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Tier {
    /// Free and Starter: 100 requests in ten seconds. Also right for apps from the marketplace.
    #[default]
    Free,
    /// Professional: 190 requests in ten seconds.
    Professional,
    /// Enterprise: 190 requests in ten seconds.
    Enterprise,
    /// With the add-on that raises the limit: 250 requests in ten seconds.
    Increased,
}

/// The bucket of all requests of one app.
pub(crate) const APP: &str = "app";

/// The class and bucket of searches: five a second for the whole account, whoever asks.
pub(crate) const SEARCH: &str = "search";

impl Tier {
    /// The limits that HubSpot enforces, by bucket: `app` and `search`.
    pub fn limits(self) -> Limits {
        let requests = match self {
            Self::Free => 100,
            Self::Professional | Self::Enterprise => 190,
            Self::Increased => 250,
        };
        Limits::new()
            .rate(APP, requests, Duration::from_secs(10))
            .rate(SEARCH, 5, Duration::from_secs(1))
            .class("default", &[APP])
            .class(SEARCH, &[APP, SEARCH])
    }
}
