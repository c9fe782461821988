//! Tests against a server on loopback.

use super::{HttpSource, is_json, request};
use crate::config::file::discovery::DiscoveryConfig;
use crate::config::file::discovery::http::HttpSdConfig;
use crate::config::file::http_client::settings::HttpClientConfig;
use crate::discovery::fake_server::{FakeServer, Reply};
use crate::discovery::groups::sink::GroupSink;
use crate::discovery::metrics::DiscoveryMetrics;
use crate::discovery::refresh::RefreshSource;
use crate::discovery::story;
use crate::discovery::story::{CurrentStep, STEPS, Story};
use crate::discovery::target_group::TargetGroup;
use crate::http_client::client::HttpClient;
use crate::metrics::registry::Registry;
use crate::model::url::Url;
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Server whose reply can be replaced, and a source that asks it.
struct Fixture {
    reply: Arc<Mutex<Option<Reply>>>,
    server: FakeServer,
    source: HttpSource,
}

impl Fixture {
    async fn new(refresh_interval: Duration) -> Self {
        let reply = Arc::new(Mutex::new(None));
        let next = Arc::clone(&reply);
        let server = FakeServer::start(move |_| next.lock().clone()).await;
        let shown_url = format!("http://{}/list?a=b", server.address);
        let config = HttpSdConfig {
            url: Url::parse(&shown_url).expect("a URL"),
            shown_url,
            refresh_interval,
            http_client: HttpClientConfig::default(),
        };
        Self { reply, server, source: source(&config) }
    }

    /// Returns the groups as `source[addresses]`, or the error.
    async fn refresh(&mut self, reply: Reply) -> Result<Vec<String>, String> {
        *self.reply.lock() = Some(reply);
        let groups = self.source.refresh().await.map_err(|error| error.to_string())?;
        Ok(groups.iter().map(|group| self.shown(group)).collect())
    }

    fn shown(&self, group: &TargetGroup) -> String {
        let source = group.source.strip_prefix(&self.source.url).expect("the URL");
        if !group.targets.is_empty() {
            assert_eq!(group.labels["__meta_url"], self.source.url);
        }
        let targets: Vec<_> = group.targets.iter().map(|t| t["__address__"].clone()).collect();
        format!("{source}[{}]", targets.join(" "))
    }
}

fn source(config: &HttpSdConfig) -> HttpSource {
    HttpSource {
        client: HttpClient::new(&config.http_client, "test/1", &|_| None).expect("a client"),
        request: request(config),
        url: config.shown_url.clone(),
        timeout: config.refresh_interval,
        known: 0,
        failures: DiscoveryMetrics::register(&mut Registry::new()).http_failures,
    }
}

fn list(body: &str) -> Reply {
    Reply::json(body)
}

#[tokio::test]
async fn request_has_prometheus_headers() {
    let mut fixture = Fixture::new(Duration::from_millis(1500)).await;
    fixture.refresh(list("[]")).await.expect("a list");
    let head = fixture.server.heads().remove(0).to_ascii_lowercase();
    let lines: Vec<_> = head.lines().collect();
    assert_eq!(lines[0], "get /list?a=b http/1.1");
    for line in [
        "accept: application/json",
        "x-prometheus-refresh-interval-seconds: 1.5",
        "user-agent: test/1",
        &format!("host: {}", fixture.server.address),
    ] {
        assert!(lines.contains(&line), "{line} in {head}");
    }
}

#[tokio::test]
async fn fewer_groups_clear_the_others() {
    let mut fixture = Fixture::new(Duration::from_secs(10)).await;
    let three = list(r#"[{"targets":["a"]},{"targets":["b"]},{"targets":["c"]}]"#);
    assert_eq!(fixture.refresh(three.clone()).await.expect("a list"), [":0[a]", ":1[b]", ":2[c]"]);
    let one = list(r#"[{"targets":["b"]}]"#);
    assert_eq!(fixture.refresh(one).await.expect("a list"), [":0[b]", ":1[]", ":2[]"]);
    fixture.refresh(three).await.expect("a list");
    for empty in ["[]", "null"] {
        fixture.source.known = 3;
        assert_eq!(fixture.refresh(list(empty)).await.expect("a list"), [":0[]", ":1[]", ":2[]"]);
    }
}

#[tokio::test]
async fn failures_keep_the_groups() {
    let mut fixture = Fixture::new(Duration::from_secs(10)).await;
    let good = list(r#"[{"targets":["a"]}]"#);
    fixture.refresh(good.clone()).await.expect("a list");
    let other = |status, content_type: &str| Reply {
        status,
        content_type: content_type.to_owned(),
        ..good.clone()
    };
    for (reply, expected) in [
        (other(500, "application/json"), "server returned HTTP status 500 X"),
        (other(204, "application/json"), "server returned HTTP status 204 X"),
        (other(200, "text/html"), "unsupported content type \"text/html\""),
        (other(200, ""), "unsupported content type \"\""),
        (list("[{\"targets\":[\"a\"]},null]"), "group 1 of the list is null"),
        (list("{"), "invalid JSON: "),
        (list("[{\"targets\":[\"a\"],\"x\":1}]"), "invalid JSON: unknown field `x`"),
    ] {
        let error = fixture.refresh(reply).await.expect_err(expected);
        assert!(error.starts_with(expected), "{error}");
        assert_eq!(fixture.source.known, 1);
    }
    assert_eq!(fixture.source.failures.get(), 7);
    assert_eq!(fixture.refresh(good).await.expect("a list"), [":0[a]"]);
}

#[tokio::test]
async fn slow_response_fails_after_the_interval() {
    let mut fixture = Fixture::new(Duration::from_millis(200)).await;
    let error = fixture.source.refresh().await.expect_err("no response");
    assert!(error.to_string().ends_with("context deadline exceeded"), "{error}");
}

#[tokio::test]
async fn large_body_is_rejected() {
    let mut fixture = Fixture::new(Duration::from_secs(60)).await;
    let error = fixture.refresh(list(&" ".repeat((64 << 20) + 1))).await.expect_err("too large");
    assert_eq!(error, "cannot read response: response body exceeds 67108864 bytes");
}

#[test]
fn only_json_content_types_are_accepted() {
    for (content_type, expected) in [
        ("application/json", true),
        (" Application/JSON ", true),
        ("application/json; charset=utf-8", true),
        ("application/json;charset=UTF-8", true),
        ("application/json; charset=\"utf-8\"", true),
        ("application/json; charset=latin1", false),
        ("application/json;", false),
        ("application/json; charset=utf-8; x=y", false),
        ("application/jsonx", false),
        ("text/plain", false),
        ("", false),
    ] {
        assert_eq!(is_json(content_type), expected, "{content_type}");
    }
}

#[tokio::test]
async fn recorded_story_has_targets_of_prometheus() {
    let step = CurrentStep::default();
    let (world, shown) = (story::load_world(), step.clone());
    let server = FakeServer::start(move |path| {
        let path = path.split('?').next().unwrap_or_default();
        let Some(answer) = world[shown.get()]["http"].get(path) else {
            return Some(story::reply(404, "text/plain", &"not here".into()));
        };
        let content_type =
            answer.get("type").map_or("application/json", |kind| kind.as_str().unwrap_or_default());
        let status = answer["status"].as_u64().unwrap_or(200);
        Some(story::reply(status, content_type, &answer["body"]))
    })
    .await;
    let story = Story::of("http", "127.0.0.1:18401", &server.address, Path::new("/dir"));
    let mut sources: Vec<_> = story
        .jobs()
        .into_iter()
        .map(|job| {
            let DiscoveryConfig::Http(config) = story.config(&job) else { panic!("{job}") };
            (source(config), GroupSink::collecting(), job)
        })
        .collect();
    assert_eq!(sources.len(), 15);
    let mut count = 0;
    for number in 0..STEPS {
        step.set(number);
        for (source, sink, job) in &mut sources {
            if let Ok(groups) = source.refresh().await {
                sink.send(groups);
            }
            let found = story::targets(&sink.groups());
            assert_eq!(found, story.expected(number, job), "step {number}, job {job}");
            count += found.len();
        }
    }
    assert!(count > 60, "{count}");
    let heads = server.heads().join("\n").to_ascii_lowercase();
    assert!(heads.contains("\r\nauthorization: basic dtpw"), "{heads}");
    assert!(heads.contains("\r\nx-own: 1"), "{heads}");
}
