//! SAML 2.0: a service provider for logins through a browser (Web Browser SSO Profile: the request by redirect, the
//! answer by POST).
//!
//! [`ServiceProvider::begin`] gives the address to send a user to and what to keep meanwhile,
//! [`ServiceProvider::complete`] takes what the identity provider posted and gives the
//! [`Identity`](crate::Identity). Only a login that this host began is taken.

mod answer;
mod assertion;
mod c14n;
mod certificate;
mod metadata;
mod pending;
mod provider;
mod replay;
mod request;
mod signature;
mod xml;

pub use certificate::Certificate;
pub use pending::PendingLogin;
pub use provider::{Idp, ServiceProvider, ServiceProviderBuilder, Signed};
pub use replay::{InMemoryReplay, ReplayMemory};
pub use request::RequestSigner;

/// The namespace of SAML assertions.
const SAML: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
/// The namespace of SAML requests and answers.
const SAMLP: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
/// The namespace of SAML metadata.
const MD: &str = "urn:oasis:names:tc:SAML:2.0:metadata";

const POST_BINDING: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";

/// What an address must be before a browser is sent there.
fn secure(field: &'static str, address: &str) -> acople_core::Result<url::Url> {
    let wrong = |what| acople_core::Error::config(field, what);
    let url = url::Url::parse(address).map_err(|_| wrong("is no URL"))?;
    let local = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if local => Ok(url),
        _ => Err(wrong("is not https; plain http is for this machine only")),
    }
}

/// Escapes what stands in an attribute or in text.
fn escaped(text: &str) -> std::borrow::Cow<'_, str> {
    quick_xml::escape::escape(text)
}
