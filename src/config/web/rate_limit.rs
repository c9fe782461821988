//! Section `rate_limit`.

use crate::config::web::contents::RateLimit;
use crate::config::web::duration;
use crate::config::yaml::document::{Section, invalid};
use crate::config::yaml::error::ConfigProblem;
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};
use serde_saphyr::Spanned;
use std::fmt;
use std::time::Duration;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRateLimit {
    interval: Option<Spanned<Interval>>,
    burst: Option<Spanned<i64>>,
}

/// Interval of the file: a number of nanoseconds, or a string in the syntax of Go.
enum Interval {
    Nanos(i64),
    Text(String),
    OutOfRange,
}

pub(super) fn parse(section: &Section<'_>) -> Result<Option<RateLimit>, ConfigProblem> {
    let raw: RawRateLimit = section.read()?.unwrap_or_default();
    let Some(interval) = raw.interval else { return Ok(None) };
    let nanos = interval
        .value
        .nanos()
        .map_err(|reason| invalid(&interval, format!("rate_limit.interval {reason}")))?;
    if nanos == 0 {
        return Ok(None);
    }
    let rejects_all = "with less, every request would be rejected";
    match raw.burst {
        None => {
            let message =
                format!("rate_limit.interval needs rate_limit.burst of at least 1; {rejects_all}");
            Err(invalid(&interval, message))
        }
        Some(burst) if burst.value < 1 => {
            let message =
                format!("rate_limit.burst must be at least 1, not {}; {rejects_all}", burst.value);
            Err(invalid(&burst, message))
        }
        Some(burst) => Ok(Some(RateLimit {
            interval: Duration::from_nanos(nanos),
            burst: u32::try_from(burst.value).unwrap_or(u32::MAX),
        })),
    }
}

impl Interval {
    /// Returns the nanoseconds, or the reason why the interval is invalid.
    fn nanos(&self) -> Result<u64, String> {
        let nanos = match self {
            Self::Nanos(nanos) => *nanos,
            Self::Text(text) => duration::parse_nanos(text).ok_or_else(|| {
                format!("is invalid: {text:?} is not a duration; write for example 1s or 100ms")
            })?,
            Self::OutOfRange => return Err("has more than 64 bits of nanoseconds".to_owned()),
        };
        u64::try_from(nanos).map_err(|_| "must be at least 0".to_owned())
    }
}

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IntervalVisitor)
    }
}

struct IntervalVisitor;

impl Visitor<'_> for IntervalVisitor {
    type Value = Interval;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as 1s or 100ms, or a number of nanoseconds")
    }

    fn visit_i64<E>(self, value: i64) -> Result<Interval, E> {
        Ok(Interval::Nanos(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Interval, E> {
        Ok(i64::try_from(value).map_or(Interval::OutOfRange, Interval::Nanos))
    }

    /// Truncates the fraction, as Prometheus does.
    fn visit_f64<E>(self, value: f64) -> Result<Interval, E> {
        // 2^63
        let is_in_range = value.abs() < 9_223_372_036_854_775_808.0;
        Ok(if is_in_range { Interval::Nanos(value as i64) } else { Interval::OutOfRange })
    }

    fn visit_str<E>(self, value: &str) -> Result<Interval, E> {
        Ok(Interval::Text(value.to_owned()))
    }
}
