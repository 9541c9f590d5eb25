#![doc = include_str!("../README.md")]

mod agreed;
mod check;
mod compile;
mod decimal;
mod differ;
mod drift;
mod finding;
mod gate;
mod gated;
mod guard;
mod held;
mod inspect;
mod key;
mod load;
mod lookup;
mod moment;
mod observer;
mod profile;
mod rule;
mod scalar;
#[cfg(feature = "schema")]
mod schema;
#[cfg(feature = "schema")]
mod schema_graph;
mod schema_store;
mod score;

pub use agreed::{AgreedSchema, Drift, DriftKind, FieldShape, FieldType};
pub use compile::Checks;
pub use drift::{DriftPolicy, OnDrift, TypeChange};
pub use gate::Gate;
pub use gated::Gated;
pub use inspect::{Inspection, Inspector, Warning};
pub use lookup::{KeySet, Lookup, Lookups};
pub use observer::{QualityEvent, QualityObserver, Unobserved};
pub use profile::{FieldReport, Forms, Lengths, Profile, ProfileReport, TopValue, Types};
pub use rule::{
    Beyond, Check, Compare, Condition, Fresh, Kind, Length, Range, Relation, Rule, Rules, Scope, Severity,
    Unique,
};
pub use scalar::Scalar;
#[cfg(feature = "schema")]
pub use schema::Schema;
pub use schema_store::{CheckpointSchemas, MemorySchemas, SchemaStore};
pub use score::{Part, Score};
