//! Failures of lists and watches: targets stay, and the objects are followed again.

use crate::config::file::discovery::kubernetes::{KubernetesRole, KubernetesServer};
use crate::config::file::http_client::auth::{Authorization, ClientAuth};
use crate::config::file::http_client::source::Source;
use crate::discovery::kinds::kubernetes::tests::fake_api::RequestKind::{List, Page, Watch};
use crate::discovery::kinds::kubernetes::tests::fake_api::{Failure, Interruption};
use crate::discovery::kinds::kubernetes::tests::fixture::{Fixture, Running, eventually, pod};
use serde_json::json;
use std::time::{Duration, Instant};

const A: &str = "pod/n/a[10.0.0.1:80]";
const B: &str = "pod/n/b[10.0.0.2:80]";

/// Starts a provider of pods, of which there is one, and waits for its watch.
async fn started() -> (Fixture, Running) {
    let fixture = Fixture::new().await;
    fixture.api.put("pods", pod("a", "10.0.0.1"));
    let running = fixture.start(&fixture.config(KubernetesRole::Pod));
    running.wait_for(&[A]).await;
    eventually(|| fixture.api.open_watches(), |count| *count == 1).await;
    (fixture, running)
}

/// Adds a pod, and waits until it is known.
async fn add_pod(fixture: &Fixture, running: &Running) {
    fixture.api.put("pods", pod("b", "10.0.0.2"));
    running.wait_for(&[A, B]).await;
}

fn counts(fixture: &Fixture) -> (usize, usize, usize) {
    let count = |kind| fixture.api.count("pods", kind);
    (count(List), count(Page), count(Watch))
}

#[tokio::test]
async fn changes_are_followed() {
    let (fixture, running) = started().await;
    add_pod(&fixture, &running).await;
    fixture.api.put("pods", pod("a", "10.0.0.9"));
    running.wait_for(&["pod/n/a[10.0.0.9:80]", B]).await;
    fixture.api.remove("pods", &pod("a", ""));
    running.wait_for(&[B]).await;
    assert_eq!(counts(&fixture), (1, 0, 1));
    for (event, expected) in [("add", 2), ("update", 1), ("delete", 1)] {
        let name =
            format!("prometheus_sd_kubernetes_events_total{{role=\"pod\",event=\"{event}\"}}");
        assert_eq!(fixture.metric(&name), expected, "{event}");
    }
    assert_eq!(fixture.metric("prometheus_sd_kubernetes_failures_total"), 0);
}

#[tokio::test]
async fn long_lists_have_pages() {
    let fixture = Fixture::new().await;
    for number in 0..1_203 {
        fixture.api.put("pods", pod(&format!("p{number:04}"), "10.0.0.1"));
    }
    let running = fixture.start(&fixture.config(KubernetesRole::Pod));
    running.wait_for_count(1_203).await;
    assert_eq!((counts(&fixture).0, counts(&fixture).1), (1, 2));
    let received = fixture.api.received();
    let pages: Vec<_> = received.iter().map(|r| r.query.get("continue").cloned()).collect();
    assert_eq!(pages[1..3], [Some("500".to_owned()), Some("1000".to_owned())]);
}

#[tokio::test]
async fn expired_page_is_followed_by_a_list_without_pages() {
    let fixture = Fixture::new().await;
    for number in 0..600 {
        fixture.api.put("pods", pod(&format!("p{number:04}"), "10.0.0.1"));
    }
    fixture.api.fail("pods", Page, Failure::Status(410, ""));
    let running = fixture.start(&fixture.config(KubernetesRole::Pod));
    running.wait_for_count(600).await;
    let received = fixture.api.received();
    let limits: Vec<_> = received[..3].iter().map(|r| r.query.get("limit").cloned()).collect();
    assert_eq!(limits, [Some("500".to_owned()), Some("500".to_owned()), None]);
    assert_eq!((counts(&fixture).0, counts(&fixture).1), (2, 1));
}

#[tokio::test]
async fn lost_version_makes_another_list() {
    for as_event in [false, true] {
        let (fixture, running) = started().await;
        fixture.api.set_ill(true);
        eventually(|| fixture.api.open_watches(), |count| *count == 0).await;
        fixture.api.put("pods", pod("b", "10.0.0.2"));
        fixture.api.remove("pods", &pod("a", ""));
        fixture.api.compact(as_event);
        running.wait_for(&[A]).await;
        fixture.api.set_ill(false);
        running.wait_for(&[B]).await;
        assert_eq!(counts(&fixture).0, 2, "as event: {as_event}");
    }
}

#[tokio::test]
async fn cut_watch_goes_on_from_the_last_version() {
    let (fixture, running) = started().await;
    // The bookmark is newer than anything that the server still has.
    fixture.api.bookmark("pods");
    fixture.api.compact(false);
    let whole = json!({"type": "DELETED", "object": pod("a", "")}).to_string();
    for text in ["", "\n", "{", &whole[..whole.len() / 2], &whole] {
        let watches = counts(&fixture).2;
        fixture.api.interrupt("pods", Interruption::Cut(text.to_owned()));
        eventually(|| counts(&fixture).2, |count| *count > watches).await;
        assert_eq!(running.shown(), [A], "{text}");
    }
    add_pod(&fixture, &running).await;
    assert_eq!(counts(&fixture).0, 1);
    assert!(fixture.metric("prometheus_sd_kubernetes_failures_total") >= 5);
}

#[tokio::test]
async fn end_of_a_watch_is_no_failure() {
    let (fixture, running) = started().await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    fixture.api.interrupt("pods", Interruption::End);
    eventually(|| counts(&fixture).2, |count| *count == 2).await;
    add_pod(&fixture, &running).await;
    // A watch that ends at once is repeated with a delay.
    for _ in 0..3 {
        let watches = counts(&fixture).2;
        fixture.api.interrupt("pods", Interruption::End);
        eventually(|| counts(&fixture).2, |count| *count > watches).await;
    }
    assert_eq!(fixture.metric("prometheus_sd_kubernetes_failures_total"), 0);
    assert_eq!(counts(&fixture).0, 1);
}

#[tokio::test]
async fn invalid_lines_make_another_list() {
    let lines = [
        "x\n".to_owned(),
        "{\"type\":\"ADDED\",\"object\":5}\n".to_owned(),
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"\"}}}\n".to_owned(),
        "{\"type\":\"ERROR\",\"object\":{\"code\":422}}\n".to_owned(),
        "x".repeat((8 << 20) + 1),
    ];
    let (fixture, running) = started().await;
    for line in lines {
        let lists = counts(&fixture).0;
        fixture.api.interrupt("pods", Interruption::Text(line));
        eventually(|| counts(&fixture).0, |count| *count == lists + 1).await;
        assert_eq!(running.shown(), [A]);
        eventually(|| fixture.api.open_watches(), |count| *count == 1).await;
    }
    add_pod(&fixture, &running).await;
    assert_eq!(fixture.metric("prometheus_sd_kubernetes_failures_total"), 5);
}

#[tokio::test]
async fn temporary_errors_keep_the_version() {
    let (fixture, running) = started().await;
    for failure in [
        Failure::Status(401, ""),
        Failure::Status(403, ""),
        Failure::Status(429, "Retry-After: 0\r\n"),
        Failure::Status(500, ""),
        Failure::Status(503, ""),
        Failure::Hangup,
    ] {
        fixture.api.fail("pods", Watch, failure);
    }
    let watches = counts(&fixture).2;
    fixture.api.interrupt("pods", Interruption::Cut(String::new()));
    eventually(|| counts(&fixture).2, |count| *count >= watches + 7).await;
    assert_eq!(running.shown(), [A]);
    add_pod(&fixture, &running).await;
    assert_eq!(counts(&fixture).0, 1);
}

#[tokio::test]
async fn failed_lists_are_repeated() {
    let fixture = Fixture::new().await;
    fixture.api.put("pods", pod("a", "10.0.0.1"));
    for failure in [
        Failure::Status(403, ""),
        Failure::Status(429, ""),
        Failure::Status(503, ""),
        Failure::Status(410, ""),
        Failure::Body(String::new()),
        Failure::Body("null".to_owned()),
        Failure::Body("{\"items\":[]}".to_owned()),
        Failure::Body("{\"items\":[{}],\"metadata\":{\"resourceVersion\":\"1\"}}".to_owned()),
        Failure::Body(format!("{{\"metadata\":{{\"resourceVersion\":{:?}}}}}", "1".repeat(20_000))),
    ] {
        fixture.api.fail("pods", List, failure);
    }
    let running = fixture.start(&fixture.config(KubernetesRole::Pod));
    running.wait_for(&[A]).await;
    assert_eq!(counts(&fixture).0, 10);
    // The status 410 is part of the protocol.
    assert_eq!(fixture.metric("prometheus_sd_kubernetes_failures_total"), 8);
}

#[tokio::test]
async fn server_decides_when_to_come_back() {
    let (fixture, running) = started().await;
    fixture.api.fail("pods", Watch, Failure::Status(429, "Retry-After: 1\r\n"));
    let (watches, start) = (counts(&fixture).2, Instant::now());
    fixture.api.interrupt("pods", Interruption::Cut(String::new()));
    eventually(|| counts(&fixture).2, |count| *count == watches + 2).await;
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
    add_pod(&fixture, &running).await;
}

#[tokio::test]
async fn rotated_token_is_used() {
    let dir = tempfile::tempdir().expect("a directory");
    let token = dir.path().join("token");
    std::fs::write(&token, "first\n").expect("a token");
    let fixture = Fixture::new().await;
    fixture.api.put("pods", pod("a", "10.0.0.1"));
    fixture.api.set_token("first");
    let mut config = fixture.config(KubernetesRole::Pod);
    let KubernetesServer::Api { http_client, .. } = &mut config.server else { unreachable!() };
    http_client.auth = Some(ClientAuth::Authorization(Authorization {
        scheme: "Bearer".to_owned(),
        credentials: Some(Source::File(token.clone())),
    }));
    let running = fixture.start(&config);
    running.wait_for(&[A]).await;
    eventually(|| fixture.api.open_watches(), |count| *count == 1).await;
    fixture.api.set_token("second");
    fixture.api.interrupt("pods", Interruption::Cut(String::new()));
    let watches = counts(&fixture).2;
    eventually(|| counts(&fixture).2, |count| *count >= watches + 2).await;
    assert_eq!(running.shown(), [A]);
    std::fs::write(&token, "second\n").expect("a token");
    add_pod(&fixture, &running).await;
    assert_eq!(counts(&fixture).0, 1);
}

/// With these delays, half a second has as many attempts as a minute with those of a cluster.
#[tokio::test]
async fn targets_stay_while_the_server_is_away() {
    let (fixture, running) = started().await;
    fixture.api.set_ill(true);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(running.shown(), [A]);
    // A new provider waits for the list.
    let mut config = fixture.config(KubernetesRole::Pod);
    config.namespaces.names = vec!["n".to_owned()];
    let late = fixture.start(&config);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(late.shown().is_empty());
    fixture.api.set_ill(false);
    late.wait_for(&[A]).await;
    add_pod(&fixture, &running).await;
    assert_eq!(fixture.api.count("/api/v1/pods", List), 1);
}
