//! How a service is spoken to: what a connector's config and its vendor's habits come down to.

use std::collections::BTreeMap;
use std::time::Duration;

use http::HeaderMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A version of OData.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Protocol {
    /// OData 2.0: SAP Gateway and most S/4HANA services below `/sap/opu/odata/`, SuccessFactors.
    V2,
    /// OData 4.0 and 4.01: S/4HANA services below `/sap/opu/odata4/`, CAP, RAP, Dynamics 365.
    #[default]
    V4,
}

impl Protocol {
    /// `2.0` or `4.0`.
    pub fn version(self) -> &'static str {
        match self {
            Self::V2 => "2.0",
            Self::V4 => "4.0",
        }
    }
}

/// How one service is spoken to and read.
///
/// Errors in the configuration name `protocol` and `change_fields.<entity set>` after the fields here: a
/// connector's config calls them the same.
///
/// ```
/// use acople_odata::{Options, Protocol};
///
/// let mut options = Options::new("example", Protocol::V4);
/// options.change_names = &["modifiedOn"];
/// options.page_size = 500;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The connector's id, under which cursors are kept.
    pub connector: &'static str,
    /// The version that the service speaks.
    pub protocol: Protocol,
    /// Parameters of every request. A next link that has one already keeps its own.
    pub query: Vec<(&'static str, String)>,
    /// Names under which the vendor's services keep the time of the last change, the finest first. Case does
    /// not matter.
    pub change_names: &'static [&'static str],
    /// The field that grows with every change, by entity set, where it has no such name.
    pub change_fields: BTreeMap<String, String>,
    /// Records asked for in one page; the service may give fewer.
    pub page_size: u32,
    /// How far an incremental read goes back behind the last one, for changes that were committed late. A field
    /// that holds dates only goes back a day at least.
    pub look_back: Duration,
    /// Whether pages are asked for by key (`Key gt 'last'`), which stays right while data changes. `false` is for
    /// services that cannot filter by their keys: next links are followed instead.
    pub keyset: bool,
    /// Keeps path and query of a next link but sends it to the connection's own origin: for services behind a
    /// proxy that name their internal host. Without it such a link is refused.
    pub swap_next_origin: bool,
    /// Finds in an answer's headers what the vendor says beside a success: it becomes a warning of the read.
    pub warning: Option<fn(&HeaderMap) -> Option<String>>,
}

impl Options {
    /// Pages of 1,000 records by key, a minute of look-back; change fields only where they are named.
    pub fn new(connector: &'static str, protocol: Protocol) -> Self {
        Self {
            connector,
            protocol,
            query: Vec::new(),
            change_names: &[],
            change_fields: BTreeMap::new(),
            page_size: 1000,
            look_back: Duration::from_secs(60),
            keyset: true,
            swap_next_origin: false,
            warning: None,
        }
    }
}
