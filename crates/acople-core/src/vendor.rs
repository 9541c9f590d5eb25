//! How a vendor is found by name and connected from a config.

use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::shape::shape_error;
use crate::{
    Clock, ConnectionKey, Connector, Error, ErrorKind, Extensions, Monitor, RateLimiter, Result, SystemClock,
    TokenStore, Transport,
};

/// One entry of the registry of vendors: a constant of the vendor's crate.
#[derive(Clone, Copy)]
pub struct Vendor {
    /// The connector's id: lowercase ASCII, never changes.
    pub id: &'static str,
    /// The name for people.
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// JSON Schema of the config.
    pub config_schema: fn() -> Json,
    /// Makes a connector from a config. Does no I/O.
    pub connect: fn(Json, Resources) -> Result<Arc<dyn Connector>>,
}

impl fmt::Debug for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vendor").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What the host lends to a connector: nothing here is global.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Resources {
    /// Carries requests. Share one among all connectors, so that they share connections.
    pub transport: Arc<dyn Transport>,
    /// Tells the wall time.
    pub clock: Arc<dyn Clock>,
    /// The limiter of the vendor's unit; `None`: the connector makes one of its own.
    pub limiter: Option<Arc<dyn RateLimiter>>,
    /// Where renewed tokens are kept; `None`: in memory, lost with the process.
    pub tokens: Option<Arc<dyn TokenStore>>,
    /// Is told what the connection does; `None`: nobody watches.
    pub monitor: Option<Arc<dyn Monitor>>,
    /// Settings of layers that the core does not know, such as timeouts and retries of the request path.
    pub extensions: Extensions,
    /// The connection's name, unique among those of one connector and tenant.
    pub connection: String,
    /// The host's customer.
    pub tenant: String,
}

impl Resources {
    /// The machine's clock, tokens in memory, a connection called `default`.
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self {
            transport,
            clock: Arc::new(SystemClock),
            limiter: None,
            tokens: None,
            monitor: None,
            extensions: Extensions::default(),
            connection: "default".into(),
            tenant: String::new(),
        }
    }

    /// Replaces the clock.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Shares a limiter.
    pub fn with_limiter(mut self, limiter: Arc<dyn RateLimiter>) -> Self {
        self.limiter = Some(limiter);
        self
    }

    /// Keeps renewed tokens.
    pub fn with_tokens(mut self, tokens: Arc<dyn TokenStore>) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// Watches the connection.
    pub fn with_monitor(mut self, monitor: Arc<dyn Monitor>) -> Self {
        self.monitor = Some(monitor);
        self
    }

    /// Adds a setting, in place of the one of its type.
    pub fn with_extension<T: std::any::Any + Send + Sync>(mut self, value: T) -> Self {
        self.extensions = self.extensions.with(value);
        self
    }

    /// Names the connection.
    pub fn with_connection(mut self, connection: impl Into<String>) -> Self {
        self.connection = connection.into();
        self
    }

    /// Names the host's customer.
    pub fn with_tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = tenant.into();
        self
    }

    /// The key of this connection's tokens.
    pub fn connection_key(&self, connector: &str) -> ConnectionKey {
        ConnectionKey::new(connector, &self.connection).with_tenant(&self.tenant)
    }
}

/// Reads a config from JSON and names the field that is wrong.
///
/// # Errors
/// [`ErrorKind::Config`] with the path of the field and what is wrong with it, never its value.
pub fn parse_config<T: DeserializeOwned>(config: Json) -> Result<T> {
    serde_path_to_error::deserialize(config).map_err(|error| {
        let said = error.inner().to_string();
        let mut path = error.path().to_string();
        // Of a field that is not there, the path names the parent only.
        if let Some(name) = said.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
            path = if path == "." { name.to_owned() } else { format!("{path}.{name}") };
        }
        let error = Error::new(ErrorKind::Config, config_message(&said));
        if path == "." { error } else { error.with_field(path) }
    })
}

/// Reads a vendor's config from JSON and names every field that is wrong, all at once.
///
/// What its schema shows to be wrong is told together: unknown and missing fields, wrong types, numbers out of
/// range, words that are not allowed.
///
/// ```
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct Config {
///     key: acople_core::Secret,
///     rate: u8,
/// }
/// let config = serde_json::json!({ "rate": 300, "tokn": "s3cret" });
/// let error = acople_core::parse_vendor_config::<Config>(config).err().unwrap();
/// assert_eq!(error.fields(), ["rate", "tokn", "key"]);
/// ```
///
/// # Errors
/// [`ErrorKind::Config`] with the paths of the fields and what is wrong with them, never their values.
pub fn parse_vendor_config<T: DeserializeOwned + JsonSchema>(config: Json) -> Result<T> {
    match shape_error(&config_schema::<T>(), &config) {
        Some(error) => Err(error),
        None => parse_config(config),
    }
}

/// serde quotes the offending value in its messages (`invalid type: string "s3cret"`); that may be a
/// secret in the wrong place, so only the parts that name types and fields are kept.
fn config_message(message: &str) -> String {
    // The last one: a value that is quoted before may hold the same words.
    let expected = message.rsplit_once(", expected ").map(|(_, e)| e);
    let what = message.split([':', ',']).next().unwrap_or_default();
    match (what, expected) {
        ("invalid type" | "invalid value" | "invalid length", Some(expected)) => {
            format!("{what}: expected {expected}")
        }
        _ if message.starts_with("unknown field")
            || message.starts_with("missing field")
            || message.starts_with("duplicate field") =>
        {
            message.to_owned()
        }
        _ if message.starts_with("unknown variant") => match expected {
            Some(expected) => format!("unknown value: expected {expected}"),
            None => "unknown value".to_owned(),
        },
        _ if message.starts_with("data did not match any variant") => "none of the allowed forms".to_owned(),
        _ => "invalid value".to_owned(),
    }
}

/// The JSON Schema (2020-12) of a config type. Its descriptions are the type's docs without their code
/// examples, which are for readers of Rust.
pub fn config_schema<T: JsonSchema>() -> Json {
    let generator = SchemaGenerator::new(SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true));
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    drop_examples(&mut schema);
    schema
}

/// The depth is that of our own types.
fn drop_examples(schema: &mut Json) {
    match schema {
        Json::Object(members) => {
            if let Some(Json::String(text)) = members.get_mut("description")
                && let Some((prose, _)) = text.split_once("```")
            {
                *text = prose.trim_end().to_owned();
            }
            members.values_mut().for_each(drop_examples);
        }
        Json::Array(elements) => elements.iter_mut().for_each(drop_examples),
        _ => {}
    }
}
