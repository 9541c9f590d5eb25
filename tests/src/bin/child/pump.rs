//! A sync that makes its records itself and drops what is written.

use std::sync::Arc;

use acople::map::{Lookups, ready};
use acople::store_redb::RedbStore;
use acople::sync;
use acople::{
    Batch, BatchBuilder, Catalog, Connector, ConnectorInfo, Context, Cursor, Event, EventStream, Health,
    Outcome, ReadMode, ReadRequest, Result, Stream, WriteMode, WriteReport, WriteRequest,
};
use async_trait::async_trait;

/// Records of a batch that [`Pump`] makes.
const PUMPED: u64 = 500;

/// A sync of so many records, each padded by so many bytes.
pub(crate) fn job(records: u64, bytes: usize, store: RedbStore) -> Result<sync::Job> {
    let mapper = ready::salesforce_lead_to_hubspot_contact()?.compile(&Lookups::new())?;
    let pump =
        Arc::new(Pump { info: ConnectorInfo::new("pump", "Pump"), records, padding: "x".repeat(bytes) });
    sync::Job::builder("pump")
        .source(pump.clone(), "Lead")
        .destination(pump, "contacts")
        .mapper(Arc::new(mapper))
        .key("properties.salesforce_lead_id")
        .mode(ReadMode::Full)
        .store(Arc::new(store))
        .build()
}

/// Makes records and drops what is written to it.
#[derive(Debug)]
struct Pump {
    info: ConnectorInfo,
    records: u64,
    padding: String,
}

impl Pump {
    fn batch(first: u64, padding: &str) -> Result<Batch> {
        let mut batch = BatchBuilder::new("Lead");
        for number in first..first + PUMPED {
            batch.push_raw(&format!(
                r#"{{"Id":"00Q{number:015}","FirstName":"Ana","LastName":"Müller {number}","Company":"Acme","Email":"lead.{number}@example.com","Phone":null,"Title":"CTO","LeadSource":"Web","Status":"Working - Contacted","Description":"{padding}"}}"#
            ))?;
        }
        batch.finish()
    }
}

#[async_trait]
impl Connector for Pump {
    fn info(&self) -> &ConnectorInfo {
        &self.info
    }

    async fn check(&self, _: &Context) -> Result<Health> {
        Ok(Health::ok("always works"))
    }

    async fn discover(&self, _: &Context) -> Result<Catalog> {
        Ok(Catalog {
            streams: vec![
                Stream::new("Lead").key(["Id"]).reads([ReadMode::Full]),
                Stream::new("contacts").writes([WriteMode::Upsert]),
            ],
        })
    }

    fn read(&self, _: &Context, _: ReadRequest) -> Result<EventStream> {
        let (records, padding) = (self.records, self.padding.clone());
        Ok(Box::pin(async_stream::try_stream! {
            for first in (0..records).step_by(usize::try_from(PUMPED).unwrap_or(1)) {
                yield Event::Batch(Self::batch(first, &padding)?);
                yield Event::Checkpoint(Cursor::new("pump", "Lead", 1, &first)?);
            }
        }))
    }

    async fn write(&self, _: &Context, request: WriteRequest) -> Result<WriteReport> {
        let records = request.batch().len();
        WriteReport::new(records, (0..records).map(|_| Outcome::accepted("", None)).collect())
    }
}
