//! See `fuzz::targets::event`.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &[u8]| fuzz::targets::event(text));
