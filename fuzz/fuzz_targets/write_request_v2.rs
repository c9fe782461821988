//! Fuzz target for remote write 2.0 requests. The property is in `checks/write_request_v2.rs`.

#![no_main]

#[allow(dead_code, reason = "a target uses one of the checks")]
#[path = "../checks/mod.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::write_request_v2::check(data));
