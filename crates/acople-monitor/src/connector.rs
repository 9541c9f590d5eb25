//! What the connections of one connector share.

use acople_core::BreakerState;

use crate::config::Limits;
use crate::names::Names;
use crate::retirement::Retiring;
use crate::tally::Tally;

/// One connector: the numbers of its operations, the counts of connections that are gone, its metrics.
pub(crate) struct Connector {
    pub(crate) id: String,
    operations: Names<Operation>,
    /// What forgotten connections had counted.
    pub(crate) gone: Tally,
    /// What the vendor announced to any of its connections, forgotten ones included.
    pub(crate) retiring: Retiring,
    #[cfg(feature = "metrics")]
    export: Option<crate::export::ConnectorExport>,
}

/// An operation of a connector.
pub(crate) struct Operation {
    /// Its place in every [`Tally`] of the connector.
    pub(crate) number: usize,
    #[cfg(feature = "metrics")]
    pub(crate) export: Option<Box<crate::export::OperationExport>>,
}

impl Connector {
    #[cfg(feature = "metrics")]
    pub(crate) fn new(id: &str, limits: &Limits, exporter: Option<&crate::export::Exporter>) -> Self {
        let export = exporter.map(|exporter| exporter.connector(id, limits.breaker_classes));
        let other = Operation {
            number: limits.operations,
            export: export.as_ref().map(|_| crate::export::OperationExport::new(crate::names::OTHER)),
        };
        Self {
            id: id.to_owned(),
            operations: Names::new(limits.operations, other),
            gone: Tally::new(limits.operations),
            retiring: Retiring::default(),
            export,
        }
    }

    #[cfg(not(feature = "metrics"))]
    pub(crate) fn new(id: &str, limits: &Limits) -> Self {
        Self {
            id: id.to_owned(),
            operations: Names::new(limits.operations, Operation { number: limits.operations }),
            gone: Tally::new(limits.operations),
            retiring: Retiring::default(),
        }
    }

    /// An operation by its name.
    pub(crate) fn operation(&self, name: &str) -> &Operation {
        self.operations.get(name, |number| Operation {
            number,
            #[cfg(feature = "metrics")]
            export: self.export.as_ref().map(|_| crate::export::OperationExport::new(name)),
        })
    }

    /// The names of its operations and their numbers.
    pub(crate) fn operations(&self) -> impl Iterator<Item = (&str, usize)> {
        self.operations.iter().map(|(name, operation)| (name, operation.number))
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn export(&self) -> Option<&crate::export::ConnectorExport> {
        self.export.as_ref()
    }

    /// A breaker of one of its connections went from one state to another.
    #[cfg_attr(not(feature = "metrics"), allow(clippy::unused_self))]
    pub(crate) fn breaker(&self, class: &str, from: BreakerState, to: BreakerState) {
        #[cfg(feature = "metrics")]
        if let Some(export) = &self.export {
            export.breaker(class, from, to);
        }
        #[cfg(not(feature = "metrics"))]
        let _ = (class, from, to);
    }
}
