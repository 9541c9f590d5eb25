#![doc = include_str!("../README.md")]

mod check;
mod compile;
mod constant;
mod convert;
mod datetime;
mod evaluate;
mod invert;
mod load;
mod lookup;
mod mapper;
mod members;
mod number;
mod program;
pub mod ready;
mod rule;
mod steps;
mod table;

pub use constant::Constant;
pub use convert::{Convert, Datetimes, LookupIn, Otherwise, TimeFormat, Values};
pub use invert::{Dropped, Inversion};
pub use lookup::{Lookup, Lookups};
pub use mapper::TableMapper;
pub use rule::{Condition, Direction, Join, Nulls, Rule, Split, TooLong};
pub use table::Table;
