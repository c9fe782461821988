//! Write outcomes: the error of a partial write; response, acknowledgement and status over gRPC.

use crate::ingest::outcome::WriteOutcome;
use crate::ingest::reject_reason::{ItemKind, RejectReason};
use crate::remote::pb::narthex::v1::{
    Rejection, RejectionCount, WriteResponse, WriteStreamResponse,
};
use crate::server::contract::details::{ErrorInfo, FieldViolation, Violations};
use crate::server::contract::request_error::RequestError;
use tonic::{Code, Status};

/// Reason in the [`ErrorInfo`] of a request with rejected data.
const DATA_REJECTED: &str = "DATA_REJECTED";

/// Returns the error of a request that was stored only in part.
pub(crate) fn partial_write_error(outcome: &WriteOutcome) -> RequestError {
    let mut stored = format!("{} samples", outcome.samples);
    for (count, what) in [(outcome.histograms, "histograms"), (outcome.exemplars, "exemplars")] {
        if count > 0 {
            stored.push_str(&format!(", {count} {what}"));
        }
    }
    RequestError::BadData(format!("stored {stored}; rejected: {}", outcome.rejections))
}

/// Returns the counts of stored items.
pub(crate) fn response(outcome: &WriteOutcome) -> WriteResponse {
    let WriteOutcome { samples, histograms, exemplars, .. } = *outcome;
    WriteResponse { samples, histograms, exemplars }
}

/// Returns the status of a request that was stored in part: a violation for each kind and reason,
/// one for each named series, and the counts of stored items.
pub(crate) fn partial_write_status(outcome: &WriteOutcome) -> Status {
    let counted = rejection_counts(outcome).map(|(kind, reason, count)| FieldViolation {
        field: field_name(kind).to_owned(),
        description: format!("{count} {reason}"),
        reason: reason.label().to_ascii_uppercase(),
    });
    let named = outcome.rejections.first_series().map(|named| FieldViolation {
        field: "timeseries".to_owned(),
        description: named.to_string(),
        reason: String::new(),
    });
    let WriteResponse { samples, histograms, exemplars } = response(outcome);
    let stored = [("samples", samples), ("histograms", histograms), ("exemplars", exemplars)];
    let info = ErrorInfo::new(
        DATA_REJECTED,
        stored.map(|(name, count)| (format!("{name}_stored"), count.to_string())),
    );
    Violations {
        message: &partial_write_error(outcome).into_message(),
        violations: counted.chain(named).collect(),
        info: Some(info),
    }
    .into_status()
}

/// Returns the acknowledgement of a request that was stored, at least in part.
pub(crate) fn ack(sequence: u64, outcome: &WriteOutcome) -> WriteStreamResponse {
    let rejection = (!outcome.rejections.is_empty()).then(|| Rejection {
        code: Code::InvalidArgument as u32,
        message: partial_write_error(outcome).into_message(),
        counts: rejection_counts(outcome)
            .map(|(kind, reason, count)| RejectionCount {
                kind: kind.to_string(),
                reason: reason.label().to_owned(),
                count,
            })
            .collect(),
    });
    WriteStreamResponse { sequence, stored: Some(response(outcome)), rejection }
}

/// Returns the acknowledgement of a request that was rejected permanently.
pub(crate) fn rejection_ack(sequence: u64, error: RequestError) -> WriteStreamResponse {
    let status = Status::from(error);
    let rejection = Rejection {
        code: status.code() as u32,
        message: status.message().to_owned(),
        counts: Vec::new(),
    };
    WriteStreamResponse {
        sequence,
        stored: Some(WriteResponse::default()),
        rejection: Some(rejection),
    }
}

/// Returns the nonzero counts of rejections.
fn rejection_counts(outcome: &WriteOutcome) -> impl Iterator<Item = (ItemKind, RejectReason, u64)> {
    let all = ItemKind::ALL
        .into_iter()
        .flat_map(|kind| RejectReason::ALL.map(move |reason| (kind, reason)));
    all.map(|(kind, reason)| (kind, reason, outcome.rejections.count_of(kind, reason)))
        .filter(|(_, _, count)| *count > 0)
}

/// Returns the path of the items in a request.
fn field_name(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Sample => "timeseries.samples",
        ItemKind::Histogram => "timeseries.histograms",
        ItemKind::Exemplar => "timeseries.exemplars",
        ItemKind::Metadata => "metadata",
    }
}
