//! Limits of the server, from flags.

use crate::app::config::values::limit;
use crate::app::config::writes;
use crate::app::parts::budgets::BudgetConfig;
use crate::app::parts::gates::GateConfig;
use crate::app::parts::server::{ApiConfig, ServerConfig};
use crate::app::parts::streams::StreamConfig;
use crate::app::parts::web::AppearanceConfig;
use crate::app::parts::writes::WriteConfig;
use crate::app::web_config::access::AccessConfig;
use crate::config::flags::ServeFlags;
use crate::config::flags::grpc::{GrpcAuthFlag, GrpcFlags};
use crate::config::flags::read::ReadFlags;
use crate::config::flags::web::WebFlags;
use crate::remote::read::ReadLimits;
use crate::server::management::process_control::ApiAccess;
use crate::server::requests::time_limits::TimeLimits;
use crate::server::transport::access::control::GrpcCredentials;
use crate::tsdb::db::SupportedEncodings;

/// Blocking threads for short or single tasks: metrics, replay, close.
const OTHER_BLOCKING_THREADS: usize = 16;
/// Maximum number of blocking threads, if limits are very high or reads are unlimited.
const MAX_BLOCKING_THREADS: usize = 1 << 15;

/// Returns the configuration of the server.
pub(super) fn server_config(flags: &ServeFlags) -> ServerConfig {
    ServerConfig {
        budgets: budgets(flags),
        gates: gates(flags),
        streams: streams(&flags.grpc),
        writes: WriteConfig {
            limits: writes::write_limits(flags),
            tenant_label: flags.thanos.tenant_label.clone(),
        },
        reads: reads(&flags.read, bytes_per_direction(&flags.web)),
        apis: ApiConfig {
            admin: access(flags.web.enable_admin_api),
            lifecycle: access(flags.web.enable_lifecycle),
        },
        max_subscribers: usize::try_from(flags.web.max_notifications_subscribers)
            .unwrap_or(usize::MAX),
        time_limits: TimeLimits {
            write: flags.write.timeout,
            query: flags.read.query_timeout,
            admin: flags.web.admin_timeout,
            other: flags.web.request_timeout,
            body: flags.web.read_timeout,
        },
        appearance: AppearanceConfig {
            external_url: flags.web.external_url.clone(),
            route_prefix: flags.web.effective_route_prefix(),
            listen_port: flags.web.listen_address.first().map_or(0, |address| address.port),
            cors_origin: flags.web.cors_origin.clone(),
            compressors: processors(),
        },
        access: AccessConfig {
            password_checks: password_checks(),
            is_grpc_enabled: flags.grpc.is_enabled(),
            grpc: match flags.grpc.auth {
                GrpcAuthFlag::Basic => GrpcCredentials::Basic,
                GrpcAuthFlag::Cert => GrpcCredentials::Certificate,
            },
            open_probes: flags.web.health_without_auth,
        },
        decompressors: processors(),
        flag_values: flags.flag_values.clone(),
    }
}

/// Returns the number of blocking threads: one for every concurrent task, so that an admitted write
/// never waits for a thread.
pub(crate) fn blocking_threads(flags: &ServeFlags) -> usize {
    gates(flags)
        .permits()
        // Decompression of messages and compression of responses.
        .saturating_add(2 * processors())
        .saturating_add(OTHER_BLOCKING_THREADS)
        .min(MAX_BLOCKING_THREADS)
}

fn budgets(flags: &ServeFlags) -> BudgetConfig {
    BudgetConfig {
        bytes: bytes_per_direction(&flags.web),
        body_bytes: flags.write.max_body_size.as_usize(),
        time: flags.web.read_timeout,
    }
}

/// Returns the memory for all request bodies, which is also that for all responses.
fn bytes_per_direction(flags: &WebFlags) -> usize {
    flags.max_bytes_in_flight.as_usize() / 2
}

fn gates(flags: &ServeFlags) -> GateConfig {
    GateConfig {
        writes: match flags.write.concurrent_limit {
            0 => 16.max(4 * processors()),
            limit => usize::try_from(limit).unwrap_or(usize::MAX),
        },
        waiting_writes: limit(flags.write.queue_limit.max(1)),
        reads: limit(flags.read.concurrent_limit),
        lists: limit(flags.read.list_concurrent_limit),
        exports: limit(flags.read.export_concurrent_limit),
    }
}

/// By default, a client gets half of all streams, so that another client always gets one.
fn streams(flags: &GrpcFlags) -> StreamConfig {
    let streams_per_client = match (flags.max_streams_per_client, flags.max_streams) {
        (0, all) => limit(all.div_ceil(2)),
        (count, _) => limit(count),
    };
    StreamConfig { streams: limit(flags.max_streams), streams_per_client }
}

fn reads(flags: &ReadFlags, max_response: usize) -> ReadLimits {
    ReadLimits {
        samples: Some(flags.sample_limit).filter(|limit| *limit > 0),
        response_bytes: flags.max_response_size.as_usize().min(max_response),
        frame_bytes: flags.max_bytes_in_frame.as_usize(),
        readable: if flags.raw_encodings {
            SupportedEncodings::All
        } else {
            SupportedEncodings::Baseline
        },
    }
}

pub(super) fn access(is_on: bool) -> ApiAccess {
    if is_on { ApiAccess::On } else { ApiAccess::Off }
}

/// Returns the number of concurrent computations of bcrypt, which keep a processor busy.
fn password_checks() -> usize {
    1.max(processors() / 4)
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::blocking_threads;
    use crate::config::flags::{Cli, Command, ServeFlags};
    use clap::Parser;

    fn flags(read_limit: &str) -> ServeFlags {
        let read_limit = format!("--storage.remote.read-concurrent-limit={read_limit}");
        let line = ["narthex", "serve", "--storage.remote.write-concurrent-limit=50", &read_limit];
        let Command::Serve(flags) = Cli::parse_from(line).command else { unreachable!() };
        *flags
    }

    #[test]
    fn blocking_threads_suffice_for_all_permits() {
        assert!(blocking_threads(&flags("200")) > 50 + 200 + 4 + 10);
        assert!((50..1 << 16).contains(&blocking_threads(&flags("0"))));
    }
}
