//! Defaults and ranges of flags.

use super::{Cli, Command, ServeFlags};
use crate::config::flags::features::Feature;
use crate::config::flags::storage::WalCompressionFlag;
use clap::{CommandFactory, Parser};

fn serve(flags: &[&str]) -> Result<ServeFlags, String> {
    let line = ["narthex", "serve"].iter().chain(flags);
    match Cli::try_parse_from(line).map_err(|error| error.to_string())?.command {
        Command::Serve(flags) => Ok(*flags),
        Command::Check(flags) => unreachable!("{flags:?}"),
    }
}

#[test]
fn command_passes_debug_assert() {
    Cli::command().debug_assert();
}

#[test]
fn defaults_match_documentation() {
    let flags = serve(&[]).unwrap();
    assert_eq!(flags.web.listen_address[0].to_string(), ":9201");
    assert_eq!(flags.storage.path.to_str(), Some("./data"));
    assert_eq!(flags.storage.effective_wal_compression(), WalCompressionFlag::Snappy);
    assert_eq!(flags.read.sample_limit, 50_000_000);
}

#[test]
fn wal_compression_is_disabled_by_both_forms() {
    for off in ["--no-storage.tsdb.wal-compression", "--storage.tsdb.wal-compression=false"] {
        assert_eq!(
            serve(&[off]).unwrap().storage.effective_wal_compression(),
            WalCompressionFlag::None
        );
    }
    let on = ["--storage.tsdb.wal-compression", "--storage.tsdb.wal-compression-type=zstd"];
    assert_eq!(serve(&on).unwrap().storage.effective_wal_compression(), WalCompressionFlag::Zstd);
}

#[test]
fn zero_sync_interval_is_rejected() {
    let error = serve(&["--storage.tsdb.wal-sync-interval=0"]).unwrap_err();
    assert!(
        error.contains("--storage.tsdb.wal-sync-interval") && error.contains("at least 1ms"),
        "{error}"
    );
    assert!(serve(&["--storage.tsdb.wal-sync-interval=1ms"]).is_ok());
}

#[test]
fn oversized_decoded_limit_is_rejected() {
    let error = serve(&["--storage.remote.write-max-decoded-size=257MB"]).unwrap_err();
    assert!(error.contains("write-max-decoded-size") && error.contains("at most 256MB"), "{error}");
    assert!(serve(&["--storage.remote.write-max-decoded-size=256MB"]).is_ok());
}

#[test]
fn retention_and_admin_flags_match_prometheus() {
    let flags = serve(&[]).unwrap();
    assert_eq!((flags.storage.retention_time, flags.storage.retention_size), (None, None));
    assert!(!flags.web.enable_admin_api && !flags.web.enable_lifecycle);
    let flags =
        serve(&["--web.enable-admin-api", "--web.enable-lifecycle", "--no-web.enable-lifecycle"])
            .unwrap();
    assert!(flags.web.enable_admin_api && !flags.web.enable_lifecycle);
    let features =
        serve(&["--enable-feature=memory-snapshot-on-shutdown,xor2-encoding,exemplar-storage"]);
    let expected =
        [Feature::MemorySnapshotOnShutdown, Feature::Xor2Encoding, Feature::ExemplarStorage];
    assert_eq!(features.unwrap().storage.features, expected);
    for wrong in [
        "--enable-feature=no-such-feature",
        "--storage.tsdb.retention.size=1024",
        "--storage.tsdb.retention.size=-1GB",
        "--storage.tsdb.retention.time=15",
        "--storage.tsdb.min-block-duration=0",
    ] {
        let error = serve(&[wrong]).unwrap_err();
        assert!(error.contains(wrong.split_once('=').unwrap().0), "{error}");
    }
}

#[test]
fn tenant_label_rejects_metric_name() {
    let name = |flag: &str| serve(&[flag]).map(|flags| flags.thanos.tenant_label);
    assert_eq!(serve(&[]).unwrap().thanos.tenant_label, "tenant_id");
    assert_eq!(name("--thanos.tenant-label-name=").unwrap(), "");
    assert_eq!(name("--thanos.tenant-label-name=org").unwrap(), "org");
    for wrong in ["__name__".to_owned(), "x".repeat(129)] {
        let error = name(&format!("--thanos.tenant-label-name={wrong}")).unwrap_err();
        assert!(error.contains("--thanos.tenant-label-name") && error.contains("must"), "{error}");
    }
}

#[test]
fn invalid_value_is_rejected_with_flag_name() {
    for flag in [
        "--storage.tsdb.wal-segment-size=33KB",
        "--web.read-timeout=0",
        "--storage.remote.write-max-body-size=4GB",
    ] {
        let error = serve(&[flag]).unwrap_err();
        assert!(error.contains(flag.split_once('=').unwrap().0), "{error}");
    }
}

#[test]
fn metrics_of_management_need_its_listener() {
    assert!(
        serve(&["--web.management-metrics"])
            .unwrap_err()
            .contains("--web.management-listen-address")
    );
    let listener = "--web.management-listen-address=:9202";
    assert!(serve(&[listener, "--web.management-metrics"]).unwrap().web.management_metrics);
    let flags = serve(&["--web.management-metrics", "--no-web.management-metrics"]).unwrap();
    assert!(!flags.web.management_metrics);
}
