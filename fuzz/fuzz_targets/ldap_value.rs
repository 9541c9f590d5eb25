//! See `acople_fuzz::ldap_value`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| acople_fuzz::ldap_value(data));
