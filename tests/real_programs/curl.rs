//! Compression, CORS and the route prefix, as curl sees them.

use crate::support::data::BEGIN;
use crate::support::dir;
use crate::support::launch::Launch;
use crate::support::wire::{TimeSeries, WriteRequest};
use std::process::Command;

/// Runs curl and returns its output.
fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--noproxy", "*"])
        .args(arguments)
        .output()
        .expect("curl runs");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("curl prints UTF-8")
}

/// Returns the head of a response, in lower case and without carriage returns.
fn head(arguments: &[&str]) -> String {
    let fixed = ["--dump-header", "-", "--output", "/dev/null"];
    curl(&[&fixed, arguments].concat()).replace('\r', "").to_lowercase()
}

#[test]
#[ignore = "needs curl: run tests/run"]
fn curl_gets_compressed_and_cross_origin_responses() {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let launch = Launch::narthex(&data);
    let server = launch.flag(r"--web.cors.origin=https://(a|b)\.test").start();
    let names: Vec<String> = (0..3_000).map(|number| format!("a_series_{number}")).collect();
    let series = names.iter().map(|name| TimeSeries::new(&[("__name__", name)], &[(BEGIN, 1.0)]));
    let request = WriteRequest { timeseries: series.collect(), metadata: Vec::new() };
    server.remote().write_ok(&request);

    let url = server.http.url("/api/v1/label/__name__/values");
    let plain = curl(&[&url]);
    assert!(plain.contains("\"a_series_2999\"") && plain.len() > 32 << 10, "{}", plain.len());
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        assert_eq!(curl(&[version, "--compressed", &url]), plain, "{version}");
        let accepted = "Accept-Encoding: gzip;q=0.5";
        let size = ["--output", "/dev/null", "--write-out", "%{size_download}"];
        let size = curl(&[&[version, "--header", accepted, &url], &size[..]].concat());
        assert!(size.parse::<usize>().expect("a number") < plain.len() / 4, "{version}: {size}");
        let rejected = curl(&[version, "--header", "Accept-Encoding: gzip;q=0", &url]);
        assert_eq!(rejected, plain, "{version}");
    }
    let compressed = head(&["--head", "--header", "Accept-Encoding: gzip", &url]);
    assert!(compressed.contains("\ncontent-encoding: gzip\n"), "{compressed}");

    for method in [&["--request", "OPTIONS"][..], &[]] {
        let origin = |origin| head(&[method, &["--header", origin, &url]].concat());
        let allowed = origin("Origin: https://a.test");
        assert!(
            allowed.contains("\naccess-control-allow-origin: https://a.test\n"),
            "{method:?}: {allowed}"
        );
        let other = origin("Origin: https://a.test.evil");
        assert!(
            other.contains("\naccess-control-allow-methods: get, post, options\n")
                && !other.contains("access-control-allow-origin"),
            "{method:?}: {other}"
        );
    }
    server.stop();
}

#[test]
#[ignore = "needs curl: run tests/run"]
fn curl_follows_redirects_below_the_external_url() {
    let temp_dir = dir::temp();
    let data = temp_dir.path().join("data");
    let launch = Launch::narthex(&data);
    let launch = launch.ready_path("/ext/-/ready");
    let server = launch.flag("--web.external-url=https://example.com/ext/").start();
    for path in ["/", "/ext", "/ext//", "/ext/metrics/../"] {
        let page = curl(&["--location", "--path-as-is", &server.http.url(path)]);
        assert!(page.contains("<a href=\"/ext/metrics\">/metrics</a>"), "{path}: {page}");
    }
    let metrics = curl(&["--location", &server.http.url("/ext/metrics/")]);
    assert!(metrics.contains("\nprometheus_config_last_reload_successful 1\n"), "{metrics}");
    let log = server.stop();
    assert!(log.contains("  - url: https://example.com/ext/api/v1/write\n"), "{log}");
}
