//! What became of a write request, in the messages of gRPC: the answer, the acknowledgement, the status.

use crate::remote::outcome::Outcome;
use crate::remote::pb::narthex::v1::{Refused as RefusedMessage, RefusedCount, WriteResponse, WriteStreamResponse};
use crate::remote::reason::{Kind, Reason};
use crate::server::grpc::details::{ErrorInfo, FieldViolation, Violations};
use crate::server::ingest;
use crate::server::refused::Refused;
use tonic::{Code, Status};

/// The reason in the ErrorInfo of a request of which data was refused.
const DATA_REFUSED: &str = "DATA_REFUSED";

/// What is stored.
pub(crate) fn response(outcome: &Outcome) -> WriteResponse {
    let Outcome { samples, histograms, exemplars, .. } = *outcome;
    WriteResponse { samples, histograms, exemplars }
}

/// The status of a request of which something was refused: a violation for each kind and reason, then one for each series that is named;
/// beside them how much was stored.
pub(crate) fn partly(outcome: &Outcome) -> Status {
    let counted = counts(outcome).map(|(kind, reason, count)| FieldViolation {
        field: field(kind).to_owned(),
        description: format!("{count} {reason}"),
        reason: reason.label().to_ascii_uppercase(),
    });
    let named = outcome.refusals.named().iter().map(|name| FieldViolation {
        field: "timeseries".to_owned(),
        description: name.clone(),
        reason: String::new(),
    });
    let WriteResponse { samples, histograms, exemplars } = response(outcome);
    let stored = [("samples", samples), ("histograms", histograms), ("exemplars", exemplars)];
    let info = ErrorInfo::new(DATA_REFUSED, stored.map(|(name, count)| (format!("{name}_stored"), count.to_string())));
    Violations { message: &text(outcome), violations: counted.chain(named).collect(), info: Some(info) }.into_status()
}

/// The acknowledgement of a request that was done.
pub(crate) fn acknowledge(sequence: u64, outcome: &Outcome) -> WriteStreamResponse {
    let refused = (!outcome.refusals.is_empty()).then(|| RefusedMessage {
        code: Code::InvalidArgument as u32,
        message: text(outcome),
        counts: counts(outcome)
            .map(|(kind, reason, count)| RefusedCount {
                kind: kind.to_string(),
                reason: reason.label().to_owned(),
                count,
            })
            .collect(),
    });
    WriteStreamResponse { sequence, stored: Some(response(outcome)), refused }
}

/// The acknowledgement of a request that was refused whole and for good.
pub(crate) fn refuse(sequence: u64, refused: Refused) -> WriteStreamResponse {
    let status = refused.into_grpc();
    let refused =
        RefusedMessage { code: status.code() as u32, message: status.message().to_owned(), counts: Vec::new() };
    WriteStreamResponse { sequence, stored: Some(WriteResponse::default()), refused: Some(refused) }
}

/// The same words as over HTTP.
fn text(outcome: &Outcome) -> String {
    match ingest::partly(outcome) {
        Refused::BadData(text)
        | Refused::Unsupported(text)
        | Refused::TooLarge(text)
        | Refused::Unavailable(text)
        | Refused::Fault(text) => text,
    }
}

/// What was refused and how often.
fn counts(outcome: &Outcome) -> impl Iterator<Item = (Kind, Reason, u64)> {
    let every = Kind::ALL.into_iter().flat_map(|kind| Reason::ALL.map(move |reason| (kind, reason)));
    every
        .map(|(kind, reason)| (kind, reason, outcome.refusals.count_of(kind, reason)))
        .filter(|(_, _, count)| *count > 0)
}

/// Where such things stand in a request.
fn field(kind: Kind) -> &'static str {
    match kind {
        Kind::Sample => "timeseries.samples",
        Kind::Histogram => "timeseries.histograms",
        Kind::Exemplar => "timeseries.exemplars",
        Kind::Metadata => "metadata",
    }
}
