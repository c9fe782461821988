//! Whether the server is healthy or ready.

use crate::app::check::server::client::{ServerClient, describe_error_response, read_text};
use crate::app::check::server::error::CheckServerError;
use crate::app::check::server::result::CheckResult;
use crate::config::flags::check::CheckServerFlags;
use crate::server::management::status_pages::READ_ONLY_PREFIX;
use http::StatusCode;
use tokio::time::Instant;

/// Endpoint that has the state of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HealthEndpoint {
    /// The process works, also during a replay and with a full disk.
    Healthy,
    /// Requests are served: not before the WAL is replayed.
    Ready,
}

impl HealthEndpoint {
    fn path(self) -> &'static str {
        match self {
            Self::Healthy => "/-/healthy",
            Self::Ready => "/-/ready",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Ready => "ready",
        }
    }
}

/// Checks if the server is in the state.
pub(super) async fn run(
    flags: &CheckServerFlags,
    endpoint: HealthEndpoint,
) -> Result<CheckResult, CheckServerError> {
    let deadline = Instant::now() + flags.timeout;
    let client = ServerClient::new(&flags.url, &flags.access, deadline)?;
    let response = client.get(endpoint.path()).await?;
    let name = endpoint.name();
    if response.status == StatusCode::OK {
        let text = read_text(response).await;
        return Ok(CheckResult::Passed(match text.strip_prefix(READ_ONLY_PREFIX) {
            Some(reason) => format!("server is {name}, but read-only: {reason}"),
            None => format!("server is {name}"),
        }));
    }
    let reason = describe_error_response(response).await;
    Ok(CheckResult::Failed(format!("server is not {name}: {reason}")))
}
