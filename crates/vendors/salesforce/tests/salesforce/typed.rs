//! Typed calls and actions against the sandbox.

use acople_core::{ActionCall, Connector, Context, ErrorKind};
use acople_salesforce::model::{Account, Decimal, Lead, SObject};
use acople_salesforce::soql::{Name, Query};
use acople_testkit::sandbox;
use futures_util::{StreamExt, TryStreamExt};
use serde_json::{Value, json};

use super::{connect, leads, record};

#[tokio::test]
async fn a_typed_query_gives_rows_across_pages() {
    let org = sandbox::Salesforce::builder().page_size(10).start().await.unwrap();
    org.load("Lead", leads(25));
    let sf = connect(&org);
    let rows: Vec<Lead> =
        sf.query(&Context::new(), Query::of::<Lead>().unwrap()).try_collect().await.unwrap();
    assert_eq!(rows.len(), 25);
    assert_eq!(rows[7].last_name.as_deref(), Some("Lead 7"));
    assert!(rows.iter().all(|lead| lead.id.is_some() && lead.modified.is_some()));
}

#[tokio::test]
async fn a_row_that_does_not_fit_is_an_error_of_its_own() {
    #[derive(Debug, serde::Deserialize)]
    struct Row {
        #[serde(rename = "HubSpot_Id__c")]
        hubspot: String,
    }
    let org = sandbox::Salesforce::start().await.unwrap();
    org.load("Lead", [record(json!({"LastName": "A", "Company": "B"}))]);
    org.load("Lead", leads(1));
    let sf = connect(&org);
    let rows: Vec<_> =
        sf.query::<Row>(&Context::new(), "SELECT HubSpot_Id__c FROM Lead ORDER BY Id").collect().await;
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].as_ref().unwrap_err().kind(), ErrorKind::Schema);
    assert_eq!(rows[1].as_ref().unwrap().hubspot, "hs-0");
}

#[tokio::test]
async fn a_query_that_the_vendor_refuses_is_one_error_and_the_end() {
    let org = sandbox::Salesforce::start().await.unwrap();
    let rows: Vec<_> = connect(&org).query::<Value>(&Context::new(), "SELECT Id FRM Lead").collect().await;
    assert_eq!(rows.len(), 1);
    let error = rows[0].as_ref().unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, Some("MALFORMED_QUERY")));
}

#[tokio::test]
async fn a_record_lives_through_create_get_update_upsert_and_delete() {
    let org = sandbox::Salesforce::start().await.unwrap();
    let (sf, cx) = (connect(&org), Context::new());
    let mut account = Account::default();
    account.name = Some("Acme".into());
    account.annual_revenue = Some(Decimal::new("1250.5").unwrap());
    // What was read back is not sent: no id, no times.
    account.id = Some("made up".into());
    account.modified = Some("never".into());
    let id = sf.create(&cx, Account::NAME, &account).await.unwrap();
    let mut back: Account = sf.get(&cx, Account::NAME, &id).await.unwrap();
    assert_eq!(
        (back.id.as_deref(), back.annual_revenue.clone()),
        (Some(id.as_str()), account.annual_revenue)
    );
    back.industry = Some("Banking".into());
    sf.update(&cx, Account::NAME, &id, &back).await.unwrap();
    assert_eq!(org.record("Account", &id).unwrap()["Industry"], "Banking");

    let key = Name::new("QuickBooks_Id__c").unwrap();
    let new = json!({"Name": "Beta", "QuickBooks_Id__c": "qb/1"});
    let first = sf.upsert(&cx, "Account", &key, "qb/1", &new).await.unwrap();
    assert!(first.created);
    let again = sf.upsert(&cx, "Account", &key, "qb/1", &json!({"Name": "Gamma"})).await.unwrap();
    assert!(!again.created);
    assert_eq!(org.count("Account"), 2);

    sf.delete(&cx, "Account", &id).await.unwrap();
    assert_eq!(sf.get::<Account>(&cx, "Account", &id).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(sf.delete(&cx, "Account", &id).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn an_id_cannot_leave_its_place_in_the_path() {
    let org = sandbox::Salesforce::start().await.unwrap();
    let (sf, cx) = (connect(&org), Context::new());
    for id in ["../Contact/x", "?x", "#", "a/b"] {
        assert_eq!(sf.get::<Value>(&cx, "Lead", id).await.unwrap_err().kind(), ErrorKind::NotFound, "{id}");
    }
    assert_eq!((org.stats().requests_of("retrieve"), org.stats().requests_total()), (4, 5));
    for id in ["..", "."] {
        assert_eq!(sf.get::<Value>(&cx, "Lead", id).await.unwrap_err().kind(), ErrorKind::Invalid, "{id}");
    }
    assert_eq!(org.stats().requests_total(), 5);
    assert_eq!(sf.delete(&cx, "Lead", "").await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(sf.get::<Value>(&cx, "Lead/describe", "x").await.unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn the_query_action_gives_rows_up_to_its_limit_and_says_whether_these_are_all() {
    let org = sandbox::Salesforce::builder().page_size(10).start().await.unwrap();
    org.load("Lead", leads(25));
    let sf = connect(&org);
    let call = |input: Value| sf.invoke_owned(input);
    let all = call(json!({"soql": "SELECT Id FROM Lead"})).await.unwrap();
    assert_eq!((all["records"].as_array().unwrap().len(), &all["complete"]), (25, &json!(true)));
    let some = call(json!({"soql": "SELECT Id FROM Lead", "limit": 7})).await.unwrap();
    assert_eq!((some["records"].as_array().unwrap().len(), &some["complete"]), (7, &json!(false)));
    let exact = call(json!({"soql": "SELECT Id FROM Lead", "limit": 25})).await.unwrap();
    assert_eq!(exact["complete"], json!(true));
    for input in
        [json!({}), json!({"soql": "SELECT Id FROM Lead", "limit": 0}), json!({"soql": "x", "limit": "7"})]
    {
        assert_eq!(call(input).await.unwrap_err().kind(), ErrorKind::Config);
    }
}

trait Invoke {
    async fn invoke_owned(&self, input: Value) -> acople_core::Result<Value>;
}

impl Invoke for acople_salesforce::Salesforce {
    async fn invoke_owned(&self, input: Value) -> acople_core::Result<Value> {
        Ok(self.invoke(&Context::new(), ActionCall::new("query", input)).await?.value().clone())
    }
}

#[tokio::test]
async fn the_limits_action_gives_the_orgs_limits_and_an_unknown_one_is_refused_by_name() {
    let org = sandbox::Salesforce::start().await.unwrap();
    let (sf, cx) = (connect(&org), Context::new());
    let limits = sf.invoke(&cx, ActionCall::new("limits", json!({}))).await.unwrap();
    assert_eq!(limits.value()["DailyApiRequests"]["Max"], json!(1_000_000));
    let error = sf.invoke(&cx, ActionCall::new("explode", json!({}))).await.unwrap_err();
    assert_eq!((error.kind(), error.fields()), (ErrorKind::Config, &["explode".to_owned()][..]));
}
