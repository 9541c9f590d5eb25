#![doc = include_str!("../README.md")]

pub mod job;

/// The repository's front page: its example compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct FrontPage;
