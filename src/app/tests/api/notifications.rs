//! Notifications, as a list and as server-sent events.

use crate::app::tests::edge::TestServer;
use crate::server::management::lifecycle::Phase;
use crate::server::management::notifications::Notice;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};

/// Returns the data of the next event; comment lines are skipped.
async fn next_event(body: &mut Body) -> Option<Value> {
    while let Some(frame) = body.frame().await {
        let bytes = frame.unwrap().into_data().unwrap();
        let text = std::str::from_utf8(&bytes).unwrap();
        assert!(text.ends_with("\n\n"), "{text:?}");
        match text.trim_end().strip_prefix("data: ") {
            Some(event) => return Some(serde_json::from_str(event).unwrap()),
            None => assert_eq!(text, ":\n\n"),
        }
    }
    None
}

fn live() -> Request<Body> {
    // Events must arrive at once, so they are never compressed.
    let request = Request::get("/api/v1/notifications/live").header("accept-encoding", "gzip");
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn failed_reload_is_notified_until_a_reload_succeeds() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("narthex.yml");
    std::fs::write(&file, "").unwrap();
    let flag = format!("--config.file={}", file.display());
    let edge = TestServer::ready(&["--web.enable-lifecycle", &flag]).await;
    let listed = async || -> Value {
        let got = edge.get("/api/v1/notifications").await;
        assert_eq!((got.status, got.header("content-type")), (StatusCode::OK, "application/json"));
        serde_json::from_slice(&got.body).unwrap()
    };
    let nothing = json!({"status": "success", "data": []});
    assert_eq!(listed().await, nothing);

    std::fs::write(&file, "nonsense: 1").unwrap();
    assert_eq!(edge.post("/-/reload").await.status, StatusCode::INTERNAL_SERVER_ERROR);
    let data = listed().await["data"].take();
    let date = data[0]["date"].as_str().unwrap();
    assert!(date.len() == 24 && date.ends_with('Z'), "{date}");
    let text = "Configuration reload has failed.";
    assert_eq!(data, json!([{"text": text, "date": date, "active": true}]));

    std::fs::write(&file, "").unwrap();
    assert_eq!(edge.post("/-/reload").await.status, StatusCode::OK);
    assert_eq!(listed().await, nothing);
}

#[tokio::test]
async fn live_notifications_are_events_until_the_drain() {
    let edge = TestServer::starting(&["--web.read-timeout=20ms"]).await;
    let notifications = &edge.context.process.notifications;
    notifications.raise(Notice::Starting);
    let response = edge.respond(live()).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-cache");
    let mut body = response.into_body();
    let first = next_event(&mut body).await.unwrap();
    assert_eq!(first["active"], true, "{first}");
    let comment = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(comment, ":\n\n", "an idle stream must send comments");

    notifications.clear(Notice::Starting);
    notifications.raise(Notice::ShuttingDown);
    edge.context.process.lifecycle.advance(Phase::Draining);
    let ended = next_event(&mut body).await.unwrap();
    assert_eq!((&ended["text"], &ended["active"]), (&first["text"], &json!(false)));
    let last = next_event(&mut body).await.unwrap();
    assert!(last["text"].as_str().unwrap().contains("shutting down"), "{last}");
    assert_eq!(next_event(&mut body).await, None);
}

#[tokio::test]
async fn further_subscribers_get_204() {
    let edge = TestServer::ready(&["--web.max-notifications-subscribers=1"]).await;
    let first = edge.respond(live()).await;
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(edge.respond(live()).await.status(), StatusCode::NO_CONTENT);
    drop(first);
    assert_eq!(edge.respond(live()).await.status(), StatusCode::OK);
}
