//! See `fuzz::targets::ocsp`.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|der: &[u8]| fuzz::targets::ocsp(der));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    fuzz::mutated(data, size, max_size, seed, fuzzer_mutate)
});
