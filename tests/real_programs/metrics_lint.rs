//! Check of `/metrics` by `promtool check metrics`: names, types and help texts.

use crate::support::data;
use crate::support::dir;
use crate::support::launch::Launch;
use crate::support::metrics::Metrics;
use crate::support::promtool::assert_accepts_metrics;
use crate::support::wait::wait_until;

#[test]
#[ignore = "needs Debian's prometheus: run tests/run"]
fn metrics_pass_promtool_check() {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let flags = [
        "--web.enable-admin-api",
        "--storage.tsdb.min-block-duration=1h",
        "--storage.tsdb.wal-sync=always",
    ];
    let launch = flags.iter().fold(Launch::narthex(&data), |launch, flag| launch.flag(*flag));
    let server = launch.start();
    // Every labeled family needs a child: stored, rejected and read samples, a block, a deletion.
    let sent = data::assorted(3 * data::HOUR);
    server.remote().write_all(&sent);
    let mut changed = sent.to_requests(600_000).remove(0);
    changed
        .timeseries
        .iter_mut()
        .flat_map(|series| &mut series.samples)
        .for_each(|sample| sample.bits = Some(77));
    assert_eq!(server.remote().write(&changed).status, 400);
    assert!(server.remote().read_all().count() > 0);
    wait_until("head compaction", || {
        Metrics::of(&server.http).sum("prometheus_tsdb_blocks_loaded") >= Some(1.0)
    });
    let deleted =
        server.http.post("/api/v1/admin/tsdb/delete_series?match[]=no_such_series", &[], &[]);
    assert_eq!(deleted.status, 204, "{}", deleted.text());
    assert_eq!(server.http.post("/api/v1/admin/tsdb/clean_tombstones", &[], &[]).status, 204);
    let metrics = server.http.get("/metrics").text();
    let types = metrics.lines().filter(|line| line.starts_with("# TYPE ")).count();
    assert!(types > 100, "{types} families: {metrics}");
    assert_accepts_metrics(&metrics);
    server.stop();
}
