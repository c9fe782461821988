//! Fuzz target for histogram chunks. The property is in `checks/histogram_chunk.rs`.

#![no_main]

#[allow(dead_code, reason = "a target uses one of the checks")]
#[path = "../checks/mod.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::histogram_chunk::check(data));
