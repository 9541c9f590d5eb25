//! The vendors' own APIs, typed, without any sync: query Salesforce, write to HubSpot, search there.

#![allow(clippy::print_stdout)] // a program that talks to a person

use std::sync::Arc;

use acople::http::{HttpTransport, TransportConfig};
use acople::hubspot::{self, HubSpot, Operator, Search};
use acople::salesforce::model::Lead;
use acople::salesforce::soql::{Condition, Literal, Name, Op, Query};
use acople::salesforce::{self, Salesforce};
use acople::{Context, Resources};
use acople_testkit::sandbox;
use futures_util::StreamExt;
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Two vendors on the loopback interface stand in for real accounts.
    let org = sandbox::Salesforce::start().await?;
    let portal = sandbox::HubSpot::start().await?;
    org.load("Lead", sandbox::people(3, 500));

    let cx = Context::new();
    let config = TransportConfig::default().allow_loopback();
    let resources = Resources::new(Arc::new(HttpTransport::new(&config)?));
    let mut config =
        salesforce::Config::new(salesforce::Auth::AccessToken { token: org.access_token().into() });
    config.base_url = Some(org.url().to_owned());
    let salesforce = Salesforce::new(config, &resources)?;
    let token = hubspot::Auth::Token(portal.credentials().private_token.into());
    let hubspot = HubSpot::new(hubspot::Config::new(token).with_base_url(portal.url()), &resources)?;

    // Values go into a query as literals, never as text: a name with a quote in it cannot change the query.
    let source = Condition::compare(&Name::new("LeadSource")?, Op::Equal, &Literal::text("Web"));
    let fields =
        ["Id", "FirstName", "LastName", "Email"].map(Name::new).into_iter().collect::<Result<Vec<_>, _>>()?;
    let query = Query::new(Name::new("Lead")?, fields).filter(source).limit(5);
    let mut leads = salesforce.query::<Lead>(&cx, query);
    while let Some(lead) = leads.next().await {
        let lead = lead?;
        let (Some(email), Some(last_name)) = (lead.email, lead.last_name) else { continue };
        let properties = json!({ "email": email, "firstname": lead.first_name, "lastname": last_name });
        match hubspot.contacts().create(&cx, &properties).await {
            Ok(contact) => println!("contact {} for {last_name}", contact.id),
            // One bad address is no reason to stop; the error says what to mend.
            Err(error) => println!("{last_name}: {error}; {}", error.kind().advice()),
        }
    }

    let search = Search::new().filter("createdate", Operator::Gt, 1).select(&["email"]).limit(10);
    let found = hubspot.contacts().search(&cx, &search).await?;
    println!(
        "HubSpot has {} contacts; the first is {:?}",
        found.total,
        found.results.first().map(|c| &c.properties.email)
    );
    Ok(())
}
