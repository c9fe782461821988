//! Exchanges over the network, with the HTTP client of a job.

use crate::http_client::client::HttpClient;
use crate::http_client::message::{ClientRequest, ResponseBody};
use crate::model::url::Url;
use crate::scrape::request::fetch::{
    Exchange, ExchangeError, ExchangeFuture, NextPiece, ScrapeRequest, TargetBody, TargetResponse,
};
use http::header::{ACCEPT, ACCEPT_ENCODING};
use http::{HeaderName, HeaderValue};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::time::Instant;

/// Header that tells a target how long its scraper waits, seconds.
const TIMEOUT_HEADER: HeaderName = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");

/// Exchange that uses the HTTP client of a job. Loops of the job share its connections.
#[derive(Clone, Debug)]
pub struct ClientExchange {
    client: Arc<HttpClient>,
}

impl ClientExchange {
    /// Creates the exchange of a job.
    #[must_use]
    pub fn new(client: Arc<HttpClient>) -> Self {
        Self { client }
    }
}

impl Exchange for ClientExchange {
    fn send(&self, request: ScrapeRequest) -> ExchangeFuture {
        let client = Arc::clone(&self.client);
        Box::pin(async move {
            let deadline = Instant::now() + request.timeout;
            let response = client.send(&client_request(&request)?, deadline).await?;
            Ok(TargetResponse {
                status: response.status.as_u16(),
                reason: response.reason,
                headers: response.headers,
                body: Box::new(ClientBody(response.body)),
            })
        })
    }
}

struct ClientBody(ResponseBody);

impl TargetBody for ClientBody {
    fn next(&mut self) -> NextPiece<'_> {
        Box::pin(async { Ok(self.0.next().await?) })
    }
}

fn client_request(request: &ScrapeRequest) -> Result<ClientRequest, ExchangeError> {
    let mut sent = ClientRequest::get(Url::parse(&request.url)?);
    let headers = [
        (ACCEPT, HeaderValue::from_str(&request.accept)?),
        (ACCEPT_ENCODING, HeaderValue::from_static(request.accept_encoding)),
        (TIMEOUT_HEADER, HeaderValue::from_str(&request.timeout_header())?),
    ];
    sent.headers.extend(headers);
    sent.unix_socket = request.unix_socket.as_deref().map(PathBuf::from);
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use super::client_request;
    use crate::scrape::request::fetch::ScrapeRequest;
    use std::path::Path;
    use std::time::Duration;

    fn request() -> ScrapeRequest {
        ScrapeRequest {
            url: "http://[::1]:9100/metrics?a=1".into(),
            unix_socket: None,
            accept: "text/plain;q=0.5,*/*;q=0.4".into(),
            accept_encoding: "gzip",
            timeout: Duration::from_millis(1500),
        }
    }

    #[test]
    fn request_has_the_headers_of_prometheus() {
        let sent = client_request(&request()).unwrap();
        let header = |name: &str| sent.headers.get(name).unwrap().to_str().unwrap();
        assert_eq!(header("Accept"), "text/plain;q=0.5,*/*;q=0.4");
        assert_eq!(header("Accept-Encoding"), "gzip");
        assert_eq!(header("X-Prometheus-Scrape-Timeout-Seconds"), "1.5");
        assert_eq!((sent.headers.len(), sent.unix_socket), (3, None));
        assert_eq!(sent.url.path_and_query(), "/metrics?a=1");
    }

    #[test]
    fn unix_socket_replaces_the_host() {
        let request = ScrapeRequest { unix_socket: Some("/run/a.sock".into()), ..request() };
        let sent = client_request(&request).unwrap();
        assert_eq!(sent.unix_socket.as_deref(), Some(Path::new("/run/a.sock")));
    }

    #[test]
    fn url_without_host_is_an_error() {
        let request = ScrapeRequest { url: "http://".into(), ..request() };
        assert!(client_request(&request).is_err());
    }
}
