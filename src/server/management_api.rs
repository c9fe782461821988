//! `/-/reload` and `/-/quit`: ordered by requests, with Prometheus's answers. Only with `--web.enable-lifecycle`.

use crate::server::process_control::{ApiAccess, StopOutcome};
use crate::server::state::SharedState;
use axum::extract::State;
use axum::http::StatusCode;

/// An answer as text.
type TextResponse = (StatusCode, String);

/// `POST` or `PUT /-/reload`: answered when the configuration is reloaded, or why it is not; the old one holds then.
pub(crate) async fn reload(State(context): State<SharedState>) -> TextResponse {
    let control = &context.control;
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

/// `POST` or `PUT /-/quit`: stops the server as SIGTERM does.
pub(crate) async fn quit(State(context): State<SharedState>) -> TextResponse {
    let control = &context.control;
    if control.lifecycle == ApiAccess::Off {
        return disabled();
    }
    let text = match control.stop() {
        StopOutcome::Started => "Requesting termination... Goodbye!",
        StopOutcome::AlreadyStarted => "Termination already in progress.",
    };
    (StatusCode::OK, text.to_owned())
}

/// Any other method there.
pub(crate) async fn other_method() -> TextResponse {
    (StatusCode::METHOD_NOT_ALLOWED, "Only POST or PUT requests allowed".to_owned())
}

fn disabled() -> TextResponse {
    (StatusCode::FORBIDDEN, "Lifecycle API is not enabled.".to_owned())
}
