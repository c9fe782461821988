//! Tests of the client with servers in this process.
//!
//! | module | contents |
//! |---|---|
//! | `connections` | kept, closed and repeated connections, HTTP/2 |
//! | `errors` | texts of errors, deadlines, secrets |
//! | `proxies` | HTTP and SOCKS5 proxies |
//! | `redirects` | redirects |
//! | `requests` | headers, credentials, unix sockets |
//! | `server` | scripted server |
//! | `tls` | certificates, CAs, rotated files |
//! | `tokens` | OAuth2 |

mod connections;
mod errors;
mod proxies;
mod redirects;
mod requests;
mod server;
mod tls;
mod tokens;

use crate::config::file::http_client::settings::HttpClientConfig;
use crate::http_client::client::HttpClient;
use crate::http_client::error::RequestError;
use crate::http_client::message::{ClientRequest, ClientResponse};
use crate::model::url::Url;
use std::time::Duration;
use tokio::time::Instant;

/// Timeout of a hanging test.
const PATIENCE: Duration = Duration::from_secs(60);

fn client(config: &HttpClientConfig) -> HttpClient {
    HttpClient::new(config, "narthex/test", &|_| None).expect("a valid client")
}

fn url(text: &str) -> Url {
    Url::parse(text).expect("a URL")
}

async fn get(client: &HttpClient, text: &str) -> Result<ClientResponse, RequestError> {
    client.send(&ClientRequest::get(url(text)), Instant::now() + PATIENCE).await
}

/// Returns status and body of a response, or the error.
async fn fetch(client: &HttpClient, text: &str) -> String {
    match get(client, text).await {
        Err(error) => error.to_string(),
        Ok(response) => {
            let status = response.status.as_u16();
            match response.body.read_to_end(1 << 20).await {
                Ok(body) => format!("{status} {}", String::from_utf8_lossy(&body)),
                Err(error) => format!("{status} {error}"),
            }
        }
    }
}
