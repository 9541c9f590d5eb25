//! Queries that cannot be injected into.

use acople_core::{Context, ErrorKind};
use acople_salesforce::soql::{Condition, Literal, Name, Op, Query};
use acople_testkit::sandbox;
use futures_util::TryStreamExt;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{connect, record};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

#[tokio::test]
async fn url_07_a_text_finds_exactly_itself_whatever_it_holds() {
    let nasty = [
        "O'Brien",
        "x' OR Id != null OR LastName = 'x",
        r"back\slash",
        r"ends with a backslash\",
        r"\' OR Id != null --",
        "line\nbreak\r\tand tab",
        "100% _under_",
        "\u{2019}\u{201d}\u{ff07} Unicode quotes",
        "/* comment */ -- // ;",
        "\u{1}\u{7f} controls",
        "null",
        "{0} :bind",
        "\u{202e}right to left\u{200b}",
    ];
    let org = sandbox::Salesforce::start().await.unwrap();
    org.load("Lead", nasty.map(|text| record(json!({"LastName": text, "Company": "Acme"}))));
    let sf = connect(&org);
    for text in nasty {
        let query = Query::new(name("Lead"), [name("LastName")]).filter(Condition::compare(
            &name("LastName"),
            Op::Equal,
            &Literal::text(text),
        ));
        let rows: Vec<Value> = sf.query(&Context::new(), query).try_collect().await.unwrap();
        assert_eq!(rows.len(), 1, "{text:?}");
        assert_eq!(rows[0]["LastName"], text);
    }
}

/// The texts of a query as SOQL reads them, and the query with a mark in the place of each.
fn taken_apart(query: &str) -> (Vec<String>, String) {
    let (mut texts, mut shape) = (Vec::new(), String::new());
    let mut chars = query.chars();
    while let Some(c) = chars.next() {
        if c != '\'' {
            shape.push(c);
            continue;
        }
        let mut text = String::new();
        loop {
            match chars.next().expect("a text ends") {
                '\'' => break,
                '\\' => text.push(match chars.next().unwrap() {
                    'u' => {
                        let digits: String = chars.by_ref().take(4).collect();
                        char::from_u32(u32::from_str_radix(&digits, 16).unwrap()).unwrap()
                    }
                    c @ ('\'' | '\\') => c,
                    c => panic!("no escape of SOQL: {c}"),
                }),
                c => text.push(c),
            }
        }
        texts.push(text);
        shape.push('?');
    }
    (texts, shape)
}

proptest! {
    #[test]
    fn url_07_a_query_read_again_has_the_values_that_were_put_in_and_the_same_shape(
        values in prop::collection::vec("['\\\\\"%_\r\n\t\0a /*-]{0,12}|\\PC{0,8}|.{0,8}", 3),
    ) {
        let literals: Vec<Literal> = values.iter().map(|value| Literal::text(value)).collect();
        let one = Condition::compare(&name("LastName"), Op::Equal, &literals[0]);
        let some = Condition::one_of(&name("Company"), [literals[1].clone(), literals[2].clone()]);
        let query = Query::new(name("Lead"), [name("Id")]).filter(!one.or(some)).to_string();
        let (texts, shape) = taken_apart(&query);
        prop_assert_eq!(texts, values);
        prop_assert_eq!(shape, "SELECT Id FROM Lead WHERE (NOT ((LastName = ? OR Company IN (?,?))))");
        prop_assert!(!query.chars().any(char::is_control));
    }
}

#[test]
fn url_07_names_are_held_to_the_grammar() {
    for text in ["Id", "My_Field__c", "Account.Owner.Name", "Parent__r.Name", "a1"] {
        assert_eq!(Name::new(text).unwrap().as_str(), text);
    }
    let long = "a".repeat(501);
    for text in [
        "",
        ".",
        "a.",
        ".a",
        "1a",
        "_a",
        "a b",
        "a,b",
        "a'",
        "a--",
        "(SELECT Id FROM Contacts)",
        "ä",
        "a\n",
        &long,
    ] {
        assert_eq!(Name::new(text).unwrap_err().kind(), ErrorKind::Config, "{text:?}");
    }
}

#[test]
fn literals_are_written_as_their_types() {
    assert_eq!(Literal::instant(1_767_323_045_678).unwrap().to_string(), "2026-01-02T03:04:05.678Z");
    assert_eq!(Literal::instant(1_767_323_045_000).unwrap().to_string(), "2026-01-02T03:04:05.000Z");
    assert_eq!(Literal::decimal("-12.50").unwrap().to_string(), "-12.50");
    assert_eq!(Literal::integer(7).to_string(), "7");
    assert_eq!(Literal::bool(true).to_string(), "true");
    assert_eq!(Literal::null().to_string(), "null");
    for digits in ["", "1 OR 1=1", "'1'", "NaN", "0x10"] {
        assert!(Literal::decimal(digits).is_err(), "{digits}");
    }
    assert!(Literal::instant(i64::MAX).is_err());
    assert_eq!(format!("{:?}", Literal::text("private")), "Literal(9 bytes)");
}

#[tokio::test]
async fn conditions_combine_without_doubt_about_their_order() {
    let org = sandbox::Salesforce::start().await.unwrap();
    let people = [("A", "X"), ("B", "X"), ("A", "Y"), ("C", "Z")];
    org.load("Lead", people.map(|(last, company)| record(json!({"LastName": last, "Company": company}))));
    let is = |field: &str, value: &str| Condition::compare(&name(field), Op::Equal, &Literal::text(value));
    let sf = connect(&org);
    for (condition, expected) in [
        (is("LastName", "A").and(is("Company", "X")).or(is("LastName", "C")), 2),
        (is("LastName", "A").or(is("LastName", "B")).and(is("Company", "X")), 2),
        (!is("LastName", "A"), 2),
        (!(is("LastName", "A").or(is("LastName", "B"))), 1),
        (Condition::one_of(&name("LastName"), [Literal::text("A"), Literal::text("C")]), 3),
        (Condition::one_of(&name("LastName"), []), 0),
        (Condition::compare(&name("LastName"), Op::GreaterOrEqual, &Literal::text("B")), 2),
        (Condition::compare(&name("LastName"), Op::NotEqual, &Literal::text("A")), 2),
    ] {
        let query = Query::new(name("Lead"), [])
            .filter(condition.clone())
            .filter(is("Status", "Open - Not Contacted"));
        let rows: Vec<Value> = sf.query(&Context::new(), query).try_collect().await.unwrap();
        assert_eq!(rows.len(), expected, "{condition}");
    }
}
