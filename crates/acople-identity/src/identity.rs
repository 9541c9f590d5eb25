//! Who somebody is, and the trait of what finds it out.

use std::collections::BTreeSet;
use std::fmt;
use std::time::SystemTime;

use acople_core::{Error, ErrorKind, Result, Secret};
use async_trait::async_trait;
use serde_json::{Map, Value};

/// Somebody whose proof was accepted.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Identity {
    /// Who says so: the issuer of a token, the name of a directory, the entity id of a SAML identity provider.
    pub issuer: String,
    /// Whom they mean. Unique and unchanging within the issuer: what a host keys its accounts by.
    pub subject: String,
    /// What to call them, where the issuer says it.
    pub name: Option<String>,
    /// Their e-mail address, where the issuer vouches for it. It can change: no key of accounts.
    pub email: Option<String>,
    /// What they belong to.
    pub groups: BTreeSet<String>,
    /// What they may do.
    pub scopes: BTreeSet<String>,
    /// From when on the proof no longer counts.
    pub expires_at: Option<SystemTime>,
    /// What else the issuer said, in its own names.
    pub claims: Map<String, Value>,
}

impl Identity {
    /// Somebody of whom nothing is known but who they are.
    pub fn new(issuer: impl Into<String>, subject: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            subject: subject.into(),
            name: None,
            email: None,
            groups: BTreeSet::new(),
            scopes: BTreeSet::new(),
            expires_at: None,
            claims: Map::new(),
        }
    }

    /// Refuses somebody who may not do this.
    ///
    /// # Errors
    /// [`Permission`](acople_core::ErrorKind::Permission) that names the missing scope.
    pub fn require_scope(&self, scope: &str) -> Result<()> {
        if self.scopes.contains(scope) {
            return Ok(());
        }
        let text = format!("the scope {scope} is missing: ask for a token or a key that has it");
        Err(Error::new(ErrorKind::Permission, text).with_code("scope_missing"))
    }
}

/// What somebody shows to say who they are.
#[non_exhaustive]
pub enum Proof<'a> {
    /// A token, as it stands behind `Authorization: Bearer`.
    Token(&'a Secret),
    /// A name and a password.
    Password {
        /// The name that was entered.
        user: &'a str,
        /// The password that was entered.
        password: &'a Secret,
    },
}

impl fmt::Debug for Proof<'_> {
    /// The kind alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token",
            Self::Password { .. } => "Password",
        })
    }
}

/// Finds out who somebody is.
#[async_trait]
pub trait IdentityProvider: Send + Sync + fmt::Debug + 'static {
    /// Whoever the proof belongs to.
    ///
    /// # Errors
    /// `Reauth` when the proof is not accepted: the message says why to the host's log, and is nothing to show to
    /// whoever called. `Config` for a kind of proof that this provider does not take. `Transient` and `Timeout` when
    /// nobody can tell now: refuse the call, and say that it may be tried again.
    async fn identify(&self, proof: &Proof<'_>) -> Result<Identity>;
}
