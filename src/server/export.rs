//! `GET /api/v1/export?match[]=…&start=…&end=…`: samples and histograms as JSON lines, for people with curl.
//!
//! ```text
//! {"metric":{"__name__":"up","job":"node"},"values":[1,0.5,"NaN"],"timestamps":[1762300800000,1762300815000,1762300830000]}
//! ```
//!
//! Timestamps are milliseconds. A finite value is the shortest number that reads back to the same bits. `"+Inf"`, `"-Inf"`,
//! `"NaN"` and `"StaleNaN"` (the mark of a series' end) are strings, as JSON has no numbers for them. With `values=bits` every
//! value is a string of 16 hexadecimal digits, so that also the payload of a NaN is exact. A long series takes several lines.
//!
//! Where a line has native histograms, they stand in `histograms` (see [`histogram`] for the forms; a stale marker is `"StaleNaN"`) and
//! their times in `histogram_timestamps`. Where the start of a count is known, `start_timestamps` and `histogram_start_timestamps` have
//! one for each value, in milliseconds, 0 for an unknown one.
//!
//! A fault after the answer began breaks the connection off, and so does a client that is too slow: what ended properly is whole.

mod histogram;
mod line;

use crate::model::labels::Labels;
use crate::model::matcher::Matcher;
use crate::model::sample::Sample;
use crate::model::time::TimeRange;
use crate::server::admission::Overloaded;
use crate::server::export::line::{ExportLine, ValueFormat};
use crate::server::ingest;
use crate::server::piece_stream::{PieceSender, StreamError, StreamLimits, stream};
use crate::server::promql_selector;
use crate::server::request_error::RequestError;
use crate::server::state::SharedState;
use crate::server::timestamp;
use crate::tsdb::db::Db;
use crate::tsdb::query::source::QueryError;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use std::time::Duration;

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
struct ExportQuery {
    /// A series is wanted that satisfies all matchers of one of these.
    selectors: Vec<Vec<Matcher>>,
    range: TimeRange,
    values: ValueFormat,
}

/// Answers the request.
pub(crate) async fn export(
    State(context): State<SharedState>,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Response {
    let wanted = match ingest::check_accepting(&context).and_then(|()| parse_params(&parameters)) {
        Ok(wanted) => wanted,
        Err(refused) => return refused.into_http(),
    };
    let permit = match context.export_gate.acquire().await {
        Ok(permit) => permit,
        Err(Overloaded) => {
            return RequestError::Unavailable("too many exports at once".to_owned()).into_http();
        }
    };
    let limits = StreamLimits {
        max_queued: PIECES_AHEAD,
        piece_timeout: PIECE_TIMEOUT,
        total_timeout: context.answer_limits.time,
    };
    let lines = stream(limits, move |pieces| {
        let _held = permit;
        let made = LineWriter { text: String::new(), values: wanted.values, pieces }
            .write_all(&context.db, &wanted);
        if let Err(error) = &made
            && !matches!(error, ExportError::Stopped(StreamError::ClientGone))
        {
            tracing::error!(%error, "an export failed");
        }
        made
    });
    ([(CONTENT_TYPE, "application/x-ndjson")], Body::new(lines)).into_response()
}

fn parse_params(parameters: &[(String, String)]) -> Result<ExportQuery, RequestError> {
    let mut wanted =
        ExportQuery { selectors: Vec::new(), range: TimeRange::ALL, values: ValueFormat::Numbers };
    let bad = |name: &str, error: &dyn std::fmt::Display| {
        RequestError::BadData(format!("parameter {name}: {error}"))
    };
    for (name, value) in parameters {
        match name.as_str() {
            "match[]" | "match" => {
                wanted
                    .selectors
                    .push(promql_selector::parse(value).map_err(|error| bad(name, &error))?);
            }
            "start" => {
                wanted.range.mint =
                    timestamp::parse_millis(value).map_err(|error| bad(name, &error))?
            }
            "end" => {
                wanted.range.maxt =
                    timestamp::parse_millis(value).map_err(|error| bad(name, &error))?
            }
            "values" if value == "bits" => wanted.values = ValueFormat::Bits,
            "values" if value == "numbers" => wanted.values = ValueFormat::Numbers,
            "values" => return Err(bad(name, &"it is numbers or bits")),
            _ => return Err(bad(name, &"unknown; there are match[], start, end and values")),
        }
    }
    match wanted.selectors.len() {
        0 => Err(RequestError::BadData("give at least one match[], such as match[]=up".to_owned())),
        1..=MAX_SELECTORS => Ok(wanted),
        _ => Err(RequestError::BadData(format!("more than {MAX_SELECTORS} selectors"))),
    }
}

/// Why the lines end before the last one.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    /// The data can't be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Nobody takes the rest.
    #[error(transparent)]
    Stopped(#[from] StreamError),
}

/// Writes lines and sends them in pieces.
struct LineWriter<'a> {
    text: String,
    values: ValueFormat,
    pieces: &'a PieceSender<Bytes, ExportError>,
}

impl LineWriter<'_> {
    fn write_all(&mut self, db: &Db, wanted: &ExportQuery) -> Result<(), ExportError> {
        let querier = db.querier();
        for (at, matchers) in wanted.selectors.iter().enumerate() {
            for series in querier.select(matchers, wanted.range)? {
                let series = series?;
                self.pieces.check()?;
                // Several selectors may choose a series; the first one writes it.
                if !wanted.selectors[..at].iter().any(|earlier| satisfies(series.labels(), earlier))
                {
                    self.write_series(series.labels(), series.samples(wanted.range))?;
                }
            }
        }
        self.send()
    }

    fn write_series(
        &mut self,
        labels: &Labels,
        points: impl Iterator<Item = Result<Sample, QueryError>>,
    ) -> Result<(), ExportError> {
        let mut line = ExportLine::default();
        for point in points {
            line.push(point?);
            if line.is_full() {
                self.write_line(labels, &mut line)?;
            }
        }
        if line.is_empty() { Ok(()) } else { self.write_line(labels, &mut line) }
    }

    fn write_line(&mut self, labels: &Labels, line: &mut ExportLine) -> Result<(), ExportError> {
        line.write(labels, self.values, &mut self.text);
        if self.text.len() >= PIECE_BYTES { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<(), ExportError> {
        let piece = std::mem::take(&mut self.text);
        Ok(self.pieces.send(piece.into())?)
    }
}

fn satisfies(labels: &Labels, matchers: &[Matcher]) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name()).unwrap_or_default()))
}
