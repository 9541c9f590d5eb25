//! The ready tables, both directions, with the rows that real accounts have.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use acople_core::{Batch, Change, ErrorKind, Mapped, Mapper};
use acople_map::{Lookups, Table, TableMapper, ready};

fn compile(table: acople_core::Result<Table>) -> TableMapper {
    table.unwrap().compile(&Lookups::new()).unwrap()
}

fn map(mapper: &TableMapper, records: &[&str]) -> Mapped {
    let mapped = mapper.map(&Batch::from_records("in", records).unwrap()).unwrap();
    assert_eq!(mapped.origins.len() + mapped.refused.len() + mapped.skipped, records.len());
    mapped
}

fn one(mapper: &TableMapper, record: &str) -> serde_json::Value {
    serde_json::from_str(&text(mapper, record)).unwrap()
}

fn text(mapper: &TableMapper, record: &str) -> String {
    let mapped = map(mapper, &[record]);
    assert!(mapped.refused.is_empty(), "{:?}", mapped.refused);
    mapped.batch.get(0).unwrap().raw().to_owned()
}

fn fields(mapper: &TableMapper) -> Vec<String> {
    mapper.fields().unwrap().iter().map(ToString::to_string).collect()
}

const LEAD: &str = r#"{"attributes":{"type":"Lead","url":"/services/data/v67.0/sobjects/Lead/00Q1"},"Id":"00Q1x00000AbCdEAAV","FirstName":"Ana \"Nena\"","LastName":"Pérez 😀","Email":"ana@example.com","Phone":"+51 1 555","Company":"Café & Söhne","Title":"CEO","LeadSource":"Web","Status":"Working - Contacted","CreatedDate":"2026-01-02T03:04:05.000+0000","LastModifiedDate":"2026-02-03T04:05:06.789+0000","IsConverted":false}"#;

#[test]
fn a_salesforce_lead_becomes_a_hubspot_contact() {
    let mapper = compile(ready::salesforce_lead_to_hubspot_contact());
    assert_eq!(
        text(&mapper, LEAD),
        r#"{"properties":{"salesforce_lead_id":"00Q1x00000AbCdEAAV","firstname":"Ana \"Nena\"","lastname":"Pérez 😀","company":"Café & Söhne","email":"ana@example.com","phone":"+51 1 555","jobtitle":"CEO","leadsource":"Web","hs_lead_status":"IN_PROGRESS"}}"#
    );
    let mapped = map(&mapper, &[LEAD]);
    assert_eq!(mapped.batch.stream(), "contacts");
}

#[test]
fn the_times_of_a_record_are_compared_but_not_written() {
    let forward = compile(ready::salesforce_lead_to_hubspot_contact());
    assert!(!text(&forward, LEAD).contains("createdate"));
    let contact = one(&forward.with_read_only_fields(true), LEAD);
    assert_eq!(contact["properties"]["createdate"], "2026-01-02T03:04:05.000Z");
    assert_eq!(contact["properties"]["lastmodifieddate"], "2026-02-03T04:05:06.789Z");

    let backward = compile(ready::hubspot_contact_to_salesforce_lead());
    let record = r#"{"id":"51","properties":{"lastname":"P","company":"C","createdate":"2026-01-02T03:04:05.678Z","lastmodifieddate":"2026-02-03T04:05:06Z"}}"#;
    assert!(!text(&backward, record).contains("CreatedDate"));
    let lead = one(&backward.with_read_only_fields(true), record);
    assert_eq!(lead["CreatedDate"], "2026-01-02T03:04:05.678+0000");
    assert_eq!(lead["LastModifiedDate"], "2026-02-03T04:05:06.000+0000");
}

#[test]
fn a_hubspot_contact_becomes_a_salesforce_lead() {
    let mapper = compile(ready::hubspot_contact_to_salesforce_lead());
    let record = r#"{"id":"51","properties":{"email":"ana@example.com","firstname":"Ana","lastname":"Pérez","company":"Acme","phone":null,"jobtitle":"","leadsource":"Web","hs_lead_status":"CONNECTED","salesforce_lead_id":"00Q1","createdate":"2026-01-02T03:04:05.678Z"},"createdAt":"2026-01-02T03:04:05.678Z","archived":false}"#;
    assert_eq!(
        text(&mapper, record),
        r#"{"HubSpot_Id__c":"51","FirstName":"Ana","LastName":"Pérez","Company":"Acme","Email":"ana@example.com","Phone":null,"Title":null,"LeadSource":"Web","Status":"Working - Contacted"}"#
    );
    let mapped = map(&mapper, &[record]);
    assert_eq!(mapped.batch.stream(), "Lead");
}

#[test]
fn no_ready_table_writes_the_other_vendors_own_id() {
    let everything = r#"{"Id":"00Q1","id":"51","LastName":"x","properties":{"salesforce_lead_id":"00Q9","salesforce_contact_id":"0039","lastname":"x","company":"y","hs_object_id":"51"}}"#;
    for table in [ready::salesforce_lead_to_hubspot_contact(), ready::salesforce_contact_to_hubspot_contact()]
    {
        let contact = one(&compile(table).with_read_only_fields(true), everything);
        assert!(contact.get("id").is_none() && contact["properties"].get("hs_object_id").is_none());
    }
    for table in [ready::hubspot_contact_to_salesforce_lead(), ready::hubspot_contact_to_salesforce_contact()]
    {
        let record = one(&compile(table).with_read_only_fields(true), everything);
        assert!(record.get("Id").is_none());
        assert_eq!(record["HubSpot_Id__c"], "51");
    }
}

#[test]
fn every_lead_status_survives_the_way_there_and_back() {
    let forward = compile(ready::salesforce_lead_to_hubspot_contact());
    let backward = compile(ready::hubspot_contact_to_salesforce_lead());
    for (status, hubspot) in [
        ("Open - Not Contacted", "NEW"),
        ("Working - Contacted", "IN_PROGRESS"),
        ("Closed - Converted", "OPEN_DEAL"),
        ("Closed - Not Converted", "UNQUALIFIED"),
    ] {
        let contact = one(&forward, &format!(r#"{{"Status":"{status}"}}"#));
        assert_eq!(contact["properties"]["hs_lead_status"], hubspot);
        let back =
            format!(r#"{{"properties":{{"lastname":"x","company":"y","hs_lead_status":"{hubspot}"}}}}"#);
        assert_eq!(one(&backward, &back)["Status"], status);
    }
    for hubspot in ["OPEN", "ATTEMPTED_TO_CONTACT", "CONNECTED", "BAD_TIMING"] {
        let back =
            format!(r#"{{"properties":{{"lastname":"x","company":"y","hs_lead_status":"{hubspot}"}}}}"#);
        assert!(one(&backward, &back)["Status"].is_string());
    }
    let mapped = map(&forward, &[r#"{"Id":"1","Status":"Nurturing"}"#]);
    assert_eq!(mapped.refused[0].error.kind(), ErrorKind::Invalid);
    assert_eq!(mapped.refused[0].error.fields(), ["Status"]);
}

#[test]
fn awkward_leads_do_not_stop_the_others() {
    let mapper = compile(ready::salesforce_lead_to_hubspot_contact());
    let mapped = map(
        &mapper,
        &[
            r#"{"Id":"1","Email":null,"LastName":null,"Title":null}"#,
            r#"{"Id":"2"}"#,
            r#"{"Id":"3","Phone":123456789012345678901234567890,"LeadSource":1.10}"#,
            r#"{"Id":"4","LastName":"a","LastName":"b"}"#,
            r#"{"Id":"5","LastName":"half \ud800 and \u0000"}"#,
            r#"{"Id":"6","Status":["Open"]}"#,
            r#"{"Id":"1","Email":"again@example.com"}"#,
            r#"["no record"]"#,
        ],
    );
    let texts: Vec<&str> = mapped.batch.iter().map(acople_core::Record::raw).collect();
    assert_eq!(
        texts,
        [
            r#"{"properties":{"salesforce_lead_id":"1","lastname":"","email":"","jobtitle":""}}"#,
            r#"{"properties":{"salesforce_lead_id":"2"}}"#,
            r#"{"properties":{"salesforce_lead_id":"3","phone":123456789012345678901234567890,"leadsource":1.10}}"#,
            r#"{"properties":{"salesforce_lead_id":"4","lastname":"b"}}"#,
            r#"{"properties":{"salesforce_lead_id":"5","lastname":"half \ud800 and \u0000"}}"#,
            r#"{"properties":{"salesforce_lead_id":"1","email":"again@example.com"}}"#,
        ]
    );
    assert_eq!(mapped.origins, [0, 1, 2, 3, 4, 6]);
    assert_eq!(mapped.refused.iter().map(|refusal| refusal.index).collect::<Vec<_>>(), [5, 7]);
}

#[test]
fn a_contact_that_salesforce_would_refuse_is_refused_with_its_source_field() {
    let lead = compile(ready::hubspot_contact_to_salesforce_lead());
    let mapped = map(
        &lead,
        &[
            r#"{"id":"1","properties":{"email":"a@b.c","company":"x","lastname":null}}"#,
            r#"{"id":"2","properties":{"lastname":"x","company":""}}"#,
        ],
    );
    assert_eq!(mapped.refused[0].error.fields(), ["properties.lastname"]);
    assert_eq!(mapped.refused[1].error.fields(), ["properties.company"]);
    let contact = compile(ready::hubspot_contact_to_salesforce_contact());
    let mapped = map(&contact, &[r#"{"id":"1","properties":{"email":"a@b.c"}}"#]);
    assert_eq!(mapped.refused[0].error.fields(), ["properties.lastname"]);
}

#[test]
fn deletions_carry_the_external_id_alone() {
    for (table, record, expected) in [
        (
            ready::salesforce_lead_to_hubspot_contact(),
            r#"{"Id":"00Q1"}"#,
            r#"{"properties":{"salesforce_lead_id":"00Q1"}}"#,
        ),
        (
            ready::salesforce_contact_to_hubspot_contact(),
            r#"{"Id":"0031","LastName":"x"}"#,
            r#"{"properties":{"salesforce_contact_id":"0031"}}"#,
        ),
        (ready::hubspot_contact_to_salesforce_lead(), r#"{"id":"51"}"#, r#"{"HubSpot_Id__c":"51"}"#),
        (
            ready::hubspot_contact_to_salesforce_contact(),
            r#"{"id":"51","archived":true}"#,
            r#"{"HubSpot_Id__c":"51"}"#,
        ),
        (
            ready::quickbooks_customer_to_salesforce_account(),
            r#"{"Id":"9","status":"Deleted"}"#,
            r#"{"QuickBooks_Id__c":"9"}"#,
        ),
    ] {
        let batch = Batch::from_records("in", [record]).unwrap().with_deletions([true]);
        let mapped = compile(table).map(&batch).unwrap();
        let record = mapped.batch.get(0).unwrap();
        assert_eq!((record.raw(), record.change()), (expected, Change::Delete));
    }
}

#[test]
fn a_salesforce_contact_becomes_a_hubspot_contact_and_back() {
    let forward = compile(ready::salesforce_contact_to_hubspot_contact());
    let record = r#"{"Id":"0031","FirstName":"Ana","LastName":"Pérez","Email":"ana@example.com","Phone":"555","Title":"CEO","LeadSource":"Web","Account":{"attributes":{"type":"Account"},"Name":"Acme"},"CreatedDate":"2026-01-02T03:04:05.000+0000"}"#;
    assert_eq!(
        text(&forward, record),
        r#"{"properties":{"salesforce_contact_id":"0031","firstname":"Ana","lastname":"Pérez","email":"ana@example.com","phone":"555","company":"Acme","jobtitle":"CEO","leadsource":"Web"}}"#
    );
    assert!(one(&forward, r#"{"Id":"0032","Account":null}"#)["properties"].get("company").is_none());

    let backward = compile(ready::hubspot_contact_to_salesforce_contact());
    let contact = r#"{"id":"51","properties":{"firstname":"Ana","lastname":"Pérez","email":"ana@example.com","company":"Acme"}}"#;
    assert_eq!(
        text(&backward, contact),
        r#"{"HubSpot_Id__c":"51","FirstName":"Ana","LastName":"Pérez","Email":"ana@example.com"}"#
    );
}

#[test]
fn the_mapped_fields_can_be_pushed_down_to_the_vendor() {
    let forward = compile(ready::salesforce_lead_to_hubspot_contact());
    assert_eq!(
        fields(&forward),
        ["Id", "FirstName", "LastName", "Company", "Email", "Phone", "Title", "LeadSource", "Status"]
    );
    let all = fields(&forward.with_read_only_fields(true));
    assert!(all.contains(&"CreatedDate".to_owned()) && all.contains(&"LastModifiedDate".to_owned()));
    let backward = compile(ready::hubspot_contact_to_salesforce_lead());
    assert!(fields(&backward).contains(&"properties.email".to_owned()));
}

const CUSTOMER: &str = r#"{"Taxable":true,"Balance":239.00,"BalanceWithJobs":1239.10,"CurrencyRef":{"value":"USD"},"domain":"QBO","Id":"1","SyncToken":"0","MetaData":{"CreateTime":"2026-01-02T16:48:43-08:00","LastUpdatedTime":"2026-01-10T10:10:15-08:00"},"GivenName":"Amy","Title":"Owner","FullyQualifiedName":"Amy's Bird Sanctuary","CompanyName":"Amy's Bird Sanctuary Inc.","DisplayName":"Amy's Bird Sanctuary","Active":true,"PrimaryPhone":{"FreeFormNumber":"(650) 555-3311"},"PrimaryEmailAddr":{"Address":"Birds@Intuit.com"}}"#;

#[test]
fn a_quickbooks_customer_becomes_a_salesforce_account() {
    let mapper = compile(ready::quickbooks_customer_to_salesforce_account());
    assert_eq!(
        text(&mapper, CUSTOMER),
        r#"{"QuickBooks_Id__c":"1","Name":"Amy's Bird Sanctuary","Company_Name__c":"Amy's Bird Sanctuary Inc.","JobTitle__c":"Owner","Email__c":"Birds@Intuit.com","Phone":"(650) 555-3311","Balance__c":239.00,"AnnualRevenue":1239.10,"QuickBooks_Created__c":"2026-01-03T00:48:43.000+0000","QuickBooks_Updated__c":"2026-01-10T18:10:15.000+0000"}"#
    );
    assert_eq!(map(&mapper, &[CUSTOMER]).batch.stream(), "Account");
}

#[test]
fn awkward_customers_keep_their_digits_or_are_refused_with_their_field() {
    let mapper = compile(ready::quickbooks_customer_to_salesforce_account());
    let long = format!(r#"{{"Id":"4","DisplayName":"{}"}}"#, "é".repeat(256));
    let mapped = map(
        &mapper,
        &[
            r#"{"Id":"1","DisplayName":"","CompanyName":"Only Company","Balance":123456789012345678901234567890.10}"#,
            r#"{"Id":"2","Balance":0}"#,
            r#"{"DisplayName":"No id"}"#,
            &long,
            r#"{"Id":"5","DisplayName":"x","TotalRevenue":10.50,"BalanceWithJobs":1,"PrimaryEmailAddr":null,"MetaData":{}}"#,
            r#"{"Id":"6","DisplayName":"x","MetaData":{"CreateTime":"0000-00-00"}}"#,
        ],
    );
    let texts: Vec<&str> = mapped.batch.iter().map(acople_core::Record::raw).collect();
    assert_eq!(
        texts,
        [
            r#"{"QuickBooks_Id__c":"1","Name":"Only Company","Company_Name__c":"Only Company","Balance__c":123456789012345678901234567890.10}"#,
            r#"{"QuickBooks_Id__c":"5","Name":"x","AnnualRevenue":10.50}"#,
        ]
    );
    let refused: Vec<(usize, ErrorKind, &str)> = mapped
        .refused
        .iter()
        .map(|refusal| (refusal.index, refusal.error.kind(), refusal.error.fields()[0].as_str()))
        .collect();
    assert_eq!(
        refused,
        [
            (1, ErrorKind::Invalid, "DisplayName"),
            (2, ErrorKind::Invalid, "Id"),
            (3, ErrorKind::Invalid, "DisplayName"),
            (5, ErrorKind::Schema, "MetaData.CreateTime"),
        ]
    );
}

#[test]
fn write_10_a_refused_target_field_leads_back_to_its_source_field() {
    let mapper = compile(ready::salesforce_lead_to_hubspot_contact());
    assert_eq!(mapper.sources_of("email"), ["Email"]);
    assert_eq!(mapper.sources_of("hs_lead_status"), ["Status"]);
    let mapper = compile(ready::quickbooks_customer_to_salesforce_account());
    assert_eq!(mapper.sources_of("Name"), ["DisplayName", "CompanyName"]);
    assert_eq!(mapper.sources_of("Email__c"), ["PrimaryEmailAddr.Address"]);
}
