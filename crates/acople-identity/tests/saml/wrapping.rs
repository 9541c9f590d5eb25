//! The eight known layouts of signature wrapping ("On Breaking SAML: Be Whoever You Want to Be", 2012, as numbered by
//! the tools that testers use), each with an attacker's id and with the id that was signed.

use acople_core::ErrorKind::{Protocol, Reauth};
use acople_identity::saml::Signed;

use crate::idp::{Says, TestIdp, part};
use crate::{World, refused, signed};

/// What an attacker has who caught a good answer: the signed assertion, the same without its signature, the signature
/// itself, and an assertion of their own about somebody else.
struct Caught {
    says: Says,
    signed: String,
    bare: String,
    signature: String,
    evil: String,
}

impl Caught {
    fn new(idp: &TestIdp, says: Says, evil_id: &str) -> Self {
        let bare = says.assertion();
        let signed = idp.sign(&bare, &says.assertion_id);
        let signature = part(&signed, "ds:Signature").to_owned();
        let evil =
            bare.replace("alice@good.example", "mallory@evil.example").replace(&says.assertion_id, evil_id);
        Self { says, signed, bare, signature, evil }
    }

    /// The attacker's assertion with something behind its issuer, where a signature belongs.
    fn evil_with(&self, content: &str) -> String {
        self.evil.replace("</saml:Issuer>", &format!("</saml:Issuer>{content}"))
    }

    /// The signature with something at its end.
    fn signature_with(&self, content: &str) -> String {
        self.signature.replace("</ds:Signature>", &format!("{content}</ds:Signature>"))
    }
}

async fn refuse(wrap: impl Fn(&Caught) -> String) {
    for evil_id in ["_evil", "_assertion1"] {
        let world = World::new();
        let result = world.login(|idp, says| wrap(&Caught::new(idp, says, evil_id))).await;
        let error = result.expect_err("a wrapped signature was accepted");
        let reasons = [
            "the answer has more than one assertion",
            "the answer has an id twice",
            "the assertion does not stand where it belongs",
            "a signature does not stand where it belongs",
        ];
        assert!(error.kind() == Reauth && reasons.contains(&error.message()), "{error}");
    }
}

/// The same for answers that are signed as a whole.
async fn refuse_answer(wrap: impl Fn(&str, &str, &str) -> String) {
    for evil_id in ["_evil", "_answer1"] {
        let world = World::with(TestIdp::p256(), |app| app.signed(Signed::Answer));
        let result = world
            .login(|idp, says| {
                let bare = says.around(&says.assertion());
                let signature = part(&idp.sign(&bare, "_answer1"), "ds:Signature").to_owned();
                let evil = bare.replace("alice@", "mallory@").replace("_answer1", evil_id);
                wrap(&bare, &signature, &evil)
            })
            .await;
        let error = result.expect_err("a wrapped signature was accepted");
        let reasons = ["the answer has an answer in it", "the answer has an id twice"];
        assert!(error.kind() == Reauth && reasons.contains(&error.message()), "{error}");
    }
}

#[tokio::test]
async fn auth_19_xsw1_the_signed_answer_hidden_in_its_signature() {
    refuse_answer(|bare, signature, evil| {
        let hidden = signature.replace("</ds:Signature>", &format!("{bare}</ds:Signature>"));
        evil.replacen("</saml:Issuer>", &format!("</saml:Issuer>{hidden}"), 1)
    })
    .await;
}

#[tokio::test]
async fn auth_19_xsw2_the_signed_answer_before_its_signature() {
    refuse_answer(|bare, signature, evil| {
        evil.replacen("</saml:Issuer>", &format!("</saml:Issuer>{bare}{signature}"), 1)
    })
    .await;
}

#[tokio::test]
async fn auth_19_xsw3_an_assertion_before_the_signed_one() {
    refuse(|caught| caught.says.around(&format!("{}{}", caught.evil, caught.signed))).await;
}

#[tokio::test]
async fn auth_19_xsw4_an_assertion_around_the_signed_one() {
    refuse(|caught| caught.says.around(&caught.evil_with(&caught.signed))).await;
}

#[tokio::test]
async fn auth_19_xsw5_the_signature_moved_and_the_signed_assertion_at_the_end() {
    refuse(|caught| caught.says.around(&format!("{}{}", caught.evil_with(&caught.signature), caught.bare)))
        .await;
}

#[tokio::test]
async fn auth_19_xsw6_the_signed_assertion_in_the_moved_signature() {
    refuse(|caught| caught.says.around(&caught.evil_with(&caught.signature_with(&caught.bare)))).await;
}

#[tokio::test]
async fn auth_19_xsw7_an_assertion_among_extensions() {
    refuse(|caught| {
        caught.says.around(&format!("<samlp:Extensions>{}</samlp:Extensions>{}", caught.evil, caught.signed))
    })
    .await;
}

#[tokio::test]
async fn auth_19_xsw8_the_signed_assertion_in_an_object_of_the_moved_signature() {
    refuse(|caught| {
        let object = format!("<ds:Object>{}</ds:Object>", caught.bare);
        caught.says.around(&caught.evil_with(&caught.signature_with(&object)))
    })
    .await;
}

#[tokio::test]
async fn auth_19_two_signed_assertions_are_refused() {
    let result = World::new()
        .login(|idp, mut says| {
            let one = idp.sign(&says.assertion(), &says.assertion_id);
            says.assertion_id = "_assertion2".to_owned();
            says.name_id = "bob@good.example";
            says.around(&format!("{one}{}", idp.sign(&says.assertion(), &says.assertion_id)))
        })
        .await;
    refused(result, Reauth, "more than one assertion");
}

#[tokio::test]
async fn auth_19_ids_that_stand_twice_are_refused() {
    let result = World::new()
        .login(|idp, says| signed(idp, &says).replace("ID=\"_answer1\"", "ID=\"_assertion1\""))
        .await;
    refused(result, Reauth, "an id twice");
    // Whatever the attribute is called.
    let status = "<samlp:Status xml:id=\"_assertion1\">";
    let result = World::new().login(|idp, says| signed(idp, &says).replace("<samlp:Status>", status)).await;
    refused(result, Reauth, "an id twice");
}

#[tokio::test]
async fn auth_19_what_was_changed_after_the_signature_is_refused() {
    let result = World::new()
        .login(|idp, says| signed(idp, &says).replace("alice@good.example", "mallory@evil.example"))
        .await;
    refused(result, Reauth, "the Assertion was changed after it was signed");
    let result =
        World::new().login(|idp, says| signed(idp, &says).replace("#_assertion1", "#_answer1")).await;
    refused(result, Reauth, "not made with a key of the configured certificates");
    let transform =
        "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\">not(.)</ds:Transform>";
    let result = World::new()
        .login(|idp, says| {
            signed(idp, &says).replace("</ds:Transforms>", &format!("{transform}</ds:Transforms>"))
        })
        .await;
    refused(result, Reauth, "not made with a key of the configured certificates");
}

#[tokio::test]
async fn auth_19_a_signature_for_another_element_of_the_provider_is_refused() {
    // The provider signed an assertion with this id; the attacker gives it to another element.
    let result = World::new()
        .login(|idp, says| {
            let signature = part(&idp.sign(&says.assertion(), "_other"), "ds:Signature").to_owned();
            says.around(&says.assertion().replace("</saml:Issuer>", &format!("</saml:Issuer>{signature}")))
        })
        .await;
    refused(result, Reauth, "the signature is about another element");
}

#[tokio::test]
async fn auth_19_two_signatures_of_one_assertion_are_refused() {
    let result = World::new()
        .login(|idp, says| {
            let signed = idp.sign(&says.assertion(), "_assertion1");
            let signature = part(&signed, "ds:Signature").to_owned();
            says.around(&signed.replace("</saml:Issuer>", &format!("</saml:Issuer>{signature}")))
        })
        .await;
    refused(result, Reauth, "a signature does not stand where it belongs");
    let result = World::new()
        .login(|idp, says| {
            let whole = idp.sign(&signed(idp, &says), "_answer1");
            let (head, rest) = whole.split_once("<ds:Signature").unwrap();
            let signature = format!("<ds:Signature{}", rest.split_once("</ds:Signature>").unwrap().0);
            format!("{head}{signature}</ds:Signature><ds:Signature{rest}")
        })
        .await;
    refused(result, Protocol, "more than one Signature");
}
