//! `GET /api/v1/features`: features that are supported and enabled, by Prometheus's categories and
//! names.
//!
//! A category that is absent belongs to a part that narthex does not have, such as PromQL. Within a
//! category, every feature of Prometheus is listed, `false` if it is not supported or not enabled.

use crate::server::api::response;
use crate::server::api::status::StatusState;
use crate::server::management::process_control::ApiAccess;
use crate::server::management::process_state::ProcessState;
use crate::tsdb::db::{HistogramStMode, RecordVersion};
use axum::extract::State;
use axum::response::Response;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Kinds of discovery in Prometheus.
const DISCOVERY_KINDS: [&str; 37] = [
    "aws",
    "azure",
    "consul",
    "digitalocean",
    "dns",
    "docker",
    "dockerswarm",
    "ec2",
    "ecs",
    "elasticache",
    "eureka",
    "file",
    "gce",
    "hetzner",
    "http",
    "ionos",
    "kubernetes",
    "kuma",
    "lightsail",
    "linode",
    "marathon",
    "msk",
    "nerve",
    "nomad",
    "oci",
    "openstack",
    "outscale",
    "ovhcloud",
    "puppetdb",
    "rds",
    "scaleway",
    "serverset",
    "stackit",
    "static",
    "triton",
    "uyuni",
    "vultr",
];
/// Kinds of discovery in narthex.
const SUPPORTED_DISCOVERY: [&str; 7] =
    ["consul", "dns", "docker", "file", "http", "kubernetes", "static"];

/// Returns the features.
pub(crate) async fn features(
    State(process): State<Arc<ProcessState>>,
    State(status): State<Arc<StatusState>>,
) -> Response {
    let options = status.db.shared().options();
    let flag = |name: &str| status.flags.get(name).map_or("", String::as_str);
    let has_flag = |name| flag("enable-feature").split(',').any(|feature| feature == name);
    response::success(&json!({
        "api": {
            "admin": process.control.admin == ApiAccess::On,
            "exclude_alerts": false,
            "label_values_match": true,
            "lifecycle": process.control.lifecycle == ApiAccess::On,
            "openapi_3.1": false,
            "openapi_3.2": false,
            "otlp_write_receiver": false,
            "query_stats": false,
            "query_warnings": false,
            "remote_write_receiver": true,
            "search": false,
            "search_fuzz_alg_jarowinkler": false,
            "search_fuzz_alg_subsequence": false,
            "time_range_labels": true,
            "time_range_series": true,
        },
        "prometheus": {
            "agent_mode": false,
            "auto_reload_config": flag("config.auto-reload") == "true",
            "server_mode": true,
            "stringlabels": false,
        },
        "scrape": {
            "extra_scrape_metrics": true,
            "start_timestamp_zero_ingestion": has_flag("created-timestamp-zero-ingestion"),
            "type_and_unit_labels": false,
        },
        "service_discovery_providers": discovery_kinds(),
        "tsdb": {
            "delayed_compaction": false,
            "exemplar_storage": true,
            "histograms_st_encoding": options.histogram_st_mode == HistogramStMode::WithSt,
            "isolation": true,
            "metadata_wal_records": true,
            "native_histograms": true,
            "st_storage": options.record_version == RecordVersion::V2,
            "use_uncached_io": false,
            "xor2_encoding": true,
        },
    }))
}

fn discovery_kinds() -> BTreeMap<&'static str, bool> {
    DISCOVERY_KINDS.iter().map(|kind| (*kind, SUPPORTED_DISCOVERY.contains(kind))).collect()
}
