//! See `acople_fuzz::page_split`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| acople_fuzz::page_split(data));
