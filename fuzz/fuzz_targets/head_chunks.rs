//! Fuzz target for files of `chunks_head/`. The property is in `checks/head_chunks.rs`.

#![no_main]

#[allow(dead_code, reason = "a target uses one of the checks")]
#[path = "../checks/mod.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::head_chunks::check(data));
