//! Lookup of a name: search domains, servers, UDP and TCP.
//!
//! # Outcome
//! - A server knows the name: its records, perhaps none.
//! - All names with search domains do not exist (NXDOMAIN): no records.
//! - No server has a usable answer for one of the names, and no other name has records: an error,
//!   because the records are unknown.

use crate::discovery::kinds::dns::message::{
    MessageError, Query, Record, Response, ResponseCode, UDP_SIZE,
};
use crate::discovery::kinds::dns::resolv_conf::ResolvConf;
use domain::base::iana::{OptRcode, Rtype};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// Maximum time of one exchange with a server.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Lookups with the resolver configuration of the system.
#[derive(Debug, Clone)]
pub(super) struct Resolver {
    pub(super) resolv_conf: PathBuf,
    /// Port of the servers.
    pub(super) port: u16,
}

/// Error of a lookup.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookupError {
    /// The configuration of the resolver cannot be read.
    #[error("cannot read {path}: {source}")]
    ResolvConf { path: PathBuf, source: io::Error },
    /// No server has a usable answer for one of the names.
    #[error("cannot resolve {name:?}: no usable answer for at least one search domain")]
    NoAnswer { name: String },
}

/// Error of an exchange with one server.
#[derive(Debug, thiserror::Error)]
enum ExchangeError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error("no response in 2s")]
    Timeout,
    #[error("truncated response over TCP")]
    TruncatedTcp,
    #[error("response code {0}")]
    Code(OptRcode),
    #[error("no random number")]
    NoRandom,
}

impl Resolver {
    /// Returns the records of a name.
    pub(super) async fn lookup(&self, name: &str, kind: Rtype) -> Result<Vec<Record>, LookupError> {
        let path = &self.resolv_conf;
        let conf = ResolvConf::load(path)
            .map_err(|source| LookupError::ResolvConf { path: path.clone(), source })?;
        let mut is_unknown = false;
        for candidate in conf.candidates(name) {
            match self.ask_servers(&conf.servers, &candidate, kind).await {
                Some(Response { code: ResponseCode::Success, records, ignored, .. }) => {
                    if ignored > 0 {
                        tracing::warn!(name, ignored, "ignored DNS records of other types");
                    }
                    return Ok(records);
                }
                Some(_) => {}
                None => is_unknown = true,
            }
        }
        if is_unknown {
            return Err(LookupError::NoAnswer { name: name.to_owned() });
        }
        Ok(Vec::new())
    }

    /// Returns the first response that says whether the name exists.
    async fn ask_servers(&self, servers: &[IpAddr], name: &str, kind: Rtype) -> Option<Response> {
        for ip in servers {
            let server = SocketAddr::new(*ip, self.port);
            match ask(server, name, kind).await {
                Ok(response) => return Some(response),
                Err(error) => {
                    tracing::warn!(%error, %server, name, "cannot resolve name with DNS server");
                }
            }
        }
        None
    }
}

/// Asks one server over UDP, and over TCP if the response is truncated.
async fn ask(server: SocketAddr, name: &str, kind: Rtype) -> Result<Response, ExchangeError> {
    let mut id = [0; 2];
    getrandom::fill(&mut id).map_err(|_| ExchangeError::NoRandom)?;
    let query = Query::new(u16::from_be_bytes(id), name, kind)?;
    let mut response = in_time(over_udp(server, &query)).await?;
    if response.is_truncated {
        response = in_time(over_tcp(server, &query)).await?;
        if response.is_truncated {
            return Err(ExchangeError::TruncatedTcp);
        }
    }
    match response.code {
        ResponseCode::Failure(code) => Err(ExchangeError::Code(code)),
        ResponseCode::Success | ResponseCode::NameError => Ok(response),
    }
}

async fn in_time(
    exchange: impl Future<Output = Result<Response, ExchangeError>>,
) -> Result<Response, ExchangeError> {
    timeout(TIMEOUT, exchange).await.unwrap_or(Err(ExchangeError::Timeout))
}

async fn over_udp(server: SocketAddr, query: &Query) -> Result<Response, ExchangeError> {
    let local: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((local, 0)).await?;
    // The system then discards packets of other senders.
    socket.connect(server).await?;
    socket.send(&query.encode(true)?).await?;
    let mut buffer = vec![0; usize::from(UDP_SIZE)];
    loop {
        let len = socket.recv(&mut buffer).await?;
        match query.parse(&buffer[..len]) {
            // It may be forged; the true one may follow.
            Err(MessageError::Foreign) => {}
            parsed => return Ok(parsed?),
        }
    }
}

async fn over_tcp(server: SocketAddr, query: &Query) -> Result<Response, ExchangeError> {
    let mut stream = TcpStream::connect(server).await?;
    let message = query.encode(false)?;
    let mut framed = (message.len() as u16).to_be_bytes().to_vec();
    framed.extend_from_slice(&message);
    stream.write_all(&framed).await?;
    let len = stream.read_u16().await?;
    let mut response = vec![0; usize::from(len)];
    stream.read_exact(&mut response).await?;
    Ok(query.parse(&response)?)
}
