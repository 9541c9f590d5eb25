//! The directory as an identity provider.

use std::collections::BTreeSet;
use std::sync::Arc;

use acople_core::{Error, ErrorKind, Result, Secret};
use async_trait::async_trait;
use serde_json::Value;

use super::config::{Access, DirectoryBuilder, Groups, Settings};
use super::connection::{Connection, Search};
use super::entry::Entry;
use super::filter::{Attribute, Filter};
use super::refusal::{self, code};
use crate::{Identity, IdentityProvider, Proof};

const OPERATION: &str = "LDAP login";

/// Longest name that is looked for, in bytes.
const LONGEST_NAME: usize = 256;

/// Checks names and passwords with an LDAP directory: OpenLDAP, Active Directory, 389 and others.
///
/// ```no_run
/// # async fn login(service_password: acople_core::Secret, entered: acople_core::Secret) -> acople_core::Result<()> {
/// use acople_identity::ldap::Directory;
/// use acople_identity::{IdentityProvider, Proof};
///
/// let directory = Directory::builder("ldaps://ldap.example.com", "ou=people,dc=example,dc=com")
///     .service_account("cn=acople,ou=services,dc=example,dc=com", service_password)
///     .build()?;
/// let identity = directory.identify(&Proof::Password { user: "alice", password: &entered }).await?;
/// println!("{} is {:?}", identity.subject, identity.name);
/// # Ok(())
/// # }
/// ```
///
/// Every login has a connection of its own, over TLS: the service account finds the one entry that matches, and a bind
/// with that entry's name and the password that was entered proves the user. Referrals are never followed.
///
/// Passwords are copied by the LDAP library on their way to TLS; those copies are not zeroed.
#[derive(Clone, Debug)]
pub struct Directory(pub(super) Arc<Settings>);

impl Directory {
    /// A directory at `ldaps://host:port`, or at `ldap://host:port` with StartTLS, and the entry that users stand
    /// below.
    pub fn builder(url: impl Into<String>, base: impl Into<String>) -> DirectoryBuilder {
        DirectoryBuilder::new(url.into(), base.into())
    }

    async fn login(&self, user: &str, password: &Secret) -> Result<Identity> {
        let settings = &*self.0;
        // Before anything is sent: a bind without a password succeeds for everybody (RFC 4513, 5.1.2).
        if user.is_empty() || password.is_empty() {
            return Err(Error::new(ErrorKind::Reauth, "the name or the password is empty"));
        }
        if user.len() > LONGEST_NAME {
            return Err(Error::new(
                ErrorKind::Reauth,
                format!("the name is longer than {LONGEST_NAME} bytes"),
            ));
        }
        Connection::with(&settings.server, &settings.limits, |mut connection| async move {
            let connection = &mut connection;
            let (entry, again) = match &settings.access {
                Access::Service { name, password: own } => {
                    self.bind_service(connection, name, own).await?;
                    let entry =
                        self.find(connection, settings.base.as_str(), false, self.filter(user)).await?;
                    bind_user(connection, &entry.dn, password).await?;
                    (entry, Some((name, own)))
                }
                Access::Direct(attribute) => {
                    let dn = settings.base.child(attribute, user);
                    bind_user(connection, dn.as_str(), password).await?;
                    let any = Filter::present(&Attribute::new("objectClass")?);
                    let filter = Filter::and([any].into_iter().chain(settings.restriction.clone()));
                    (self.find(connection, dn.as_str(), true, filter).await?, None)
                }
            };
            let groups = self.groups(connection, &entry, again).await?;
            self.identity(&entry, groups)
        })
        .await
    }

    async fn bind_service(&self, connection: &mut Connection, name: &str, password: &Secret) -> Result<()> {
        match connection.bind(name, password).await? {
            result if result.rc == code::SUCCESS => Ok(()),
            result => Err(refusal::of_service(&result)),
        }
    }

    /// The one entry that matches.
    async fn find(
        &self,
        connection: &mut Connection,
        base: &str,
        only_base: bool,
        filter: Filter,
    ) -> Result<Entry> {
        let names = &self.0.names;
        let named = [Some(&names.subject), names.name.as_ref(), names.email.as_ref(), self.group_attribute()];
        let attributes = named.into_iter().flatten().chain(&names.claims).map(Attribute::as_str).collect();
        let found =
            connection.search(Search { base, only_base, filter: &filter, attributes, entries: 1 }).await?;
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (Some(entry), None) if !entry.dn.is_empty() => Ok(entry),
            (None, _) => Err(Error::new(ErrorKind::Reauth, "there is no such user in the directory")),
            _ => Err(Error::config(
                "login_by",
                "more than one entry matches the name: the attributes are not unique",
            )),
        }
    }

    fn filter(&self, user: &str) -> Filter {
        let matches = self.0.names.login.iter().map(|attribute| Filter::eq(attribute, user));
        Filter::and(self.0.restriction.clone().into_iter().chain([Filter::or(matches)]))
    }

    fn group_attribute(&self) -> Option<&Attribute> {
        match &self.0.groups {
            Groups::Attribute(attribute) => Some(attribute),
            Groups::None | Groups::Search { .. } => None,
        }
    }

    /// The groups of a user who is proven. `again` is the account to search with, unless the user does.
    async fn groups(
        &self,
        connection: &mut Connection,
        entry: &Entry,
        again: Option<(&String, &Secret)>,
    ) -> Result<BTreeSet<String>> {
        let most = self.0.limits.groups;
        let groups: Vec<String> = match &self.0.groups {
            Groups::None => Vec::new(),
            Groups::Attribute(attribute) => entry.values(attribute.as_str()),
            Groups::Search { base, member, rule, name } => {
                if let Some((name, password)) = again {
                    self.bind_service(connection, name, password).await?;
                }
                let filter = match rule {
                    Some(rule) => Filter::matching(member, rule, &entry.dn),
                    None => Filter::eq(member, &entry.dn),
                };
                let attributes = vec![name.as_str()];
                let base = base.as_str();
                let search = Search { base, only_base: false, filter: &filter, attributes, entries: most };
                let found = connection.search(search).await?;
                found
                    .iter()
                    .map(|group| group.first(name.as_str()).unwrap_or_else(|| group.dn.clone()))
                    .collect()
            }
        };
        if groups.len() > most {
            return Err(Error::new(ErrorKind::TooLarge, format!("the user is in more than {most} groups")));
        }
        Ok(groups.into_iter().collect())
    }

    fn identity(&self, entry: &Entry, groups: BTreeSet<String>) -> Result<Identity> {
        let names = &self.0.names;
        let subject = entry.first(names.subject.as_str()).ok_or_else(|| {
            Error::config(
                "subject_from",
                format!("the entry has no {}, or the account may not read it", names.subject),
            )
        })?;
        let mut identity = Identity::new(&self.0.issuer, subject);
        identity.name = names.name.as_ref().and_then(|name| entry.first(name.as_str()));
        identity.email = names.email.as_ref().and_then(|email| entry.first(email.as_str()));
        identity.groups = groups;
        identity.claims.insert("dn".to_owned(), entry.dn.clone().into());
        for attribute in &names.claims {
            let mut values = entry.values(attribute.as_str());
            let value = match values.len() {
                0 => continue,
                1 => Value::from(values.swap_remove(0)),
                _ => Value::from(values),
            };
            identity.claims.insert(attribute.as_str().to_owned(), value);
        }
        Ok(identity)
    }
}

async fn bind_user(connection: &mut Connection, dn: &str, password: &Secret) -> Result<()> {
    match connection.bind(dn, password).await? {
        result if result.rc == code::SUCCESS => Ok(()),
        result => Err(refusal::of_user(&result)),
    }
}

#[async_trait]
impl IdentityProvider for Directory {
    async fn identify(&self, proof: &Proof<'_>) -> Result<Identity> {
        let Proof::Password { user, password } = proof else {
            return Err(
                Error::config("proof", "a directory takes a name and a password").with_operation(OPERATION)
            );
        };
        self.login(user, password).await.map_err(|error| error.with_operation(OPERATION))
    }
}
