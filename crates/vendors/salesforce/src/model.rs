//! Typed records: the fields that most people use. Anything else comes through
//! [`Salesforce::query`](crate::Salesforce::query) with a type of your own.

pub use acople_core::Decimal;
use serde::{Deserialize, Serialize};

/// A type that stands for an object of the vendor's.
pub trait SObject {
    /// The object's API name.
    const NAME: &'static str;
    /// The API names of the fields that the type has.
    const FIELDS: &'static [&'static str];
}

/// A record type: every field optional; what the vendor computes is read and never sent.
macro_rules! sobject {
    (
        $(#[$doc:meta])* $type:ident = $api:literal;
        $(read $read:ident: $rtype:ty = $rname:literal, $rdoc:literal;)*
        $(write $write:ident: $wtype:ty = $wname:literal, $wdoc:literal;)*
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[non_exhaustive]
        pub struct $type {
            $(#[doc = $rdoc] #[serde(rename = $rname, default, skip_serializing)] pub $read: Option<$rtype>,)*
            /// The record's id.
            #[serde(rename = "Id", default, skip_serializing)]
            pub id: Option<String>,
            /// When it was created.
            #[serde(rename = "CreatedDate", default, skip_serializing)]
            pub created: Option<String>,
            /// When anything last changed it.
            #[serde(rename = "SystemModstamp", default, skip_serializing)]
            pub modified: Option<String>,
            $(#[doc = $wdoc] #[serde(rename = $wname, default, skip_serializing_if = "Option::is_none")]
              pub $write: Option<$wtype>,)*
        }

        impl SObject for $type {
            const NAME: &'static str = $api;
            const FIELDS: &'static [&'static str] =
                &["Id", "CreatedDate", "SystemModstamp", $($rname,)* $($wname,)*];
        }
    };
}

sobject! {
    /// Somebody who may become a customer.
    Lead = "Lead";
    read name: String = "Name", "First and last name together.";
    write first_name: String = "FirstName", "The first name.";
    write last_name: String = "LastName", "The last name. Needed to create one.";
    write company: String = "Company", "The company. Needed to create one.";
    write title: String = "Title", "The job title.";
    write email: String = "Email", "The e-mail address.";
    write phone: String = "Phone", "The phone number.";
    write website: String = "Website", "The website.";
    write source: String = "LeadSource", "Where the lead came from.";
    write status: String = "Status", "How far it has come.";
    write owner_id: String = "OwnerId", "The owner's id.";
}

sobject! {
    /// A person at an account.
    Contact = "Contact";
    read name: String = "Name", "First and last name together.";
    write account_id: String = "AccountId", "The account's id.";
    write first_name: String = "FirstName", "The first name.";
    write last_name: String = "LastName", "The last name. Needed to create one.";
    write title: String = "Title", "The job title.";
    write department: String = "Department", "The department.";
    write email: String = "Email", "The e-mail address.";
    write phone: String = "Phone", "The phone number.";
    write mobile: String = "MobilePhone", "The mobile phone number.";
    write owner_id: String = "OwnerId", "The owner's id.";
}

sobject! {
    /// A company or a person that one does business with.
    Account = "Account";
    write name: String = "Name", "The name. Needed to create one.";
    write parent_id: String = "ParentId", "The id of the account above.";
    write kind: String = "Type", "What it is to us: customer, partner, prospect.";
    write industry: String = "Industry", "The industry.";
    write number: String = "AccountNumber", "Our own number for it.";
    write phone: String = "Phone", "The phone number.";
    write website: String = "Website", "The website.";
    write annual_revenue: Decimal = "AnnualRevenue", "Revenue of a year.";
    write employees: i64 = "NumberOfEmployees", "How many people work there.";
    write owner_id: String = "OwnerId", "The owner's id.";
}

sobject! {
    /// A deal.
    Opportunity = "Opportunity";
    write name: String = "Name", "The name. Needed to create one.";
    write account_id: String = "AccountId", "The account's id.";
    write stage: String = "StageName", "How far it has come. Needed to create one.";
    write close_date: String = "CloseDate", "The day it should close, `2026-01-31`. Needed to create one.";
    write amount: Decimal = "Amount", "What it is worth.";
    write probability: Decimal = "Probability", "How likely it is, in percent.";
    write source: String = "LeadSource", "Where it came from.";
    write owner_id: String = "OwnerId", "The owner's id.";
}

sobject! {
    /// A customer's question or problem.
    Case = "Case";
    write account_id: String = "AccountId", "The account's id.";
    write contact_id: String = "ContactId", "The contact's id.";
    write subject: String = "Subject", "The subject.";
    write description: String = "Description", "The description.";
    write status: String = "Status", "How far it has come.";
    write priority: String = "Priority", "How urgent it is.";
    write origin: String = "Origin", "How it came in.";
    write owner_id: String = "OwnerId", "The owner's id.";
}
