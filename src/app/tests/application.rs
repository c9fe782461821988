//! Life cycle of the application: build, run, stop; its listeners.

use crate::app::application::App;
use crate::app::config::AppConfig;
use crate::app::error::ServeError;
use crate::app::signals::Events;
use crate::config::file::contents::ConfigFile;
use crate::config::flag_values;
use crate::config::flags::Command;
use std::net::SocketAddr;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

fn config(dir: &Path, address: &str) -> AppConfig {
    config_with(dir, &[&format!("--web.listen-address={address}")])
}

fn config_with(dir: &Path, flags: &[&str]) -> AppConfig {
    let path = format!("--storage.tsdb.path={}", dir.display());
    let line = ["narthex", "serve", &path].into_iter().chain(flags.iter().copied());
    let Command::Serve(flags) = flag_values::parse(line.map(Into::into)).unwrap().command else {
        unreachable!()
    };
    AppConfig::new(&flags, &ConfigFile::default()).unwrap()
}

/// Returns the complete response to a GET request.
async fn get(address: SocketAddr, path: &str) -> String {
    send(address, &format!("GET {path}"), "").await
}

/// Returns the status of a GET request.
async fn status(address: SocketAddr, path: &str) -> u16 {
    status_of(&get(address, path).await)
}

fn status_of(response: &str) -> u16 {
    response.split(' ').nth(1).unwrap_or_default().parse().unwrap()
}

/// Returns the complete response to a request with these headers.
async fn send(address: SocketAddr, request: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}

#[tokio::test]
async fn app_serves_until_stop_and_releases_directory() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let app = App::build(config(dir.path(), "127.0.0.1:0")).await.unwrap();
        let address = app.addresses()[0];
        let (stop, stops) = mpsc::channel(1);
        let (_, reload) = mpsc::channel(1);
        let running = tokio::spawn(app.run(Events { stop: stops, reload }));
        while !get(address, "/-/ready").await.starts_with("HTTP/1.1 200 OK\r\n") {
            assert!(!running.is_finished());
        }
        // The notification of the start is cleared right after the phase is advanced.
        while !get(address, "/api/v1/notifications").await.ends_with("\"data\":[]}") {
            assert!(!running.is_finished());
        }
        stop.send(()).await.unwrap();
        running.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn locked_directory_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let app = App::build(config(dir.path(), "127.0.0.1:0")).await.unwrap();
    let second = App::build(config(dir.path(), "127.0.0.1:0")).await;
    assert!(matches!(second, Err(ServeError::Open(_))));
    drop(app);
    App::build(config(dir.path(), "127.0.0.1:0")).await.unwrap();
}

#[tokio::test]
async fn port_in_use_changes_nothing_on_disk() {
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = occupied.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let built = App::build(config(&data, &address)).await;
    assert!(matches!(built, Err(ServeError::Bind { .. })));
    assert!(!data.exists());
}

/// Application that is ready, and its stop.
struct Running {
    main: Vec<SocketAddr>,
    management: Option<SocketAddr>,
    stop: mpsc::Sender<()>,
    task: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    async fn start(dir: &Path, flags: &[&str]) -> Self {
        let app = App::build(config_with(dir, flags)).await.unwrap();
        let (main, management) = (app.addresses().to_vec(), app.management_address());
        let (stop, stops) = mpsc::channel(1);
        let (_, reload) = mpsc::channel(1);
        let task = tokio::spawn(app.run(Events { stop: stops, reload }));
        while status(main[0], "/-/ready").await != 200 {
            assert!(!task.is_finished());
        }
        Self { main, management, stop, task }
    }

    async fn stop(self) {
        self.stop.send(()).await.unwrap();
        self.task.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn server_listens_on_every_address() {
    let dir = tempfile::tempdir().unwrap();
    let flags = ["--web.listen-address=127.0.0.1:0", "--web.listen-address=localhost:0"];
    let running = Running::start(dir.path(), &flags).await;
    assert_eq!(running.main.len(), 2);
    for address in &running.main {
        assert_eq!(status(*address, "/-/healthy").await, 200);
    }
    running.stop().await;
}

#[tokio::test]
async fn flood_of_the_main_port_does_not_fail_probes() {
    let dir = tempfile::tempdir().unwrap();
    let flags = [
        "--web.listen-address=127.0.0.1:0",
        "--web.max-connections=2",
        "--web.management-listen-address=127.0.0.1:0",
    ];
    let running = Running::start(dir.path(), &flags).await;
    let (main, management) = (running.main[0], running.management.unwrap());
    let mut flood = Vec::new();
    while status(main, "/-/ready").await != 503 {
        flood.push(TcpStream::connect(main).await.unwrap());
    }
    for path in ["/-/healthy", "/-/ready"] {
        assert_eq!(status(management, path).await, 200, "{path}");
    }
    drop(flood);
    running.stop().await;
    assert!(TcpStream::connect(management).await.is_err());
}

#[tokio::test]
async fn management_listener_serves_its_paths_only() {
    let dir = tempfile::tempdir().unwrap();
    let listeners =
        ["--web.listen-address=127.0.0.1:0", "--web.management-listen-address=127.0.0.1:0"];
    for (more, expected) in [(&[][..], 404), (&["--web.management-metrics"], 200)] {
        let running = Running::start(dir.path(), &[&listeners, more].concat()).await;
        let address = running.management.unwrap();
        let code =
            async |request: &str, headers: &str| status_of(&send(address, request, headers).await);
        assert_eq!(code("GET /metrics", "").await, expected);
        assert_eq!(code("HEAD /-/healthy", "").await, 200);
        for other in [
            "GET /",
            "GET /-/healthy/",
            "GET //-/healthy",
            "GET /-/reload",
            "POST /-/reload",
            "POST /-/quit",
            "POST /-/healthy",
            "OPTIONS /-/ready",
            "DELETE /metrics",
            "GET /api/v1/labels",
            "OPTIONS /api/v1/labels",
            "POST /api/v1/write",
            "POST /api/v1/read",
        ] {
            assert_eq!(code(other, "").await, 404, "{other}");
        }
        let grpc = "content-type: application/grpc\r\nte: trailers\r\n";
        for method in ["/grpc.health.v1.Health/Check", "/narthex.v1.Write/WriteV1"] {
            assert_eq!(code(&format!("POST {method}"), grpc).await, 404, "{method}");
        }
        running.stop().await;
    }
}
