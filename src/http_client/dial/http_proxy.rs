//! Tunnels through HTTP proxies: `CONNECT` requests.

use crate::http_client::dial::error::ConnectError;
use crate::http_client::dial::route::Endpoint;
use crate::http_client::dial::stream::BoxedStream;
use crate::http_client::proxy::ProxyServer;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Maximum size of the head of a response, bytes.
const MAX_HEAD: usize = 64 << 10;
/// Maximum length of a reason that is shown, characters.
const MAX_REASON: usize = 100;

/// Opens a tunnel to a server.
pub(super) async fn open(
    mut stream: BoxedStream,
    proxy: &ProxyServer,
    endpoint: &Endpoint,
) -> Result<BoxedStream, ConnectError> {
    let request = request(proxy, endpoint);
    stream.write_all(&request).await.map_err(ConnectError::ProxyConnection)?;
    stream.flush().await.map_err(ConnectError::ProxyConnection)?;
    let head = read_head(&mut stream).await?;
    let (code, status) = status(&head)?;
    if code == 200 { Ok(stream) } else { Err(ConnectError::Refused { status }) }
}

fn request(proxy: &ProxyServer, endpoint: &Endpoint) -> Vec<u8> {
    let address = endpoint.address();
    let mut request = format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n").into_bytes();
    let mut add = |name: &[u8], value: &[u8]| {
        for part in [name, b": ", value, b"\r\n"] {
            request.extend_from_slice(part);
        }
    };
    let configured = |name| proxy.connect_headers.contains_key(name);
    if !configured("user-agent") {
        add(b"User-Agent", b"narthex");
    }
    if let Some(value) = proxy.authorization.as_ref().filter(|_| !configured("proxy-authorization"))
    {
        add(b"Proxy-Authorization", value.as_bytes());
    }
    for (name, value) in &proxy.connect_headers {
        add(name.as_str().as_bytes(), value.as_bytes());
    }
    request.extend_from_slice(b"\r\n");
    request
}

/// Reads up to the empty line. It reads single bytes, because what follows belongs to the server.
async fn read_head(stream: &mut BoxedStream) -> Result<Vec<u8>, ConnectError> {
    let mut head = Vec::with_capacity(256);
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        if head.len() == MAX_HEAD {
            return Err(ConnectError::ProxyProtocol { reason: "head larger than 64 KiB" });
        }
        let byte = stream.read_u8().await.map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                ConnectError::ProxyProtocol { reason: "EOF" }
            } else {
                ConnectError::ProxyConnection(error)
            }
        })?;
        head.push(byte);
    }
    Ok(head)
}

/// Returns the status code, and code and reason as one text.
fn status(head: &[u8]) -> Result<(u16, String), ConnectError> {
    let malformed = ConnectError::ProxyProtocol { reason: "malformed status line" };
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let Some(rest) = line.trim_end().strip_prefix("HTTP/1.") else { return Err(malformed) };
    let Some((_, status)) = rest.split_once(' ') else { return Err(malformed) };
    let code = status.split(' ').next().unwrap_or_default();
    match code.parse() {
        Ok(number) if code.len() == 3 => {
            let shown = status.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect();
            Ok((number, shown))
        }
        _ => Err(malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::status;

    #[test]
    fn status_lines() {
        for (head, expected) in [
            (
                "HTTP/1.1 200 Connection established\r\n\r\n",
                Some((200, "200 Connection established")),
            ),
            (
                "HTTP/1.0 407 Proxy Authentication Required\r\nA: b\r\n\r\n",
                Some((407, "407 Proxy Authentication Required")),
            ),
            ("HTTP/1.1 200\r\n\r\n", Some((200, "200"))),
            ("HTTP/1.1 20 OK\r\n\r\n", None),
            ("HTTP/1.1 abc\r\n\r\n", None),
            ("HTTP/2 200 OK\r\n\r\n", None),
            ("SSH-2.0\n\n", None),
            ("", None),
        ] {
            let expected = expected.map(|(code, text)| (code, text.to_owned()));
            assert_eq!(status(head.as_bytes()).ok(), expected, "{head:?}");
        }
    }
}
