#![doc = include_str!("../README.md")]

mod auth;
mod batch;
mod cancel;
mod catalog;
mod clock;
mod connector;
mod context;
pub mod csv;
mod cursors;
mod decimal;
mod error;
mod extensions;
mod identity;
pub mod json;
mod limit;
mod map;
mod meter;
mod monitor;
mod printable;
mod read;
mod schema;
mod secret;
mod secret_references;
mod shape;
mod store;
mod transport;
mod vendor;
mod write;

pub use auth::{AuthProvider, AuthStamp, Endpoint, Refresh};
pub use batch::{Batch, BatchBuilder, Change, Record, Unreadable};
pub use cancel::CancelToken;
pub use catalog::{BatchLimits, Catalog, Deletes, Listing, ReadMode, Stream, WriteMode};
pub use clock::{Clock, SystemClock};
pub use connector::{Action, ActionCall, ActionOutput, Connector, ConnectorInfo, Health};
pub use context::{Context, Priority};
pub use cursors::Cursors;
pub use decimal::Decimal;
pub use error::{Error, ErrorKind, Result};
pub use extensions::Extensions;
pub use identity::{IdentityMap, LINK_NOTE_LIMIT, Link, Pairing, Side};
pub use limit::{Claim, Lesson, Permit, RateLimiter, Strategy};
pub use map::{Mapped, Mapper, Refusal};
pub use meter::{Meter, Usage};
pub use monitor::{BreakerState, CacheUse, Monitor, Recorder, Signal, WaitCause, Watched};
pub use printable::printable;
pub use read::{Cursor, Event, EventStream, ReadRequest};
pub use schema::{FieldSchema, record_schema};
pub use secret::Secret;
pub use secret_references::resolve_secrets;
pub use store::{
    CheckpointStore, ConnectionKey, Generation, Lease, QuarantineStore, Quarantined, SecretStore, Stage,
    StateKey, TokenSet, TokenStore,
};
pub use transport::{Body, Progress, Request, Response, Transport, TransportError, WireFault};
pub use vendor::{Resources, Vendor, config_schema, parse_config, parse_vendor_config};
pub use write::{Outcome, WriteReport, WriteRequest};
