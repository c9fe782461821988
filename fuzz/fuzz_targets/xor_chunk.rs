//! Fuzz target for XOR chunks. The property is in `checks/xor_chunk.rs`.

#![no_main]

#[allow(dead_code, reason = "a target uses one of the checks")]
#[path = "../checks/mod.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::xor_chunk::check(data));
