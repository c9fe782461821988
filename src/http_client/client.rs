//! HTTP client of a scrape pool or a discovery.

use crate::config::file::http_client::auth::ClientAuth;
use crate::config::file::http_client::settings::HttpClientConfig;
use crate::http_client::build_error::BuildClientError;
use crate::http_client::credentials;
use crate::http_client::error::{RequestError, RequestFailure};
use crate::http_client::files::{FileSet, Files};
use crate::http_client::message::{ClientRequest, ClientResponse};
use crate::http_client::oauth2::source::TokenSource;
use crate::http_client::plain_client::{PlainClient, Provided};
use crate::http_client::proxy::Environment;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use tokio::time::Instant;

/// HTTP client with its connections.
///
/// Files of its settings are read at each request, so that a rotated secret, certificate or CA is
/// used at once; changed TLS files close all kept connections.
pub struct HttpClient {
    auth: Option<Authentication>,
    plain: PlainClient,
    files: FileSet,
}

/// Authentication of the settings.
enum Authentication {
    Fixed(ClientAuth),
    Token(Box<TokenSource>),
}

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpClient").finish_non_exhaustive()
    }
}

impl HttpClient {
    /// Creates a client. `environment` returns the variables that may name proxies.
    ///
    /// # Errors
    /// The settings cannot work, such as a missing CA or an invalid certificate. Files with other
    /// secrets may still be missing: they are read at each request.
    pub fn new(
        config: &HttpClientConfig,
        user_agent: &str,
        environment: Environment<'_>,
    ) -> Result<Self, BuildClientError> {
        let mut files = FileSet::default();
        let plain = PlainClient::new(config, user_agent, environment)?;
        plain.add_files(&mut files);
        let auth = match &config.auth {
            None => None,
            Some(ClientAuth::OAuth2(oauth2)) => {
                let tokens = TokenSource::new(oauth2, user_agent, environment)?;
                tokens.add_files(&mut files);
                Some(Authentication::Token(Box::new(tokens)))
            }
            Some(fixed) => {
                match fixed {
                    ClientAuth::Basic(auth) => {
                        files.add(auth.username.as_ref());
                        files.add(auth.password.as_ref());
                    }
                    ClientAuth::Authorization(auth) => files.add(auth.credentials.as_ref()),
                    ClientAuth::OAuth2(_) => {}
                }
                Some(Authentication::Fixed(fixed.clone()))
            }
        };
        Ok(Self { auth, plain, files })
    }

    /// Sends a request, follows redirects if the settings allow it, and returns the response when
    /// its headers have arrived.
    ///
    /// # Errors
    /// No response before `deadline`. A response with any status is not an error.
    pub async fn send(
        &self,
        request: &ClientRequest,
        deadline: Instant,
    ) -> Result<ClientResponse, RequestError> {
        let provide = async {
            let files = self.files.read().await;
            // Other credentials would not be sent.
            let has_own =
                request.headers.contains_key(AUTHORIZATION) || request.url.user().is_some();
            let authorization =
                if has_own { None } else { self.authorization(&files, deadline).await? };
            Ok((files, authorization))
        };
        let provided = tokio::time::timeout_at(deadline, provide).await;
        let (files, authorization) = provided
            .unwrap_or(Err(RequestFailure::Deadline))
            .map_err(|failure| RequestError::new(&request.method, &request.url, failure))?;
        self.plain.send(request, Provided { files: &files, authorization }, deadline).await
    }

    /// Closes idle connections.
    #[cfg(any(test, feature = "testing"))]
    pub fn close_idle(&self) {
        self.plain.close_idle();
    }

    /// Returns the number of open connections of the current transport.
    #[cfg(test)]
    pub(super) fn connections(&self) -> usize {
        self.plain.connections()
    }

    async fn authorization(
        &self,
        files: &Files,
        deadline: Instant,
    ) -> Result<Option<HeaderValue>, RequestFailure> {
        let value = match &self.auth {
            Some(Authentication::Fixed(ClientAuth::Basic(auth))) => {
                let user = files.plain(auth.username.as_ref())?;
                credentials::basic(user, files.secret(auth.password.as_ref())?)
            }
            Some(Authentication::Fixed(ClientAuth::Authorization(auth))) => {
                let text = files.secret(auth.credentials.as_ref())?;
                credentials::authorization(&auth.scheme, text)?
            }
            Some(Authentication::Token(tokens)) => tokens
                .authorization(files, deadline)
                .await
                .map_err(|error| RequestFailure::Token(Box::new(error)))?,
            Some(Authentication::Fixed(ClientAuth::OAuth2(_))) | None => return Ok(None),
        };
        Ok(Some(value))
    }
}
