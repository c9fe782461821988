//! From flags to parts: the database's options and what the handlers share.

use crate::app::engine_metrics;
use crate::app::engine_metrics::ReplayMetrics;
use crate::app::logging;
use crate::app::reload::ReloadMetrics;
use crate::config::flags::{
    Feature, GrpcFlags, ReadFlags, ServeFlags, StorageFlags, WalCompression, WalSync, WriteFlags,
};
use crate::metrics::process::Process;
use crate::metrics::registry::Registry;
use crate::remote::limits::{LabelLimits, WriteLimits};
use crate::remote::metadata::MetadataLimits;
use crate::remote::metrics::{ReadMetrics, WriteMetrics};
use crate::remote::read::ReadLimits;
use crate::remote::reader::CountLimits;
use crate::remote::thanos::tenant::TenantLabel;
use crate::remote::write::Writer;
use crate::server::admission::{ByteBudget, Gate, Queue};
use crate::server::body::{AnswerLimits, BodyLimits};
use crate::server::client_limit::ClientLimit;
use crate::server::configuration::{Configuration, Loaded};
use crate::server::context::{Context, SharedContext};
use crate::server::control;
use crate::server::control::{Access, ControlPair, Orders};
use crate::server::grpc::inflate::Inflater;
use crate::server::http_metrics::HttpMetrics;
use crate::server::lifecycle::{Lifecycle, Phase};
use crate::server::listener::ConnectionMetrics;
use crate::tsdb::chunk::any_chunk::HistogramStarts;
use crate::tsdb::db::Db;
use crate::tsdb::db::disk_guard::Reserve;
use crate::tsdb::db::options::{DbOptions, HeadAtStop};
use crate::tsdb::db::settings::Settings;
use crate::tsdb::query::encoded::Readable;
use crate::tsdb::wal::commit::SyncMode;
use crate::tsdb::wal::compression::Compression;
use crate::tsdb::wal::record::open_record::StartRecords;
use std::sync::Arc;
use std::time::Duration;

/// How long a write may wait for its turn; a sender gives up after 30 s by default.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);
/// How many reads may wait for each that is answered, and for how long.
const READS_WAITING: usize = 4;
const READ_PATIENCE: Duration = Duration::from_secs(5);

/// How many orders of the admin API may wait for the one that is carried out, and for how long: a clean-up may take its time.
const ORDERS_WAITING: usize = 8;
const ORDER_PATIENCE: Duration = Duration::from_secs(600);
/// Blocking threads for what takes but a moment or is done once: encoding the metrics, the replay, the close.
const OTHER_BLOCKING_THREADS: usize = 16;
/// Blocking threads where a limit is so high, or reads have none, that there is no telling how many are needed.
const MAX_BLOCKING_THREADS: usize = 1 << 15;

/// What the database is opened with.
pub(crate) fn db_options(flags: &StorageFlags, settings: Settings) -> DbOptions {
    DbOptions {
        wal_compression: match flags.effective_wal_compression() {
            WalCompression::None => Compression::None,
            WalCompression::Snappy => Compression::Snappy,
            WalCompression::Zstd => Compression::Zstd,
        },
        wal_segment_size: flags.wal_segment_size.0,
        wal_sync: match flags.wal_sync {
            WalSync::Os => SyncMode::Os,
            WalSync::Interval => SyncMode::Interval(flags.wal_sync_interval),
            WalSync::Always => SyncMode::Always,
        },
        chunk_range_ms: millis(flags.min_block_duration),
        max_series: limit(flags.max_active_series),
        // 0 is what Prometheus takes for "not given".
        max_block_range_ms: flags.max_block_duration.map(millis).filter(|range| *range > 0),
        uploads_file: flags.delay_compact_file.clone().filter(|path| !path.as_os_str().is_empty()),
        head_at_stop: if flags.features.contains(&Feature::MemorySnapshotOnShutdown) {
            HeadAtStop::Snapshot
        } else {
            HeadAtStop::InLog
        },
        starts: if flags.features.contains(&Feature::StStorage) { StartRecords::V2 } else { StartRecords::V1 },
        histogram_starts: if flags.features.contains(&Feature::HistogramsStEncoding) {
            HistogramStarts::Kept
        } else {
            HistogramStarts::Dropped
        },
        disk_reserve: flags.disk_reserve.map_or(Reserve::Default, |size| Reserve::Bytes(size.0)),
        settings,
        ..DbOptions::new(flags.path.clone())
    }
}

/// Write requests that are stored at once.
pub(crate) fn writes_at_once(flags: &WriteFlags) -> usize {
    match flags.concurrent_limit {
        0 => 16.max(4 * processors()),
        limit => usize::try_from(limit).unwrap_or(usize::MAX),
    }
}

/// Exports that are made at once; they go at the pace of their clients, so that they have places of their own.
fn exports_at_once(flags: &ReadFlags) -> usize {
    usize::try_from(flags.export_concurrent_limit).unwrap_or(usize::MAX)
}

/// Maximum number of look-ups of labels, series, metadata and exemplars at once.
fn lists_at_once(flags: &ReadFlags) -> usize {
    usize::try_from(flags.list_concurrent_limit).unwrap_or(usize::MAX)
}

/// Maximum number of write streams of one client: by default half of all, so that another client
/// always gets one.
fn streams_per_client(flags: &GrpcFlags) -> usize {
    match (flags.max_streams_per_client, flags.max_streams) {
        (0, all) => limit(all.div_ceil(2)),
        (count, _) => limit(count),
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Blocking threads for all that may want one at once, so that a write which is let in never waits for one.
pub(crate) fn blocking_threads(flags: &ServeFlags) -> usize {
    writes_at_once(&flags.write)
        .saturating_add(limit(flags.read.concurrent_limit))
        .saturating_add(processors())
        .saturating_add(exports_at_once(&flags.read))
        .saturating_add(lists_at_once(&flags.read))
        .saturating_add(OTHER_BLOCKING_THREADS)
        .min(MAX_BLOCKING_THREADS)
}

/// The parts of a server.
#[derive(Debug)]
pub(crate) struct Parts {
    /// What requests order.
    pub(crate) orders: Orders,
    /// What is shown of reloads.
    pub(crate) reload: ReloadMetrics,
    /// What all handlers share.
    pub(crate) context: SharedContext,
    /// What the listener counts.
    pub(crate) connections: ConnectionMetrics,
    /// What a replay leaves to be shown.
    pub(crate) replay: ReplayMetrics,
}

/// Makes the parts.
pub(crate) fn parts(flags: &ServeFlags, loaded: Loaded, db: Arc<Db>) -> Parts {
    let mut registry = Registry::new();
    let lifecycle = Arc::new(Lifecycle::starting());
    let reload = ReloadMetrics::register(&mut registry);
    let replay = engine_metrics::register(&mut registry, &db);
    let ready = lifecycle.clone();
    registry.gauge_fn("prometheus_ready", "Whether startup was completed and requests are answered.", move || {
        f64::from(u8::from(ready.phase() == Phase::Ready))
    });
    registry.collector(Process);
    registry.counter_fn(
        "narthex_log_lines_dropped_total",
        "Log lines that were not written: standard error is closed, full, or not read fast enough.",
        || logging::dropped_lines() as f64,
    );
    registry.info(
        "narthex_build_info",
        "Version and commit of narthex.",
        &[("version", env!("CARGO_PKG_VERSION").to_owned()), ("revision", env!("NARTHEX_COMMIT").to_owned())],
    );
    let connections = ConnectionMetrics::register(&mut registry);
    // A budget for each, so that readers who take much or take it slowly never keep a write out.
    let half = flags.web.max_bytes_in_flight.as_usize() / 2;
    let (bodies, answers) = (ByteBudget::new(half), ByteBudget::new(half));
    bodies.register(&mut registry, "narthex_bytes_in_flight", "request bodies");
    answers.register(&mut registry, "narthex_answer_bytes_in_flight", "answers to remote reads");
    let reads_at_once = limit(flags.read.concurrent_limit);
    let export_queue = Queue { places: exports_at_once(&flags.read), patience: READ_PATIENCE };
    let read_queue = Queue { places: reads_at_once.saturating_mul(READS_WAITING), patience: READ_PATIENCE };
    let write_queue = Queue { places: limit(flags.write.queue_limit.max(1)), patience: WRITE_PATIENCE };
    let ControlPair { control, orders } =
        control::pair(access(flags.web.enable_admin_api), access(flags.web.enable_lifecycle));
    let admin_queue = Queue { places: ORDERS_WAITING, patience: ORDER_PATIENCE };
    let stream_gate = Gate::new(limit(flags.grpc.max_streams), Queue { places: 0, patience: Duration::ZERO });
    let admin_gate = Gate::new(1, admin_queue);
    admin_gate.register(&mut registry, "narthex_admin_requests", "Orders of the admin API");
    let write_gate = Gate::new(writes_at_once(&flags.write), write_queue);
    write_gate.register(&mut registry, "narthex_write_requests", "Write requests");
    let read_gate = Gate::new(reads_at_once, read_queue);
    read_gate.register(&mut registry, "narthex_read_requests", "Reads");
    let lists_at_once = lists_at_once(&flags.read);
    let list_queue = Queue { places: lists_at_once.saturating_mul(READS_WAITING), patience: READ_PATIENCE };
    let list_gate = Gate::new(lists_at_once, list_queue);
    list_gate.register(&mut registry, "narthex_list_requests", "Look-ups of labels, series, metadata and exemplars");
    let export_gate = Gate::new(exports_at_once(&flags.read), export_queue);
    export_gate.register(&mut registry, "narthex_export_requests", "Exports");
    let client_streams = ClientLimit::new(streams_per_client(&flags.grpc));
    client_streams.register(&mut registry, "narthex_grpc_write_streams", "write streams of gRPC");
    stream_gate.register(&mut registry, "narthex_grpc_write_streams", "Write streams of gRPC");
    let context = Context {
        control,
        corruptions: replay.corruptions.clone(),
        flags: flags.shown.clone(),
        configuration: Arc::new(Configuration::new(loaded)),
        admin_gate,
        db,
        lifecycle,
        writer: Writer::new(write_limits(&flags.write), WriteMetrics::register(&mut registry))
            .with_tenants(TenantLabel::new(&flags.thanos.tenant_label)),
        write_gate,
        stream_gate,
        client_streams,
        inflater: Inflater::register(&mut registry, processors()),
        max_write_body: flags.write.max_body_size.as_usize(),
        read_limits: ReadLimits {
            samples: Some(flags.read.sample_limit).filter(|limit| *limit > 0),
            answer_bytes: flags.read.max_answer_size.as_usize().min(half),
            frame_bytes: flags.read.max_bytes_in_frame.as_usize(),
            readable: if flags.read.raw_encodings { Readable::All } else { Readable::Classic },
        },
        read_gate,
        list_gate,
        export_gate,
        query_timeout: flags.read.query_timeout,
        read_metrics: ReadMetrics::register(&mut registry),
        body_limits: BodyLimits {
            size: flags.write.max_body_size.as_usize(),
            time: flags.web.read_timeout,
            budget: bodies,
        },
        answer_limits: AnswerLimits { time: flags.web.read_timeout, budget: answers },
        http_metrics: HttpMetrics::register(&mut registry),
        registry,
    };
    Parts { orders, reload, context: Arc::new(context), connections, replay }
}

fn write_limits(flags: &WriteFlags) -> WriteLimits {
    WriteLimits {
        decoded_bytes: flags.max_decoded_size.as_usize(),
        counts: CountLimits { series: flags.max_series, samples: flags.max_samples },
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
    }
}

fn access(is_on: bool) -> Access {
    if is_on { Access::On } else { Access::Off }
}

/// A limit of which 0 means that there is none.
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
    fn there_is_a_blocking_thread_for_every_write_while_reads_and_exports_hold_theirs() {
        assert!(blocking_threads(&flags("200")) > 50 + 200 + 4 + 10);
        assert!((50..1 << 16).contains(&blocking_threads(&flags("0"))));
    }
}
