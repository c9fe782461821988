//! Fuzz target for bodies in the OpenMetrics format. The property is in `checks/exposition.rs`.

#![no_main]

#[allow(dead_code, reason = "a target uses one of the checks")]
#[path = "../checks/mod.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::exposition::check_openmetrics(data));
