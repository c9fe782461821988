//! `GET /api/v1/notifications` and `GET /api/v1/notifications/live`: notifications about the
//! process, as a list and as server-sent events, in Prometheus's format.
//!
//! ```text
//! {"status":"success","data":[{"text":"…","date":"2025-11-05T00:00:00.000Z","active":true}]}
//!
//! data: {"text":"…","date":"2025-11-05T00:00:00.000Z","active":true}
//! ```
//!
//! A live response first has the active notifications. It lasts until the client disconnects or
//! the server drains. Comment lines, which clients skip, keep its connection from being idle.

use crate::server::api::response;
use crate::server::management::lifecycle::{Lifecycle, Phase};
use crate::server::management::notifications::{Notification, Subscription};
use crate::server::management::process_state::ProcessState;
use crate::server::requests::list_state::ListState;
use crate::server::transport::framing::unfold_body::{StepFuture, UnfoldBody, UnfoldStep};
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body::Frame;
use std::sync::Arc;
use std::time::Duration;

/// Comment line of a server-sent event stream.
const COMMENT: &[u8] = b":\n\n";
/// Maximum time between two lines. A connection idles out after `--web.read-timeout`.
const COMMENT_INTERVAL: Duration = Duration::from_secs(15);

/// Returns the active notifications.
pub(crate) async fn notifications(State(process): State<Arc<ProcessState>>) -> Response {
    response::success(&process.notifications.active())
}

/// Sends notifications as they change. Responds 204 if there are too many subscribers.
pub(crate) async fn live_notifications(
    State(process): State<Arc<ProcessState>>,
    State(lists): State<Arc<ListState>>,
) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    let Some(subscription) = process.notifications.subscribe() else {
        return (StatusCode::NO_CONTENT, headers).into_response();
    };
    let stream = EventStream {
        subscription,
        lifecycle: process.lifecycle.clone(),
        comment_interval: COMMENT_INTERVAL.min(lists.responses.time / 2),
    };
    (headers, Body::new(UnfoldBody::new(stream, EventStream::next_frame))).into_response()
}

/// Live response in progress.
struct EventStream {
    subscription: Subscription,
    lifecycle: Arc<Lifecycle>,
    comment_interval: Duration,
}

impl EventStream {
    fn next_frame(mut self) -> StepFuture<Self, serde_json::Error> {
        Box::pin(async move {
            let frame = tokio::select! {
                // First, so that queued updates are sent before the response ends.
                biased;
                Some(update) = self.subscription.next() => Some(encode_event(&update)),
                () = self.lifecycle.reached(Phase::Draining) => None,
                () = tokio::time::sleep(self.comment_interval) => {
                    Some(Ok(Bytes::from_static(COMMENT)))
                }
            };
            UnfoldStep { state: self, frame: frame.map(|bytes| bytes.map(Frame::data)) }
        })
    }
}

fn encode_event(update: &Notification) -> serde_json::Result<Bytes> {
    let mut event = b"data: ".to_vec();
    serde_json::to_writer(&mut event, update)?;
    event.extend_from_slice(b"\n\n");
    Ok(event.into())
}
