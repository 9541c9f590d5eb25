//! What the program is told.

use std::env;
use std::path::PathBuf;

use acople::Secret;

use crate::Outcome;

pub(crate) const USAGE: &str = "usage: connect_account [--issuer URL --client-id ID [--scope SCOPES] \
     [--listen ADDRESS] [--store FILE]]\n\
     environment: CONNECT_CLIENT_SECRET (unless the app is a public client), CONNECT_MASTER_KEY (32 bytes in \
     Base64, as `openssl rand -base64 32` prints them)\n\
     register http://ADDRESS/callback as the app's redirect URL";

/// A host for one authorization server.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: Option<Secret>,
    pub(crate) scope: String,
    pub(crate) listen: String,
    pub(crate) store: PathBuf,
    /// Encrypts the tokens. A host has it from its secret manager.
    pub(crate) master_key: Secret,
}

impl Settings {
    /// Nothing without arguments.
    pub(crate) fn read(arguments: &[String]) -> Outcome<Option<Self>> {
        if arguments.is_empty() {
            return Ok(None);
        }
        let variable = |name: &str| env::var(name).ok().filter(|text| !text.is_empty()).map(Secret::from);
        let mut settings = Self {
            issuer: String::new(),
            client_id: String::new(),
            client_secret: variable("CONNECT_CLIENT_SECRET"),
            scope: "openid".to_owned(),
            listen: "127.0.0.1:8080".to_owned(),
            store: PathBuf::from("connect_account.redb"),
            master_key: variable("CONNECT_MASTER_KEY").ok_or(USAGE)?,
        };
        for pair in arguments.chunks(2) {
            let [name, value] = pair else { return Err(USAGE.into()) };
            match name.as_str() {
                "--issuer" => settings.issuer.clone_from(value),
                "--client-id" => settings.client_id.clone_from(value),
                "--scope" => settings.scope.clone_from(value),
                "--listen" => settings.listen.clone_from(value),
                "--store" => settings.store = value.into(),
                _ => return Err(USAGE.into()),
            }
        }
        if settings.issuer.is_empty() || settings.client_id.is_empty() {
            return Err(USAGE.into());
        }
        Ok(Some(settings))
    }
}
