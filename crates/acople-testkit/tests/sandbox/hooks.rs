//! The hook, the counters, and what both vendors share.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use acople_testkit::sandbox::{HubSpot, Phase, Salesforce, Seen, Then, people};
use serde_json::json;

use crate::client::{Client, record};

const LEADS: &str = "/services/data/v67.0/sobjects/Lead";

#[tokio::test]
async fn a_hook_sees_each_request_at_three_phases() {
    let vendor = Arc::new(Salesforce::start().await.unwrap());
    let seen: Arc<Mutex<Vec<(Seen, usize)>>> = Arc::default();
    let (log, inside) = (Arc::clone(&seen), Arc::downgrade(&vendor));
    vendor.on_request(move |request| {
        // A hook may look into the vendor: the write has not happened yet, or it has.
        let count = inside.upgrade().unwrap().count("Lead");
        log.lock().unwrap().push((request.clone(), count));
        Then::Go
    });
    let client = Client::salesforce(&vendor);
    client.post(LEADS, &json!({"LastName": "L", "Company": "C"})).await.with_status(201);
    client.get(&format!("{LEADS}/describe?x=1")).await.with_status(200);
    client
        .delete(&format!("{LEADS}/{}", vendor.records("Lead")[0]["Id"].as_str().unwrap()))
        .await
        .with_status(204);
    let seen = seen.lock().unwrap();
    let phases: Vec<_> = seen.iter().map(|(s, count)| (s.sequence, s.phase, s.operation, *count)).collect();
    assert_eq!(
        phases,
        [
            (1, Phase::Received, "create", 0),
            (1, Phase::Applied, "create", 1),
            (1, Phase::Answered, "create", 1),
            (2, Phase::Received, "describe", 1),
            (2, Phase::Applied, "describe", 1),
            (2, Phase::Answered, "describe", 1),
            (3, Phase::Received, "delete", 1),
            (3, Phase::Applied, "delete", 0),
            (3, Phase::Answered, "delete", 0),
        ]
    );
    let (first, second) = (&seen[0].0, &seen[3].0);
    assert_eq!((first.method.as_str(), first.path.as_str()), ("POST", LEADS));
    assert_eq!(&first.body[..], br#"{"LastName":"L","Company":"C"}"#);
    assert_eq!(second.query, "x=1");
    assert!(!format!("{first:?}").contains("LastName"), "bodies may hold secrets");
}

#[tokio::test]
async fn dropping_at_received_loses_the_write_and_at_applied_the_answer() {
    let vendor = Salesforce::start().await.unwrap();
    let client = Client::salesforce(&vendor);
    let body = json!({"LastName": "L", "Company": "C"}).to_string();
    for (phase, kept) in [(Phase::Received, 0), (Phase::Applied, 1)] {
        vendor.on_request(move |seen| if seen.phase == phase { Then::Drop } else { Then::Go });
        assert!(client.send("POST", LEADS, &[], body.clone()).await.is_err(), "{phase:?}");
        assert_eq!(vendor.count("Lead"), kept, "{phase:?}");
    }
    // After the answer the client has it, and the connection is gone.
    vendor.on_request(|seen| if seen.phase == Phase::Answered { Then::Drop } else { Then::Go });
    client.send("POST", LEADS, &[], body).await.unwrap().with_status(201);
    assert_eq!(vendor.stats().dropped, 3);
    assert_eq!(vendor.stats().answers_with(201), 1);
}

#[tokio::test]
async fn a_hook_may_answer_in_the_vendors_place() {
    let vendor = HubSpot::start().await.unwrap();
    let client = Client::hubspot(&vendor);
    let path = "/crm/objects/2026-03/contacts";
    let calls = AtomicUsize::new(0);
    vendor.on_request(move |seen| match (seen.phase, seen.operation) {
        (Phase::Received, "list") => match calls.fetch_add(1, Ordering::Relaxed) {
            0 => Then::html(200, "<html>maintenance</html>"),
            1 => Then::Answer {
                status: 429,
                headers: vec![("Retry-After".into(), "7".into())],
                body: "{}".into(),
            },
            _ => Then::json(200, r#"{"results":[{"id":"#),
        },
        (Phase::Applied, "create") => Then::json(502, "{}"),
        _ => Then::Go,
    });
    let html = client.get(path).await;
    assert!(html.header("content-type").starts_with("text/html"));
    assert_eq!(&html.bytes[..], b"<html>maintenance</html>");
    let throttled = client.get(path).await;
    assert_eq!((throttled.status, throttled.header("retry-after")), (429, "7"));
    assert!(serde_json::from_slice::<serde_json::Value>(&client.get(path).await.bytes).is_err());
    let lost = client.post(path, &json!({"properties": {"email": "a@b.co"}})).await;
    assert_eq!(lost.status, 502);
    assert_eq!(vendor.count("contacts"), 1, "the write was applied before the answer was replaced");
    vendor.clear_hook();
    client.get(path).await.with_status(200);
    let stats = vendor.stats();
    assert_eq!((stats.answers_with(200), stats.answers_with(429), stats.answers_with(502)), (3, 1, 1));
}

#[tokio::test]
async fn a_delay_holds_the_answer_back() {
    let vendor = Salesforce::start().await.unwrap();
    let client = Client::salesforce(&vendor);
    let wait = Duration::from_millis(30);
    for phase in [Phase::Received, Phase::Applied, Phase::Answered] {
        vendor.on_request(move |seen| if seen.phase == phase { Then::Delay(wait) } else { Then::Go });
        client.get("/services/data/").await.with_status(200);
    }
    // A delayed answer that nobody waits for is not given.
    vendor.on_request(|seen| match seen.phase {
        Phase::Received => Then::Delay(Duration::from_secs(600)),
        _ => Then::Go,
    });
    let given_up = tokio::time::timeout(wait, client.get("/services/data/")).await;
    assert!(given_up.is_err());
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    use http_body_util::{BodyExt, Empty};
    let vendor = Salesforce::start().await.unwrap();
    vendor.on_request(|_| Then::Go);
    let address = vendor.url().strip_prefix("http://").unwrap().to_owned();
    let socket = tokio::net::TcpStream::connect(&address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..5 {
        let request = http::Request::get("/services/data/").header("host", &address);
        let response =
            sender.send_request(request.body(Empty::<bytes::Bytes>::new()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.unwrap();
        sender.ready().await.unwrap();
    }
    assert_eq!(vendor.stats().requests_of("versions"), 5);
}

#[tokio::test]
async fn counters_start_again_on_demand() {
    let vendor = Salesforce::start().await.unwrap();
    let client = Client::salesforce(&vendor);
    client.get("/services/data/").await.with_status(200);
    client.get("/nowhere").await.with_status(404);
    let stats = vendor.stats();
    assert_eq!((stats.requests_total(), stats.requests_of("unknown")), (2, 1));
    vendor.reset_stats();
    assert_eq!(vendor.stats().requests_total(), 0);
}

#[tokio::test]
async fn two_runs_of_the_same_work_leave_the_same_data() {
    let mut ends = Vec::new();
    for _ in 0..2 {
        let vendor = Salesforce::start().await.unwrap();
        let client = Client::salesforce(&vendor);
        let ids = vendor.load("Lead", people(9, 450));
        vendor.advance(Duration::from_secs(5));
        client.patch(&format!("{LEADS}/{}", ids[3]), &json!({"Title": "T"})).await.with_status(204);
        vendor.delete("Lead", &ids[4]);
        vendor.update("Lead", &ids[5], &record(json!({"Title": "U"})));
        ends.push(vendor.records("Lead"));
    }
    assert_eq!(ends[0], ends[1]);
    let stamps: std::collections::BTreeSet<_> =
        ends[0].iter().map(|lead| lead["SystemModstamp"].as_str().unwrap().to_owned()).collect();
    assert_eq!(stamps.len(), 3 + 2, "loads share a timestamp in batches of 200, writes have their own");
}
