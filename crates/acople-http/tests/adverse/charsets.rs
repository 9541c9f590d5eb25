//! Bodies whose text is not the UTF-8 that JSON should be.

use acople_core::{Context, Error, ErrorKind, Record};
use acople_http::{Answer, Call, Client, Fetched, List, Paging};
use acople_testkit::{Reply, ScriptedTransport};
use serde_json::{Value, json};

use super::client;

const TEXT: &str = r#"{"id":"7","name":"Zoë – 10 €"}"#;

async fn answered(content_type: &str, body: Vec<u8>) -> Answer {
    let reply = Reply::new(200, body).header("content-type", content_type);
    let transport = ScriptedTransport::function(move |_, _| reply.clone());
    client(&transport).send(&Context::new(), &Call::get("read")).await.unwrap()
}

fn utf_16(text: &str, mark: bool, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    let mark = mark.then_some(0xfeff);
    mark.into_iter().chain(text.encode_utf16()).flat_map(bytes).collect()
}

/// `TEXT` in windows-1252, of which ISO 8859-1 is a part on the web.
fn western() -> Vec<u8> {
    let byte = |c| match c {
        '–' => 0x96,
        '€' => 0x80,
        c => u8::try_from(u32::from(c)).unwrap(),
    };
    TEXT.chars().map(byte).collect()
}

#[tokio::test(start_paused = true)]
async fn body_08_the_declared_charset_is_honoured_and_a_mark_counts_more() {
    let marked = [b"\xef\xbb\xbf".as_slice(), TEXT.as_bytes()].concat();
    for (content_type, body) in [
        ("application/json", TEXT.as_bytes().to_vec()),
        ("application/json; charset=UTF-8", TEXT.as_bytes().to_vec()),
        ("application/json; charset=us-ascii", TEXT.as_bytes().to_vec()),
        ("application/json", marked.clone()),
        ("application/json; charset=utf-8", marked.clone()),
        ("application/json; charset=iso-8859-1", marked),
        ("application/json; charset=ISO-8859-1", western()),
        ("application/json;x=1; CHARSET=\"windows-1252\"", western()),
        ("application/json", utf_16(TEXT, true, u16::to_be_bytes)),
        ("application/json; charset=utf-8", utf_16(TEXT, true, u16::to_le_bytes)),
        ("application/json; charset=utf-16", utf_16(TEXT, true, u16::to_le_bytes)),
        ("application/json; charset=utf-16be", utf_16(TEXT, false, u16::to_be_bytes)),
        ("application/json; charset=utf-16le", utf_16(TEXT, false, u16::to_le_bytes)),
    ] {
        let answer = answered(content_type, body).await;
        assert_eq!(answer.text().unwrap(), TEXT, "{content_type}");
        assert_eq!(answer.json::<Value>().unwrap()["name"], "Zoë – 10 €", "{content_type}");
        assert_eq!(answer.into_page().unwrap().as_str(), TEXT, "{content_type}");
    }
}

#[tokio::test(start_paused = true)]
async fn body_08_text_that_is_not_of_its_charset_is_an_error_and_no_guess() {
    let unpaired = utf_16("{\"id\":\"\u{1f600}\"}", false, u16::to_be_bytes);
    let unpaired = [&unpaired[..14], &unpaired[16..]].concat();
    for (content_type, body) in [
        ("application/json", western()),
        ("application/json; charset=utf-8", western()),
        ("application/json; charset=klingon", TEXT.as_bytes().to_vec()),
        ("application/json; charset=", TEXT.as_bytes().to_vec()),
        ("application/json; charset=iso-2022-kr", TEXT.as_bytes().to_vec()),
        ("application/json; charset=utf-16be", unpaired),
        ("application/json", utf_16(TEXT, false, u16::to_be_bytes)),
    ] {
        let answer = answered(content_type, body).await;
        assert_eq!(answer.json::<Value>().unwrap_err().kind(), ErrorKind::Protocol, "{content_type}");
        let page = answer.into_page().map(|page| serde_json::from_str::<Value>(page.as_str()).is_ok());
        assert!(!page.unwrap_or(false), "{content_type}");
    }
}

async fn fetched(client: &Client, paging: Paging) -> Result<Fetched, Error> {
    let list = List::new(client, &Context::new(), "contacts", &["results"], paging)?;
    list.fetch(Call::get("list contacts"), None).await
}

fn lists(body: &[u8]) -> Client {
    let reply = Reply::json(200, body.to_vec());
    client(&ScriptedTransport::function(move |_, _| reply.clone()))
}

#[tokio::test(start_paused = true)]
async fn body_08_a_record_that_is_no_text_is_refused_alone() {
    let page = b"\xef\xbb\xbf{\"results\":[{\"id\":1,\"n\":\"a?\"},{\"id\":2,\"n\":\"\xff\xc3\"},{\"id\":3,\"n\":\"c\"}],\"next\":\"p2\"}";
    let page = fetched(&lists(page), Paging::token("next", "after")).await.unwrap();
    assert_eq!(page.next.unwrap().to_string(), "p2");
    let batch = page.batch;
    assert_eq!(batch.len(), 3);
    let unreadable = batch.unreadable().unwrap();
    assert_eq!(unreadable.places, [0, 2]);
    assert_eq!(
        unreadable.rest.iter().map(Record::raw).collect::<Vec<_>>(),
        [r#"{"id":1,"n":"a?"}"#, r#"{"id":3,"n":"c"}"#]
    );
    assert_eq!(unreadable.refused.len(), 1);
    assert_eq!((unreadable.refused[0].index, unreadable.refused[0].error.kind()), (1, ErrorKind::Schema));
    assert!(unreadable.rest.unreadable().is_none());
    let parsed: Vec<_> = batch.typed::<Value>().collect();
    assert_eq!(parsed[0].as_ref().unwrap(), &json!({"id": 1, "n": "a?"}));
    assert_eq!(parsed[1].as_ref().unwrap_err().kind(), ErrorKind::Schema);
    assert_eq!(parsed[2].as_ref().unwrap(), &json!({"id": 3, "n": "c"}));
}

#[tokio::test(start_paused = true)]
async fn body_08_a_page_that_is_broken_outside_of_its_records_is_refused_whole() {
    for page in [
        &b"{\"results\":[{\"id\":1}],\"next\":\"p\xff\"}"[..],
        b"{\"res\xffults\":[{\"id\":1}]}",
        b"{\"results\":[{\"id\":1}\xff]}",
        b"{\"results\":[{\"id\":\xff}]}",
    ] {
        let error = fetched(&lists(page), Paging::token("next", "after")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
    }
    // Nor is a key that cannot be read a place to go on from.
    let key = b"{\"results\":[{\"id\":\"1\"},{\"id\":\"2\xff\"}]}";
    let error = fetched(&lists(key), Paging::keyset("id", "after")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    let other = b"{\"results\":[{\"id\":\"1\"},{\"id\":\"2\",\"n\":\"\xff\"}]}";
    let page = fetched(&lists(other), Paging::keyset("id", "after")).await.unwrap();
    assert_eq!(page.next.unwrap().to_string(), "2");
}
