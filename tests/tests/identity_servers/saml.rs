//! Answers that samlify and xml-crypto have signed.

use acople_core::ErrorKind;
use acople_identity::saml::Signed;

use crate::saml_idp::{SamlIdp, changed, rsa};

#[tokio::test]
async fn auth_19_what_an_independent_implementation_signs_is_accepted_once() {
    let idp = SamlIdp::start();
    for (signed, wanted) in [
        ("assertion", Signed::Assertion),
        ("answer", Signed::Answer),
        ("both", Signed::Both),
        ("sha512", Signed::Assertion),
    ] {
        let app = idp.app().signed(wanted).build().unwrap();
        let (address, pending) = app.begin("session").unwrap();
        let form = idp.visit(&address, signed);
        assert_eq!(app.relay_state(&form).unwrap(), pending.relay_state());
        let copy = serde_json::from_value(serde_json::to_value(&pending).unwrap()).unwrap();
        let identity =
            app.complete("session", pending, &form).await.unwrap_or_else(|error| panic!("{signed}: {error}"));
        assert_eq!(identity.subject, "alice@example.com");
        assert_eq!(identity.name.as_deref(), Some("Ünïcode <&> \"quoted\""));
        assert!(identity.groups.iter().eq(["admins", "staff"]));
        assert_eq!(identity.claims["SessionIndex"], "session-1");
        assert_eq!(app.complete("session", copy, &form).await.unwrap_err().kind(), ErrorKind::Invalid);
    }
}

#[tokio::test]
async fn auth_19_what_was_changed_on_the_way_is_refused() {
    let idp = SamlIdp::start();
    let refuse = async |signed: &str, reason: &str, change: fn(String) -> String| {
        let app = idp.app().build().unwrap();
        let (address, pending) = app.begin("session").unwrap();
        let form = changed(&idp.visit(&address, signed), change);
        let error = app.complete("session", pending, &form).await.expect_err(reason);
        assert!(error.message().contains(reason), "not {reason:?} but {error}");
    };
    refuse("sha1", "SHA-1 or older", |document| document).await;
    refuse("answer", "the assertion is not signed", |document| document).await;
    refuse("assertion", "was changed after it was signed", |document| document.replace("alice@", "mallory@"))
        .await;
    refuse("assertion", "has a comment: refused", |document| {
        document.replace("alice@", "alice@good.example<!---->.")
    })
    .await;
    refuse("assertion", "more than one assertion", |document| {
        let start = document.find("<saml:Assertion").unwrap();
        let end = document.find("</samlp:Response>").unwrap();
        let evil =
            document.get(start..end).unwrap().replace("alice@", "mallory@").replace("ID=\"_", "ID=\"_x");
        document.replacen("<saml:Assertion", &format!("{evil}<saml:Assertion"), 1)
    })
    .await;
    // Nothing was changed, and another key is trusted.
    let app = idp.app_trusting(&rsa().0).build().unwrap();
    let (address, pending) = app.begin("session").unwrap();
    let error = app.complete("session", pending, &idp.visit(&address, "assertion")).await.unwrap_err();
    assert!(error.message().contains("not made with a key of the configured certificates"), "{error}");
}
