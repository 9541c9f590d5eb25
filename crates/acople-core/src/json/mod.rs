//! JSON that stays text: a page of a vendor's answer, its records as byte ranges, single fields
//! found by path. No tree is ever built and no number passes through floating point.
//!
//! ```
//! use acople_core::json::{Cells, Envelope, FieldPath, Page, Projection};
//!
//! let page = Page::from_bytes(br#"{"next":"p2","records":[{"Id":"7","Owner":{"Pay":12.30}}]}"#.to_vec())?;
//! let envelope = Envelope::new(&[FieldPath::parse("records")?]).with(FieldPath::parse("next")?);
//! let split = envelope.split(&page)?;
//! assert_eq!(split.records.len(), 1);
//! assert!(split.extra(&page, 0).as_text().is_some_and(|next| next.eq_str("p2")));
//!
//! let fields = Projection::new([FieldPath::parse("Id")?, FieldPath::parse("Owner.Pay")?]);
//! let cells = Cells::project(&page, &split.records, &fields);
//! for row in cells.rows() {
//!     assert_eq!(row.get(0).raw(), r#""7""#);
//!     assert_eq!(row.get(1).as_number().and_then(|pay| pay.to_scaled(2)), Some(1230));
//! }
//! # Ok::<(), acople_core::json::Error>(())
//! ```
//!
//! The rules, the same for every function here:
//!
//! - The grammar is that of RFC 8259. A page is checked once, whole, when it is split.
//! - Containers nest at most [`MAX_DEPTH`] - 1 deep, as in `serde_json`; nothing recurses on input.
//! - Of two members with the same name the last one counts.
//! - Names are compared after their escapes are resolved, and without Unicode normalisation.
//! - An unpaired surrogate (`\ud800`) passes through as text; decoding it is an error.

#![deny(clippy::arithmetic_side_effects)]

mod cells;
mod copy;
mod envelope;
mod error;
mod iter;
mod lookup;
mod names;
mod number;
mod page;
mod path;
mod projection;
mod scan;
mod text;
mod value;
mod walk;
mod write;

pub use cells::{Cells, Row};
pub use envelope::{Envelope, Split};
pub use error::Error;
pub use iter::{Elements, Members, elements, members};
pub use lookup::{get, get_ignoring_case, value};
pub use number::Number;
pub use page::{Page, Span};
pub use path::FieldPath;
pub use projection::Projection;
pub use scan::MAX_DEPTH;
pub use text::Text;
pub use value::Value;
pub use write::{Mark, Writer, write_text};
