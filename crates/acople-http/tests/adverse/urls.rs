//! Hosts, paths and headers that are built from what others say.

use std::sync::Arc;

use acople_core::{AuthProvider, AuthStamp, Context, ErrorKind, Refresh, Request, Result};
use acople_http::{Call, Client, Multipart, Repeat, tenant_base};
use acople_testkit::{Reply, ScriptedTransport};
use async_trait::async_trait;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use proptest::prelude::*;

use super::builder;

/// The URL that a link leads to, or the kind of its refusal.
async fn linked(client: &Client, transport: &ScriptedTransport, link: &str) -> Result<String, ErrorKind> {
    let before = transport.sent().len();
    match client.send(&Context::new(), &Call::get("next").path(["v1", "list"]).link(link)).await {
        Ok(_) => Ok(transport.sent().last().unwrap().request.url().to_string()),
        Err(error) => {
            assert_eq!(transport.sent().len(), before, "nothing is sent to {link}");
            assert!(!format!("{error:?}").contains("evil"), "{error:?}");
            Err(error.kind())
        }
    }
}

#[tokio::test(start_paused = true)]
async fn url_03_links_lead_to_the_base_and_to_the_listed_origins_only() {
    let transport = ScriptedTransport::function(|_, _| Reply::json(200, "{}"));
    let client = builder(&transport)
        .link_origins(["https://pages.example.net", "https://files.example.net:8443"])
        .unwrap()
        .build();
    for (link, url) in [
        ("/v1/next", "https://api.example.com/v1/next"),
        ("next?page=2", "https://api.example.com/v1/next?page=2"),
        ("//api.example.com/x", "https://api.example.com/x"),
        ("HTTPS://API.EXAMPLE.COM/x", "https://api.example.com/x"),
        ("https://api.example.com:443/x", "https://api.example.com/x"),
        ("https://pages.example.net/x?y=1", "https://pages.example.net/x?y=1"),
        ("//PAGES.example.net/x", "https://pages.example.net/x"),
        ("https://files.example.net:8443/x", "https://files.example.net:8443/x"),
        // Full-width letters and encoded ones are the same host once they are parsed.
        ("https://ａpi.example.com/x", "https://api.example.com/x"),
        ("https://%61pi.example.com/x", "https://api.example.com/x"),
        ("https:\\\\api.example.com\\x", "https://api.example.com/x"),
        ("https:/x", "https://api.example.com/x"),
        ("https://api.example.com#@evil.example/", "https://api.example.com/#@evil.example/"),
    ] {
        assert_eq!(linked(&client, &transport, link).await.as_deref(), Ok(url), "{link}");
    }
    for link in [
        "https://evil.example/x",
        "//evil.example/x",
        "\\\\evil.example/x",
        "https://api.example.com@evil.example/x",
        "https://api.example.com%40evil.example/x",
        "https://evil@api.example.com/x",
        "https://evil:pw@pages.example.net/x",
        "https://api.example.com.evil.example/x",
        "https://api.example.com./x",
        "https://pages.example.net./x",
        "https://xn--pi-7lb.example.com/x",
        "https://\u{430}pi.example.com/x",
        "http://api.example.com/x",
        "http://pages.example.net/x",
        "https://api.example.com:8443/x",
        "https://files.example.net/x",
        "https://pages.example.net:444/x",
        "https://sub.pages.example.net/x",
        "ftp://api.example.com/x",
        "file:///etc/passwd",
        "data:text/html,x",
        "https://",
        "https://[::1/x",
    ] {
        assert_eq!(linked(&client, &transport, link).await, Err(ErrorKind::Protocol), "{link}");
    }
}

#[test]
fn url_03_listed_origins_are_held_to_what_a_base_url_is_held_to() {
    for origin in ["http://pages.example.net", "https://u:p@pages.example.net", "pages.example.net", ""] {
        let error = builder(&ScriptedTransport::new([])).link_origins([origin]).unwrap_err();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["link_origins".to_owned()][..]));
    }
}

const PATTERN: &str = "https://{}.myshopify.com";

#[test]
fn url_05_a_tenants_name_is_one_label() {
    for name in ["acme", "a", "7", "acme-wares-2", "ACME", &"a".repeat(63)] {
        let base = tenant_base("shop", PATTERN, name).unwrap();
        assert_eq!(base.as_str(), format!("https://{}.myshopify.com/", name.to_lowercase()));
    }
    for name in [
        "",
        "-acme",
        "acme-",
        "acme.evil.example",
        "acme.myshopify.com.evil.tld",
        "acme/..",
        "..",
        "acme#",
        "acme?",
        "evil.example/@",
        "user@acme",
        "acme:8080",
        "acme\r\nHost: evil",
        "acme\0",
        " acme",
        "äcme",
        "xn--cme-pla",
        "XN--cme-pla",
        "acme%2eevil",
        "acme\u{ff0e}evil",
        &"a".repeat(64),
    ] {
        let error = tenant_base("shop", PATTERN, name).unwrap_err();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["shop".to_owned()][..]), "{name:?}");
    }
}

proptest! {
    #[test]
    fn url_05_no_name_becomes_another_host(name in "[a-zA-Z0-9.\\-/@:#?%\\\\ é\r\n]{0,70}|[a-z0-9-]{1,64}|\\PC{0,40}") {
        if let Ok(base) = tenant_base("shop", PATTERN, &name) {
            let host = base.host_str().unwrap();
            prop_assert_eq!(host, format!("{}.myshopify.com", name.to_ascii_lowercase()));
            prop_assert_eq!(host.split('.').count(), 3);
            prop_assert_eq!((base.scheme(), base.path(), base.port(), base.username()), ("https", "/", None, ""));
        }
    }

    #[test]
    fn url_05_no_segment_leaves_its_place(segments in prop::collection::vec(any::<String>(), 1..4)) {
        let transport = ScriptedTransport::function(|_, _| Reply::json(200, "{}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let client = Client::builder("https://api.example.com/base", Arc::new(transport.clone())).unwrap().build();
        let sent = runtime.block_on(client.send(&Context::new(), &Call::get("read").path(&segments)));
        if segments.iter().any(|segment| matches!(segment.as_str(), "." | "..")) {
            prop_assert_eq!(sent.unwrap_err().kind(), ErrorKind::Invalid);
            return Ok(());
        }
        sent.unwrap();
        let url = transport.sent()[0].request.url().clone();
        prop_assert_eq!((url.host_str(), url.query(), url.fragment()), (Some("api.example.com"), None, None));
        let found: Vec<String> = url.path_segments().unwrap().skip(1)
            .map(|segment| percent_decode_str(segment).decode_utf8().unwrap().into_owned()).collect();
        prop_assert_eq!(found, segments);
    }
}

#[derive(Debug)]
struct Token(&'static str);

#[async_trait]
impl AuthProvider for Token {
    async fn authorize(&self, _: &Context, request: &mut Request) -> Result<AuthStamp> {
        request.set_secret_header(AUTHORIZATION, self.0)?;
        Ok(AuthStamp::default())
    }

    async fn refresh(&self, _: &Context, _: AuthStamp) -> Result<Refresh> {
        unreachable!("nothing is sent that could be refused")
    }
}

#[tokio::test(start_paused = true)]
async fn url_06_no_text_ends_its_header_and_begins_another() {
    let transport = ScriptedTransport::function(|_, _| Reply::json(200, "{}"));
    for text in ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0", "a\u{7f}", "\u{1b}[2J"] {
        assert!(HeaderValue::from_str(text).is_err(), "what `Call::header` takes is checked by its type");

        let key = HeaderName::from_static("idempotency-key");
        let call = Call::post("create").repeat(Repeat::WithKey(key));
        let client = builder(&transport).build();
        let error = client.send(&Context::new().with_idempotency_key(text), &call).await.unwrap_err();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["idempotency_key".to_owned()][..]));

        let leaked: &'static str = text.to_owned().leak();
        let client = builder(&transport).auth(Arc::new(Token(leaked))).build();
        let error = client.send(&Context::new(), &Call::get("read")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(!format!("{error:?}").contains("Evil"));

        for form in [
            Multipart::new().text(text, "value"),
            Multipart::new().file(text, "a.pdf", "application/pdf", "x"),
            Multipart::new().file("file", text, "application/pdf", "x"),
            Multipart::new().file("file", "a.pdf", text, "x"),
        ] {
            assert_eq!(form.unwrap_err().kind(), ErrorKind::Invalid, "{text:?}");
        }
    }
    assert_eq!(transport.sent().len(), 0);
}

/// The parts of a form as a reader takes them apart: heads and bodies.
fn parts(content_type: &str, body: &[u8]) -> Vec<(String, Vec<u8>)> {
    let boundary = content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
    let body = [b"\r\n", body].concat();
    let mark = format!("\r\n--{boundary}");
    let mut found = Vec::new();
    let mut rest = &body[..];
    while let Some(at) = memchr::memmem::find(rest, mark.as_bytes()) {
        found.push(&rest[..at]);
        rest = &rest[at + mark.len()..];
    }
    assert_eq!((found.remove(0), rest), (&b""[..], &b"--\r\n"[..]));
    let part = |part: &[u8]| {
        let part = part.strip_prefix(b"\r\n").unwrap();
        let end = memchr::memmem::find(part, b"\r\n\r\n").unwrap();
        (String::from_utf8(part[..end].to_vec()).unwrap(), part[end + 4..].to_vec())
    };
    found.into_iter().map(part).collect()
}

#[tokio::test(start_paused = true)]
async fn a_form_with_files_is_taken_apart_into_what_was_put_in() {
    let tricky = b"\r\n--acople-0000\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n--".to_vec();
    let form = Multipart::new()
        .text("na\"me", "line\r\nbreaks stay\0")
        .unwrap()
        .file("file", "Jül\"y; x=\\.pdf", "application/pdf", tricky.clone())
        .unwrap();
    assert!(!format!("{form:?}").contains("breaks"));
    let transport = ScriptedTransport::function(|_, _| Reply::json(200, "{}"));
    let client = builder(&transport).build();
    let call = Call::post("upload").multipart(form.clone()).unwrap();
    client.send(&Context::new(), &call).await.unwrap();
    let sent = &transport.sent()[0];
    let found = parts(sent.header("content-type").unwrap(), sent.request.body());
    assert_eq!(
        found,
        [
            (
                "Content-Disposition: form-data; name=\"na%22me\"".to_owned(),
                b"line\r\nbreaks stay\0".to_vec()
            ),
            (
                "Content-Disposition: form-data; name=\"file\"; filename=\"Jül%22y; x=\\.pdf\"\r\n\
             Content-Type: application/pdf"
                    .to_owned(),
                tricky
            )
        ]
    );
    client.send(&Context::new(), &Call::post("upload").multipart(form).unwrap()).await.unwrap();
    let sent = transport.sent();
    assert_ne!(sent[0].header("content-type"), sent[1].header("content-type"), "boundaries are random");
}

#[test]
fn a_form_has_a_limit() {
    let form = Multipart::new().largest(1000).text("a", "x".repeat(900)).unwrap();
    assert_eq!(form.text("b", "x".repeat(100)).unwrap_err().kind(), ErrorKind::TooLarge);
}
