//! See `acople_fuzz::rate_limit_fields`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| acople_fuzz::rate_limit_fields(data));
