//! See `acople_fuzz::token_answer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| acople_fuzz::token_answer(data));
