//! `GET /api/v1/status/tsdb?limit=…` and `GET /api/v1/status/tsdb/blocks`: statistics of the head,
//! and metadata of the blocks, in Prometheus's format.
//!
//! ```text
//! {"status":"success","data":{
//!   "headStats":{"numSeries":…,"numLabelPairs":…,"chunkCount":…,"minTime":…,"maxTime":…},
//!   "seriesCountByMetricName":[{"name":"up","value":3}],
//!   "labelValueCountByLabelName":[…],"memoryInBytesByLabelName":[…],
//!   "seriesCountByLabelValuePair":[{"name":"job=node","value":3}]}}
//! ```
//!
//! A blocking thread reads the index in slices, so that writes go on. The memory comes from the
//! budget of responses.

use crate::server::api::parameters;
use crate::server::api::parameters::Parameter;
use crate::server::api::response;
use crate::server::api::response::BufferedJson;
use crate::server::contract::api_error::ApiError;
use crate::server::requests::list_state::ListState;
use crate::server::transport::admission::Reservation;
use crate::server::transport::blocking::{ClientWatch, run_blocking};
use crate::tsdb::db::{BlockMeta, HeadStatus, NameCount};
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::Arc;

/// Number of entries per list, without a parameter and at most.
const DEFAULT_LIMIT: usize = 10;
const MAX_LIMIT: usize = 10_000;
/// Estimated JSON of an entry in addition to its name, bytes.
const ENTRY_BYTES: usize = 32;
/// Estimated JSON of a block, and of a source or parent of it, bytes.
const BLOCK_BYTES: usize = 512;
const ORIGIN_BYTES: usize = 128;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TsdbStatus<'a> {
    head_stats: HeadStats,
    series_count_by_metric_name: Vec<Stat<'a>>,
    label_value_count_by_label_name: Vec<Stat<'a>>,
    memory_in_bytes_by_label_name: Vec<Stat<'a>>,
    series_count_by_label_value_pair: Vec<Stat<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HeadStats {
    num_series: u64,
    num_label_pairs: u64,
    chunk_count: u64,
    min_time: i64,
    max_time: i64,
}

#[derive(Serialize)]
struct Stat<'a> {
    name: &'a str,
    value: u64,
}

#[derive(Serialize)]
struct Blocks {
    blocks: Vec<BlockMeta>,
}

/// Returns the statistics of the head.
pub(crate) async fn tsdb_status(
    State(lists): State<Arc<ListState>>,
    Query(parameters): Query<Vec<Parameter>>,
) -> Response {
    match parse_limit(&parameters) {
        Ok(limit) => respond(&lists, move |lists, memory| encode_head(lists, limit, memory)).await,
        Err(error) => error.into_response(),
    }
}

/// Returns the metadata of the blocks.
pub(crate) async fn tsdb_blocks(State(lists): State<Arc<ListState>>) -> Response {
    respond(&lists, encode_blocks).await
}

/// Memory of a response, and its client.
struct ResponseMemory {
    reservation: Reservation,
    client: ClientWatch,
}

impl ResponseMemory {
    /// Reserves `bytes` more. Returns `false` if the budget is exhausted or the client
    /// disconnected.
    fn try_reserve(&mut self, bytes: usize) -> bool {
        !self.client.is_disconnected() && self.reservation.extend(bytes).is_ok()
    }
}

/// Encodes a response on a blocking thread.
async fn respond(
    lists: &Arc<ListState>,
    encode: impl FnOnce(&ListState, &mut ResponseMemory) -> Result<Vec<u8>, ApiError> + Send + 'static,
) -> Response {
    if let Err(error) = parameters::check_ready(&lists.lifecycle, &lists.db) {
        return error.into_response();
    }
    let shared = lists.clone();
    let encoded = run_blocking(&lists.gate, "reading the database status", move |client| {
        let reservation = shared.responses.budget.reserve();
        let mut memory = ResponseMemory { reservation, client };
        let text = encode(&shared, &mut memory)?;
        Ok(BufferedJson { text, reservation: memory.reservation })
    });
    match encoded.await.unwrap_or_else(|error| Err(ApiError::from(error))) {
        Ok(json) => json.into_response(lists.responses.time),
        Err(error) => error.into_response(),
    }
}

fn parse_limit(parameters: &[Parameter]) -> Result<usize, ApiError> {
    let Some(text) = parameters::first_value(parameters, "limit") else {
        return Ok(DEFAULT_LIMIT);
    };
    match text.parse::<i64>().ok().and_then(|limit| usize::try_from(limit).ok()) {
        Some(limit @ 1..=MAX_LIMIT) => Ok(limit),
        Some(limit) if limit > MAX_LIMIT => {
            Err(ApiError::BadData(format!("limit must not exceed {MAX_LIMIT}")))
        }
        _ => Err(ApiError::BadData("limit must be a positive number".to_owned())),
    }
}

fn encode_head(
    lists: &ListState,
    limit: usize,
    memory: &mut ResponseMemory,
) -> Result<Vec<u8>, ApiError> {
    let head = lists.db.ready()?.head();
    let status = HeadStatus::collect(head, limit, &mut |bytes| memory.try_reserve(bytes))?;
    let labels = &status.labels;
    let all = [
        &labels.series_by_metric,
        &labels.values_by_label,
        &labels.bytes_by_label,
        &labels.series_by_pair,
    ];
    let json_bytes = all.into_iter().flatten().map(|entry| entry.name.len() + ENTRY_BYTES).sum();
    memory.reservation.extend(json_bytes)?;
    let [metrics, values, bytes, pairs] = all.map(|list| stats(list));
    encode(&TsdbStatus {
        head_stats: HeadStats {
            num_series: status.series,
            num_label_pairs: labels.label_pairs,
            chunk_count: status.chunks,
            min_time: status.min_time,
            max_time: status.max_time,
        },
        series_count_by_metric_name: metrics,
        label_value_count_by_label_name: values,
        memory_in_bytes_by_label_name: bytes,
        series_count_by_label_value_pair: pairs,
    })
}

fn encode_blocks(lists: &ListState, memory: &mut ResponseMemory) -> Result<Vec<u8>, ApiError> {
    let blocks = lists.db.ready()?.block_metas();
    let origins = |block: &BlockMeta| {
        (block.compaction.sources.len() + block.compaction.parents.len()) * ORIGIN_BYTES
    };
    memory.reservation.extend(blocks.iter().map(|block| BLOCK_BYTES + origins(block)).sum())?;
    encode(&Blocks { blocks })
}

fn encode(data: &impl Serialize) -> Result<Vec<u8>, ApiError> {
    response::encode_success(data).map_err(|error| ApiError::Internal(error.to_string()))
}

fn stats(list: &[NameCount]) -> Vec<Stat<'_>> {
    list.iter().map(|entry| Stat { name: &entry.name, value: entry.count }).collect()
}
