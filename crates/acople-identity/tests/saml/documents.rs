//! What XML must not have here.

use acople_core::ErrorKind::{Protocol, TooLarge};
use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};
use proptest::sample::Index;

use crate::idp::TestIdp;
use crate::{SESSION, World, form, refused, signed};

#[tokio::test]
async fn auth_19_a_comment_inside_the_name_is_refused() {
    // The signature is right: canonical form without comments leaves them out.
    let world = World::new();
    let result = world
        .login(|idp, mut says| {
            says.name_id = "user@good.com.evil.com";
            signed(idp, &says).replace("good.com.evil", "good.com<!---->.evil")
        })
        .await;
    refused(result, Protocol, "has a comment: refused");
    let result = world
        .login(|idp, mut says| {
            says.name_id = "user@good.com.evil.com";
            signed(idp, &says).replace("good.com.evil", "good.com<?x?>.evil")
        })
        .await;
    refused(result, Protocol, "has a processing instruction: refused");
    // Split by a CDATA section, the name is still one.
    let result = world
        .login(|idp, mut says| {
            says.name_id = "user@good.com.evil.com";
            signed(idp, &says).replace("good.com.evil", "good.com<![CDATA[.]]>evil")
        })
        .await;
    assert_eq!(result.unwrap().subject, "user@good.com.evil.com");
}

#[tokio::test]
async fn auth_19_a_document_type_is_refused_whatever_is_in_it() {
    let world = World::new();
    for subset in [
        "<!DOCTYPE samlp:Response>",
        "<!DOCTYPE samlp:Response SYSTEM \"http://127.0.0.1:9/evil.dtd\">",
        "<!DOCTYPE samlp:Response [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>",
        "<!DOCTYPE samlp:Response [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;\">]>",
        "<!DOCTYPE samlp:Response [<!ATTLIST saml:Assertion ID ID #IMPLIED>]>",
    ] {
        let result = world.login(|idp, says| format!("{subset}{}", signed(idp, &says))).await;
        refused(result, Protocol, "document type (DTD): refused");
    }
}

#[tokio::test]
async fn auth_19_an_entity_is_refused_in_text_and_in_attributes() {
    let world = World::new();
    let result = world.login(|idp, says| signed(idp, &says).replace("alice@", "&xxe;@")).await;
    refused(result, Protocol, "an entity that XML does not predefine: refused");
    let result = world.login(|idp, says| signed(idp, &says).replace("ID=\"_answer1\"", "ID=\"&xxe;\"")).await;
    refused(result, Protocol, "an entity that XML does not predefine: refused");
}

#[tokio::test]
async fn body_13_a_document_type_expands_nothing_and_fetches_nothing() {
    let world = World::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    // A thousand million texts, if anybody wrote them out.
    let levels = repeated(1..10, |n| format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10)));
    for (subset, name) in [
        (format!("<!DOCTYPE x [<!ENTITY l0 \"lol\">{levels}]>"), "&l9;"),
        (format!("<!DOCTYPE x [<!ENTITY e SYSTEM \"http://{address}/e\">]>"), "&e;"),
        (format!("<!DOCTYPE x SYSTEM \"http://{address}/dtd\">"), "x"),
        (format!("<!DOCTYPE x [<!ENTITY % p SYSTEM \"http://{address}/p\">%p;]>"), "x"),
    ] {
        let result =
            world.login(|idp, says| format!("{subset}{}", signed(idp, &says).replace("alice", name))).await;
        refused(result, Protocol, "document type (DTD): refused");
    }
    assert!(listener.accept().is_err(), "something was fetched");
}

#[tokio::test]
async fn body_13_size_depth_elements_attributes_and_namespaces_are_bounded() {
    let world = World::with(TestIdp::p256(), |app| app.max_bytes(32 << 20));
    let inside = |content: String| {
        world.login(move |idp, says| {
            signed(idp, &says).replace("<samlp:Status>", &format!("{content}<samlp:Status>"))
        })
    };
    let deep = format!("{}{}", "<x>".repeat(100_000), "</x>".repeat(100_000));
    refused(inside(deep).await, TooLarge, "32 levels deep");
    refused(inside("<x/>".repeat(20_000)).await, TooLarge, "10000 elements");
    let attributes = repeated(0..1_000_000, |n| format!(" a{n}=\"\""));
    refused(inside(format!("<x{attributes}/>")).await, TooLarge, "64 attributes");
    let namespaces = |from: u32| repeated(from..from + 40, |n| format!(" xmlns:n{n}=\"urn:{n}\""));
    let nested = format!("<x{}><y{}/></x>", namespaces(0), namespaces(40));
    refused(inside(nested).await, TooLarge, "64 namespaces");
    let long = "n".repeat(1_000);
    refused(
        inside(format!("<x xmlns:a=\"urn:{long}\"/>")).await,
        TooLarge,
        "a namespace has more than 512 bytes",
    );

    let small = World::with(TestIdp::p256(), |app| app.max_bytes(1_000));
    refused(small.login(|idp, says| signed(idp, &says)).await, TooLarge, "larger than 1000 bytes");
    refused(small.login(|_, _| "x".repeat(1 << 20)).await, TooLarge, "the posted form is too large");
}

#[tokio::test]
async fn what_is_no_answer_is_refused() {
    let world = World::new();
    for (document, reason) in [
        ("", "ends too early"),
        ("{}", "text outside its root"),
        ("<a/>", "no SAML answer"),
        ("<a/><b/>", "two roots"),
        ("<a>", "ends too early"),
        ("<a></b>", "not well-formed"),
        ("<p:a/>", "prefix that it does not declare"),
        ("<a xmlns:p=''/>", "a namespace that it must not"),
        ("<a xmlns:p='urn:x' xmlns:q='urn:x' p:b='' q:b=''/>", "an attribute twice"),
        ("<a b='' b=''/>", "damaged or doubled attribute"),
        ("<a>&#0;</a>", "a character that XML does not allow"),
        ("<a>\u{1}</a>", "characters that XML does not allow"),
        ("<?xml version=\"1.1\"?><a/>", "not XML 1.0 in UTF-8"),
        ("<?xml version=\"1.0\" encoding=\"utf-7\"?><a/>", "not XML 1.0 in UTF-8"),
        ("<samlp:Response xmlns:samlp=\"urn:evil\"/>", "no SAML answer"),
    ] {
        refused(world.login(|_, _| document.to_owned()).await, Protocol, reason);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn auth_19_a_changed_answer_is_refused_or_says_the_same(
        changes in proptest::collection::vec((any::<Index>(), any::<Index>(), "[ -~]{0,12}|</?[a-z:]{1,9}>|&#?[a-z0-9]{1,4};"), 1..4),
    ) {
        let world = World::new();
        let (pending, says) = world.begin();
        let mut document = signed(&world.idp, &says);
        for (from, to, text) in &changes {
            let (from, to) = (from.index(document.len()), to.index(document.len()));
            // Mostly a few characters, now and then a piece that holds much.
            let (from, to) = if from.abs_diff(to) < 200 { (from.min(to), from.max(to)) } else { (from, from + to % 3) };
            document.replace_range(from..to.min(document.len()), text);
        }
        let posted = form(&document, pending.relay_state());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        if let Ok(identity) = runtime.block_on(world.app.complete(SESSION, pending, &posted)) {
            prop_assert_eq!(identity.subject, "alice@good.example");
        }
    }
}

fn repeated(range: std::ops::Range<u32>, piece: impl Fn(u32) -> String) -> String {
    range.map(piece).collect::<Vec<_>>().concat()
}
