//! What became of a write request, in the messages of gRPC: the answer, the acknowledgement, the status.

use crate::remote::pb::narthex::v1::{
    Refused as RefusedMessage, RefusedCount, WriteResponse, WriteStreamResponse,
};
use crate::remote::reject_reason::{ItemKind, RejectReason};
use crate::remote::write_outcome::WriteOutcome;
use crate::server::grpc::details::{ErrorInfo, FieldViolation, Violations};
use crate::server::ingest;
use crate::server::request_error::RequestError;
use tonic::{Code, Status};

/// The reason in the ErrorInfo of a request of which data was refused.
const DATA_REJECTED: &str = "DATA_REJECTED";

/// What is stored.
pub(crate) fn response(outcome: &WriteOutcome) -> WriteResponse {
    let WriteOutcome { samples, histograms, exemplars, .. } = *outcome;
    WriteResponse { samples, histograms, exemplars }
}

/// The status of a request of which something was refused: a violation for each kind and reason, then one for each series that is named;
/// beside them how much was stored.
pub(crate) fn partial_write_status(outcome: &WriteOutcome) -> Status {
    let counted = rejection_counts(outcome).map(|(kind, reason, count)| FieldViolation {
        field: field_name(kind).to_owned(),
        description: format!("{count} {reason}"),
        reason: reason.label().to_ascii_uppercase(),
    });
    let named = outcome.rejections.first_series().iter().map(|name| FieldViolation {
        field: "timeseries".to_owned(),
        description: name.clone(),
        reason: String::new(),
    });
    let WriteResponse { samples, histograms, exemplars } = response(outcome);
    let stored = [("samples", samples), ("histograms", histograms), ("exemplars", exemplars)];
    let info = ErrorInfo::new(
        DATA_REJECTED,
        stored.map(|(name, count)| (format!("{name}_stored"), count.to_string())),
    );
    Violations {
        message: &outcome_text(outcome),
        violations: counted.chain(named).collect(),
        info: Some(info),
    }
    .into_status()
}

/// The acknowledgement of a request that was done.
pub(crate) fn ack(sequence: u64, outcome: &WriteOutcome) -> WriteStreamResponse {
    let refused = (!outcome.rejections.is_empty()).then(|| RefusedMessage {
        code: Code::InvalidArgument as u32,
        message: outcome_text(outcome),
        counts: rejection_counts(outcome)
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
pub(crate) fn rejection_ack(sequence: u64, refused: RequestError) -> WriteStreamResponse {
    let status = refused.into_grpc();
    let refused = RefusedMessage {
        code: status.code() as u32,
        message: status.message().to_owned(),
        counts: Vec::new(),
    };
    WriteStreamResponse { sequence, stored: Some(WriteResponse::default()), refused: Some(refused) }
}

/// The same words as over HTTP.
fn outcome_text(outcome: &WriteOutcome) -> String {
    match ingest::partial_write_error(outcome) {
        RequestError::BadData(text)
        | RequestError::Unsupported(text)
        | RequestError::TooLarge(text)
        | RequestError::Unavailable(text)
        | RequestError::Internal(text) => text,
    }
}

/// What was refused and how often.
fn rejection_counts(outcome: &WriteOutcome) -> impl Iterator<Item = (ItemKind, RejectReason, u64)> {
    let every = ItemKind::ALL
        .into_iter()
        .flat_map(|kind| RejectReason::ALL.map(move |reason| (kind, reason)));
    every
        .map(|(kind, reason)| (kind, reason, outcome.rejections.count_of(kind, reason)))
        .filter(|(_, _, count)| *count > 0)
}

/// Where such things stand in a request.
fn field_name(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Sample => "timeseries.samples",
        ItemKind::Histogram => "timeseries.histograms",
        ItemKind::Exemplar => "timeseries.exemplars",
        ItemKind::Metadata => "metadata",
    }
}
