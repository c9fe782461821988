//! The log: logfmt as Prometheus writes it, or JSON, to standard error.

use crate::config::flags::{LogFlags, LogFormat, LogLevel};
use std::fmt;
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Starts logging. Call once.
pub(crate) fn start(flags: &LogFlags) {
    let level = match flags.level {
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Info => Level::INFO,
        LogLevel::Warn => Level::WARN,
        LogLevel::Error => Level::ERROR,
    };
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_ansi(false);
    match flags.format {
        LogFormat::Logfmt => log.event_format(Logfmt).init(),
        LogFormat::Json => log.event_format(JsonLines).init(),
    }
}

/// `time=… level=INFO target=… msg="…" key=value`.
struct Logfmt;

impl<S, N> FormatEvent<S, N> for Logfmt
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let fields = Fields::of(event);
        write!(out, "time={} level={}", now(), event.metadata().level())?;
        write!(out, " source={}", event.metadata().target())?;
        write!(out, " msg={}", quoted(&fields.message))?;
        for (name, value) in &fields.others {
            write!(out, " {name}={}", quoted(value))?;
        }
        writeln!(out)
    }
}

/// One JSON object a line, with the same names.
struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let fields = Fields::of(event);
        let mut object = serde_json::Map::new();
        object.insert("time".to_owned(), now().into());
        object.insert("level".to_owned(), event.metadata().level().as_str().into());
        object.insert("source".to_owned(), event.metadata().target().into());
        object.insert("msg".to_owned(), fields.message.into());
        for (name, value) in fields.others {
            object.insert(name.to_owned(), value.into());
        }
        writeln!(out, "{}", serde_json::Value::Object(object))
    }
}

/// The fields of an event as texts.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, String)>,
}

impl Fields {
    fn of(event: &Event<'_>) -> Self {
        let mut fields = Self::default();
        event.record(&mut fields);
        fields
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        let _ = write!(text, "{value:?}");
        self.record_str(field, &text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.others.push((field.name(), value.to_owned()));
        }
    }
}

/// A value, in quotes where it would otherwise not end where it ends.
fn quoted(value: &str) -> String {
    let plain = !value.is_empty() && value.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'=' | b'\\'));
    if plain { value.to_owned() } else { format!("{value:?}") }
}

/// The time as RFC 3339 in UTC, with milliseconds.
fn now() -> String {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    rfc3339(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// Milliseconds since the Unix epoch as RFC 3339.
///
/// Source of the calendar: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn rfc3339(millis: i64) -> String {
    let (days, of_day) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", of_day % 1000)
}

#[cfg(test)]
mod tests {
    use super::{quoted, rfc3339};

    #[test]
    fn times_are_written_as_rfc_3339() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(1_762_300_800_123), "2025-11-05T00:00:00.123Z");
        assert_eq!(rfc3339(951_782_399_999), "2000-02-28T23:59:59.999Z");
        assert_eq!(rfc3339(951_868_800_000), "2000-03-01T00:00:00.000Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn values_that_would_run_on_are_quoted() {
        assert_eq!(quoted("plain/path:1"), "plain/path:1");
        assert_eq!(quoted("two words"), "\"two words\"");
        assert_eq!(quoted("a=\"b\"\n"), r#""a=\"b\"\n""#);
        assert_eq!(quoted(""), "\"\"");
    }
}
