//! Client of the server, from flags.

use crate::app::check::server::error::CheckServerError;
use crate::config::file::client_file;
use crate::config::file::http_client::auth::{BasicAuth, ClientAuth};
use crate::config::file::http_client::settings::HttpClientConfig;
use crate::config::file::http_client::source::Source;
use crate::config::file::http_client::tls::ClientIdentity;
use crate::config::flags::check::ServerAccessFlags;
use crate::http_client::USER_AGENT;
use crate::http_client::client::HttpClient;
use crate::http_client::message::{ClientRequest, ClientResponse};
use crate::model::url::Url;
use crate::model::url::syntax::ParseUrlError;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use tokio::time::Instant;

/// Maximum size of a text of the server that is shown, bytes.
const MAX_TEXT_BYTES: usize = 4 << 10;

/// Client of one server.
pub(super) struct ServerClient {
    http: HttpClient,
    base: String,
    deadline: Instant,
}

impl ServerClient {
    /// Creates a client of the server at `url`. Its requests end at `deadline`.
    pub(super) fn new(
        url: &str,
        access: &ServerAccessFlags,
        deadline: Instant,
    ) -> Result<Self, CheckServerError> {
        let config = config(access)?;
        let http = HttpClient::new(&config, USER_AGENT, &|name| std::env::var(name).ok())?;
        Ok(Self { http, base: url.trim_end_matches('/').to_owned(), deadline })
    }

    /// Time until which requests must be done.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Sends a request without a body to a path below the URL of the server.
    pub(super) async fn get(&self, path: &str) -> Result<ClientResponse, CheckServerError> {
        Ok(self.http.send(&ClientRequest::get(self.url(path)?), self.deadline).await?)
    }

    /// Sends a request with a body.
    pub(super) async fn post(
        &self,
        path: &str,
        headers: &[(&'static str, &'static str)],
        body: Vec<u8>,
    ) -> Result<ClientResponse, CheckServerError> {
        let mut request = ClientRequest::get(self.url(path)?);
        request.method = Method::POST;
        request.body = Bytes::from(body);
        for (name, value) in headers {
            let value = HeaderValue::from_static(value);
            request.headers.insert(HeaderName::from_static(name), value);
        }
        Ok(self.http.send(&request, self.deadline).await?)
    }

    /// Returns the URL of a path. That of the server may have a path itself (`--web.route-prefix`).
    fn url(&self, path: &str) -> Result<Url, ParseUrlError> {
        Url::parse(&format!("{}{path}", self.base))
    }
}

/// Returns status and text of a response that is not the expected one.
pub(super) async fn describe_error_response(response: ClientResponse) -> String {
    let status = response.status_text();
    match read_text(response).await.as_str() {
        "" => status,
        text => format!("{status}: {text}"),
    }
}

/// Returns the text of a response without secrets and surrounding space. It is empty if the body
/// cannot be read, because the status says enough.
pub(super) async fn read_text(response: ClientResponse) -> String {
    let ClientResponse { body, secrets, .. } = response;
    let body = body.read_to_end(MAX_TEXT_BYTES).await.unwrap_or_default();
    secrets.hide(&String::from_utf8_lossy(&body)).trim().to_owned()
}

/// Returns the settings of the file, changed by the other flags.
fn config(flags: &ServerAccessFlags) -> Result<HttpClientConfig, CheckServerError> {
    let mut config = match &flags.http_config_file {
        Some(path) => client_file::load(path)?,
        None => HttpClientConfig::default(),
    };
    if let (Some(username), Some(password)) = (&flags.username, &flags.password_file) {
        let (username, password) = (username.clone(), password.clone());
        config.auth = Some(ClientAuth::Basic(BasicAuth {
            username: Some(Source::Inline(username)),
            password: Some(Source::File(password)),
        }));
    }
    if let Some(path) = &flags.ca_file {
        config.tls.ca = Some(Source::File(path.clone()));
    }
    if let (Some(certificate), Some(key)) = (&flags.cert_file, &flags.key_file) {
        config.tls.identity = Some(ClientIdentity {
            certificate: Source::File(certificate.clone()),
            key: Source::File(key.clone()),
        });
    }
    if let Some(name) = &flags.server_name {
        config.tls.server_name = Some(name.clone());
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::ServerClient;
    use crate::config::flags::check::ServerAccessFlags;
    use tokio::time::Instant;

    fn client(url: &str) -> ServerClient {
        ServerClient::new(url, &ServerAccessFlags::default(), Instant::now()).expect("a client")
    }

    #[test]
    fn paths_are_below_the_url_of_the_server() {
        for (server, expected) in [
            ("http://localhost:9201", "http://localhost:9201/-/ready"),
            ("http://localhost:9201/", "http://localhost:9201/-/ready"),
            ("https://[::1]:1/narthex/", "https://[::1]:1/narthex/-/ready"),
        ] {
            assert_eq!(client(server).url("/-/ready").expect("a URL").to_string(), expected);
        }
        assert!(client("localhost").url("/-/ready").is_err());
    }
}
