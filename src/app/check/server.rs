//! Check of a running server, for probes and scripts.
//!
//! # Output
//! As `promtool check healthy` and `promtool check ready`: a line on standard output if the server
//! is healthy or ready, otherwise the reason on standard error. The exit code is 0 for yes, 1 for
//! no, and 2 if there is no answer: the server cannot be reached, or the settings are invalid.

use crate::config::file::error::ConfigFileError;
use crate::config::file::http_client::client_file;
use crate::config::file::http_client::settings::HttpClientConfig;
use crate::config::flags::check::CheckServerFlags;
use crate::http_client::USER_AGENT;
use crate::http_client::build_error::BuildClientError;
use crate::http_client::client::HttpClient;
use crate::http_client::error::RequestError;
use crate::http_client::message::ClientRequest;
use crate::model::url::Url;
use crate::model::url::syntax::ParseUrlError;
use http::StatusCode;
use std::io::{self, Write};
use std::process::ExitCode;
use tokio::time::Instant;

/// Exit code if the server gives no answer.
const NO_ANSWER: u8 = 2;
/// Maximum size of an answer that is printed, bytes.
const MAX_ANSWER_BYTES: usize = 4 << 10;

/// Question to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// Does the process work? Also during a replay, and with a full disk.
    Healthy,
    /// Are requests served? Not before the WAL is replayed.
    Ready,
}

/// Answer of the server: yes, or the reason why not.
#[derive(Debug)]
enum Answer {
    Yes,
    No { status: String, reason: String },
}

/// Error without an answer.
#[derive(Debug, thiserror::Error)]
enum CheckServerError {
    #[error("invalid URL of the server: {0}; write for example http://localhost:9201")]
    Url(#[from] ParseUrlError),
    #[error(transparent)]
    Config(#[from] ConfigFileError),
    #[error("cannot create the HTTP client: {0}")]
    Client(#[from] BuildClientError),
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("cannot start the runtime: {0}")]
    Runtime(#[from] io::Error),
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

/// Asks the server and prints the answer.
pub(super) fn run(flags: &CheckServerFlags, question: Question) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let answer = runtime
        .map_err(CheckServerError::from)
        .and_then(|runtime| runtime.block_on(ask(flags, question)));
    // Failed writes are ignored: the exit code has the answer, too.
    let name = question.name();
    match answer {
        Ok(Answer::Yes) => {
            let _ = writeln!(io::stdout(), "SUCCESS: server is {name}");
            ExitCode::SUCCESS
        }
        Ok(Answer::No { status, reason }) => {
            let _ = writeln!(io::stderr(), "FAILED: server is not {name}: {status}: {reason}");
            ExitCode::FAILURE
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "ERROR: {error}");
            ExitCode::from(NO_ANSWER)
        }
    }
}

async fn ask(flags: &CheckServerFlags, question: Question) -> Result<Answer, CheckServerError> {
    let deadline = Instant::now() + flags.timeout;
    let url = endpoint(&flags.url, question)?;
    let config = match &flags.http_config_file {
        Some(path) => client_file::load(path)?,
        None => HttpClientConfig::default(),
    };
    let client = HttpClient::new(&config, USER_AGENT, &|name| std::env::var(name).ok())?;
    let response = client.send(&ClientRequest::get(url), deadline).await?;
    if response.status == StatusCode::OK {
        return Ok(Answer::Yes);
    }
    let status = response.status_text();
    // The status says enough if the body cannot be read.
    let body = response.body.read_to_end(MAX_ANSWER_BYTES).await.unwrap_or_default();
    let reason = String::from_utf8_lossy(&body).trim().to_owned();
    Ok(Answer::No { status, reason })
}

/// Returns the URL of the endpoint. The URL of the server may have a path (`--web.route-prefix`).
fn endpoint(server: &str, question: Question) -> Result<Url, ParseUrlError> {
    Url::parse(&format!("{}{}", server.trim_end_matches('/'), question.path()))
}

#[cfg(test)]
mod tests {
    use super::{Question, endpoint};

    #[test]
    fn endpoint_is_below_the_path_of_the_server() {
        for (server, expected) in [
            ("http://localhost:9201", "http://localhost:9201/-/ready"),
            ("http://localhost:9201/", "http://localhost:9201/-/ready"),
            ("https://[::1]:1/narthex/", "https://[::1]:1/narthex/-/ready"),
        ] {
            let url = endpoint(server, Question::Ready).expect("a URL");
            assert_eq!(url.to_string(), expected);
        }
        assert!(endpoint("localhost", Question::Healthy).is_err());
    }
}
