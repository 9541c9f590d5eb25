//! LDAP: names and passwords checked with a directory (RFC 4511), over TLS.
//!
//! [`Directory`] is an [`IdentityProvider`](crate::IdentityProvider) for
//! [`Proof::Password`](crate::Proof::Password). What is searched for is a [`Filter`], which nothing but its
//! constructors makes: there is no way from a text that somebody entered to a filter or a name that means something
//! else.

mod config;
mod connection;
mod directory;
mod dn;
mod entry;
mod escape;
mod filter;
mod refusal;

pub use config::{DirectoryBuilder, Groups};
pub use directory::Directory;
pub use dn::Dn;
pub use filter::{Attribute, Filter};
