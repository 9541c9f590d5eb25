//! See `acople_fuzz::link`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| acople_fuzz::link(data));
