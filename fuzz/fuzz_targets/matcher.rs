//! Fuzz target for regular expressions with a value. The property is in `checks/matcher.rs`.

#![no_main]

#[allow(dead_code, reason = "a target uses one of the checks")]
#[path = "../checks/mod.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::matcher::check(data));
