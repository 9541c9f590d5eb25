//! The vendors that were compiled in, by name.

use std::sync::Arc;

use acople_core::{Connector, Error, Resources, Result, Vendor};
use serde_json::Value as Json;

/// Re-exports each vendor's crate under its id and lists its entry, where its feature is on.
macro_rules! vendors {
    ($($id:ident = $feature:literal),* $(,)?) => {
        $(
            #[cfg(feature = $feature)]
            pub use ::$id;
        )*

        const VENDORS: &[Vendor] = &[
            $(
                #[cfg(feature = $feature)]
                ::$id::VENDOR,
            )*
        ];
    };
}

// One line a vendor.
vendors! {
    file = "file",
    hubspot = "hubspot",
    salesforce = "salesforce",
    sap = "sap",
}

/// The vendors whose features are on.
pub fn vendors() -> &'static [Vendor] {
    VENDORS
}

/// The vendor of that id, if its feature is on.
pub fn vendor(id: &str) -> Option<&'static Vendor> {
    VENDORS.iter().find(|v| v.id == id)
}

/// A connector by the vendor's id and a JSON config. Does no I/O.
///
/// # Errors
/// `Config` naming what is wrong: an unknown vendor, or a field of the config.
pub fn connect(id: &str, config: Json, resources: Resources) -> Result<Arc<dyn Connector>> {
    let Some(vendor) = vendor(id) else {
        let known: Vec<&str> = VENDORS.iter().map(|v| v.id).collect();
        let message = format!("no connector {id:?} is compiled in; there are: {}", known.join(", "));
        return Err(Error::config("connector", message));
    };
    (vendor.connect)(config, resources)
}
