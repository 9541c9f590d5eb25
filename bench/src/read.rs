//! Full reads through the connectors.

use acople_core::json::{FieldPath, Projection, Row};
use acople_core::{Connector, Context, Event, ReadRequest};
use futures_util::StreamExt;

use crate::sink::{Kind, Sink};
use crate::{Failure, Host, Tally};

/// Contacts of Salesforce: `AnnualSpend__c` in cents and the bytes of `Email`.
pub(crate) async fn salesforce(host: &Host, kind: &Kind) -> Result<Tally, Failure> {
    let org = host.salesforce()?;
    let cx = Context::new();
    let mut columns = Vec::new();
    if kind.has_columns() {
        let description = org.describe_object(&cx, "Contact").await?;
        columns.extend(description.fields.into_iter().map(|field| field.name));
    }
    let fields = Fields::new(&columns, "AnnualSpend__c", "Email")?;
    let cents = |row: &Row<'_>| row.get(fields.amount).as_number()?.to_scaled(2);
    read(&org, &cx, "Contact", kind.open(&columns)?, &fields, cents).await
}

/// Contacts of HubSpot: `annualrevenue`, which comes as a text, and the bytes of `email`.
pub(crate) async fn hubspot(host: &Host, kind: &Kind) -> Result<Tally, Failure> {
    let account = host.hubspot()?;
    let fields = Fields::new(&[], "properties.annualrevenue", "properties.email")?;
    let whole = |row: &Row<'_>| {
        let text = row.get(fields.amount).as_text()?;
        text.raw().parse().ok()
    };
    read(&account, &Context::new(), "contacts", kind.open(&[])?, &fields, whole).await
}

/// The fields that a run looks at in every record.
struct Fields {
    projection: Projection,
    amount: usize,
    email: usize,
}

impl Fields {
    /// The columns that the sink stores, and the two that are added up, which may be among them.
    fn new(columns: &[String], amount: &str, email: &str) -> Result<Self, Failure> {
        let mut names: Vec<&str> = columns.iter().map(String::as_str).collect();
        let mut place = |name| {
            names.iter().position(|other| *other == name).unwrap_or_else(|| {
                names.push(name);
                names.len() - 1
            })
        };
        let (amount, email) = (place(amount), place(email));
        let paths = names.into_iter().map(FieldPath::parse).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { projection: Projection::new(paths), amount, email })
    }
}

async fn read(
    connector: &dyn Connector,
    cx: &Context,
    stream: &str,
    mut sink: Sink,
    fields: &Fields,
    amount: impl Fn(&Row<'_>) -> Option<i128>,
) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    let mut events = connector.read(cx, ReadRequest::full(stream))?;
    while let Some(event) = events.next().await {
        let Event::Batch(batch) = event? else { continue };
        // Gone before the next page is asked for: cells kept to use their memory again hold their page.
        let cells = batch.project(&fields.projection);
        for row in cells.rows() {
            let email = row.get(fields.email).as_text().ok_or("a record without e-mail")?;
            tally.sum += amount(&row).ok_or("a record without amount")? + email.decoded_len() as i128;
        }
        tally.records += batch.len() as u64;
        sink.write(&batch, &cells)?;
    }
    sink.close()?;
    tally.bytes = cx.meter().usage().bytes_received;
    Ok(tally)
}
