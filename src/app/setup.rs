//! Database options and shared state of the handlers, from flags.

use crate::app::logging;
use crate::app::metrics::engine;
use crate::app::metrics::engine::ReplayMetrics;
use crate::app::reload::ReloadMetrics;
use crate::config::flags::ServeFlags;
use crate::config::flags::features::Feature;
use crate::config::flags::grpc::GrpcFlags;
use crate::config::flags::read::ReadFlags;
use crate::config::flags::storage::{StorageFlags, WalCompressionFlag, WalSyncFlag};
use crate::config::flags::write::WriteFlags;
use crate::ingest::limits::{IngestLimits, LabelLimits};
use crate::ingest::metadata::MetadataLimits;
use crate::metrics::process::ProcessCollector;
use crate::metrics::registry::Registry;
use crate::remote::limits::WriteLimits;
use crate::remote::metrics::{ReadMetrics, WriteMetrics};
use crate::remote::read::ReadLimits;
use crate::remote::request_index_v1::CountLimits;
use crate::remote::thanos::tenant::TenantLabel;
use crate::remote::write::RemoteWriter;
use crate::server::management::configuration::{Configuration, LoadedConfig};
use crate::server::management::http_metrics::HttpMetrics;
use crate::server::management::lifecycle::{Lifecycle, Phase};
use crate::server::management::process_control;
use crate::server::management::process_control::{ApiAccess, ControlChannel, ControlReceiver};
use crate::server::state::{ServerState, SharedState};
use crate::server::transport::admission::{ByteBudget, ConcurrencyLimiter, QueueLimits};
use crate::server::transport::body::{BodyLimits, ResponseLimits};
use crate::server::transport::client_limit::ClientLimit;
use crate::server::transport::framing::decompress_body::MessageDecompressor;
use crate::server::transport::listener::ConnectionMetrics;
use crate::tsdb::chunk::any_chunk::HistogramStMode;
use crate::tsdb::db::Db;
use crate::tsdb::db::disk_guard::DiskReserve;
use crate::tsdb::db::options::{DbOptions, ShutdownMode};
use crate::tsdb::db::settings::Settings;
use crate::tsdb::query::chunk_iter::SupportedEncodings;
use crate::tsdb::wal::compression::RecordCompression;
use crate::tsdb::wal::record::builder::RecordVersion;
use crate::tsdb::wal::write_log::SyncMode;
use std::sync::Arc;
use std::time::Duration;

/// Maximum time a write waits for a permit. Senders time out after 30 s by default.
const WRITE_MAX_WAIT: Duration = Duration::from_secs(10);
/// Number of waiting reads per concurrent read, and their maximum wait.
const WAITING_READS_PER_SLOT: usize = 4;
const READ_MAX_WAIT: Duration = Duration::from_secs(5);

/// Number of waiting admin operations, and their maximum wait: cleaning tombstones can take
/// minutes.
const MAX_WAITING_ADMIN: usize = 8;
const ADMIN_MAX_WAIT: Duration = Duration::from_secs(600);
/// Blocking threads for short or single tasks: metrics, replay, close.
const OTHER_BLOCKING_THREADS: usize = 16;
/// Maximum number of blocking threads, if limits are very high or reads are unlimited.
const MAX_BLOCKING_THREADS: usize = 1 << 15;

/// Returns the options for [`Db::open`].
pub(crate) fn db_options(flags: &StorageFlags, settings: Settings) -> DbOptions {
    DbOptions {
        wal_compression: match flags.effective_wal_compression() {
            WalCompressionFlag::None => RecordCompression::None,
            WalCompressionFlag::Snappy => RecordCompression::Snappy,
            WalCompressionFlag::Zstd => RecordCompression::Zstd,
        },
        wal_segment_size: flags.wal_segment_size.0,
        wal_sync: match flags.wal_sync {
            WalSyncFlag::Os => SyncMode::Os,
            WalSyncFlag::Interval => SyncMode::Interval(flags.wal_sync_interval),
            WalSyncFlag::Always => SyncMode::Always,
        },
        chunk_range_ms: millis(flags.min_block_duration),
        max_series: limit(flags.max_active_series),
        // As in Prometheus, 0 means "not set".
        max_block_range_ms: flags.max_block_duration.map(millis).filter(|range| *range > 0),
        uploads_file: flags.delay_compact_file.clone().filter(|path| !path.as_os_str().is_empty()),
        shutdown_mode: if flags.features.contains(&Feature::MemorySnapshotOnShutdown) {
            ShutdownMode::ChunkSnapshot
        } else {
            ShutdownMode::KeepInWal
        },
        record_version: if flags.features.contains(&Feature::StStorage) {
            RecordVersion::V2
        } else {
            RecordVersion::V1
        },
        histogram_st_mode: if flags.features.contains(&Feature::HistogramsStEncoding) {
            HistogramStMode::WithSt
        } else {
            HistogramStMode::WithoutSt
        },
        disk_reserve: flags
            .disk_reserve
            .map_or(DiskReserve::Default, |size| DiskReserve::Bytes(size.0)),
        settings,
        ..DbOptions::new(flags.path.clone())
    }
}

/// Returns the number of concurrent write requests.
pub(crate) fn write_concurrency(flags: &WriteFlags) -> usize {
    match flags.concurrent_limit {
        0 => 16.max(4 * processors()),
        limit => usize::try_from(limit).unwrap_or(usize::MAX),
    }
}

/// Returns the number of concurrent exports. They have their own limit because slow clients delay
/// them.
fn export_concurrency(flags: &ReadFlags) -> usize {
    usize::try_from(flags.export_concurrent_limit).unwrap_or(usize::MAX)
}

/// Returns the number of concurrent look-ups of labels, series, metadata and exemplars.
fn list_concurrency(flags: &ReadFlags) -> usize {
    usize::try_from(flags.list_concurrent_limit).unwrap_or(usize::MAX)
}

/// Returns the number of write streams of one client. The default is half of all, so that another
/// client always gets one.
fn streams_per_client(flags: &GrpcFlags) -> usize {
    match (flags.max_streams_per_client, flags.max_streams) {
        (0, all) => limit(all.div_ceil(2)),
        (count, _) => limit(count),
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Returns the number of blocking threads: one for every concurrent task, so that an admitted write
/// never waits for a thread.
pub(crate) fn blocking_threads(flags: &ServeFlags) -> usize {
    write_concurrency(&flags.write)
        .saturating_add(limit(flags.read.concurrent_limit))
        .saturating_add(processors())
        .saturating_add(export_concurrency(&flags.read))
        .saturating_add(list_concurrency(&flags.read))
        .saturating_add(OTHER_BLOCKING_THREADS)
        .min(MAX_BLOCKING_THREADS)
}

/// Parts of a server that [`build`] creates.
#[derive(Debug)]
pub(crate) struct ServerParts {
    /// Reloads and stops that requests ask for.
    pub(crate) orders: ControlReceiver,
    /// Metrics for the [`Reloader`](crate::app::reload::Reloader).
    pub(crate) reload: ReloadMetrics,
    /// State that all handlers share.
    pub(crate) context: SharedState,
    /// Metrics for the listener.
    pub(crate) connections: ConnectionMetrics,
    /// Metrics that the replay sets when it ends.
    pub(crate) replay: ReplayMetrics,
}

/// Builds the parts and registers all metrics.
pub(crate) fn build(flags: &ServeFlags, loaded: LoadedConfig, db: Arc<Db>) -> ServerParts {
    let mut registry = Registry::new();
    let lifecycle = Arc::new(Lifecycle::starting());
    let reload = ReloadMetrics::register(&mut registry);
    let replay = engine::register(&mut registry, &db);
    let ready = lifecycle.clone();
    registry.gauge_fn(
        "prometheus_ready",
        "Whether startup was completed and the server is ready for normal operation.",
        move || f64::from(u8::from(ready.phase() == Phase::Ready)),
    );
    registry.register_collector(ProcessCollector);
    registry.counter_fn(
        "narthex_log_lines_dropped_total",
        "Total number of log lines dropped: standard error is closed, full or read too slowly.",
        || logging::dropped_lines() as f64,
    );
    registry.info(
        "narthex_build_info",
        "Version and commit of narthex.",
        &[
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("revision", env!("NARTHEX_COMMIT").to_owned()),
        ],
    );
    let connections = ConnectionMetrics::register(&mut registry);
    // Separate budgets, so that large or slow reads never block writes.
    let half = flags.web.max_bytes_in_flight.as_usize() / 2;
    let (requests, responses) = (ByteBudget::new(half), ByteBudget::new(half));
    requests.register(&mut registry, "narthex_request_bytes_in_flight", "request bodies");
    responses.register(
        &mut registry,
        "narthex_response_bytes_in_flight",
        "responses to remote reads",
    );
    let read_limit = limit(flags.read.concurrent_limit);
    let export_queue =
        QueueLimits { max_waiting: export_concurrency(&flags.read), max_wait: READ_MAX_WAIT };
    let read_queue = QueueLimits {
        max_waiting: read_limit.saturating_mul(WAITING_READS_PER_SLOT),
        max_wait: READ_MAX_WAIT,
    };
    let write_queue = QueueLimits {
        max_waiting: limit(flags.write.queue_limit.max(1)),
        max_wait: WRITE_MAX_WAIT,
    };
    let ControlChannel { control, orders } = process_control::control_channel(
        access(flags.web.enable_admin_api),
        access(flags.web.enable_lifecycle),
    );
    let admin_queue = QueueLimits { max_waiting: MAX_WAITING_ADMIN, max_wait: ADMIN_MAX_WAIT };
    let stream_gate = ConcurrencyLimiter::new(
        limit(flags.grpc.max_streams),
        QueueLimits { max_waiting: 0, max_wait: Duration::ZERO },
    );
    let admin_gate = ConcurrencyLimiter::new(1, admin_queue);
    admin_gate.register(&mut registry, "narthex_admin_requests", "Admin operations");
    let write_gate = ConcurrencyLimiter::new(write_concurrency(&flags.write), write_queue);
    write_gate.register(&mut registry, "narthex_write_requests", "Write requests");
    let read_gate = ConcurrencyLimiter::new(read_limit, read_queue).named("reads");
    read_gate.register(&mut registry, "narthex_read_requests", "Reads");
    let list_limit = list_concurrency(&flags.read);
    let list_queue = QueueLimits {
        max_waiting: list_limit.saturating_mul(WAITING_READS_PER_SLOT),
        max_wait: READ_MAX_WAIT,
    };
    let list_gate = ConcurrencyLimiter::new(list_limit, list_queue).named("look-ups");
    list_gate.register(
        &mut registry,
        "narthex_list_requests",
        "Look-ups of labels, series, metadata and exemplars",
    );
    let export_gate =
        ConcurrencyLimiter::new(export_concurrency(&flags.read), export_queue).named("exports");
    export_gate.register(&mut registry, "narthex_export_requests", "Exports");
    let client_streams = ClientLimit::new(streams_per_client(&flags.grpc));
    client_streams.register(&mut registry, "narthex_grpc_write_streams", "write streams of gRPC");
    stream_gate.register(&mut registry, "narthex_grpc_write_streams", "Write streams of gRPC");
    let context = ServerState {
        control,
        corruptions: replay.corruptions.clone(),
        flags: flags.flag_values.clone(),
        configuration: Arc::new(Configuration::new(loaded)),
        admin_gate,
        db,
        lifecycle,
        writer: RemoteWriter::new(
            write_limits(&flags.write),
            WriteMetrics::register(&mut registry),
        )
        .with_tenants(TenantLabel::new(&flags.thanos.tenant_label)),
        write_gate,
        stream_gate,
        client_streams,
        inflater: MessageDecompressor::register(&mut registry, processors()),
        max_write_body: flags.write.max_body_size.as_usize(),
        read_limits: ReadLimits {
            samples: Some(flags.read.sample_limit).filter(|limit| *limit > 0),
            answer_bytes: flags.read.max_response_size.as_usize().min(half),
            frame_bytes: flags.read.max_bytes_in_frame.as_usize(),
            readable: if flags.read.raw_encodings {
                SupportedEncodings::All
            } else {
                SupportedEncodings::Baseline
            },
        },
        read_gate,
        list_gate,
        export_gate,
        query_timeout: flags.read.query_timeout,
        read_metrics: ReadMetrics::register(&mut registry),
        body_limits: BodyLimits {
            size: flags.write.max_body_size.as_usize(),
            time: flags.web.read_timeout,
            budget: requests,
        },
        answer_limits: ResponseLimits { time: flags.web.read_timeout, budget: responses },
        http_metrics: HttpMetrics::register(&mut registry),
        registry,
    };
    ServerParts { orders, reload, context: Arc::new(context), connections, replay }
}

fn write_limits(flags: &WriteFlags) -> WriteLimits {
    WriteLimits {
        decoded_bytes: flags.max_decoded_size.as_usize(),
        counts: CountLimits { series: flags.max_series, samples: flags.max_samples },
        items: IngestLimits {
            labels: LabelLimits {
                count: limit(flags.max_labels),
                name_bytes: flags.max_label_name_size.as_usize(),
                value_bytes: flags.max_label_value_size.as_usize(),
            },
            metadata: MetadataLimits {
                name_bytes: flags.max_label_value_size.as_usize(),
                text_bytes: flags.max_metadata_size.as_usize(),
            },
            max_future_ms: millis(flags.max_future),
        },
    }
}

fn access(is_on: bool) -> ApiAccess {
    if is_on { ApiAccess::On } else { ApiAccess::Off }
}

/// Converts a limit: 0 means unlimited.
fn limit(flag: u64) -> usize {
    match flag {
        0 => usize::MAX,
        limit => usize::try_from(limit).unwrap_or(usize::MAX),
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::blocking_threads;
    use crate::config::flags::{Cli, Command, ServeFlags};
    use clap::Parser;

    fn flags(read_limit: &str) -> ServeFlags {
        let read_limit = format!("--storage.remote.read-concurrent-limit={read_limit}");
        let line = ["narthex", "serve", "--storage.remote.write-concurrent-limit=50", &read_limit];
        let Command::Serve(flags) = Cli::parse_from(line).command;
        *flags
    }

    #[test]
    fn blocking_threads_suffice_for_all_permits() {
        assert!(blocking_threads(&flags("200")) > 50 + 200 + 4 + 10);
        assert!((50..1 << 16).contains(&blocking_threads(&flags("0"))));
    }
}
