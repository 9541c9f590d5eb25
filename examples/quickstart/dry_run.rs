//! A destination that writes nothing: a connector of the host's own around another.

use std::sync::Arc;

use acople::{
    Catalog, Connector, ConnectorInfo, Context, Health, Outcome, Result, Stream, WriteReport, WriteRequest,
};
use async_trait::async_trait;

/// Describes what the inner connector describes and accepts every record without sending it.
#[derive(Debug)]
pub(crate) struct DryRun(Arc<dyn Connector>);

impl DryRun {
    pub(crate) fn new(inner: Arc<dyn Connector>) -> Self {
        Self(inner)
    }
}

#[async_trait]
impl Connector for DryRun {
    fn info(&self) -> &ConnectorInfo {
        self.0.info()
    }

    async fn check(&self, cx: &Context) -> Result<Health> {
        self.0.check(cx).await
    }

    async fn discover(&self, cx: &Context) -> Result<Catalog> {
        self.0.discover(cx).await
    }

    async fn describe(&self, cx: &Context, stream: &str) -> Result<Stream> {
        self.0.describe(cx, stream).await
    }

    async fn write(&self, _: &Context, request: WriteRequest) -> Result<WriteReport> {
        let accepted = || Outcome::Accepted { id: None, created: None };
        let records = request.batch().len();
        WriteReport::new(records, (0..records).map(|_| accepted()).collect())
    }
}
