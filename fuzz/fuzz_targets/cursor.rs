//! See `acople_fuzz::cursor`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| acople_fuzz::cursor(data));
