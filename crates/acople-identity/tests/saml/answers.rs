//! Signatures, validity, and whom an answer is for.

use std::sync::Arc;
use std::time::Duration;

use acople_core::{ErrorKind, ErrorKind::Invalid, ErrorKind::Reauth, Secret};
use acople_identity::saml::{Certificate, Idp, InMemoryReplay, RequestSigner, ServiceProvider, Signed};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::idp::{ACS, APP, ENTITY, MORE, SSO, TestIdp, request};
use crate::{Noon, SESSION, World, form, refused, signed};

const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";

#[tokio::test]
async fn auth_19_an_unsigned_assertion_is_refused() {
    let world = World::new();
    let result = world.login(|_, says| says.around(&says.assertion())).await;
    refused(result, Reauth, "the assertion is not signed");
    // A signature around it does not count for it, unless the host says so.
    let whole = |idp: &TestIdp, says: crate::Says| idp.sign(&says.around(&says.assertion()), "_answer1");
    refused(world.login(whole).await, Reauth, "the assertion is not signed");
    let world = World::with(TestIdp::p256(), |app| app.signed(Signed::Answer));
    assert_eq!(world.login(whole).await.unwrap().subject, "alice@good.example");
    refused(world.login(|idp, says| signed(idp, &says)).await, Reauth, "the answer is not signed");
    let world = World::with(TestIdp::p256(), |app| app.signed(Signed::Both));
    refused(world.login(whole).await, Reauth, "the assertion is not signed");
    refused(world.login(|idp, says| signed(idp, &says)).await, Reauth, "the answer is not signed");
    assert!(world.login(|idp, says| idp.sign(&signed(idp, &says), "_answer1")).await.is_ok());
}

#[tokio::test]
async fn auth_19_a_signature_beyond_what_is_asked_for_has_to_be_right_too() {
    let result = World::new()
        .login(|idp, says| {
            idp.sign(&signed(idp, &says), "_answer1").replace("status:Success", "status:Other")
        })
        .await;
    refused(result, Reauth, "the Response was changed after it was signed");
}

#[tokio::test]
async fn auth_19_the_certificate_that_comes_along_is_never_trusted() {
    // `sign` puts the signer's own certificate into KeyInfo.
    let attacker = TestIdp::rsa();
    let world = World::with(TestIdp::rsa(), |app| app);
    let result = world.login(|_, says| signed(&attacker, &says)).await;
    refused(result, Reauth, "not made with a key of the configured certificates");
    let good = world.idp.base64_certificate();
    let result =
        world.login(|_, says| signed(&attacker, &says).replace(&attacker.base64_certificate(), &good)).await;
    refused(result, Reauth, "not made with a key of the configured certificates");
    // A key of another kind, with the algorithm of that kind.
    let result = world.login(|_, says| signed(&TestIdp::p256(), &says)).await;
    refused(result, Reauth, "does not go with the keys of the configured certificates");
}

#[tokio::test]
async fn auth_19_sha_1_is_refused_in_signature_and_digest() {
    let world = World::with(TestIdp::rsa(), |app| app);
    for (method, hash) in [
        ("http://www.w3.org/2000/09/xmldsig#rsa-sha1", SHA256),
        (&format!("{MORE}ecdsa-sha1"), SHA256),
        (&format!("{MORE}rsa-sha256"), "http://www.w3.org/2000/09/xmldsig#sha1"),
    ] {
        let result = world
            .login(|idp, says| says.around(&idp.sign_with(&says.assertion(), "_assertion1", method, hash)))
            .await;
        refused(result, Reauth, "SHA-1 or older: set the identity provider to SHA-256");
    }
    for method in ["http://www.w3.org/2000/09/xmldsig#hmac-sha256", "none", ""] {
        let result = world
            .login(|idp, says| says.around(&idp.sign_with(&says.assertion(), "_assertion1", method, SHA256)))
            .await;
        refused(result, Reauth, "the signature's algorithm is not accepted");
    }
}

#[tokio::test]
async fn auth_19_a_service_provider_without_certificates_does_not_start() {
    for error in [
        Idp::new(ENTITY, SSO, vec![]).unwrap_err(),
        Certificate::parse("").unwrap_err(),
        Certificate::parse("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----").unwrap_err(),
        Certificate::parse("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----").unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(error.fields(), ["certificates"]);
    }
}

#[tokio::test]
async fn every_algorithm_that_is_offered_verifies() {
    let rsa = World::with(TestIdp::rsa(), |app| app);
    let mut count = 0;
    for method in [
        format!("{MORE}rsa-sha256"),
        format!("{MORE}rsa-sha384"),
        format!("{MORE}rsa-sha512"),
        "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1".to_owned(),
    ] {
        for hash in [SHA256, &format!("{MORE}sha384"), "http://www.w3.org/2001/04/xmlenc#sha512"] {
            count += 1;
            let result = rsa.login(|idp, mut says| {
                says.assertion_id = format!("_{count}");
                says.around(&idp.sign_with(&says.assertion(), &says.assertion_id, &method, hash))
            });
            assert!(result.await.is_ok(), "{method} {hash}");
        }
    }
    for idp in [TestIdp::p256(), TestIdp::p384()] {
        World::with(idp, |app| app).login(|idp, says| signed(idp, &says)).await.unwrap();
    }
}

#[tokio::test]
async fn while_a_provider_changes_its_certificate_both_count() {
    let (old, new, other) = (TestIdp::rsa(), TestIdp::p256(), TestIdp::p256());
    let both = [old.certificates(), new.certificates()].concat();
    let app = ServiceProvider::builder(APP, ACS, Idp::new(ENTITY, SSO, both).unwrap()).clock(Arc::new(Noon));
    let mut world = World { idp: old, app: app.build().unwrap() };
    world.login_saying(|says| says.assertion_id = "_1".to_owned()).await.unwrap();
    world.idp = new;
    world.login_saying(|says| says.assertion_id = "_2".to_owned()).await.unwrap();
    world.idp = other;
    refused(world.login_saying(|_| ()).await, Reauth, "not made with a key of the configured certificates");
}

#[tokio::test]
async fn auth_19_an_answer_for_somebody_else_is_refused() {
    let world = World::new();
    let result = world.login_saying(|says| says.audience = "https://other.example.com").await;
    refused(
        result,
        Reauth,
        "another audience: the identity provider has to know this host as https://app.example.com/saml",
    );
    let result = world.login_saying(|says| says.recipient = "https://other.example.com/acs").await;
    refused(result, Reauth, "another recipient");
    let result = world.login_saying(|says| says.destination = "https://other.example.com/acs").await;
    refused(result, Reauth, "another address (Destination)");
    let result = world.login_saying(|says| says.issuer = "https://other-idp.example.com").await;
    refused(result, Reauth, "another issuer than https://idp.example.com");
    let result = world.login_saying(|says| says.request_id = "_other".to_owned()).await;
    refused(result, Invalid, "the answer is not to this login's request");
    let result = world.login_saying(|says| says.confirmed_request_id = "_other".to_owned()).await;
    refused(result, Invalid, "the assertion is not to this login's request");
    let result = world
        .login(|idp, says| signed(idp, &says).replace(&format!(" InResponseTo=\"{}\"", says.request_id), ""))
        .await;
    refused(result, Invalid, "the answer is not to this login's request");
    let result = world
        .login(|idp, says| {
            let open = says.assertion().replace("AudienceRestriction", "ProxyRestriction");
            says.around(&idp.sign(&open, &says.assertion_id))
        })
        .await;
    refused(result, Reauth, "does not say for which audience it is");
}

#[tokio::test]
async fn auth_19_an_answer_outside_its_time_is_refused_beyond_the_leeway() {
    let world = World::new();
    let result = world.login_saying(|says| says.not_on_or_after = "2026-01-01T11:59:00Z").await;
    refused(result, Reauth, "the assertion is no longer valid");
    let result = world.login_saying(|says| says.confirmed_until = "2026-01-01T11:59:00Z").await;
    refused(result, Reauth, "the subject's confirmation is no longer valid");
    let result = world.login_saying(|says| says.not_before = "2026-01-01T12:01:01Z").await;
    refused(result, Reauth, "the assertion is not valid yet: are the clocks set?");
    let over = "<saml:AuthnStatement SessionNotOnOrAfter=\"2026-01-01T11:00:00Z\"></saml:AuthnStatement>";
    refused(
        world.login_saying(|says| says.statement = over).await,
        Reauth,
        "the session at the identity provider is over",
    );
    // A second of the minute is left.
    world
        .login_saying(|says| {
            says.not_on_or_after = "2026-01-01T11:59:01Z";
            says.confirmed_until = "2026-01-01T11:59:01Z";
            says.not_before = "2026-01-01T12:01:00Z";
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn auth_19_nothing_counts_twice() {
    let world = World::new();
    world.login_saying(|_| ()).await.unwrap();
    refused(world.login_saying(|_| ()).await, Invalid, "the assertion was used before");

    // One login, kept twice by a careless host, completed by two assertions.
    let (pending, mut says) = world.begin();
    let copy = serde_json::from_value(serde_json::to_value(&pending).unwrap()).unwrap();
    says.assertion_id = "_one".to_owned();
    let first = form(&signed(&world.idp, &says), pending.relay_state());
    says.assertion_id = "_two".to_owned();
    let second = form(&signed(&world.idp, &says), pending.relay_state());
    world.app.complete(SESSION, pending, &first).await.unwrap();
    refused(world.app.complete(SESSION, copy, &second).await, Invalid, "the login was completed before");

    // Nobody knows what was used when the memory is full: nothing is forgotten for it.
    let world = World::with(TestIdp::p256(), |app| app.replay_memory(Arc::new(InMemoryReplay::new(3))));
    world.login_saying(|_| ()).await.unwrap();
    refused(
        world.login_saying(|s| s.assertion_id = "_2".to_owned()).await,
        ErrorKind::Transient,
        "memory of used",
    );
}

#[tokio::test]
async fn an_answer_of_another_login_or_session_is_refused() {
    let world = World::new();
    let (pending, says) = world.begin();
    let (_, other) = world.app.begin(SESSION).unwrap();
    let good = form(&signed(&world.idp, &says), pending.relay_state());
    let copy = |pending| serde_json::from_value(serde_json::to_value(pending).unwrap()).unwrap();
    assert_eq!(world.app.relay_state(&good).unwrap(), pending.relay_state());
    refused(
        world.app.complete(SESSION, other, &good).await,
        Invalid,
        "not belong to a login of this session",
    );
    refused(
        world.app.complete("another", copy(&pending), &good).await,
        Invalid,
        "not belong to a login of this session",
    );
    let result = world.app.complete(SESSION, copy(&pending), &format!("{good}&RelayState=x")).await;
    refused(result, Invalid, "RelayState twice");
    let result = world.app.complete(SESSION, copy(&pending), "SAMLResponse=AAAA").await;
    refused(result, Invalid, "a login begins at this host");
    let mut late = serde_json::to_value(&pending).unwrap();
    late["begun_at"]["secs_since_epoch"] = (1_767_268_800_u64 - 601).into();
    let result = world.app.complete(SESSION, serde_json::from_value(late).unwrap(), &good).await;
    refused(result, Reauth, "the user took too long: begin again");
    world.app.complete(SESSION, pending, &good).await.unwrap();
}

#[tokio::test]
async fn what_is_encrypted_or_not_understood_is_refused_with_what_to_do() {
    let world = World::new();
    let result = world
        .login(|_, says| {
            says.around("<saml:EncryptedAssertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"/>")
        })
        .await;
    refused(result, Reauth, "switch the encryption of assertions off at the identity provider");
    refused(world.login(|_, says| says.around("")).await, Reauth, "the answer has no assertion");
    let result = world.login_saying(|says| says.extra_condition = "<saml:Condition></saml:Condition>").await;
    refused(result, Reauth, "a condition that is not understood");
    refused(
        world.login_saying(|says| says.statement = "").await,
        Reauth,
        "does not say that the user logged in",
    );
    let result =
        world.login_saying(|says| says.status = "urn:oasis:names:tc:SAML:2.0:status:RequestDenied").await;
    let error = refused(result, Reauth, "has not logged the user in (RequestDenied)");
    assert_eq!(error.code(), Some("urn:oasis:names:tc:SAML:2.0:status:RequestDenied"));
}

#[tokio::test]
async fn a_name_that_changes_with_each_login_is_no_subject() {
    let transient = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient";
    let result = World::new().login_saying(|says| says.name_id_format = transient).await;
    refused(result, Reauth, "the name id changes with each login");
    let world = World::with(TestIdp::p256(), |app| app.subject_from("displayName"));
    let identity = world.login_saying(|says| says.name_id_format = transient).await.unwrap();
    assert_eq!((identity.subject.as_str(), identity.email), ("Alice & Co", None));
    let world = World::with(TestIdp::p256(), |app| app.subject_from("uid"));
    refused(world.login_saying(|_| ()).await, Reauth, "lacks the attribute uid");
}

#[tokio::test]
async fn an_attribute_that_is_written_once_for_each_value_has_all_of_them() {
    let world = World::with(TestIdp::p256(), |app| app.groups_from("Role").groups_from("groups"));
    let roles = "<saml:AuthnStatement></saml:AuthnStatement><saml:AttributeStatement><saml:Attribute Name=\"Role\">\
                 <saml:AttributeValue>a</saml:AttributeValue></saml:Attribute><saml:Attribute Name=\"Role\">\
                 <saml:AttributeValue>b</saml:AttributeValue></saml:Attribute></saml:AttributeStatement>";
    let identity = world.login_saying(|says| says.statement = roles).await.unwrap();
    assert!(identity.groups.iter().eq(["a", "admins", "b", "staff"]));
    assert_eq!(identity.claims["Role"], serde_json::json!(["a", "b"]));
}

#[tokio::test]
async fn requests_and_metadata_say_what_a_provider_needs_to_know() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let pem = |label: &str, der: &[u8]| {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
    };
    let params = rcgen::CertificateParams::new(vec!["app.example.com".to_owned()]).unwrap();
    let certificate = pem("CERTIFICATE", params.self_signed(&key).unwrap().der());
    let private = Secret::from(pem("PRIVATE KEY", &key.serialize_der()));
    let signer = RequestSigner::new(&certificate, &private).unwrap();
    assert!(!format!("{signer:?}").contains(&private.expose()[30..60]));
    let world = World::with(TestIdp::p256(), |app| app.sign_requests(signer));
    let (address, _) = world.app.begin(SESSION).unwrap();
    let document = request(&address);
    for said in [
        "AssertionConsumerServiceURL=\"https://app.example.com/saml/acs\"",
        "Destination=\"https://idp.example.com/sso\"",
        "IssueInstant=\"2026-01-01T12:00:00.000Z\"",
        "<saml:Issuer>https://app.example.com/saml</saml:Issuer>",
    ] {
        assert!(document.contains(said), "{document}");
    }
    let (signed, signature) = address.query().unwrap().split_once("&Signature=").unwrap();
    let signature =
        url::form_urlencoded::parse(format!("s={signature}").as_bytes()).next().unwrap().1.into_owned();
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key_raw())
        .verify(signed.as_bytes(), &STANDARD.decode(signature).unwrap())
        .unwrap();
    let metadata = world.app.metadata();
    for said in [
        "AuthnRequestsSigned=\"true\"",
        "WantAssertionsSigned=\"true\"",
        "Location=\"https://app.example.com/saml/acs\"",
    ] {
        assert!(metadata.contains(said), "{metadata}");
    }
    assert!(
        RequestSigner::new(&certificate, &Secret::from("no key")).unwrap_err().message().contains("RSA key")
    );
}

#[tokio::test]
async fn a_setting_that_cannot_be_right_is_named() {
    let idp = || Idp::new(ENTITY, SSO, TestIdp::p256().certificates()).unwrap();
    let field = |error: acople_core::Error| (error.kind(), error.fields().concat());
    let config = |field: &str| (ErrorKind::Config, field.to_owned());
    assert_eq!(
        field(ServiceProvider::builder(APP, "http://app.example.com/acs", idp()).build().unwrap_err()),
        config("acs_url")
    );
    assert_eq!(field(ServiceProvider::builder("", ACS, idp()).build().unwrap_err()), config("entity_id"));
    let leeway = Duration::from_secs(3600);
    assert_eq!(
        field(ServiceProvider::builder(APP, ACS, idp()).leeway(leeway).build().unwrap_err()),
        config("leeway")
    );
    assert_eq!(
        field(Idp::new(ENTITY, "http://idp.example.com", TestIdp::p256().certificates()).unwrap_err()),
        config("sso_url")
    );
    assert_eq!(field(Idp::new("", SSO, TestIdp::p256().certificates()).unwrap_err()), config("entity_id"));
    let app = ServiceProvider::builder(APP, ACS, idp()).build().unwrap();
    assert_eq!(field(app.begin("").unwrap_err()), config("session"));
}
