//! See `fuzz::targets::issuers`.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &[u8]| fuzz::targets::issuers(text));
