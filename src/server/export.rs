//! `GET /api/v1/export?match[]=…&start=…&end=…`: samples as JSON lines, for people with curl.
//!
//! ```text
//! {"metric":{"__name__":"up","job":"node"},"values":[1,0.5,"NaN"],"timestamps":[1762300800000,1762300815000,1762300830000]}
//! ```
//!
//! Timestamps are milliseconds. A finite value is the shortest number that reads back to the same bits. `"+Inf"`, `"-Inf"`,
//! `"NaN"` and `"StaleNaN"` (the mark of a series' end) are strings, as JSON has no numbers for them. With `values=bits` every
//! value is a string of 16 hexadecimal digits, so that also the payload of a NaN is exact. A long series takes several lines.
//! A fault after the answer began breaks the connection off, and so does a client that is too slow: what ended properly is whole.

use crate::model::labels::Labels;
use crate::model::matcher::Matcher;
use crate::model::sample::Sample;
use crate::model::time::TimeRange;
use crate::server::admission::GateFull;
use crate::server::body::Received;
use crate::server::context::SharedContext;
use crate::server::ingest;
use crate::server::refused::Refused;
use crate::server::selector;
use crate::server::time_text;
use crate::tsdb::db::Db;
use crate::tsdb::query::source::QueryError;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use std::fmt::Write as _;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::task::JoinError;

/// Samples in one line.
const LINE_SAMPLES: usize = 4096;
/// Text that is gathered before it is sent.
const PIECE_BYTES: usize = 64 << 10;
/// Pieces that wait for a slow client.
const PIECES_AHEAD: usize = 4;
/// How long a client may leave the next piece untaken; the whole has the time of any answer.
const PIECE_TIMEOUT: Duration = Duration::from_secs(30);
/// Selectors in one request.
const MAX_SELECTORS: usize = 100;

/// What is asked for.
#[derive(Debug)]
struct Wanted {
    /// A series is wanted that satisfies all matchers of one of these.
    selectors: Vec<Vec<Matcher>>,
    range: TimeRange,
    values: Values,
}

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Values {
    Numbers,
    Bits,
}

/// Answers the request.
pub(crate) async fn export(
    State(context): State<SharedContext>,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Response {
    let wanted = match ingest::admit(&context).and_then(|()| wanted(&parameters)) {
        Ok(wanted) => wanted,
        Err(refused) => return refused.into_http(),
    };
    let permit = match context.export_gate.enter().await {
        Ok(permit) => permit,
        Err(GateFull) => return Refused::Unavailable("too many exports at once".to_owned()).into_http(),
    };
    let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
    let pieces = PieceSender {
        sender: sender.clone(),
        runtime: Handle::current(),
        deadline: Instant::now() + context.answer_limits.time,
    };
    let exporting = tokio::task::spawn_blocking(move || {
        let _held = permit;
        let mut lines = Lines { text: String::new(), values: wanted.values, unreadable_chunks: 0, pieces };
        let ended = lines.all(&context.db, &wanted);
        context.read_metrics.unreadable_chunks.inc_by(lines.unreadable_chunks);
        ended
    });
    tokio::spawn(async move {
        let error = match exporting.await {
            Ok(Ok(()) | Err(ExportError::Gone)) => return,
            Ok(Err(error)) => error,
            Err(error) => ExportError::Broken(error),
        };
        tracing::error!(%error, "an export failed");
        // Takes a place only once the client has taken what was sent before, which no longer holds up anything.
        let _ = sender.send(Err(error)).await;
    });
    ([(CONTENT_TYPE, "application/x-ndjson")], Body::new(Received::from(receiver))).into_response()
}

fn wanted(parameters: &[(String, String)]) -> Result<Wanted, Refused> {
    let mut wanted = Wanted { selectors: Vec::new(), range: TimeRange::ALL, values: Values::Numbers };
    let bad = |name: &str, error: &dyn std::fmt::Display| Refused::BadData(format!("parameter {name}: {error}"));
    for (name, value) in parameters {
        match name.as_str() {
            "match[]" | "match" => {
                wanted.selectors.push(selector::parse(value).map_err(|error| bad(name, &error))?);
            }
            "start" => wanted.range.mint = time_text::millis(value).map_err(|error| bad(name, &error))?,
            "end" => wanted.range.maxt = time_text::millis(value).map_err(|error| bad(name, &error))?,
            "values" if value == "bits" => wanted.values = Values::Bits,
            "values" if value == "numbers" => wanted.values = Values::Numbers,
            "values" => return Err(bad(name, &"it is numbers or bits")),
            _ => return Err(bad(name, &"unknown; there are match[], start, end and values")),
        }
    }
    match wanted.selectors.len() {
        0 => Err(Refused::BadData("give at least one match[], such as match[]=up".to_owned())),
        1..=MAX_SELECTORS => Ok(wanted),
        _ => Err(Refused::BadData(format!("more than {MAX_SELECTORS} selectors"))),
    }
}

/// Why the lines end before the last one.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    /// The data can't be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The client has gone.
    #[error("the client has gone")]
    Gone,
    /// The client takes too little of it.
    #[error("the client did not take the export in time")]
    TooSlow,
    /// The thread that makes it broke.
    #[error("making the export broke: {0}")]
    Broken(JoinError),
}

/// Sends pieces from a blocking thread, which a slow client holds for no longer than the time it has.
struct PieceSender {
    sender: mpsc::Sender<Result<Bytes, ExportError>>,
    runtime: Handle,
    /// By when the last piece has to be on its way.
    deadline: Instant,
}

impl PieceSender {
    fn send(&self, piece: Bytes) -> Result<(), ExportError> {
        let time = PIECE_TIMEOUT.min(self.deadline.saturating_duration_since(Instant::now()));
        match self.runtime.block_on(async { self.sender.send_timeout(Ok(piece), time).await }) {
            Ok(()) => Ok(()),
            Err(SendTimeoutError::Closed(_)) => Err(ExportError::Gone),
            Err(SendTimeoutError::Timeout(_)) => Err(ExportError::TooSlow),
        }
    }
}

/// Writes lines and sends them in pieces.
struct Lines {
    text: String,
    values: Values,
    unreadable_chunks: u64,
    pieces: PieceSender,
}

impl Lines {
    fn all(&mut self, db: &Db, wanted: &Wanted) -> Result<(), ExportError> {
        let querier = db.querier();
        for (at, matchers) in wanted.selectors.iter().enumerate() {
            for series in querier.select(matchers, wanted.range)? {
                let series = series?;
                // Several selectors may choose a series; the first one writes it.
                if !wanted.selectors[..at].iter().any(|earlier| satisfies(series.labels(), earlier)) {
                    let samples = series.samples(wanted.range);
                    self.unreadable_chunks += samples.unreadable_chunks() as u64;
                    self.series(series.labels(), samples)?;
                }
            }
        }
        self.send()
    }

    fn series(
        &mut self,
        labels: &Labels,
        samples: impl Iterator<Item = Result<Sample, QueryError>>,
    ) -> Result<(), ExportError> {
        let mut line = Vec::new();
        for sample in samples {
            line.push(sample?);
            if line.len() == LINE_SAMPLES {
                self.line(labels, &line)?;
                line.clear();
            }
        }
        if line.is_empty() { Ok(()) } else { self.line(labels, &line) }
    }

    fn line(&mut self, labels: &Labels, samples: &[Sample]) -> Result<(), ExportError> {
        self.text.push_str("{\"metric\":{");
        for (i, (name, value)) in labels.iter().enumerate() {
            let separator = if i == 0 { "" } else { "," };
            let _ =
                write!(self.text, "{separator}{}:{}", serde_json::Value::from(name), serde_json::Value::from(value));
        }
        self.text.push_str("},\"values\":[");
        for (i, sample) in samples.iter().enumerate() {
            self.text.push_str(if i == 0 { "" } else { "," });
            match self.values {
                Values::Numbers => push_number(&mut self.text, sample),
                Values::Bits => drop(write!(self.text, "\"{:016x}\"", sample.v.to_bits())),
            }
        }
        self.text.push_str("],\"timestamps\":[");
        for (i, sample) in samples.iter().enumerate() {
            let _ = write!(self.text, "{}{}", if i == 0 { "" } else { "," }, sample.t);
        }
        self.text.push_str("]}\n");
        if self.text.len() >= PIECE_BYTES { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<(), ExportError> {
        let piece = std::mem::take(&mut self.text);
        self.pieces.send(piece.into())
    }
}

fn satisfies(labels: &Labels, matchers: &[Matcher]) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name()).unwrap_or_default()))
}

fn push_number(text: &mut String, sample: &Sample) {
    let value = sample.v;
    if value.is_finite() {
        // serde_json writes the shortest form that reads back, with an exponent where that is shorter, and -0.0.
        let _ = write!(text, "{}", serde_json::Value::from(value));
    } else if sample.is_stale() {
        text.push_str("\"StaleNaN\"");
    } else if value.is_nan() {
        text.push_str("\"NaN\"");
    } else {
        text.push_str(if value > 0.0 { "\"+Inf\"" } else { "\"-Inf\"" });
    }
}

#[cfg(test)]
mod tests {
    use super::push_number;
    use crate::model::sample::{STALE_NAN_BITS, Sample};

    #[test]
    fn a_finite_value_reads_back_to_the_same_bits_and_others_are_named() {
        let text = |v: f64| {
            let mut text = String::new();
            push_number(&mut text, &Sample::new(0, v));
            text
        };
        for v in [0.0, -0.0, 0.1, 1.0 / 3.0, 1e300, -5e-324, 9_007_199_254_740_993.0, f64::MAX] {
            assert_eq!(text(v).parse::<f64>().unwrap().to_bits(), v.to_bits(), "{}", text(v));
        }
        assert_eq!(text(f64::INFINITY), "\"+Inf\"");
        assert_eq!(text(f64::NEG_INFINITY), "\"-Inf\"");
        assert_eq!(text(f64::NAN), "\"NaN\"");
        assert_eq!(text(f64::from_bits(STALE_NAN_BITS)), "\"StaleNaN\"");
    }
}
