//! Logins with a real LDAP directory and a SAML identity provider that is not ours.
//!
//! Behind the feature `servers`: needs what tests/ldap-server/install.sh and tests/saml-idp/install.sh install.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod ldap;
mod process;
mod saml;
mod saml_idp;
mod slapd;
