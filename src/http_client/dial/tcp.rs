//! TCP connections to names and addresses.
//!
//! The addresses of a name are tried one after another, those of the family of the first one
//! before the others; the other family starts after [`FALLBACK_DELAY`], as in Go.

use crate::http_client::dial::error::ConnectError;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// Time after which the second address family is tried, too.
const FALLBACK_DELAY: Duration = Duration::from_millis(300);
/// Interval of TCP keep-alive probes.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Maximum number of addresses of a name that are tried.
const MAX_ADDRESSES: usize = 16;

/// Connects to a name or an address without brackets.
pub(super) async fn connect(host: &str, port: u16) -> Result<TcpStream, ConnectError> {
    let lookup = |source| ConnectError::Lookup { host: host.to_owned(), source };
    let found = tokio::net::lookup_host((host, port)).await.map_err(lookup)?;
    let addresses: Vec<SocketAddr> = found.take(MAX_ADDRESSES).collect();
    let stream = race(&addresses).await.map_err(|error| match error {
        Some((address, source)) => ConnectError::Tcp { address: address.to_string(), source },
        None => lookup(io::Error::other("no such host")),
    })?;
    // Without these options the connection works, too.
    let _ = stream.set_nodelay(true);
    let keep_alive = TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE);
    let _ = SockRef::from(&stream).set_tcp_keepalive(&keep_alive);
    Ok(stream)
}

/// Error of the first address; `None` if there is no address.
type FirstError = Option<(SocketAddr, io::Error)>;

async fn race(addresses: &[SocketAddr]) -> Result<TcpStream, FirstError> {
    let is_ipv4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (primary, fallback): (Vec<_>, Vec<_>) =
        addresses.iter().copied().partition(|address| address.is_ipv4() == is_ipv4);
    if fallback.is_empty() {
        return connect_any(&primary).await;
    }
    let mut first = std::pin::pin!(connect_any(&primary));
    match tokio::time::timeout(FALLBACK_DELAY, &mut first).await {
        Ok(Ok(stream)) => return Ok(stream),
        Ok(Err(error)) => return connect_any(&fallback).await.map_err(|_| error),
        Err(_) => {}
    }
    let mut second = std::pin::pin!(connect_any(&fallback));
    tokio::select! {
        result = &mut first => match result {
            Ok(stream) => Ok(stream),
            Err(error) => second.await.map_err(|_| error),
        },
        result = &mut second => match result {
            Ok(stream) => Ok(stream),
            Err(_) => first.await,
        },
    }
}

/// Returns the first connection, or the error of the first address, as in Go.
async fn connect_any(addresses: &[SocketAddr]) -> Result<TcpStream, FirstError> {
    let mut first_error = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => drop(first_error.get_or_insert((*address, error))),
        }
    }
    Err(first_error)
}
