//! Scrape target whose responses a test scripts: a response depends on the path, on the client, and
//! on the number of the request of this client for this path.
//!
//! Every response closes its connection, so no client repeats a request on a new one: a request is
//! a scrape. [`Scripted::start_keeping_open`] is the exception. The target listens on all loopback
//! addresses, which can be other hosts for redirects.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::SockRef;

/// Time between two looks at the end of the test while a response hangs.
const POLL: Duration = Duration::from_millis(200);

/// Maximum time in which a request arrives and a response is sent.
const PATIENCE: Duration = Duration::from_secs(60);

/// Request to a scripted target.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Path without query.
    pub(crate) path: String,
    /// Query without `?`; empty if there is none.
    pub(crate) query: String,
    /// Name of the client: its User-Agent up to the version.
    pub(crate) client: String,
    /// Number of the request of this client for this path, from 1.
    pub(crate) number: u64,
    /// Header names in lower case, and values.
    pub(crate) headers: Vec<(String, String)>,
}

impl Asked {
    /// Returns the value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }
}

/// Response of a scripted target.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Complete response. The target adds `Content-Length`, and `Connection` if it closes it.
    Whole {
        /// Code and reason.
        status: &'static str,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    },
    /// Bytes instead of a response, then the end of the connection.
    Raw(Vec<u8>),
    /// The connection is reset.
    Reset,
    /// Bytes, then nothing until the client closes the connection.
    Hang(Vec<u8>),
    /// A head, then the same bytes again and again until the client closes the connection.
    Endless { head: Vec<u8>, piece: Vec<u8>, pause: Duration },
}

/// Content type of the text format.
pub(crate) const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

impl Reply {
    /// Response in text format.
    pub(crate) fn text(body: impl Into<String>) -> Reply {
        Reply::typed(TEXT, body.into())
    }

    /// Response with a content type.
    pub(crate) fn typed(content_type: &str, body: impl Into<Vec<u8>>) -> Reply {
        let headers = vec![("Content-Type", content_type.to_owned())];
        Reply::Whole { status: "200 OK", headers, body: body.into() }
    }

    /// Response with a status and a body that would be valid.
    pub(crate) fn status(status: &'static str) -> Reply {
        let headers = vec![("Content-Type", TEXT.to_owned())];
        Reply::Whole { status, headers, body: b"not_stored 1\n".to_vec() }
    }

    /// Redirect.
    pub(crate) fn redirect(location: String) -> Reply {
        let headers = vec![("Location", location)];
        Reply::Whole { status: "302 Found", headers, body: Vec::new() }
    }

    /// The connection ends without a response.
    pub(crate) fn none() -> Reply {
        Reply::Raw(Vec::new())
    }

    /// Returns `true` if a client waits until its timeout.
    pub(crate) fn takes_until_timeout(&self) -> bool {
        matches!(self, Reply::Hang(_) | Reply::Endless { .. })
    }
}

/// Running target.
pub(crate) struct Scripted {
    port: u16,
    state: Arc<State>,
}

type Script = dyn Fn(&Asked) -> Reply + Send + Sync;

struct State {
    script: Box<Script>,
    /// Whether a connection takes another request after a complete response.
    keeps_open: bool,
    /// Requests by client and path.
    counts: Mutex<BTreeMap<(String, String), u64>>,
    is_stopped: AtomicBool,
}

impl Scripted {
    /// Starts a target that answers with `script`.
    pub(crate) fn start(script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Scripted {
        Scripted::listen(Box::new(script), false)
    }

    /// Starts a target that keeps connections open after complete responses, so that a client can
    /// repeat a request on a new connection.
    pub(crate) fn start_keeping_open(
        script: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Scripted {
        Scripted::listen(Box::new(script), true)
    }

    fn listen(script: Box<Script>, keeps_open: bool) -> Scripted {
        let listener = TcpListener::bind("0.0.0.0:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let state = Arc::new(State {
            script,
            keeps_open,
            counts: Mutex::default(),
            is_stopped: AtomicBool::new(false),
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.is_stopped() {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let shared = Arc::clone(&shared);
                // An error is ignored: the client may disconnect.
                std::thread::spawn(move || _ = shared.serve(stream));
            }
        });
        Scripted { port, state }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns the address, as in `static_configs`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns the number of requests of a client for a path.
    pub(crate) fn count(&self, client: &str, path: &str) -> u64 {
        let counts = self.state.counts.lock().expect("nothing panics with it");
        counts.get(&(client.to_owned(), path.to_owned())).copied().unwrap_or(0)
    }

    /// Returns the number of requests of all clients for a path.
    pub(crate) fn requests(&self, path: &str) -> u64 {
        let counts = self.state.counts.lock().expect("nothing panics with it");
        counts.iter().filter(|((_, given), _)| given == path).map(|(_, count)| count).sum()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.state.is_stopped.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

impl State {
    fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::SeqCst)
    }

    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        while let Some(asked) = self.read_request(&stream)? {
            let reply = (self.script)(&asked);
            let is_last = !self.keeps_open || !matches!(reply, Reply::Whole { .. });
            self.answer(&mut stream, reply)?;
            if is_last {
                break;
            }
        }
        Ok(())
    }

    fn answer(&self, stream: &mut TcpStream, reply: Reply) -> std::io::Result<()> {
        match reply {
            Reply::Whole { status, headers, body } => {
                let mut head = format!("HTTP/1.1 {status}\r\n");
                if !self.keeps_open {
                    head.push_str("Connection: close\r\n");
                }
                for (name, value) in headers {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
                // A response without content must not have a length.
                if !status.starts_with("204") {
                    head.push_str(&format!("Content-Length: {}\r\n", body.len()));
                    head.push_str("\r\n");
                    stream.write_all(&[head.as_bytes(), &body].concat())
                } else {
                    stream.write_all(format!("{head}\r\n").as_bytes())
                }
            }
            Reply::Raw(bytes) => stream.write_all(&bytes),
            // Closing a socket that lingers for no time sends RST.
            Reply::Reset => SockRef::from(&*stream).set_linger(Some(Duration::ZERO)),
            Reply::Hang(bytes) => {
                stream.write_all(&bytes)?;
                self.wait_closed(stream)
            }
            Reply::Endless { head, piece, pause } => {
                stream.write_all(&head)?;
                while !self.is_stopped() {
                    stream.write_all(&piece)?;
                    std::thread::sleep(pause);
                }
                Ok(())
            }
        }
    }

    /// Reads a request without body. Returns `None` if the connection ends before.
    fn read_request(&self, stream: &TcpStream) -> std::io::Result<Option<Asked>> {
        let mut lines = BufReader::new(stream).lines();
        let Some(first) = lines.next().transpose()? else { return Ok(None) };
        let mut headers = Vec::new();
        loop {
            let Some(line) = lines.next().transpose()? else { return Ok(None) };
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let target = first.split(' ').nth(1).unwrap_or("");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (path, query) = (path.to_owned(), query.to_owned());
        let agent = headers.iter().find(|(name, _)| name == "user-agent");
        let agent = agent.map_or("", |(_, value)| value.as_str());
        let client = agent.split('/').next().unwrap_or("").to_owned();
        let mut counts = self.counts.lock().expect("nothing panics with it");
        let number = counts.entry((client.clone(), path.clone())).or_default();
        *number += 1;
        Ok(Some(Asked { path, query, client, number: *number, headers }))
    }

    fn wait_closed(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(POLL))?;
        let mut byte = [0];
        while !self.is_stopped() {
            match stream.read(&mut byte) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}
