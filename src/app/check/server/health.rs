//! Whether the server is healthy or ready.

use crate::app::check::server::Answer;
use crate::app::check::server::client::{ServerClient, refusal};
use crate::app::check::server::error::CheckServerError;
use crate::config::flags::check::CheckServerFlags;
use http::StatusCode;
use tokio::time::Instant;

/// Question to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::app::check) enum Question {
    /// Does the process work? Also during a replay, and with a full disk.
    Healthy,
    /// Are requests served? Not before the WAL is replayed.
    Ready,
}

impl Question {
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

/// Asks the server.
pub(super) async fn ask(
    flags: &CheckServerFlags,
    question: Question,
) -> Result<Answer, CheckServerError> {
    let client = ServerClient::new(&flags.server, Instant::now() + flags.timeout)?;
    let response = client.get(question.path()).await?;
    let name = question.name();
    if response.status == StatusCode::OK {
        return Ok(Answer::Yes(format!("server is {name}")));
    }
    Ok(Answer::No(format!("server is not {name}: {}", refusal(response).await)))
}
