//! `/-/reload` and `/-/quit`, with Prometheus's responses. Requires `--web.enable-lifecycle`.

use crate::server::management::process_control::{ApiAccess, StopOutcome};
use crate::server::management::process_state::ProcessState;
use axum::extract::State;
use axum::http::StatusCode;
use std::sync::Arc;

/// Response with a message body.
type TextResponse = (StatusCode, String);

/// `POST` or `PUT /-/reload`: reloads the configuration and waits for the result. If the reload
/// fails, the previous configuration stays active.
pub(crate) async fn reload(State(process): State<Arc<ProcessState>>) -> TextResponse {
    let control = &process.control;
    if control.lifecycle == ApiAccess::Off {
        return disabled();
    }
    match control.reload().await {
        Ok(()) => (StatusCode::OK, String::new()),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("failed to reload config: {error}\n"))
        }
    }
}

/// `POST` or `PUT /-/quit`: shuts the server down, like SIGTERM.
pub(crate) async fn quit(State(process): State<Arc<ProcessState>>) -> TextResponse {
    let control = &process.control;
    if control.lifecycle == ApiAccess::Off {
        return disabled();
    }
    let message = match control.stop() {
        StopOutcome::Started => "Requesting termination... Goodbye!",
        StopOutcome::AlreadyStarted => "Termination already in progress.",
    };
    (StatusCode::OK, message.to_owned())
}

/// Response to any other method on these paths.
pub(crate) async fn other_method() -> TextResponse {
    (StatusCode::METHOD_NOT_ALLOWED, "Only POST or PUT requests allowed".to_owned())
}

fn disabled() -> TextResponse {
    (StatusCode::FORBIDDEN, "Lifecycle API is not enabled.".to_owned())
}
