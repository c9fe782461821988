//! A plain HTTP client, and for broken requests a bare connection.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Bounds a hanging test only.
const PATIENCE: Duration = Duration::from_secs(120);

/// A client of one server on the loopback interface; clones share their connections.
#[derive(Clone)]
pub(crate) struct Http {
    agent: ureq::Agent,
    port: u16,
}

/// A whole answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// Names in lower case, in the order received.
    pub(crate) headers: Vec<(String, String)>,
    /// The body as it came.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.text()))
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }
}

impl Http {
    /// A client of the server on that port.
    pub(crate) fn new(port: u16) -> Http {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(PATIENCE))
            .max_idle_connections_per_host(16)
            .build();
        Http { agent: config.into(), port }
    }

    /// The server's port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The address of a path there.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// GET, which must be answered somehow.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.try_get(path).unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// GET; an error where no answer came.
    pub(crate) fn try_get(&self, path: &str) -> Result<Answer, ureq::Error> {
        self.send("GET", path, &[], None)
    }

    /// POST, which must be answered somehow.
    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.try_post(path, headers, body).unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    /// POST; an error where no answer came.
    pub(crate) fn try_post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, ureq::Error> {
        self.send("POST", path, headers, Some(body))
    }

    /// Any request; an error where no answer came.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Answer, ureq::Error> {
        let mut request = http::Request::builder().method(method).uri(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = match body {
            Some(body) => self.agent.run(request.body(body)?)?,
            None => self.agent.run(request.body(())?)?,
        };
        let status = answer.status().as_u16();
        let headers = answer
            .headers()
            .iter()
            .map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect();
        let body = answer.into_body().with_config().limit(u64::MAX).read_to_vec()?;
        Ok(Answer { status, headers, body })
    }

    /// A bare connection to the same port.
    pub(crate) fn connect(&self) -> Raw {
        let stream =
            TcpStream::connect(("127.0.0.1", self.port)).expect("the server accepts a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_nodelay(true).expect("the delay can be switched off");
        Raw { stream }
    }
}

/// A connection on which a test writes bytes as it likes.
pub(crate) struct Raw {
    stream: TcpStream,
}

impl Raw {
    /// Writes bytes; a server that has hung up is left to [`Raw::finish`] to show.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Closes the sending side, and reads to the end: the status of the answer, if one came.
    pub(crate) fn finish(mut self) -> Option<u16> {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        self.read_status()
    }

    /// Reads the first of what the server sends: the status of the answer, if one came.
    pub(crate) fn read_first_status(&mut self) -> Option<u16> {
        let mut text = [0; 256];
        let read = self.stream.read(&mut text).ok()?;
        status_of(&text[..read])
    }

    /// Reads to the end of what the server sends: the status of the answer, if one came.
    pub(crate) fn read_status(&mut self) -> Option<u16> {
        let mut text = Vec::new();
        let _ = self.stream.read_to_end(&mut text);
        status_of(&text)
    }
}

/// The status in the first line of an answer.
fn status_of(answer: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(answer);
    text.lines().next()?.split(' ').nth(1)?.parse().ok()
}
