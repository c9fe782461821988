//! Fuzz target for relabeling rules. The property is in `checks/relabel_rule.rs`.

#![no_main]

#[allow(dead_code, reason = "a target uses one of the checks")]
#[path = "../checks/mod.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::relabel_rule::check(data));
