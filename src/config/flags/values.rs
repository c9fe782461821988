//! Parsers of flag values with a limited range.

use crate::config::units;
use crate::config::units::ByteSize;
use std::time::Duration;

/// Parses a size below 2 GiB: offsets in a message are 32-bit numbers.
pub(super) fn message_size(text: &str) -> Result<ByteSize, String> {
    let size = units::parse_bytes(text)?;
    if (1..1 << 31).contains(&size.0) {
        Ok(size)
    } else {
        Err("it must be more than 0 and less than 2GB".to_owned())
    }
}

/// Parses a count from 1 to 2^20.
pub(super) fn positive_count(text: &str) -> Result<u64, String> {
    let count = units::parse_count(text)?;
    if (1..=1 << 20).contains(&count) {
        Ok(count)
    } else {
        Err("it must be from 1 to 1048576".to_owned())
    }
}

/// Parses a duration above zero.
pub(super) fn positive_duration(text: &str) -> Result<Duration, String> {
    let duration = units::parse_duration(text)?;
    if duration.is_zero() { Err("it must be more than 0".to_owned()) } else { Ok(duration) }
}
