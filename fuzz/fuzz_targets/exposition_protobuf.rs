//! Fuzz target for the protobuf exposition format. The property is in
//! `checks/exposition_protobuf.rs`.

#![no_main]

#[allow(dead_code, reason = "a target uses one of the checks")]
#[path = "../checks/mod.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::exposition_protobuf::check(data));
