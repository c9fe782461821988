//! Fuzz target for write requests of a Thanos router. The property is in
//! `checks/thanos_write_request.rs`.

#![no_main]

#[allow(dead_code, reason = "a target uses one of the checks")]
#[path = "../checks/mod.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::thanos_write_request::check(data));
