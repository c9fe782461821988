//! `GET /api/v1/status/rejections?limit=…`: recent rejections of written data, newest first.
//!
//! ```text
//! {"status":"success","data":{
//!   "rejections":[{"firstTime":"…","time":"…","protocol":"remote_write_1.0","sender":"192.0.2.1",
//!     "user":"alice","reason":"too_old","series":"{…}","detail":"…","count":3,"requests":1,
//!     "dryRun":false,"limit":""}],
//!   "droppedEntries":0,"droppedCount":0}}
//! ```
//!
//! Data over a limit in a dry run has `dryRun` and the flag of the limit. `user` is the name of the
//! user whose password was checked, and absent without one. The endpoint is narthex's
//! own, in Prometheus's envelope.

use crate::ingest::rejection_log::entry::{RecentRejections, RejectionEntry};
use crate::model::time::format_rfc3339;
use crate::server::api::parameters;
use crate::server::api::parameters::Parameter;
use crate::server::api::response;
use crate::server::api::response::BufferedJson;
use crate::server::contract::api_error::ApiError;
use crate::server::requests::list_state::ListState;
use crate::server::requests::write_requests::WriteState;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RejectionsData<'a> {
    rejections: Vec<RejectionData<'a>>,
    dropped_entries: u64,
    dropped_count: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RejectionData<'a> {
    first_time: String,
    time: String,
    protocol: &'static str,
    sender: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    reason: &'static str,
    series: &'a str,
    detail: &'a str,
    count: u64,
    requests: u64,
    dry_run: bool,
    limit: &'static str,
}

impl<'a> From<&'a RejectionEntry> for RejectionData<'a> {
    fn from(entry: &'a RejectionEntry) -> Self {
        Self {
            first_time: format_rfc3339(entry.first_ms),
            time: format_rfc3339(entry.last_ms),
            protocol: entry.origin.protocol,
            sender: entry.origin.display_sender(),
            user: entry.origin.user.as_deref(),
            reason: entry.reason,
            series: &entry.series,
            detail: &entry.detail,
            count: entry.count,
            requests: entry.requests,
            dry_run: entry.limit.is_some(),
            limit: entry.limit.unwrap_or_default(),
        }
    }
}

/// Returns the recent rejections.
pub(crate) async fn rejections(
    State(writes): State<Arc<WriteState>>,
    State(lists): State<Arc<ListState>>,
    Query(parameters): Query<Vec<Parameter>>,
) -> Response {
    let encoded = parse_limit(&parameters)
        .and_then(|limit| encode(&writes.rejections.newest(limit)))
        .and_then(|text| {
            let mut reservation = lists.responses.budget.reserve();
            reservation.extend(text.len())?;
            Ok(BufferedJson { text, reservation })
        });
    match encoded {
        Ok(json) => json.into_response(lists.responses.time),
        Err(error) => error.into_response(),
    }
}

fn encode(recent: &RecentRejections) -> Result<Vec<u8>, ApiError> {
    let data = RejectionsData {
        rejections: recent.entries.iter().map(RejectionData::from).collect(),
        dropped_entries: recent.dropped_entries,
        dropped_count: recent.dropped_count,
    };
    response::encode_success(&data).map_err(|error| ApiError::Internal(error.to_string()))
}

/// Returns the maximum number of entries; all without a limit or with 0.
fn parse_limit(parameters: &[Parameter]) -> Result<usize, ApiError> {
    match parameters::first_value(parameters, "limit").map(str::parse::<usize>) {
        None | Some(Ok(0)) => Ok(usize::MAX),
        Some(Ok(limit)) => Ok(limit),
        Some(Err(error)) => Err(parameters::invalid_parameter("limit", error)),
    }
}
