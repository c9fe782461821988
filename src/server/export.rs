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
//! their times in `histogram_timestamps`. Where the start of a count is known, `starts` and `histogram_starts` have
//! one for each value, in milliseconds, 0 for an unknown one.
//!
//! A fault after the answer began breaks the connection off, and so does a client that is too slow: what ended properly is whole.

mod histogram;
mod line;

use crate::model::labels::Labels;
use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::model::value::Point;
use crate::server::admission::GateFull;
use crate::server::context::SharedContext;
use crate::server::export::line::{Line, Values};
use crate::server::ingest;
use crate::server::refused::Refused;
use crate::server::selector;
use crate::server::stream::{StreamError, StreamLimits, StreamSender, stream};
use crate::server::time_text;
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
struct Wanted {
    /// A series is wanted that satisfies all matchers of one of these.
    selectors: Vec<Vec<Matcher>>,
    range: TimeRange,
    values: Values,
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
    let limits = StreamLimits { ahead: PIECES_AHEAD, piece: PIECE_TIMEOUT, whole: context.answer_limits.time };
    let lines = stream(limits, move |pieces| {
        let _held = permit;
        let made = Lines { text: String::new(), values: wanted.values, pieces }.all(&context.db, &wanted);
        if let Err(error) = &made
            && !matches!(error, ExportError::Stopped(StreamError::Gone))
        {
            tracing::error!(%error, "an export failed");
        }
        made
    });
    ([(CONTENT_TYPE, "application/x-ndjson")], Body::new(lines)).into_response()
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
    /// Nobody takes the rest.
    #[error(transparent)]
    Stopped(#[from] StreamError),
}

/// Writes lines and sends them in pieces.
struct Lines<'a> {
    text: String,
    values: Values,
    pieces: &'a StreamSender<Bytes, ExportError>,
}

impl Lines<'_> {
    fn all(&mut self, db: &Db, wanted: &Wanted) -> Result<(), ExportError> {
        let querier = db.querier();
        for (at, matchers) in wanted.selectors.iter().enumerate() {
            for series in querier.select(matchers, wanted.range)? {
                let series = series?;
                self.pieces.check()?;
                // Several selectors may choose a series; the first one writes it.
                if !wanted.selectors[..at].iter().any(|earlier| satisfies(series.labels(), earlier)) {
                    self.series(series.labels(), series.points(wanted.range))?;
                }
            }
        }
        self.send()
    }

    fn series(
        &mut self,
        labels: &Labels,
        points: impl Iterator<Item = Result<Point, QueryError>>,
    ) -> Result<(), ExportError> {
        let mut line = Line::default();
        for point in points {
            line.push(point?);
            if line.is_full() {
                self.line(labels, &mut line)?;
            }
        }
        if line.is_empty() { Ok(()) } else { self.line(labels, &mut line) }
    }

    fn line(&mut self, labels: &Labels, line: &mut Line) -> Result<(), ExportError> {
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
