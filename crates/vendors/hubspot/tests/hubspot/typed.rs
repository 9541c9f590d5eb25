use acople_core::{ActionCall, Connector, Context, ErrorKind};
use acople_hubspot::{Contact, Direction, Operator, Properties, Search};
use acople_testkit::sandbox;
use acople_testkit::{Reply, ScriptedTransport};
use proptest::prelude::*;
use serde_json::json;

use crate::*;

#[tokio::test]
async fn a_record_is_created_found_changed_and_archived() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    let hubspot = connect(&portal);
    let (contacts, cx) = (hubspot.contacts(), Context::new());
    let mut ada = Contact::default();
    ada.email = Some("Ada@Example.com".into());
    ada.lastname = Some("Lovelace".into());
    let created = contacts.create(&cx, &ada).await.unwrap();
    let found = contacts.get_by(&cx, "email", "ada@example.com").await.unwrap();
    assert_eq!(found.id, created.id);
    assert_eq!(found.properties.lastname.as_deref(), Some("Lovelace"));
    assert!(found.created_at.is_some() && !found.archived);
    contacts.update(&cx, &found.id, &json!({ "city": "London", "lastname": "" })).await.unwrap();
    let changed = contacts.get(&cx, &found.id).await.unwrap();
    assert_eq!(changed.properties.city.as_deref(), Some("London"));
    assert_eq!(changed.properties.lastname, None);
    assert_eq!(contacts.create(&cx, &ada).await.unwrap_err().kind(), ErrorKind::Conflict);
    contacts.archive(&cx, &found.id).await.unwrap();
    assert_eq!(contacts.get(&cx, &found.id).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn an_object_of_the_account_is_read_by_name_of_property() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    let ids = portal.load("2-123456", [record(json!({ "name": "Drill", "serial_number": "S-1" }))]);
    let drills = connect(&portal).objects::<Properties>("p_equipment");
    let drill = drills.get(&Context::new(), &ids[0]).await.unwrap();
    assert_eq!(drill.properties["serial_number"].as_deref(), Some("S-1"));
}

#[tokio::test]
async fn a_search_filters_sorts_and_pages() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    portal.load("contacts", people(9));
    portal.load("contacts", [record(json!({ "lastname": "Nomail", "city": "Jena" }))]);
    let (contacts, cx) = (connect(&portal).contacts(), Context::new());
    let search = Search::new()
        .has("email")
        .filter("lastname", Operator::Neq, "P0")
        .or()
        .one_of("city", ["jena", "gera"])
        .sort("hs_object_id", Direction::Descending)
        .limit(5);
    let first = contacts.search(&cx, &search).await.unwrap();
    assert_eq!(first.total, 9);
    assert_eq!(first.results[0].properties.lastname.as_deref(), Some("Nomail"));
    assert_eq!(first.results[1].properties.email.as_deref(), Some("p8@example.com"));
    let second = contacts.search(&cx, &search.clone().after(first.after)).await.unwrap();
    assert_eq!(second.results.len(), 4);
    assert_eq!(second.after, None);
    let none = contacts.search(&cx, &Search::new().has_not("email").query("P1")).await.unwrap();
    assert!(none.results.is_empty());
}

#[tokio::test]
async fn a_search_that_hubspot_would_refuse_is_not_sent() {
    let transport = always(Reply::json(500, ""));
    let contacts = scripted(&transport).contacts();
    let wide = (0..7).fold(Search::new(), |s, _| s.has("email"));
    let many = (0..6).fold(Search::new().has("email"), |s, _| s.or().has("email"));
    let full = (0..4).fold(Search::new(), |s, _| (0..5).fold(s.or(), |s, _| s.has("email")));
    for search in [wide, many, full, Search::new().or()] {
        assert_eq!(contacts.search(&Context::new(), &search).await.unwrap_err().kind(), ErrorKind::Config);
    }
    assert_eq!(contacts.get(&Context::new(), "").await.unwrap_err().kind(), ErrorKind::Config);
    assert!(transport.sent().is_empty());
}

#[tokio::test]
async fn an_id_cannot_leave_its_place_in_the_path() {
    let transport = always(Reply::json(200, r#"{"id":"1","properties":{}}"#));
    let contacts = scripted(&transport).contacts();
    contacts.get(&Context::new(), "../companies/7?x").await.unwrap();
    let path = transport.sent()[0].request.url().path().to_owned();
    assert_eq!(path, "/crm/objects/2026-03/contacts/..%2Fcompanies%2F7%3Fx");
}

#[tokio::test]
async fn net_05_a_create_whose_answer_is_lost_is_ambiguous_and_not_sent_again() {
    let lost = Reply::fail(acople_core::Progress::MaybeSent, acople_core::WireFault::Reset);
    let transport = ScriptedTransport::new([lost]);
    let error =
        scripted(&transport).contacts().create(&Context::new(), &Contact::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Ambiguous);
    assert_eq!(transport.sent().len(), 1);
}

#[tokio::test]
async fn the_search_action_gives_hubspots_own_answer() {
    let portal = sandbox::HubSpot::start().await.unwrap();
    portal.load("contacts", people(3));
    let hubspot = connect(&portal);
    let input = json!({ "object": "contacts", "limit": 2, "properties": ["email"],
        "filterGroups": [{ "filters": [{ "propertyName": "email", "operator": "HAS_PROPERTY" }] }] });
    let output = hubspot.invoke(&Context::new(), ActionCall::new("search", input)).await.unwrap();
    assert_eq!(output.value()["total"], 3);
    assert_eq!(output.value()["results"].as_array().unwrap().len(), 2);
    assert_eq!(output.value()["results"][0]["properties"]["email"], "p0@example.com");
    for (name, input, field) in [
        ("search", json!([]), "input"),
        ("search", json!({}), "object"),
        ("search", json!({ "object": "a/b" }), "object"),
        ("search", json!({ "object": "contacts", "limit": 201 }), "limit"),
        ("merge", json!({}), "action"),
    ] {
        let error = hubspot.invoke(&Context::new(), ActionCall::new(name, input)).await.unwrap_err();
        assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &[field.to_owned()][..]));
    }
}

proptest! {
    #[test]
    fn url_07_a_search_read_again_has_the_values_that_were_put_in(
        values in prop::collection::vec("[\"\\\\{}\\[\\]:,*'\r\n\0a]{0,12}|\\PC{0,8}|.{0,8}", 4),
    ) {
        let [one, low, high, word] = &values[..] else { unreachable!() };
        let search = Search::new()
            .filter("email", Operator::Eq, one)
            .between("createdate", low, high)
            .or()
            .one_of("city", [one, word])
            .query(word);
        let read: serde_json::Value = serde_json::from_str(&serde_json::to_string(&search).unwrap()).unwrap();
        prop_assert_eq!(read, json!({
            "filterGroups": [
                { "filters": [
                    { "propertyName": "email", "operator": "EQ", "value": one },
                    { "propertyName": "createdate", "operator": "BETWEEN", "value": low, "highValue": high },
                ] },
                { "filters": [{ "propertyName": "city", "operator": "IN", "values": [one, word] }] },
            ],
            "query": word,
        }));
    }
}
