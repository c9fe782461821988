//! SOCKS5 proxies (RFC 1928, RFC 1929). The proxy resolves names.

use crate::http_client::dial::error::ConnectError;
use crate::http_client::dial::route::Endpoint;
use crate::http_client::dial::stream::BoxedStream;
use crate::http_client::proxy::ProxyServer;
use std::io;
use std::net::IpAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// Opens a tunnel to a server.
pub(super) async fn open(
    mut stream: BoxedStream,
    proxy: &ProxyServer,
    endpoint: &Endpoint,
) -> Result<BoxedStream, ConnectError> {
    let user = proxy.url.user();
    let methods: &[u8] =
        if user.is_some() { &[NO_AUTHENTICATION, USER_AND_PASSWORD] } else { &[NO_AUTHENTICATION] };
    let mut greeting = vec![VERSION, methods.len() as u8];
    greeting.extend_from_slice(methods);
    write(&mut stream, &greeting).await?;
    let [version, method] = read(&mut stream).await?;
    check_version(version)?;
    match (method, user) {
        (NO_AUTHENTICATION, _) => {}
        (USER_AND_PASSWORD, Some(user)) => {
            let password = user.password.as_ref().map_or("", |password| password.expose());
            let mut request = vec![1];
            push(&mut request, user.name.as_bytes())?;
            push(&mut request, password.as_bytes())?;
            write(&mut stream, &request).await?;
            let [_, status] = read(&mut stream).await?;
            if status != 0 {
                return Err(ConnectError::Socks { reason: "username/password rejected" });
            }
        }
        _ => return Err(ConnectError::Socks { reason: "no acceptable authentication methods" }),
    }
    let mut request = vec![VERSION, CONNECT, 0];
    match endpoint.host.parse() {
        Ok(IpAddr::V4(address)) => {
            request.push(IPV4);
            request.extend_from_slice(&address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            request.push(IPV6);
            request.extend_from_slice(&address.octets());
        }
        Err(_) => {
            request.push(NAME);
            push(&mut request, endpoint.host.as_bytes())?;
        }
    }
    request.extend_from_slice(&endpoint.port.to_be_bytes());
    write(&mut stream, &request).await?;
    let [version, reply, _, kind] = read(&mut stream).await?;
    check_version(version)?;
    if reply != 0 {
        return Err(ConnectError::Socks { reason: reply_text(reply) });
    }
    skip_address(&mut stream, kind).await?;
    Ok(stream)
}

/// Skips the address and port from which the proxy has connected.
async fn skip_address(stream: &mut BoxedStream, kind: u8) -> Result<(), ConnectError> {
    let length = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => {
            let [length] = read(stream).await?;
            usize::from(length)
        }
        _ => return Err(ConnectError::ProxyProtocol { reason: "unknown address type" }),
    };
    let mut skipped = [0; u8::MAX as usize + 2];
    let read = stream.read_exact(&mut skipped[..length + 2]).await;
    read.map(|_| ()).map_err(error)
}

fn check_version(version: u8) -> Result<(), ConnectError> {
    if version == VERSION {
        Ok(())
    } else {
        Err(ConnectError::ProxyProtocol { reason: "not SOCKS5" })
    }
}

/// Adds a text of at most 255 bytes with its length.
fn push(request: &mut Vec<u8>, text: &[u8]) -> Result<(), ConnectError> {
    let reason = "name, user or password longer than 255 bytes";
    let length = u8::try_from(text.len()).map_err(|_| ConnectError::Socks { reason })?;
    request.push(length);
    request.extend_from_slice(text);
    Ok(())
}

async fn write(stream: &mut BoxedStream, bytes: &[u8]) -> Result<(), ConnectError> {
    stream.write_all(bytes).await.map_err(error)?;
    stream.flush().await.map_err(error)
}

async fn read<const N: usize>(stream: &mut BoxedStream) -> Result<[u8; N], ConnectError> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await.map_err(error)?;
    Ok(bytes)
}

fn error(error: io::Error) -> ConnectError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        ConnectError::ProxyProtocol { reason: "EOF" }
    } else {
        ConnectError::ProxyConnection(error)
    }
}

fn reply_text(reply: u8) -> &'static str {
    match reply {
        1 => "general SOCKS server failure",
        2 => "connection not allowed by ruleset",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "TTL expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => "unknown reply",
    }
}
