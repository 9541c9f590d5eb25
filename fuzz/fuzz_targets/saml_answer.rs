//! See `acople_fuzz::saml_answer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| acople_fuzz::saml_answer(data));
