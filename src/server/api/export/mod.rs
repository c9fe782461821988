//! `GET` or `POST /api/v1/export?match[]=…&start=…&end=…`: float samples and histograms as JSON
//! lines.
//!
//! # Format
//! ```text
//! {"metric":{"__name__":"up","job":"node"},"values":[1,0.5,"NaN"],
//!  "timestamps":[1762300800000,1762300815000,1762300830000]}
//! ```
//!
//! - Each line is one JSON object; the example is wrapped. A long series takes several lines.
//! - Timestamps are in milliseconds.
//! - A finite value is the shortest number with the same bits. `"+Inf"`, `"-Inf"`, `"NaN"` and
//!   `"StaleNaN"` (the stale marker) are strings, because JSON has no such numbers.
//! - With `values=bits` every value is a string of 16 hexadecimal digits, which keeps NaN payloads.
//! - Native histograms are in `histograms` (formats: [`histogram`]; a stale marker is
//!   `"StaleNaN"`), their timestamps in `histogram_timestamps`.
//! - If any start timestamp is known, `start_timestamps` and `histogram_start_timestamps` have one
//!   entry per value, in milliseconds, 0 if unknown.
//!
//! | file        | content                   |
//! |-------------|---------------------------|
//! | `line`      | one line                  |
//! | `histogram` | native histograms as JSON |
//!
//! # Failure
//! An error after the response has started, or a slow client, aborts the connection. A response
//! that ends normally is complete.

mod histogram;
mod line;

use crate::log_limit::LogLimit;
use crate::model::labels::Labels;
use crate::model::matcher::Matcher;
use crate::model::sample::Sample;
use crate::model::time::TimeRange;
use crate::promql::selectors;
use crate::server::api::export::line::{ExportLine, ValueFormat};
use crate::server::api::{parameters, timestamp};
use crate::server::contract::request_error::RequestError;
use crate::server::management::lifecycle::Lifecycle;
use crate::server::requests::acceptance;
use crate::server::transport::admission::ConcurrencyLimiter;
use crate::server::transport::body::{BodyLimits, ResponseLimits};
use crate::server::transport::piece_stream::StreamError;
use crate::server::transport::piece_writer::{PieceLimits, PieceWriter, stream_response};
use crate::tsdb::db::DbHandle;
use crate::tsdb::db::QueryError;
use crate::tsdb::db::error::NotReady;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

/// Size up to which lines are collected into one piece, bytes.
const PIECE_BYTES: usize = 64 << 10;
/// Maximum number of queued pieces.
const MAX_QUEUED: usize = 4;
/// Maximum number of selectors per request.
const MAX_SELECTORS: usize = 100;

/// State of exports.
#[derive(Debug)]
pub struct ExportState {
    /// Database of all samples.
    pub db: Arc<DbHandle>,
    /// Phase of the server.
    pub lifecycle: Arc<Lifecycle>,
    /// Limit of concurrent exports.
    pub gate: ConcurrencyLimiter,
    /// Time and memory limits of request bodies. `size` is a default that handlers replace.
    pub bodies: BodyLimits,
    /// Time and memory limits of responses.
    pub responses: ResponseLimits,
}

/// Parameters of an export.
#[derive(Debug)]
struct ExportQuery {
    /// Lists of matchers. A series must match all matchers of at least one list.
    selectors: Vec<Vec<Matcher>>,
    range: TimeRange,
    values: ValueFormat,
}

pub(crate) async fn export(State(exports): State<Arc<ExportState>>, request: Request) -> Response {
    start(&exports, request).await.unwrap_or_else(RequestError::into_response)
}

async fn start(exports: &ExportState, request: Request) -> Result<Response, RequestError> {
    acceptance::check_accepting(&exports.lifecycle, &exports.db)?;
    let query = parse_params(&parameters::read_request(&exports.bodies, request).await?)?;
    let permit = exports.gate.acquire().await?;
    let limits = PieceLimits {
        piece_bytes: PIECE_BYTES,
        max_queued: MAX_QUEUED,
        total_timeout: exports.responses.time,
    };
    let db = exports.db.clone();
    // The number of exports limits the memory of their pieces.
    let memory = exports.responses.budget.reserve();
    let lines = stream_response(limits, memory, move |out| {
        let _held = permit;
        let mut writer = LineWriter { line: String::new(), values: query.values, out };
        writer.write_all(&db, &query).inspect_err(log_error)
    });
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::new(lines)).into_response())
}

/// Message of failed exports, and its rate limit.
const FAILED: &str = "export failed";
static FAILURES: LazyLock<LogLimit> = LazyLock::new(|| LogLimit::new(FAILED));

/// Logs an error that is not a disconnect.
fn log_error(error: &ExportError) {
    if !matches!(error, ExportError::Stopped(StreamError::ClientGone))
        && let Some(suppressed) = FAILURES.admit(Instant::now())
    {
        tracing::error!(%error, suppressed, "{FAILED}");
    }
}

fn parse_params(parameters: &[(String, String)]) -> Result<ExportQuery, RequestError> {
    let mut query =
        ExportQuery { selectors: Vec::new(), range: TimeRange::ALL, values: ValueFormat::Numbers };
    let invalid = |name: &str, error: &dyn std::fmt::Display| {
        RequestError::BadData(format!("parameter {name}: {error}"))
    };
    for (name, value) in parameters {
        match name.as_str() {
            "match[]" | "match" => {
                query
                    .selectors
                    .push(selectors::parse(value).map_err(|error| invalid(name, &error))?);
            }
            "start" => {
                query.range.mint =
                    timestamp::parse_millis(value).map_err(|error| invalid(name, &error))?
            }
            "end" => {
                query.range.maxt =
                    timestamp::parse_millis(value).map_err(|error| invalid(name, &error))?
            }
            "values" if value == "bits" => query.values = ValueFormat::Bits,
            "values" if value == "numbers" => query.values = ValueFormat::Numbers,
            "values" => return Err(invalid(name, &"use numbers or bits")),
            _ => return Err(invalid(name, &"unknown; use match[], start, end or values")),
        }
    }
    match query.selectors.len() {
        0 => Err(RequestError::BadData("match[] is missing, for example match[]=up".to_owned())),
        1..=MAX_SELECTORS => Ok(query),
        _ => Err(RequestError::BadData(format!("request has more than {MAX_SELECTORS} selectors"))),
    }
}

/// Error that ends an export early.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    /// The database is not recovered yet.
    #[error(transparent)]
    NotReady(#[from] NotReady),
    /// The data cannot be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The stream stopped: the client is slow or gone.
    #[error(transparent)]
    Stopped(#[from] StreamError),
}

/// Writer of lines.
struct LineWriter<'a, 'b> {
    /// Buffer of one line.
    line: String,
    values: ValueFormat,
    out: &'a mut PieceWriter<'b, ExportError>,
}

impl LineWriter<'_, '_> {
    fn write_all(&mut self, db: &DbHandle, query: &ExportQuery) -> Result<(), ExportError> {
        let querier = db.ready()?.querier();
        for (at, matchers) in query.selectors.iter().enumerate() {
            for series in querier.select(matchers, query.range)? {
                let series = series?;
                self.out.check()?;
                // The first selector that matches a series writes it.
                if !query.selectors[..at]
                    .iter()
                    .any(|earlier| matches_all(series.labels(), earlier))
                {
                    self.write_series(series.labels(), series.samples(query.range))?;
                }
            }
        }
        Ok(())
    }

    fn write_series(
        &mut self,
        labels: &Labels,
        samples: impl Iterator<Item = Result<Sample, QueryError>>,
    ) -> Result<(), ExportError> {
        let mut line = ExportLine::default();
        for sample in samples {
            line.push(sample?);
            if line.is_full() {
                self.write_line(labels, &mut line)?;
            }
        }
        if line.is_empty() { Ok(()) } else { self.write_line(labels, &mut line) }
    }

    fn write_line(&mut self, labels: &Labels, line: &mut ExportLine) -> Result<(), ExportError> {
        self.line.clear();
        line.write(labels, self.values, &mut self.line);
        Ok(self.out.push(|buffer| buffer.extend_from_slice(self.line.as_bytes()))?)
    }
}

fn matches_all(labels: &Labels, matchers: &[Matcher]) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name()).unwrap_or_default()))
}
