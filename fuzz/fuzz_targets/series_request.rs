//! Fuzz target for Thanos series requests. The property is in `checks/series_request.rs`.

#![no_main]

#[allow(dead_code, reason = "a target uses one of the checks")]
#[path = "../checks/mod.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::series_request::check(data));
