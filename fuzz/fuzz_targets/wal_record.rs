//! Fuzz target for WAL records. The property is in `checks/wal_record.rs`.

#![no_main]

#[allow(dead_code, reason = "a target uses one of the checks")]
#[path = "../checks/mod.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::wal_record::check(data));
