//! Logins through a SAML identity provider that is the test itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice
)]

mod answers;
mod documents;
mod idp;
mod wrapping;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use acople_core::{Clock, Error, ErrorKind, Result};
use acople_identity::Identity;
use acople_identity::saml::{Idp, PendingLogin, ServiceProvider, ServiceProviderBuilder};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded::Serializer;

use crate::idp::{ACS, APP, ENTITY, SSO, Says, TestIdp, attribute, request};

const SESSION: &str = "the session's cookie";

/// Noon of 1 January 2026, always.
#[derive(Debug)]
struct Noon;

impl Clock for Noon {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_268_800)
    }
}

/// A host and the identity provider that it trusts.
struct World {
    idp: TestIdp,
    app: ServiceProvider,
}

impl World {
    fn new() -> Self {
        Self::with(TestIdp::p256(), |builder| builder)
    }

    fn with(idp: TestIdp, set: impl FnOnce(ServiceProviderBuilder) -> ServiceProviderBuilder) -> Self {
        let trusted = Idp::new(ENTITY, SSO, idp.certificates()).unwrap();
        let app = set(ServiceProvider::builder(APP, ACS, trusted).clock(Arc::new(Noon))).build().unwrap();
        Self { idp, app }
    }

    /// Begins a login: what the host keeps, and what an answer that is all right says.
    fn begin(&self) -> (PendingLogin, Says) {
        let (address, pending) = self.app.begin(SESSION).unwrap();
        let says = Says::to(attribute(&request(&address), "ID"));
        (pending, says)
    }

    /// A login that is answered with the document that `answer` writes.
    async fn login(&self, answer: impl FnOnce(&TestIdp, Says) -> String) -> Result<Identity> {
        let (pending, says) = self.begin();
        let form = form(&answer(&self.idp, says), pending.relay_state());
        self.app.complete(SESSION, pending, &form).await
    }

    /// A login whose answer says something else, properly signed.
    async fn login_saying(&self, change: impl FnOnce(&mut Says)) -> Result<Identity> {
        self.login(|idp, mut says| {
            change(&mut says);
            signed(idp, &says)
        })
        .await
    }
}

/// An answer with a signed assertion.
fn signed(idp: &TestIdp, says: &Says) -> String {
    says.around(&idp.sign(&says.assertion(), &says.assertion_id))
}

/// What a browser posts.
fn form(document: &str, relay_state: &str) -> String {
    let mut form = Serializer::new(String::new());
    form.append_pair("SAMLResponse", &STANDARD.encode(document)).append_pair("RelayState", relay_state);
    form.finish()
}

/// The error, which must be of this kind and say this.
fn refused(result: Result<Identity>, kind: ErrorKind, reason: &str) -> Error {
    let error = result.expect_err(reason);
    assert!(error.kind() == kind && error.message().contains(reason), "not {kind}, {reason:?} but {error}");
    error
}

#[tokio::test]
async fn an_answer_that_nobody_touched_is_accepted() {
    let world = World::with(TestIdp::p256(), |app| app.name_from("displayName").groups_from("groups"));
    let identity = world.login(|idp, says| signed(idp, &says)).await.unwrap();
    assert_eq!(identity.issuer, ENTITY);
    assert_eq!(identity.subject, "alice@good.example");
    assert_eq!(identity.name.as_deref(), Some("Alice & Co"));
    assert_eq!(identity.email.as_deref(), Some("alice@good.example"));
    assert!(identity.groups.iter().eq(["admins", "staff"]));
    assert_eq!(identity.claims["SessionIndex"], "s1");
    assert_eq!(identity.expires_at, Some(Noon.now() + Duration::from_secs(8 * 3600)));
}
