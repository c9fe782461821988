//! Checks that clients make before they use the API.

use crate::app::tests::edge::TestServer;
use serde_json::Value;

/// Version of three numbers, as semver compares it.
fn version_numbers(version: &str) -> Vec<u64> {
    let numbers: Vec<u64> = version.split('.').map(|number| number.parse().unwrap()).collect();
    assert_eq!(numbers.len(), 3, "{version}");
    numbers
}

/// Grafana takes a server without `features` for Prometheus, and one with `application` and
/// `features` for Mimir. It compares `version` with the one that introduced a parameter. Source:
/// `buildInfo.ts` of its alerting, `datasource.ts` of its Prometheus data source.
#[tokio::test]
async fn build_info_passes_the_version_check_of_grafana() {
    let edge = TestServer::ready(&[]).await;
    let got = edge.get("/api/v1/status/buildinfo").await;
    let json: Value = serde_json::from_slice(&got.body).unwrap();
    assert_eq!(json["status"], "success");
    let data = json["data"].as_object().unwrap();
    assert!(!data.contains_key("application") && !data.contains_key("features"), "{json}");
    for key in ["revision", "branch", "buildUser", "buildDate", "goVersion"] {
        assert!(data[key].is_string(), "{key}: {json}");
    }
    assert_eq!(data["version"], "3.14.0");
    let version = data["version"].as_str().unwrap();
    assert!(version_numbers(version) >= version_numbers("2.24.0"), "{version}");
    assert_eq!(data["narthexVersion"], env!("CARGO_PKG_VERSION"));
}
