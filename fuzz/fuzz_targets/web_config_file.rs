//! Fuzz target for the web configuration file. The property is in `checks/web_config_file.rs`.

#![no_main]

#[allow(dead_code, reason = "a target uses one of the checks")]
#[path = "../checks/mod.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::web_config_file::check(data));
