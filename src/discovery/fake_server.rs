//! Scripted HTTP server for tests of discovery.

use parking_lot::Mutex;
use std::fmt::Write;
use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::{JoinHandle, JoinSet};

/// Response of a script.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Value of `Content-Type`; empty means none.
    pub(crate) content_type: String,
    /// Further lines of the head.
    pub(crate) headers: Vec<String>,
    pub(crate) body: String,
}

impl Reply {
    /// Returns a response with status 200.
    pub(crate) fn json(body: &str) -> Self {
        Self {
            status: 200,
            content_type: "application/json".to_owned(),
            headers: Vec::new(),
            body: body.to_owned(),
        }
    }

    fn to_text(&self, has_body: bool) -> String {
        let mut text = format!("HTTP/1.1 {} X\r\n", self.status);
        let length = format!("Content-Length: {}", self.body.len());
        let kind = format!("Content-Type: {}", self.content_type);
        let kind = (!self.content_type.is_empty()).then_some(&kind);
        for header in self.headers.iter().chain(kind).chain([&length]) {
            write!(text, "{header}\r\n").expect("a string");
        }
        text.push_str("\r\n");
        if has_body {
            text.push_str(&self.body);
        }
        text
    }
}

/// Function that returns the response to a path with a query. `None` holds the request, and the
/// function is called again.
type Script = dyn Fn(&str) -> Option<Reply> + Send + Sync;

/// Server that stops when this is dropped.
pub(crate) struct FakeServer {
    /// Address on loopback; empty for a unix socket.
    pub(crate) address: String,
    heads: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FakeServer {
    /// Starts a server on loopback.
    pub(crate) async fn start(
        script: impl Fn(&str) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await.expect("a port"));
        let address = listener.local_addr().expect("an address").to_string();
        let accept = move || {
            let listener = Arc::clone(&listener);
            async move { listener.accept().await.map(|(stream, _)| stream) }
        };
        Self::run(address, accept, Arc::new(script))
    }

    /// Starts a server on a unix socket. Call it within a runtime.
    pub(crate) fn start_unix(
        socket: &Path,
        script: impl Fn(&str) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let listener = Arc::new(UnixListener::bind(socket).expect("a socket"));
        let accept = move || {
            let listener = Arc::clone(&listener);
            async move { listener.accept().await.map(|(stream, _)| stream) }
        };
        Self::run(String::new(), accept, Arc::new(script))
    }

    fn run<S, F>(
        address: String,
        accept: impl Fn() -> F + Send + 'static,
        script: Arc<Script>,
    ) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Future<Output = io::Result<S>> + Send,
    {
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&heads);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let stream = accept().await.expect("a connection");
                connections.spawn(serve(stream, Arc::clone(&script), Arc::clone(&seen)));
            }
        });
        Self { address, heads, task }
    }

    /// Returns the heads of all requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().clone()
    }

    /// Returns the paths with queries of all requests so far.
    pub(crate) fn paths(&self) -> Vec<String> {
        let path = |head: &String| head.split(' ').nth(1).unwrap_or_default().to_owned();
        self.heads.lock().iter().map(path).collect()
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    script: Arc<Script>,
    heads: Arc<Mutex<Vec<String>>>,
) {
    let mut received = Vec::new();
    loop {
        let end = received.windows(4).position(|window| window == b"\r\n\r\n");
        let Some(end) = end else {
            match stream.read_buf(&mut received).await {
                Ok(0) | Err(_) => return,
                Ok(_) => continue,
            }
        };
        let head = String::from_utf8_lossy(&received[..end]).into_owned();
        received.drain(..end + 4);
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let has_body = !head.starts_with("HEAD ");
        heads.lock().push(head);
        let reply = loop {
            if let Some(reply) = script(&path) {
                break reply;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        if stream.write_all(reply.to_text(has_body).as_bytes()).await.is_err() {
            return;
        }
    }
}
