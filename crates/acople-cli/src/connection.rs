//! From a connector's name and a config to a connector.

use std::path::Path;
use std::sync::Arc;

use acople::http::{HttpTransport, TransportConfig};
use acople::{Connector, Error, ErrorKind, Resources, Result, TokenStore, Transport};
use serde_json::Value as Json;

use crate::args;
use crate::failure::Failure;
use crate::store::StoreSpec;
use crate::{documents, environment};

/// Opens connections: all share one transport, and equal ones are one.
///
/// Two connectors with one refresh token would take it from each other when the vendor rotates it, and two
/// limiters would each spend the whole limit.
#[derive(Debug)]
pub(crate) struct Connections {
    transport: Arc<dyn Transport>,
    tokens: Option<Arc<dyn TokenStore>>,
    open: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    connector: Arc<dyn Connector>,
    id: String,
    name: Option<String>,
    config: Config,
}

/// A config with its secrets.
#[derive(PartialEq)]
struct Config(Json);

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Config")
    }
}

impl Connections {
    /// `private` are the destinations off the public internet that may be reached, `place` where they are listed.
    ///
    /// # Errors
    /// `Config`, naming the place, when one of them is no destination.
    pub(crate) fn new(tokens: Option<Arc<dyn TokenStore>>, private: &[String], place: &str) -> Result<Self> {
        // This machine is open: the configs are written by whoever starts the program, and can reach it anyway.
        let mut config = TransportConfig::default().allow_loopback();
        for destination in private {
            config = config.allow(destination).map_err(|e| Error::config(place, e.message()))?;
        }
        Ok(Self { transport: Arc::new(HttpTransport::new(&config)?), tokens, open: Vec::new() })
    }

    /// The connection of that config, whose references to the environment are resolved here. `name` is what
    /// the user calls it; without one its tokens are kept under `otherwise`.
    ///
    /// # Errors
    /// `Config`, naming the field.
    pub(crate) fn open(
        &mut self,
        id: &str,
        mut config: Json,
        name: Option<&str>,
        otherwise: &str,
    ) -> Result<Arc<dyn Connector>> {
        environment::resolve(&mut config)?;
        let config = Config(config);
        let mut namesakes = self.open.iter().filter(|open| open.id == id && open.name.as_deref() == name);
        if let Some(open) = namesakes.clone().find(|open| open.config == config) {
            return Ok(open.connector.clone());
        }
        if let (Some(name), Some(_)) = (name, namesakes.next()) {
            let message = format!("two connections are called {name:?} and have different configs");
            return Err(Error::new(ErrorKind::Config, message));
        }
        let mut resources = Resources::new(self.transport.clone()).with_connection(name.unwrap_or(otherwise));
        if let Some(tokens) = &self.tokens {
            resources = resources.with_tokens(tokens.clone());
        }
        let connector = acople::connect(id, config.0.clone(), resources)?;
        self.open.push(Open {
            connector: connector.clone(),
            id: id.to_owned(),
            name: name.map(str::to_owned),
            config,
        });
        Ok(connector)
    }
}

/// The connection that the command line names.
pub(crate) async fn open(args: &args::Connection) -> Result<Arc<dyn Connector>, Failure> {
    let config = match &args.config {
        Some(path) => documents::load(path, "--config")?,
        None => Json::Object(serde_json::Map::new()),
    };
    let tokens = match &args.store {
        Some(path) => {
            let spec = StoreSpec::keyed(path.clone(), args.key_env.clone(), args.key_file.clone());
            spec.open(Path::new("")).await?.tokens
        }
        None => None,
    };
    let mut connections = Connections::new(tokens, &args.allow_private, "--allow-private")?;
    Ok(connections.open(&args.connector, config, None, &args.name)?)
}
