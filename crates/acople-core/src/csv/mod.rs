//! CSV (RFC 4180), read and written as a stream: for exports, bulk jobs and files.
//!
//! Fields are found by the names of the header row, so that a vendor that changes the order of its columns, or
//! adds one, changes nothing. Memory holds one row.
//!
//! ```
//! use acople_core::csv::{Reader, Row, Target, Writer};
//!
//! let mut names = Vec::new();
//! let mut reader = Reader::new();
//! let mut each = |row: acople_core::Result<Row<'_>>| {
//!     names.extend(row?.get("Name").map(str::to_owned));
//!     Ok(())
//! };
//! reader.feed(b"Id,Name\n1,\"Acme,\nof", &mut each)?; // in pieces, as they come from the wire
//! reader.feed(b" Lima\"\n", &mut each)?;
//! reader.finish(&mut each)?;
//! assert_eq!(names, ["Acme,\nof Lima"]);
//!
//! let mut writer = Writer::new(["Id", "Name"], Target::Spreadsheet)?;
//! writer.row(["1", "=HYPERLINK(0)"])?;
//! assert_eq!(writer.take(), "Id,Name\r\n1,'=HYPERLINK(0)\r\n");
//! # Ok::<(), acople_core::Error>(())
//! ```

#![deny(clippy::arithmetic_side_effects)]

mod layout;
mod read;
mod records;
mod write;

pub use layout::{CellType, Dialect, Empty, Layout, Table};
pub use read::{Reader, Row};
pub use records::{Columns, RecordWriter};
pub use write::{Target, Writer};
