//! API server on loopback: lists in pages, watches, versions, and failures on demand.

use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch::{Receiver, Sender};

/// Kinds of the resources, in the order in which their changes appear.
const KINDS: [(&str, &str); 9] = [
    ("pods", "Pod"),
    ("replicasets", "ReplicaSet"),
    ("jobs", "Job"),
    ("nodes", "Node"),
    ("namespaces", "Namespace"),
    ("services", "Service"),
    ("endpoints", "Endpoints"),
    ("endpointslices", "EndpointSlice"),
    ("ingresses", "Ingress"),
];

/// Requests of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestKind {
    List,
    /// Page of a list after the first one.
    Page,
    Watch,
}

/// Failure of one request.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// Response with a status and further lines of the head.
    Status(u16, &'static str),
    /// Complete response with status 200 and this body.
    Body(String),
    /// Connection that ends without a response.
    Hangup,
}

/// Change of an open watch.
#[derive(Debug, Clone)]
pub(super) enum Interruption {
    /// Text is sent, and the connection ends without the end of the body.
    Cut(String),
    /// Text is sent.
    Text(String),
    /// The body ends.
    End,
}

/// Request that the server has received.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) kind: RequestKind,
    pub(super) path: String,
    pub(super) query: BTreeMap<String, String>,
}

struct Event {
    version: u64,
    resource: String,
    namespace: String,
    line: String,
}

#[derive(Default)]
pub(super) struct ApiState {
    version: u64,
    /// Watches from earlier versions have status 410.
    oldest: u64,
    /// Whether such watches have an event with an error instead of a status.
    gone_as_event: bool,
    /// By resource and key.
    objects: BTreeMap<(String, String), Value>,
    events: Vec<Event>,
    failures: Vec<(String, RequestKind, Failure)>,
    interruptions: Vec<(String, Interruption)>,
    /// Whether all requests fail and no watch goes on.
    is_ill: bool,
    token: Option<String>,
    received: Vec<Received>,
    open_watches: usize,
}

/// Server, which stops when this is dropped.
pub(super) struct FakeApi {
    pub(super) address: String,
    state: Arc<Mutex<ApiState>>,
    changed: Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for FakeApi {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn key(object: &Value) -> String {
    let name = |key: &str| object["metadata"][key].as_str().unwrap_or_default().to_owned();
    format!("{}/{}", name("namespace"), name("name"))
}

impl FakeApi {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let state = Arc::new(Mutex::new(ApiState { version: 1_000, ..ApiState::default() }));
        let (changed, receiver) = tokio::sync::watch::channel(());
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let (state, changed) = (Arc::clone(&shared), receiver.clone());
                connections.spawn(async move {
                    // The client may close a connection at any time.
                    drop(Connection { stream, state, changed }.serve().await);
                });
            }
        });
        Self { address, state, changed, task }
    }

    fn change<R>(&self, change: impl FnOnce(&mut ApiState) -> R) -> R {
        let result = change(&mut self.state.lock());
        self.changed.send_replace(());
        result
    }

    /// Shows the objects of a step of the recorded story.
    pub(super) fn show(&self, world: &Value) {
        self.change(|state| {
            state.is_ill = world.get("error").is_some();
            if state.is_ill {
                return;
            }
            for (resource, _) in KINDS {
                let shown = world[resource].as_array().cloned().unwrap_or_default();
                let keys: Vec<String> = shown.iter().map(key).collect();
                let gone: Vec<Value> = state
                    .objects
                    .iter()
                    .filter(|((of, key), _)| of == resource && !keys.contains(key))
                    .map(|(_, object)| object.clone())
                    .collect();
                for object in shown {
                    state.put(resource, object);
                }
                for object in gone {
                    state.remove(resource, &object);
                }
            }
        });
    }

    /// Adds or changes an object.
    pub(super) fn put(&self, resource: &str, object: Value) {
        self.change(|state| state.put(resource, object));
    }

    /// Removes an object.
    pub(super) fn remove(&self, resource: &str, object: &Value) {
        self.change(|state| state.remove(resource, object));
    }

    /// Tells a new version without a change.
    pub(super) fn bookmark(&self, resource: &str) {
        self.change(|state| {
            let object = json!({"metadata": {"name": "", "namespace": "", "labels": null}});
            state.push(resource, "BOOKMARK", object);
        });
    }

    /// Forgets all events, so that watches from earlier versions fail.
    pub(super) fn compact(&self, gone_as_event: bool) {
        self.change(|state| {
            state.oldest = state.version;
            state.gone_as_event = gone_as_event;
        });
    }

    /// Fails the next request of a kind.
    pub(super) fn fail(&self, resource: &str, kind: RequestKind, failure: Failure) {
        self.change(|state| state.failures.push((resource.to_owned(), kind, failure)));
    }

    /// Interrupts an open watch.
    pub(super) fn interrupt(&self, resource: &str, interruption: Interruption) {
        self.change(|state| state.interruptions.push((resource.to_owned(), interruption)));
    }

    /// Makes all requests and watches fail, or no longer.
    pub(super) fn set_ill(&self, is_ill: bool) {
        self.change(|state| state.is_ill = is_ill);
    }

    /// Accepts only this bearer token in later requests.
    pub(super) fn set_token(&self, token: &str) {
        self.change(|state| state.token = Some(token.to_owned()));
    }

    /// Returns the requests so far.
    pub(super) fn received(&self) -> Vec<Received> {
        self.state.lock().received.clone()
    }

    /// Returns the number of requests of a kind for a resource so far.
    pub(super) fn count(&self, resource: &str, kind: RequestKind) -> usize {
        let received = self.received();
        let is_counted = |r: &&Received| r.kind == kind && r.path.ends_with(resource);
        received.iter().filter(is_counted).count()
    }

    /// Returns the number of open watches.
    pub(super) fn open_watches(&self) -> usize {
        self.state.lock().open_watches
    }
}

impl ApiState {
    fn put(&mut self, resource: &str, mut object: Value) {
        let uid = format!("uid-{}", object["metadata"]["name"].as_str().unwrap_or_default());
        let metadata = object["metadata"].as_object_mut().expect("metadata");
        metadata.entry("uid").or_insert(uid.into());
        let known = self.objects.insert((resource.to_owned(), key(&object)), object.clone());
        match known {
            Some(known) if known == object => {}
            Some(_) => self.push(resource, "MODIFIED", object),
            None => self.push(resource, "ADDED", object),
        }
    }

    fn remove(&mut self, resource: &str, object: &Value) {
        if let Some(object) = self.objects.remove(&(resource.to_owned(), key(object))) {
            self.push(resource, "DELETED", object);
        }
    }

    fn push(&mut self, resource: &str, kind: &str, mut object: Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.events.push(Event {
            version: self.version,
            resource: resource.to_owned(),
            namespace: object["metadata"]["namespace"].as_str().unwrap_or_default().to_owned(),
            line: format!("{}\n", json!({"type": kind, "object": object})),
        });
    }

    /// Returns a page of a list.
    fn list(&self, resource: &str, namespace: &str, query: &BTreeMap<String, String>) -> Value {
        let is_listed = |of: &str, object: &Value| {
            of == resource && (namespace.is_empty() || object["metadata"]["namespace"] == namespace)
        };
        let objects = self.objects.iter().filter(|((of, _), object)| is_listed(of, object));
        let number = |key: &str| query.get(key).map_or(0, |text| text.parse().expect("a number"));
        let (limit, skipped) = (number("limit"), number("continue"));
        let all: Vec<&Value> = objects.map(|(_, object)| object).skip(skipped).collect();
        let page = if limit == 0 { all.len() } else { limit.min(all.len()) };
        let next = if page < all.len() { (skipped + page).to_string() } else { String::new() };
        let metadata = json!({"resourceVersion": self.version.to_string(), "continue": next});
        json!({"kind": "List", "metadata": metadata, "items": all[..page]})
    }
}

struct Connection {
    stream: TcpStream,
    state: Arc<Mutex<ApiState>>,
    changed: Receiver<()>,
}

impl Connection {
    async fn serve(mut self) -> std::io::Result<()> {
        let mut received = Vec::new();
        loop {
            let end = received.windows(4).position(|window| window == b"\r\n\r\n");
            let Some(end) = end else {
                if self.stream.read_buf(&mut received).await? == 0 {
                    return Ok(());
                }
                continue;
            };
            let head = String::from_utf8_lossy(&received[..end]).into_owned();
            received.drain(..end + 4);
            if !self.respond(&head).await? {
                return Ok(());
            }
        }
    }

    /// Returns `false` if the connection has to be closed.
    async fn respond(&mut self, head: &str) -> std::io::Result<bool> {
        let url = head.split(' ').nth(1).unwrap_or_default();
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let query: BTreeMap<String, String> =
            form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let kind = if query.contains_key("watch") {
            RequestKind::Watch
        } else if query.contains_key("continue") {
            RequestKind::Page
        } else {
            RequestKind::List
        };
        let resource = path.rsplit('/').next().unwrap_or_default().to_owned();
        let parts: Vec<&str> = path.split('/').collect();
        let namespace = parts.iter().position(|part| *part == "namespaces");
        let namespace = namespace.filter(|at| at + 2 < parts.len()).map_or("", |at| parts[at + 1]);
        let (failure, is_allowed, is_ill) = {
            let mut state = self.state.lock();
            state.received.push(Received { kind, path: path.to_owned(), query: query.clone() });
            let head = head.to_ascii_lowercase();
            let is_allowed = state.token.as_ref().is_none_or(|token| {
                head.contains(&format!("authorization: bearer {token}\r\n"))
                    || head.ends_with(&format!("authorization: bearer {token}"))
            });
            let is_ill = state.is_ill;
            let found = state.failures.iter().position(|(r, k, _)| *r == resource && *k == kind);
            let is_handled = is_allowed && !is_ill;
            let failure = found.filter(|_| is_handled).map(|at| state.failures.remove(at).2);
            (failure, is_allowed, is_ill)
        };
        let failure = match failure {
            None if !is_allowed => Some(Failure::Status(401, "")),
            None if is_ill => Some(Failure::Status(500, "")),
            failure => failure,
        };
        match failure {
            Some(Failure::Hangup) => return Ok(false),
            Some(Failure::Body(body)) => self.send(200, "", &body).await?,
            Some(Failure::Status(status, headers)) => {
                self.send(status, headers, &status_object(status).to_string()).await?;
            }
            None if kind == RequestKind::Watch => {
                self.state.lock().open_watches += 1;
                let result = self.watch(&resource, namespace, &query).await;
                self.state.lock().open_watches -= 1;
                return result;
            }
            None => {
                let list = self.state.lock().list(&resource, namespace, &query);
                self.send(200, "", &list.to_string()).await?;
            }
        }
        Ok(true)
    }

    async fn send(&mut self, status: u16, headers: &str, body: &str) -> std::io::Result<()> {
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n{headers}\r\n");
        self.stream.write_all(head.as_bytes()).await?;
        self.stream.write_all(body.as_bytes()).await
    }

    async fn chunk(&mut self, text: &str) -> std::io::Result<()> {
        // An empty chunk is the end of the body.
        if text.is_empty() {
            return Ok(());
        }
        let chunk = format!("{:x}\r\n{text}\r\n", text.len());
        self.stream.write_all(chunk.as_bytes()).await
    }

    async fn watch(
        &mut self,
        resource: &str,
        namespace: &str,
        query: &BTreeMap<String, String>,
    ) -> std::io::Result<bool> {
        let mut sent: u64 = query["resourceVersion"].parse().expect("a version");
        let (is_gone, as_event) = {
            let state = self.state.lock();
            (sent < state.oldest, state.gone_as_event)
        };
        if is_gone && !as_event {
            self.send(410, "", &status_object(410).to_string()).await?;
            return Ok(true);
        }
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        self.stream.write_all(head.as_bytes()).await?;
        if is_gone {
            let event = json!({"type": "ERROR", "object": status_object(410)});
            self.chunk(&format!("{event}\n")).await?;
            self.stream.write_all(b"0\r\n\r\n").await?;
            return Ok(true);
        }
        let seconds = query["timeoutSeconds"].parse().expect("a number");
        let end = tokio::time::Instant::now() + Duration::from_secs(seconds);
        loop {
            self.changed.borrow_and_update();
            let (lines, interruption, is_stopped) = {
                let mut state = self.state.lock();
                let is_sent = |event: &&Event| {
                    let of = event.namespace.as_str();
                    let is_of = namespace.is_empty() || of.is_empty() || of == namespace;
                    event.version > sent && event.resource == resource && is_of
                };
                let lines: String =
                    state.events.iter().filter(is_sent).map(|event| event.line.as_str()).collect();
                sent = state.version;
                let found = state.interruptions.iter().position(|(of, _)| of == resource);
                let interruption = found.map(|at| state.interruptions.remove(at).1);
                (lines, interruption, state.is_ill)
            };
            if is_stopped {
                self.stream.write_all(b"0\r\n\r\n").await?;
                return Ok(false);
            }
            if !lines.is_empty() {
                self.chunk(&lines).await?;
            }
            match interruption {
                None => {}
                Some(Interruption::Text(text)) => self.chunk(&text).await?,
                Some(Interruption::Cut(text)) => {
                    self.chunk(&text).await?;
                    return Ok(false);
                }
                Some(Interruption::End) => {
                    self.stream.write_all(b"0\r\n\r\n").await?;
                    return Ok(true);
                }
            }
            let mut rest = [0; 1];
            tokio::select! {
                changed = self.changed.changed() => {
                    if changed.is_err() {
                        return Ok(false);
                    }
                }
                // The client sends nothing, but closes the connection.
                _ = self.stream.read(&mut rest) => return Ok(false),
                () = tokio::time::sleep_until(end) => {
                    self.stream.write_all(b"0\r\n\r\n").await?;
                    return Ok(true);
                }
            }
        }
    }
}

fn status_object(code: u16) -> Value {
    let reason = match code {
        401 => "Unauthorized",
        410 => "Expired",
        _ => "InternalError",
    };
    json!({"kind": "Status", "status": "Failure", "reason": reason, "message": "no", "code": code})
}
