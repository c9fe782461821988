//! Listening sockets.
//!
//! | address | listens on |
//! |---|---|
//! | `:9201` | every IPv4 and IPv6 address; IPv4 only if the machine has no IPv6 |
//! | `[::]:9201` | every IPv4 and IPv6 address; an error without IPv6 |
//! | `0.0.0.0:9201` | every IPv4 address |
//! | any other | the first address of the host that can be bound |
//!
//! Both families share one socket. IPV6_V6ONLY is cleared explicitly, because its default is a
//! setting of the machine (`net.ipv6.bindv6only`).

use crate::app::error::ServeError;
use crate::config::address::ListenAddress;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::TcpListener;

/// Maximum number of connections that wait for accept. The kernel limit is `net.core.somaxconn`.
const BACKLOG: i32 = 1024;

/// Binds every address of a flag, which the error names.
pub(crate) async fn bind_all(
    flag: &'static str,
    addresses: &[ListenAddress],
) -> Result<Vec<TcpListener>, ServeError> {
    let mut listeners = Vec::new();
    for address in addresses {
        let listener = bind(address).await;
        listeners.push(listener.map_err(|source| ServeError::Bind {
            flag,
            address: address.to_string(),
            source,
        })?);
    }
    Ok(listeners)
}

/// Binds an address.
///
/// # Errors
/// The error of the system; for `:PORT`, if neither family can be bound.
async fn bind(address: &ListenAddress) -> io::Result<TcpListener> {
    match address.host.as_str() {
        "" => bind_every_address(address.port, bind_both_families),
        "::" => bind_both_families(address.port),
        host => TcpListener::bind((host, address.port)).await,
    }
}

/// Binds both families with `both`, or IPv4 only if the machine has no IPv6.
///
/// A port in use remains an error: with a socket of one family, another process could serve the
/// other family unnoticed.
fn bind_every_address(
    port: u16,
    both: fn(u16) -> io::Result<TcpListener>,
) -> io::Result<TcpListener> {
    match both(port) {
        Err(error)
            if !matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied) =>
        {
            listen(Domain::IPV4, (Ipv4Addr::UNSPECIFIED, port).into())
        }
        bound => bound,
    }
}

fn bind_both_families(port: u16) -> io::Result<TcpListener> {
    listen(Domain::IPV6, (Ipv6Addr::UNSPECIFIED, port).into())
}

fn listen(domain: Domain, address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(false)?;
    }
    // Allows a restart while connections of the previous run are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::{bind, bind_both_families, bind_every_address, listen};
    use socket2::{Domain, SockRef};
    use std::io;
    use std::net::{Ipv4Addr, Ipv6Addr};
    use tokio::net::{TcpListener, TcpStream};

    fn has_ipv6() -> bool {
        std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
    }

    async fn bound(address: &str) -> TcpListener {
        bind(&address.parse().unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn port_alone_listens_on_both_families() {
        let socket = bound(":0").await;
        let port = socket.local_addr().unwrap().port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        if has_ipv6() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await.unwrap();
            // Independent of the setting of the machine.
            assert!(!SockRef::from(&socket).only_v6().unwrap());
        }
    }

    #[tokio::test]
    async fn port_alone_listens_on_ipv4_without_ipv6() {
        let no_ipv6 = |_| Err(io::Error::from_raw_os_error(97));
        let socket = bind_every_address(0, no_ipv6).unwrap();
        assert!(socket.local_addr().unwrap().ip() == Ipv4Addr::UNSPECIFIED);
        TcpStream::connect((Ipv4Addr::LOCALHOST, socket.local_addr().unwrap().port()))
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn explicit_ipv4_address_stays_ipv4_only() {
        let socket = bound("0.0.0.0:0").await;
        let port = socket.local_addr().unwrap().port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        assert!(TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await.is_err());
    }

    #[tokio::test]
    async fn port_in_use_on_either_family_is_an_error() {
        let occupied = listen(Domain::IPV4, (Ipv4Addr::UNSPECIFIED, 0).into()).unwrap();
        let port = occupied.local_addr().unwrap().port();
        let error = bind_every_address(port, bind_both_families).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
