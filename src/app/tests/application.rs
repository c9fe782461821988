//! Life cycle of the application: build, run, stop.

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

fn config(dir: &Path, address: &str) -> AppConfig {
    let path = format!("--storage.tsdb.path={}", dir.display());
    let address = format!("--web.listen-address={address}");
    let line = ["narthex", "serve", &path, &address].map(Into::into);
    let Command::Serve(flags) = flag_values::parse(line).unwrap().command;
    AppConfig::new(&flags, &ConfigFile::default()).unwrap()
}

/// Returns the complete response to a GET request.
async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
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
