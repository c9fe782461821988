//! HTTP client, and a raw connection for malformed requests.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Timeout of a hanging test.
const PATIENCE: Duration = Duration::from_secs(120);

/// Client of a server on the loopback interface. Clones share connections.
#[derive(Clone)]
pub(crate) struct Http {
    agent: ureq::Agent,
    port: u16,
}

/// Complete response of any status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Header names in lower case and values, in the order received.
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

    /// Returns the value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }
}

impl Http {
    /// Creates a client of the server on a port.
    pub(crate) fn new(port: u16) -> Http {
        Http::with_max_redirects(port, 10)
    }

    /// Creates a client that returns redirects as they come.
    pub(crate) fn without_redirects(port: u16) -> Http {
        Http::with_max_redirects(port, 0)
    }

    fn with_max_redirects(port: u16, max_redirects: u32) -> Http {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(PATIENCE))
            .max_idle_connections_per_host(16)
            .max_redirects(max_redirects)
            .build();
        Http { agent: config.into(), port }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns the URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Sends a GET request. Panics without a response.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.try_get(path).unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// Sends a GET request. Returns an error without a response.
    pub(crate) fn try_get(&self, path: &str) -> Result<Answer, ureq::Error> {
        self.send("GET", path, &[], None)
    }

    /// Sends a POST request. Panics without a response.
    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.try_post(path, headers, body).unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    /// Sends a POST request. Returns an error without a response.
    pub(crate) fn try_post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, ureq::Error> {
        self.send("POST", path, headers, Some(body))
    }

    /// Sends any request. Returns an error without a response.
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

    /// Opens a raw connection to the server.
    pub(crate) fn connect(&self) -> Raw {
        let stream =
            TcpStream::connect(("127.0.0.1", self.port)).expect("the server accepts a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_nodelay(true).expect("the delay can be switched off");
        Raw { stream }
    }
}

/// Raw connection for arbitrary bytes.
pub(crate) struct Raw {
    stream: TcpStream,
}

impl Raw {
    /// Writes bytes. An error is ignored: [`Raw::finish`] shows a closed connection.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Closes the sending side and reads to the end. Returns the status of the response, if any.
    pub(crate) fn finish(mut self) -> Option<u16> {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        self.read_status()
    }

    /// Reads the first bytes. Returns the status of the response, if any.
    pub(crate) fn read_first_status(&mut self) -> Option<u16> {
        let mut text = [0; 256];
        let read = self.stream.read(&mut text).ok()?;
        status_of(&text[..read])
    }

    /// Reads to the end. Returns the status of the response, if any.
    pub(crate) fn read_status(&mut self) -> Option<u16> {
        let mut text = Vec::new();
        let _ = self.stream.read_to_end(&mut text);
        status_of(&text)
    }
}

/// Parses the status in the first line of a response.
fn status_of(answer: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(answer);
    text.lines().next()?.split(' ').nth(1)?.parse().ok()
}
