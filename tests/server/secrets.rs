//! Secrets of requests and of the web configuration file: none is in a response or in the log.
//!
//! A secret is found by a part of it, because a message may quote only the beginning of a text.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Endpoint;
use tonic::{Code, Request};
use tonic_prost::ProstCodec;

use crate::support::data::BEGIN;
use crate::support::dir;
use crate::support::http::Http;
use crate::support::launch::{Launch, Server};
use crate::support::remote::{WRITE, WRITE_HEADERS};
use crate::support::stream::Stored;
use crate::support::tls::cert_path;
use crate::support::wait::wait_until;
use crate::support::wire::WriteRequest;

const RIGHT: &str = "Vq7right3fTz";
const NEW: &str = "Wn2new9kLpQs";
const WRONG: &str = "Xk5wrong4mRd";
/// Password that was sent as the name of a user.
const MISPLACED: &str = "Yp8placed6hGs";
const FAILURE: &str = "web configuration reload failed";

fn hash(password: &str) -> String {
    let mut salt = [7; 16];
    salt[..12].copy_from_slice(&password.as_bytes()[..12]);
    bcrypt::hash_with_salt(password, 4, salt).expect("a hash").to_string()
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn pem(name: &str) -> String {
    std::fs::read_to_string(cert_path(name)).expect("a golden file")
}

/// Indents a text as a block scalar of a section.
fn block(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

/// Values of the header `Authorization` that admit nobody.
fn wrong_credentials() -> Vec<String> {
    vec![
        basic("alice", WRONG),
        basic("nobody", RIGHT),
        basic(MISPLACED, "alice"),
        basic(MISPLACED, ""),
        format!("Basic {}", STANDARD.encode(MISPLACED)),
        format!("Basic !{MISPLACED}"),
        format!("Bearer {MISPLACED}"),
        MISPLACED.to_owned(),
    ]
}

/// Returns parts of all secrets of the test.
fn secrets() -> Vec<String> {
    let mut parts = [RIGHT, NEW, WRONG, MISPLACED].map(str::to_owned).to_vec();
    for value in wrong_credentials().into_iter().chain([basic("alice", RIGHT), basic("alice", NEW)])
    {
        let encoded = value.strip_prefix("Basic ").unwrap_or(&value);
        parts.push(encoded.trim_end_matches('=').to_owned());
    }
    for password in [RIGHT, NEW] {
        let hash = hash(password);
        // Salt and digest.
        parts.extend([hash[7..29].to_owned(), hash[29..49].to_owned()]);
    }
    let key = pem("server2.key");
    for line in key.lines().filter(|line| !line.starts_with("-----")) {
        let part = &line[..line.len().min(20)];
        // As text, and as Rust shows bytes.
        let bytes = format!("{:?}", part.as_bytes());
        parts.extend([part.to_owned(), bytes[1..bytes.len() - 1].to_owned()]);
    }
    assert!(parts.iter().all(|part| part.len() >= 12), "{parts:?}");
    parts
}

#[track_caller]
fn assert_no_secret(text: &str, place: &str) {
    for secret in secrets() {
        assert!(!text.contains(&secret), "{secret} in {place}:\n{text}");
    }
}

/// Invalid web configuration files with secrets: broken YAML, secrets at wrong places, and files
/// that only the loading of the key finds.
fn invalid_files() -> Vec<String> {
    let (hash, key, certificate) = (hash(NEW), pem("server2.key"), pem("server.crt"));
    let tls = format!("tls_server_config:\n  cert: |\n{}", block(&certificate));
    vec![
        format!("basic_auth_users:\n  alice: {hash}\n  bob: ["),
        format!("basic_auth_users:\n  alice: \"{hash}\n"),
        format!("basic_auth_users:\n  alice: {}\n", hash.replace("$04$", "$31$")),
        format!("basic_auth_users:\n  alice: {}\n", &hash[..59]),
        format!("basic_auth_users:\n  alice: {NEW}\n"),
        format!("basic_auth_users:\n  alice:{hash}\n"),
        format!("basic_auth_users:\n  - alice: {hash}\n"),
        format!("basic_auth_users:\n  alice: [{hash}]\n"),
        format!("basic_auth_users:\n  alice: {{hash: {hash}}}\n"),
        format!("basic_auth_users:\n  alice: {hash}\n  alice: {hash}\n"),
        format!("basic_auth_users: {hash}\n"),
        format!("basic_auth_users:\n  {hash}: alice\n"),
        format!("basic_auth_users:\n  {NEW}: alice\n  x: [\n"),
        format!("alice: {hash}\n"),
        format!("alice:{hash}\n"),
        format!("{hash}: alice\n"),
        format!("{tls}  key: |\n{}", block(&key)),
        format!("{tls}  key: |\n{key}"),
        format!("{tls}  key:\n{}", block(&key)),
        format!("{tls}  key: {}\n", key.replace('\n', "")),
        format!("{tls}  keys: |\n{}", block(&key)),
        format!("{tls}  key_file: |\n{}", block(&key)),
        format!("{tls}  key: |\n{}", block(&key[..key.len() / 2])),
        format!("tls_server_config: |\n{}", block(&key)),
        format!("tls_server_config:\n  key: |\n{}", block(&key)),
        format!("tls_server_config:\n  cert: |\n{0}  key: |\n{0}", block(&key)),
        key,
    ]
}

fn write_file(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a file can be written");
}

/// Client that keeps everything that it receives.
struct Client {
    http: Http,
    received: String,
}

impl Client {
    fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> u16 {
        let answer = self.http.send(method, path, headers, body).expect("a response");
        for (name, value) in &answer.headers {
            self.received.push_str(&format!("{name}: {value}\n"));
        }
        self.received.push_str(&answer.text());
        answer.status
    }

    fn get(&mut self, path: &str, credentials: &str) -> u16 {
        self.send("GET", path, &[("authorization", credentials)], None)
    }

    fn write(&mut self, credentials: &str, body: &[u8]) -> u16 {
        let mut headers = WRITE_HEADERS.to_vec();
        headers.push(("authorization", credentials));
        self.send("POST", WRITE, &headers, Some(body))
    }

    /// Sends the same body with a content type and an encoding that are not supported.
    fn write_unsupported(&mut self, credentials: &str, body: &[u8]) -> [u16; 2] {
        [("text/plain", "snappy"), ("application/x-protobuf", "br")].map(
            |(media_type, encoding)| {
                let headers = [
                    ("authorization", credentials),
                    ("content-type", media_type),
                    ("content-encoding", encoding),
                ];
                self.send("POST", WRITE, &headers, Some(body))
            },
        )
    }

    /// Writes over gRPC, which is HTTP/2. Returns the status.
    fn write_grpc(&mut self, credentials: &str, request: WriteRequest) -> Code {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let endpoint = Endpoint::from_shared(self.http.url("")).expect("an address");
        let status = runtime.expect("a runtime").block_on(async {
            let channel = endpoint.connect().await.expect("a connection");
            let mut client = Grpc::new(channel);
            client.ready().await.expect("a connection");
            let mut request = Request::new(request);
            let value = credentials.parse().expect("a header");
            request.metadata_mut().insert("authorization", value);
            let path = PathAndQuery::from_static("/narthex.v1.Write/WriteV1");
            let codec: ProstCodec<WriteRequest, Stored> = ProstCodec::new();
            client.unary(request, path, codec).await.expect_err("a rejection")
        });
        self.received.push_str(&format!("{status:?}"));
        status.code()
    }
}

fn launch(dir: &Path, web_config: &Path) -> Server {
    let data = dir.join("data");
    Launch::narthex(&data)
        .config(&data, "global:\n  external_labels:\n    zone: eu\n")
        .web_config(web_config)
        .flag("--log.level=debug")
        .flag("--web.enable-lifecycle")
        .flag("--storage.remote.write-max-body-size=2KB")
        .start()
}

/// Replaces the file and waits for the log line about it.
fn replace_file(server: &Server, path: &Path, text: &str, line: &str) {
    let lines = |server: &Server| server.program.log().matches(line).count();
    let before = lines(server);
    write_file(path, text);
    wait_until("the reload of the web configuration", || lines(server) > before);
}

fn send_rejected_requests(client: &mut Client) {
    let right = basic("alice", RIGHT);
    let unnamed = WriteRequest::one(&[("zone", "eu")], &[(BEGIN, 1.0)]);
    assert_eq!(client.write(&right, &unnamed.body()), 400);
    assert_eq!(client.write(&right, b"\xff\xff"), 400);
    assert_eq!(client.write(&right, &[0; 4000]), 413);
    assert_eq!(client.write_unsupported(&right, b""), [415, 415]);
    assert_eq!(client.write_grpc(&right, unnamed.clone()), Code::InvalidArgument);
    for credentials in wrong_credentials() {
        assert_eq!(client.write(&credentials, &unnamed.body()), 401);
        assert_eq!(client.write_grpc(&credentials, unnamed.clone()), Code::Unauthenticated);
        for path in ["/api/v1/status/rejections", "/-/ready", "/nothing"] {
            assert_eq!(client.get(path, &credentials), 401);
        }
    }
    for line in ["no colon", "name: \0", "content-length: x"] {
        let mut raw = client.http.connect();
        raw.write(
            format!("GET / HTTP/1.1\r\nhost: x\r\nauthorization: {right}\r\n{line}\r\n\r\n")
                .as_bytes(),
        );
        assert_eq!(raw.finish(), Some(400), "{line}");
    }
}

#[test]
fn no_secret_is_in_a_response_or_in_the_log() {
    let temp_dir = dir::temp();
    let file = temp_dir.path().join("web.yml");
    let valid = |password: &str| format!("basic_auth_users:\n  alice: {}\n", hash(password));
    write_file(&file, &valid(RIGHT));
    let server = launch(temp_dir.path(), &file);
    let mut client = Client { http: Http::new(server.port), received: String::new() };
    send_rejected_requests(&mut client);
    // The line breaks in front make the errors differ: a repeated one is logged once.
    for (number, text) in invalid_files().iter().enumerate().step_by(8) {
        replace_file(&server, &file, &format!("{}{text}", "\n".repeat(number)), FAILURE);
    }
    let right = basic("alice", RIGHT);
    let headers = [("authorization", right.as_str())];
    assert_eq!(client.send("POST", "/-/reload", &headers, Some(b"")), 200);
    for path in ["config", "flags", "rejections", "runtimeinfo", "buildinfo", "tsdb"] {
        assert_eq!(client.get(&format!("/api/v1/status/{path}"), &right), 200, "{path}");
    }
    for path in ["/api/v1/notifications", "/metrics", "/"] {
        assert_eq!(client.get(path, &right), 200, "{path}");
    }
    let recorded = client.http.send("GET", "/api/v1/status/rejections", &headers, None);
    let recorded = recorded.expect("a response").json();
    let mut recorded: Vec<_> = recorded["data"]["rejections"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| ["protocol", "user", "reason"].map(|key| entry[key].as_str().unwrap_or("")))
        .collect();
    recorded.sort_unstable();
    let expected = [
        ["grpc_1.0", "alice", "invalid_labels"],
        ["remote_write", "alice", "unsupported"],
        ["remote_write_1.0", "alice", "invalid_labels"],
        ["remote_write_1.0", "alice", "malformed"],
        ["remote_write_1.0", "alice", "too_large"],
        ["remote_write_1.0", "alice", "unsupported"],
    ];
    assert_eq!(recorded, expected);
    replace_file(&server, &file, &valid(NEW), "reloaded web configuration");
    assert_eq!(client.get("/api/v1/status/flags", &right), 401);
    assert_eq!(client.get("/api/v1/status/flags", &basic("alice", NEW)), 200);
    let log = server.stop();
    for (text, part) in [
        (&client.received, "web.yml"),
        (&client.received, "zone: eu"),
        (&client.received, "Reload of the web configuration file has failed"),
        (&log, "rejected credentials"),
        (&log, "rejected data"),
        (&log, "user=alice"),
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert_no_secret(&client.received, "a response");
    assert_no_secret(&log, "the log");
}

#[test]
fn errors_of_a_web_config_have_no_secret() {
    let temp_dir = dir::temp();
    let files = invalid_files();
    let path = |number: usize| -> PathBuf { temp_dir.path().join(format!("{number:02}.yml")) };
    for (number, text) in files.iter().enumerate() {
        write_file(&path(number), text);
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_narthex"));
    command.args(["check", "web-config"]).args((0..files.len()).map(path));
    let output = command.output().expect("narthex runs");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert_eq!(text.matches(" FAILED: ").count(), files.len(), "{text}");
    assert_no_secret(&text, "the output of check");
}
