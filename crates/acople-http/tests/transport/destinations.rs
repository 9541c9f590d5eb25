//! Only public addresses are reachable, and what the host opens.

use std::time::Duration;

use acople_core::{Context, ErrorKind, Progress, Transport, WireFault};
use acople_http::{Call, Destinations, HttpTransport, SpecialUse, TransportConfig};

use super::server::Server;
use super::{Stub, client, fault, get, request};

/// Addresses in every spelling that a URL may have, and what they are.
const LITERALS: &[(&str, SpecialUse)] = &[
    ("127.0.0.1", SpecialUse::Loopback),
    ("127.1", SpecialUse::Loopback),
    ("127.0.0.1.", SpecialUse::Loopback),
    ("2130706433", SpecialUse::Loopback),
    ("0177.0.0.1", SpecialUse::Loopback),
    ("0x7f.1", SpecialUse::Loopback),
    ("0x7f000001", SpecialUse::Loopback),
    ("%31%32%37.0.0.1", SpecialUse::Loopback),
    ("１２７.0.0.1", SpecialUse::Loopback),
    ("127。0。0。1", SpecialUse::Loopback),
    ("[::1]", SpecialUse::Loopback),
    ("[0:0:0:0:0:0:0:1]", SpecialUse::Loopback),
    ("[::ffff:127.0.0.1]", SpecialUse::Loopback),
    ("[::ffff:7f00:1]", SpecialUse::Loopback),
    ("[::127.0.0.1]", SpecialUse::Loopback),
    ("[64:ff9b::7f00:1]", SpecialUse::Loopback),
    ("[2002:7f00:1::]", SpecialUse::Loopback),
    ("[2001:0:4136:e378:8000:63bf:80ff:fffe]", SpecialUse::Loopback),
    ("0.0.0.0", SpecialUse::Unspecified),
    ("0", SpecialUse::Unspecified),
    ("[::]", SpecialUse::Unspecified),
    ("10.0.0.1", SpecialUse::Private),
    ("012.0.0.1", SpecialUse::Private),
    ("172.16.0.1", SpecialUse::Private),
    ("172.31.255.255", SpecialUse::Private),
    ("192.168.0.1", SpecialUse::Private),
    ("[::ffff:10.0.0.1]", SpecialUse::Private),
    ("[64:ff9b::10.0.0.1]", SpecialUse::Private),
    ("[64:ff9b:1::1]", SpecialUse::Private),
    ("[2002:a00:1::1]", SpecialUse::Private),
    ("[2001:0:a00:1:8000:63bf:f7f7:f7f7]", SpecialUse::Private),
    ("[fc00::1]", SpecialUse::Private),
    ("[fdff:ffff::1]", SpecialUse::Private),
    ("[fec0::1]", SpecialUse::Private),
    ("100.64.0.1", SpecialUse::Shared),
    ("100.127.255.255", SpecialUse::Shared),
    ("169.254.1.1", SpecialUse::LinkLocal),
    ("[fe80::1]", SpecialUse::LinkLocal),
    ("[febf::1]", SpecialUse::LinkLocal),
    ("169.254.169.254", SpecialUse::Metadata),
    ("2852039166", SpecialUse::Metadata),
    ("0xa9fea9fe", SpecialUse::Metadata),
    ("[::ffff:169.254.169.254]", SpecialUse::Metadata),
    ("[64:ff9b::a9fe:a9fe]", SpecialUse::Metadata),
    ("169.254.170.2", SpecialUse::Metadata),
    ("100.100.100.200", SpecialUse::Metadata),
    ("168.63.129.16", SpecialUse::Metadata),
    ("[fd00:ec2::254]", SpecialUse::Metadata),
    ("[fd20:ce::254]", SpecialUse::Metadata),
    ("224.0.0.1", SpecialUse::Multicast),
    ("239.255.255.255", SpecialUse::Multicast),
    ("[ff02::1]", SpecialUse::Multicast),
    ("192.0.0.1", SpecialUse::Reserved),
    ("192.0.2.1", SpecialUse::Reserved),
    ("198.18.0.1", SpecialUse::Reserved),
    ("198.51.100.1", SpecialUse::Reserved),
    ("203.0.113.1", SpecialUse::Reserved),
    ("240.0.0.1", SpecialUse::Reserved),
    ("255.255.255.255", SpecialUse::Reserved),
    ("[::8.8.8.8]", SpecialUse::Reserved),
    ("[2001:db8::1]", SpecialUse::Reserved),
    ("[2002:808:808::1]", SpecialUse::Reserved),
    ("[3fff::1]", SpecialUse::Reserved),
    ("[100::1]", SpecialUse::Reserved),
    ("[4000::1]", SpecialUse::Reserved),
];

/// Public, though close to what is not.
const PUBLIC: &[&str] = &[
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.1",
    "192.169.0.0",
    "223.255.255.255",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2600::1",
    "2a00:1450::1",
];

#[tokio::test]
async fn url_04_no_spelling_of_an_address_reaches_what_is_not_public() {
    let server = Server::start().await;
    let port = server.address.port();
    let transport = HttpTransport::new(&TransportConfig::default()).unwrap();
    for &(host, reason) in LITERALS {
        let url = format!("http://{host}:{port}/");
        let error = transport.send(request(&url)).await.unwrap_err();
        assert_eq!((error.progress(), error.fault()), (Progress::NotSent, WireFault::Forbidden), "{host}");
        assert!(error.to_string().contains(reason.as_str()), "{host}: {error}");
    }
    assert_eq!(server.accepted(), 0);
    for address in PUBLIC {
        assert_eq!(Destinations::public().check(None, address.parse().unwrap()), Ok(()), "{address}");
    }
}

#[tokio::test]
async fn url_04_a_name_that_resolves_to_what_is_not_public_is_refused() {
    let server = Server::start().await;
    // The addresses as a resolver gives them: the URL's parser has read the odd spellings.
    let addresses: Vec<String> = LITERALS
        .iter()
        .map(|(host, _)| {
            let url: url::Url = format!("http://{host}/").parse().unwrap();
            url.host_str().unwrap().trim_matches(['[', ']']).to_owned()
        })
        .collect();
    let mut config = TransportConfig::default();
    config.resolver = Stub::new(addresses.iter().map(|address| Some(vec![address.as_str()])));
    let transport = HttpTransport::new(&config).unwrap();
    let request = request(&format!("http://good.example:{}/", server.address.port()));
    for ((_, reason), address) in LITERALS.iter().zip(&addresses) {
        let error = transport.send(request.clone()).await.unwrap_err();
        assert_eq!((error.progress(), error.fault()), (Progress::NotSent, WireFault::Forbidden), "{address}");
        assert!(error.to_string().contains(reason.as_str()), "{address}: {error}");
    }
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn url_04_a_refusal_is_a_config_error_that_is_not_tried_again() {
    let stub = Stub::new([Some(vec!["10.11.12.13"])]);
    let mut config = TransportConfig::default();
    config.resolver = stub.clone();
    let error =
        client("https://good.example", &config).send(&Context::new(), &Call::get("read")).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts(), stub.asked()), (ErrorKind::Config, 1, 1));
    assert_eq!(fault(&error), (Progress::NotSent, WireFault::Forbidden));
    // Who entered the name learns the rule, and not what the host's network looks like.
    let text = format!("{error:?}");
    assert!(text.contains("a private address") && !text.contains("10.11.12.13"), "{text}");
    let by_address = client("https://10.11.12.13", &TransportConfig::default());
    let error = by_address.send(&Context::new(), &Call::post("write")).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Config, 1));
}

#[tokio::test]
async fn url_04_connections_go_to_allowed_addresses_alone() {
    let closed = Server::at("127.0.0.2:0", Duration::ZERO).await;
    let open = Server::at(&format!("127.0.0.1:{}", closed.address.port()), Duration::ZERO).await;
    let mut config = TransportConfig::default().allow("127.0.0.1").unwrap();
    config.resolver = Stub::new([Some(vec!["127.0.0.2", "10.0.0.1", "127.0.0.1"])]);
    let url = format!("http://good.example:{}/", closed.address.port());
    assert_eq!(get(&config, &url).await.unwrap().status(), 204);
    assert_eq!((closed.accepted(), open.accepted()), (0, 1));
}

#[tokio::test]
async fn url_04_a_name_that_answers_differently_the_second_time_gains_nothing() {
    let server = Server::at("127.0.0.2:0", Duration::ZERO).await;
    // First an allowed address, where nobody listens; then the one that the attacker is after.
    let stub = Stub::new([Some(vec!["127.0.0.1"]), Some(vec!["127.0.0.2"])]);
    let mut config = TransportConfig::default().allow("127.0.0.1").unwrap();
    config.resolver = stub.clone();
    let url = format!("http://good.example:{}/", server.address.port());
    let error = get(&config, &url).await.unwrap_err();
    assert_eq!((error.fault(), stub.asked()), (WireFault::Connect, 1), "one lookup for check and use");
    let error = get(&config, &url).await.unwrap_err();
    assert_eq!((error.fault(), stub.asked()), (WireFault::Forbidden, 2));
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn url_04_private_ranges_open_by_name_address_or_network() {
    let server = Server::start().await;
    let port = server.address.port();
    let (literal, named) = (server.url(), format!("http://ERP.corp.example.:{port}/"));
    let with = |destination: &str| {
        let mut config = TransportConfig::default().allow(destination).unwrap();
        config.resolver = Stub::new([Some(vec!["127.0.0.1"])]);
        config
    };
    for (destination, by_literal, by_name) in [
        ("127.0.0.1", true, true),
        ("127.0.0.0/8", true, true),
        ("::ffff:127.0.0.1", true, true),
        ("0.0.0.0/0", true, true),
        ("erp.corp.example", false, true),
        ("corp.example", false, false),
        ("127.0.0.2", false, false),
        ("10.0.0.0/8", false, false),
        ("::/0", false, false),
    ] {
        let transport = HttpTransport::new(&with(destination)).unwrap();
        assert_eq!(transport.send(request(&literal)).await.is_ok(), by_literal, "{destination}");
        assert_eq!(transport.send(request(&named)).await.is_ok(), by_name, "{destination}");
    }
    assert_eq!(get(&TransportConfig::default().allow_loopback(), &literal).await.unwrap().status(), 204);
}

#[test]
fn url_04_a_name_on_the_list_opens_no_metadata_service() {
    let open = Destinations::public().allow("erp.corp.example").unwrap().allow("169.254.0.0/16").unwrap();
    let check =
        |open: &Destinations, address: &str| open.check(Some("erp.corp.example"), address.parse().unwrap());
    assert_eq!(check(&open, "192.168.3.4"), Ok(()));
    assert_eq!(check(&open, "169.254.3.4"), Ok(()), "by its network");
    assert_eq!(check(&open, "fe80::1"), Err(SpecialUse::LinkLocal));
    assert_eq!(check(&open, "169.254.169.254"), Err(SpecialUse::Metadata));
    let very = open.allow("169.254.169.254").unwrap();
    assert_eq!(check(&very, "169.254.169.254"), Ok(()));
}

#[test]
fn what_is_no_destination_cannot_be_opened() {
    for wrong in [
        "",
        "https://erp.example",
        "erp.example:8443",
        "*.example",
        "10.0.0.0/33",
        "::/129",
        "10.0.0.0/",
        "a b",
        "1/2",
    ] {
        let error = Destinations::public().allow(wrong).unwrap_err();
        assert_eq!(
            (error.kind(), error.fields()),
            (ErrorKind::Config, &["destinations".to_owned()][..]),
            "{wrong}"
        );
    }
}
