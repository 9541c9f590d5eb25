//! Ready tables for pairs of systems that are often joined.
//!
//! Each function gives the [`Table`], to be used as it is or changed first; the YAML behind it is
//! in the `tables` folder of the crate. Each system keeps its own id, and the other's id goes to a
//! field of its own that the table's head names and that has to be created once.
//!
//! ```
//! use acople_map::{Lookups, ready};
//!
//! let forward = ready::salesforce_lead_to_hubspot_contact()?.compile(&Lookups::new())?;
//! let backward = ready::hubspot_contact_to_salesforce_lead()?.compile(&Lookups::new())?;
//! assert_eq!(forward.sources_of("email"), ["Email"]);
//! assert_eq!(backward.sources_of("Email"), ["properties.email"]);
//! # Ok::<(), acople_core::Error>(())
//! ```

use acople_core::Result;

use crate::Table;

/// The text of the table of Salesforce leads and HubSpot contacts.
pub const SALESFORCE_LEAD_HUBSPOT_CONTACT: &str =
    include_str!("../tables/salesforce_lead_hubspot_contact.yaml");

/// The text of the table of Salesforce contacts and HubSpot contacts.
pub const SALESFORCE_CONTACT_HUBSPOT_CONTACT: &str =
    include_str!("../tables/salesforce_contact_hubspot_contact.yaml");

/// The text of the table from QuickBooks customers to Salesforce accounts.
pub const QUICKBOOKS_CUSTOMER_SALESFORCE_ACCOUNT: &str =
    include_str!("../tables/quickbooks_customer_salesforce_account.yaml");

/// Salesforce leads to HubSpot contacts. The key is `properties.salesforce_lead_id`.
pub fn salesforce_lead_to_hubspot_contact() -> Result<Table> {
    Table::from_yaml(SALESFORCE_LEAD_HUBSPOT_CONTACT)
}

/// HubSpot contacts to Salesforce leads. The key is `HubSpot_Id__c`.
pub fn hubspot_contact_to_salesforce_lead() -> Result<Table> {
    salesforce_lead_to_hubspot_contact()?.invert()
}

/// Salesforce contacts to HubSpot contacts. The key is `properties.salesforce_contact_id`.
pub fn salesforce_contact_to_hubspot_contact() -> Result<Table> {
    Table::from_yaml(SALESFORCE_CONTACT_HUBSPOT_CONTACT)
}

/// HubSpot contacts to Salesforce contacts. The key is `HubSpot_Id__c`.
pub fn hubspot_contact_to_salesforce_contact() -> Result<Table> {
    salesforce_contact_to_hubspot_contact()?.invert()
}

/// QuickBooks customers to Salesforce accounts. The key is `QuickBooks_Id__c`.
pub fn quickbooks_customer_to_salesforce_account() -> Result<Table> {
    Table::from_yaml(QUICKBOOKS_CUSTOMER_SALESFORCE_ACCOUNT)
}
