//! What a directory is told.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use acople_core::{Error, Result, Secret};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use url::Url;

use super::directory::Directory;
use super::dn::Dn;
use super::filter::{Attribute, Filter};

/// Where a user's groups come from.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Groups {
    /// Nowhere.
    #[default]
    None,
    /// An attribute of the user's entry, such as `memberOf`: one group for each value, as it stands there.
    Attribute(Attribute),
    /// Entries that name the user.
    Search {
        /// Below which entry.
        base: Dn,
        /// The attribute that holds the distinguished names of members, such as `member`.
        member: Attribute,
        /// A matching rule for it, such as `1.2.840.113556.1.4.1941` of Active Directory.
        rule: Option<Attribute>,
        /// The attribute that a group is called by, such as `cn`.
        name: Attribute,
    },
}

/// Where the directory is.
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) start_tls: bool,
    /// `None` for no TLS at all.
    pub(super) tls: Option<Arc<ClientConfig>>,
}

/// How much a login may take.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) time: Duration,
    pub(super) groups: usize,
    pub(super) bytes: usize,
}

/// Who searches.
pub(super) enum Access {
    /// An account of the host's, which finds the user's entry.
    Service { name: String, password: Secret },
    /// The user, whose entry has this attribute for its name.
    Direct(Attribute),
}

/// Which attributes say what.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) login: Vec<Attribute>,
    pub(super) subject: Attribute,
    pub(super) name: Option<Attribute>,
    pub(super) email: Option<Attribute>,
    pub(super) claims: Vec<Attribute>,
}

pub(super) struct Settings {
    pub(super) issuer: String,
    pub(super) base: Dn,
    pub(super) server: Server,
    pub(super) access: Access,
    pub(super) restriction: Option<Filter>,
    pub(super) names: Names,
    pub(super) groups: Groups,
    pub(super) limits: Limits,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory")
            .field("issuer", &self.issuer)
            .field("host", &self.server.host)
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

/// Says what a [`Directory`] is to be.
#[derive(Clone, Debug)]
pub struct DirectoryBuilder {
    url: String,
    base: String,
    issuer: Option<String>,
    service: Option<(String, Secret)>,
    direct: Option<String>,
    login: Vec<String>,
    subject: String,
    name: Option<String>,
    email: Option<String>,
    claims: Vec<String>,
    restriction: Option<Filter>,
    groups: Groups,
    roots: Option<String>,
    insecure: bool,
    limits: Limits,
}

impl DirectoryBuilder {
    pub(super) fn new(url: String, base: String) -> Self {
        Self {
            url,
            base,
            issuer: None,
            service: None,
            direct: None,
            login: vec!["uid".to_owned()],
            subject: "entryUUID".to_owned(),
            name: Some("cn".to_owned()),
            email: Some("mail".to_owned()),
            claims: Vec::new(),
            restriction: None,
            groups: Groups::default(),
            roots: None,
            insecure: false,
            limits: Limits { time: Duration::from_secs(10), groups: 1_000, bytes: 1 << 20 },
        }
    }

    /// Sets what Active Directory calls things: users log in by `sAMAccountName` or `userPrincipalName`, are known by
    /// their `objectGUID`, must not be disabled, and have their groups in `memberOf`.
    ///
    /// # Errors
    /// None in practice: the names are right.
    pub fn active_directory(self) -> Result<Self> {
        let bitwise_and = Attribute::new("1.2.840.113556.1.4.803")?;
        let is_person = Filter::eq(&Attribute::new("objectCategory")?, "person");
        let is_user = Filter::eq(&Attribute::new("objectClass")?, "user");
        let is_disabled = Filter::matching(&Attribute::new("userAccountControl")?, &bitwise_and, "2");
        let member_of = Groups::Attribute(Attribute::new("memberOf")?);
        Ok(self
            .login_by(["sAMAccountName", "userPrincipalName"])
            .subject_from("objectGUID")
            .name_from("displayName")
            .restrict(Filter::and([is_person, is_user, Filter::not(is_disabled)]))
            .groups(member_of))
    }

    /// What identities call this directory; its URL unless told otherwise.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// The account that finds users' entries: its distinguished name (for Active Directory also `name@domain`) and its
    /// password. It needs to read the attributes that are asked for, and nothing else.
    pub fn service_account(mut self, name: impl Into<String>, password: Secret) -> Self {
        self.service = Some((name.into(), password));
        self
    }

    /// Without a service account: users' entries stand right below the base and are named by this attribute, such as
    /// `uid`, so that users can bind at once and read their own entries.
    pub fn bind_directly(mut self, attribute: impl Into<String>) -> Self {
        self.direct = Some(attribute.into());
        self
    }

    /// The attributes that what was entered is looked for in; `uid` unless told otherwise.
    pub fn login_by<S: Into<String>>(mut self, attributes: impl IntoIterator<Item = S>) -> Self {
        self.login = attributes.into_iter().map(Into::into).collect();
        self
    }

    /// What entries must fulfil besides, such as being of a class or a member of a group.
    pub fn restrict(mut self, filter: Filter) -> Self {
        self.restriction = Some(filter);
        self
    }

    /// The attribute that is the subject: unique and never changed. `entryUUID` (RFC 4530) unless told otherwise.
    pub fn subject_from(mut self, attribute: impl Into<String>) -> Self {
        self.subject = attribute.into();
        self
    }

    /// The attribute that is the name to call a user by; `cn` unless told otherwise.
    pub fn name_from(mut self, attribute: impl Into<String>) -> Self {
        self.name = Some(attribute.into());
        self
    }

    /// The attribute that is the e-mail address; `mail` unless told otherwise. Only for directories whose users cannot
    /// set it themselves.
    pub fn email_from(mut self, attribute: impl Into<String>) -> Self {
        self.email = Some(attribute.into());
        self
    }

    /// Attributes that become claims under their own names: a text, or an array of several.
    pub fn claims_from<S: Into<String>>(mut self, attributes: impl IntoIterator<Item = S>) -> Self {
        self.claims = attributes.into_iter().map(Into::into).collect();
        self
    }

    /// Where groups come from; nowhere unless told otherwise.
    pub fn groups(mut self, groups: Groups) -> Self {
        self.groups = groups;
        self
    }

    /// The authorities, in PEM, whose signature on the directory's certificate counts; those of the system unless told
    /// otherwise. The certificate is always verified.
    pub fn roots_pem(mut self, pem: impl Into<String>) -> Self {
        self.roots = Some(pem.into());
        self
    }

    /// Sends passwords in the clear over `ldap://`, instead of StartTLS: whoever is on the way reads them. For tests
    /// on one machine.
    pub fn insecure_plain(mut self) -> Self {
        self.insecure = true;
        self
    }

    /// How long a login may take, all in all; ten seconds unless told otherwise.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.limits.time = time;
        self
    }

    /// Most groups of one user; 1,000 unless told otherwise. A user with more cannot log in: leaving some out could
    /// leave out the one that forbids.
    pub fn max_groups(mut self, groups: usize) -> Self {
        self.limits.groups = groups;
        self
    }

    /// Largest answer to a search, in bytes; 1 MiB unless told otherwise.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// The directory. Nothing is connected yet; the system's authorities may be read.
    ///
    /// # Errors
    /// `Config` that names the field.
    pub fn build(self) -> Result<Directory> {
        let access = match (self.service, self.direct) {
            (Some((name, password)), None) if !name.is_empty() && !password.is_empty() => {
                Access::Service { name, password }
            }
            (None, Some(attribute)) => Access::Direct(attribute_of("bind_directly", &attribute)?),
            (Some(_), None) => return Err(Error::config("service_account", "its name or password is empty")),
            (None, None) => {
                return Err(Error::config(
                    "service_account",
                    "is missing: name one, or let users bind directly",
                ));
            }
            (Some(_), Some(_)) => {
                return Err(Error::config("service_account", "is not used when users bind directly"));
            }
        };
        if self.login.is_empty() {
            return Err(Error::config("login_by", "names no attribute"));
        }
        let attributes = |field, names: &[String]| -> Result<Vec<Attribute>> {
            names.iter().map(|name| attribute_of(field, name)).collect()
        };
        let optional = |field, name: Option<String>| name.map(|name| attribute_of(field, &name)).transpose();
        let names = Names {
            login: attributes("login_by", &self.login)?,
            subject: attribute_of("subject_from", &self.subject)?,
            name: optional("name_from", self.name)?,
            email: optional("email_from", self.email)?,
            claims: attributes("claims_from", &self.claims)?,
        };
        let base = Dn::new(&self.base).map_err(|error| error.with_field("base"))?;
        let server = server(&self.url, self.roots.as_deref(), self.insecure)?;
        Ok(Directory(Arc::new(Settings {
            issuer: self.issuer.unwrap_or(self.url),
            base,
            server,
            access,
            restriction: self.restriction,
            names,
            groups: self.groups,
            limits: self.limits,
        })))
    }
}

fn attribute_of(field: &'static str, name: &str) -> Result<Attribute> {
    Attribute::new(name).map_err(|_| Error::config(field, format!("{name:?} is no attribute's name")))
}

fn server(url: &str, roots: Option<&str>, insecure: bool) -> Result<Server> {
    let wrong = |what: &str| Error::config("url", what);
    let parsed = Url::parse(url).map_err(|_| wrong("is no URL"))?;
    let beyond =
        !matches!(parsed.path(), "" | "/") || parsed.query().is_some() || parsed.fragment().is_some();
    if beyond || !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(wrong("has more in it than a host and a port"));
    }
    let host = parsed.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong("names no host"))?;
    let (port, start_tls, tls) = match (parsed.scheme(), insecure) {
        ("ldaps", false) => (636, false, Some(client_config(roots)?)),
        ("ldap", false) => (389, true, Some(client_config(roots)?)),
        ("ldap", true) => (389, false, None),
        ("ldaps", true) => return Err(Error::config("insecure_plain", "is not needed for ldaps://")),
        _ => return Err(wrong("is neither ldaps:// nor ldap://")),
    };
    Ok(Server { host: host.to_owned(), port: parsed.port().unwrap_or(port), start_tls, tls })
}

/// TLS 1.2 and 1.3 by a provider of its own: none that the host has installed is used or changed.
fn client_config(roots: Option<&str>) -> Result<Arc<ClientConfig>> {
    let failed = |error: rustls::Error| Error::config("roots_pem", format!("cannot be used: {error}"));
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    let builder = match roots {
        None => builder.with_platform_verifier().map_err(failed)?,
        Some(pem) => {
            let mut store = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate.map_err(|_| Error::config("roots_pem", "is not PEM"))?;
                store.add(certificate).map_err(failed)?;
            }
            if store.is_empty() {
                return Err(Error::config("roots_pem", "there is no certificate in it"));
            }
            builder.with_root_certificates(store)
        }
    };
    Ok(Arc::new(builder.with_no_client_auth()))
}
