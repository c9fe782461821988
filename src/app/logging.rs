//! Log output on standard error: logfmt as in Prometheus, or JSON.
//!
//! Logging never waits, fails or panics, see [`crate::app::output`]. Panics are logged instead of
//! printed, because printing waits for the reader of standard error.

use crate::app::output::Output;
use crate::config::flags::log::{LogFlags, LogFormat, LogLevel};
use crate::log_limit;
use crate::model::time::format_system_time;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Write as _;
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime};
use std::{fmt, io, thread};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

static OUTPUTS: OnceLock<Outputs> = OnceLock::new();

struct Outputs {
    standard: Output,
    error: Output,
}

/// Guard of the running log. Dropping it flushes the queued lines.
#[derive(Debug)]
pub(crate) struct Logging {
    _private: (),
}

impl Drop for Logging {
    fn drop(&mut self) {
        if let Some(outputs) = OUTPUTS.get() {
            outputs.error.flush();
            outputs.standard.flush();
        }
    }
}

/// Starts the log and installs the panic hook. Must be called once.
///
/// # Errors
/// The system has no file descriptor or no thread left.
pub(crate) fn start(flags: &LogFlags) -> io::Result<Logging> {
    let standard = Output::start("stdout", io::stdout(), |_| {})?;
    let error =
        Output::start("stderr", io::stderr(), |lines| tracing::warn!(lines, "dropped log lines"))?;
    let outputs = OUTPUTS.get_or_init(|| Outputs { standard, error });
    let level = match flags.level {
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Info => Level::INFO,
        LogLevel::Warn => Level::WARN,
        LogLevel::Error => Level::ERROR,
    };
    // Internal errors of the subscriber would be printed, and a failed print panics.
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(|| Lines(&outputs.error))
        .with_ansi(false)
        .log_internal_errors(false);
    match flags.format {
        LogFormat::Logfmt => log.event_format(Logfmt).init(),
        LogFormat::Json => log.event_format(JsonLines).init(),
    }
    std::panic::set_hook(Box::new(log_panic));
    Ok(Logging { _private: () })
}

/// Queues text for standard output.
pub(crate) fn print(text: &str) {
    if let Some(outputs) = OUTPUTS.get() {
        outputs.standard.put(text.as_bytes());
    }
}

/// Reports log lines that a rate limit suppressed and no later line reports.
pub(crate) async fn report_suppressed_lines() {
    loop {
        tokio::time::sleep(log_limit::INTERVAL).await;
        log_limit::report_overdue(Instant::now());
    }
}

/// Returns the number of dropped log lines.
pub(crate) fn dropped_lines() -> u64 {
    OUTPUTS.get().map_or(0, |outputs| outputs.error.dropped())
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let cause = panic.payload_as_str().unwrap_or("unknown");
    // Captured only if RUST_BACKTRACE or RUST_LIB_BACKTRACE is set.
    let backtrace = Backtrace::capture();
    match backtrace.status() {
        BacktraceStatus::Captured => {
            tracing::error!(thread, place, cause, %backtrace, "thread panicked")
        }
        _ => tracing::error!(thread, place, cause, "thread panicked"),
    }
}

/// Writer that queues each call as one line.
struct Lines<'a>(&'a Output);

impl io::Write for Lines<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Formatter for `time=… level=INFO source=… msg="…" key=value`.
struct Logfmt;

impl<S, N> FormatEvent<S, N> for Logfmt
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let fields = EventFields::from_event(event);
        write!(
            out,
            "time={} level={}",
            format_system_time(SystemTime::now()),
            event.metadata().level()
        )?;
        write!(out, " source={}", event.metadata().target())?;
        write!(out, " msg={}", quote_if_needed(&fields.message))?;
        for (name, value) in &fields.others {
            write!(out, " {name}={}", quote_if_needed(value))?;
        }
        writeln!(out)
    }
}

/// Formatter for JSON objects with the names of [`Logfmt`], one per line.
struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let fields = EventFields::from_event(event);
        let mut object = serde_json::Map::new();
        object.insert("time".to_owned(), format_system_time(SystemTime::now()).into());
        object.insert("level".to_owned(), event.metadata().level().as_str().into());
        object.insert("source".to_owned(), event.metadata().target().into());
        object.insert("msg".to_owned(), fields.message.into());
        for (name, value) in fields.others {
            object.insert(name.to_owned(), value.into());
        }
        writeln!(out, "{}", serde_json::Value::Object(object))
    }
}

/// Fields of an event as strings.
#[derive(Default)]
struct EventFields {
    message: String,
    others: Vec<(&'static str, String)>,
}

impl EventFields {
    fn from_event(event: &Event<'_>) -> Self {
        let mut fields = Self::default();
        event.record(&mut fields);
        fields
    }
}

impl Visit for EventFields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // A failed `Debug` leaves a partial value: a log line must not panic.
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

/// Returns the value, quoted if it is empty or has blanks, quotes, `=`, `\` or non-ASCII
/// characters.
fn quote_if_needed(value: &str) -> String {
    let plain = !value.is_empty()
        && value.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'=' | b'\\'));
    if plain { value.to_owned() } else { format!("{value:?}") }
}

#[cfg(test)]
mod tests {
    use super::quote_if_needed;

    #[test]
    fn ambiguous_values_are_quoted() {
        assert_eq!(quote_if_needed("plain/path:1"), "plain/path:1");
        assert_eq!(quote_if_needed("two words"), "\"two words\"");
        assert_eq!(quote_if_needed("a=\"b\"\n"), r#""a=\"b\"\n""#);
        assert_eq!(quote_if_needed(""), "\"\"");
    }
}
