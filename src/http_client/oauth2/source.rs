//! Source of OAuth2 tokens: requests one, and keeps it until it expires or the secret changes.

use crate::config::file::http_client::oauth2::{JWT_BEARER, OAuth2Config, OAuth2Grant};
use crate::config::file::http_client::settings::HttpClientConfig;
use crate::config::file::http_client::source::Source;
use crate::http_client::build_error::BuildClientError;
use crate::http_client::credentials;
use crate::http_client::error::TokenError;
use crate::http_client::files::{FileSet, Files};
use crate::http_client::jwt::{self, Claims, KeyError};
use crate::http_client::message::{ClientRequest, ClientResponse};
use crate::http_client::oauth2::response;
use crate::http_client::plain_client::{PlainClient, Provided};
use crate::http_client::proxy::Environment;
use crate::model::secret::Secret;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Time before its end from which a token is not used.
const EXPIRY_MARGIN: Duration = Duration::from_secs(10);
/// Maximum size of a response, bytes.
const MAX_RESPONSE: usize = 1 << 20;

/// Source of tokens.
pub(in crate::http_client) struct TokenSource {
    config: OAuth2Config,
    client: PlainClient,
    files: FileSet,
    /// Held while a token is requested, so that others wait for it.
    cached: Mutex<Cached>,
}

#[derive(Default)]
struct Cached {
    /// Secret or key for which the token was issued.
    secret: Secret,
    token: Option<CachedToken>,
    /// Part of a request in which the endpoint accepts the credentials; `None` if unknown.
    style: Option<CredentialStyle>,
}

struct CachedToken {
    value: HeaderValue,
    /// `None` if it does not expire.
    end: Option<Instant>,
}

/// Place of client identifier and secret in a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CredentialStyle {
    Header,
    Parameters,
}

impl TokenSource {
    /// Creates a source without a token.
    pub(in crate::http_client) fn new(
        config: &OAuth2Config,
        user_agent: &str,
        environment: Environment<'_>,
    ) -> Result<Self, BuildClientError> {
        match &config.grant {
            OAuth2Grant::JwtBearer(jwt) => match &jwt.key {
                None => return Err(BuildClientError::Key(KeyError::NoKey)),
                Some(Source::Inline(key)) => {
                    jwt::check_key(key.expose()).map_err(BuildClientError::Key)?;
                }
                Some(Source::File(_)) => {}
            },
            OAuth2Grant::ClientCredentials(_) => {}
        }
        let settings = HttpClientConfig {
            tls: config.tls.clone(),
            proxy: config.proxy.clone(),
            enable_http2: false,
            ..HttpClientConfig::default()
        };
        let client =
            PlainClient::new(&settings, user_agent, environment).map_err(|error| match error {
                BuildClientError::Tls(error) => BuildClientError::TokenTls(error),
                other => other,
            })?;
        let mut files = FileSet::default();
        client.add_files(&mut files);
        Ok(Self { config: config.clone(), client, files, cached: Mutex::default() })
    }

    /// Adds the file with the secret.
    pub(in crate::http_client) fn add_files(&self, set: &mut FileSet) {
        set.add(self.secret_source());
    }

    fn secret_source(&self) -> Option<&Source<Secret>> {
        match &self.config.grant {
            OAuth2Grant::ClientCredentials(secret) => secret.as_ref(),
            OAuth2Grant::JwtBearer(jwt) => jwt.key.as_ref(),
        }
    }

    /// Returns a value of `Authorization` with a valid token.
    pub(in crate::http_client) async fn authorization(
        &self,
        files: &Files,
        deadline: Instant,
    ) -> Result<HeaderValue, TokenError> {
        let secret = files.secret(self.secret_source())?;
        let mut cached = self.cached.lock().await;
        if cached.secret.expose() != secret {
            *cached = Cached { secret: Secret::new(secret), ..Cached::default() };
        }
        if let Some(token) = cached.token.as_ref().filter(|token| token.is_valid()) {
            return Ok(token.value.clone());
        }
        cached.token = None;
        let response = self.request(&mut cached.style, secret, deadline).await?;
        let begin = Instant::now();
        let kind = response.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let kind = String::from_utf8_lossy(kind.unwrap_or_default()).into_owned();
        let body = response.body.read_to_end(MAX_RESPONSE).await?;
        let token = response::token(&kind, &body)?;
        let value = credentials::authorization(&token.scheme, token.text.expose())?;
        let end = token.lifetime.and_then(|lifetime| begin.checked_add(lifetime));
        cached.token = Some(CachedToken { value: value.clone(), end });
        Ok(value)
    }

    /// Requests a token, and returns a successful response.
    async fn request(
        &self,
        style: &mut Option<CredentialStyle>,
        secret: &str,
        deadline: Instant,
    ) -> Result<ClientResponse, TokenError> {
        let jwt = match &self.config.grant {
            OAuth2Grant::JwtBearer(jwt) => jwt,
            OAuth2Grant::ClientCredentials(_) => {
                return self.request_with_secret(style, secret, deadline).await;
            }
        };
        let scope = self.config.scopes.join(" ");
        let token_url = self.config.token_url.without_user().to_string();
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let claims = Claims {
            client_id: &self.config.client_id,
            token_url: &token_url,
            scope: &scope,
            now: since_epoch.as_secs(),
        };
        let mut parameters = self.parameters(JWT_BEARER);
        parameters.insert("assertion", jwt::assertion(jwt, secret, &claims)?);
        self.post(parameters, None, deadline).await
    }

    /// Sends the credentials in the header; if the endpoint refuses that, as parameters.
    async fn request_with_secret(
        &self,
        style: &mut Option<CredentialStyle>,
        secret: &str,
        deadline: Instant,
    ) -> Result<ClientResponse, TokenError> {
        let first = style.unwrap_or(CredentialStyle::Header);
        let result = self.post_secret(first, secret, deadline).await;
        let is_refused = matches!(result, Err(TokenError::Refused { .. }));
        if style.is_none() && is_refused {
            let second = self.post_secret(CredentialStyle::Parameters, secret, deadline).await?;
            *style = Some(CredentialStyle::Parameters);
            return Ok(second);
        }
        if result.is_ok() {
            *style = Some(first);
        }
        result
    }

    async fn post_secret(
        &self,
        style: CredentialStyle,
        secret: &str,
        deadline: Instant,
    ) -> Result<ClientResponse, TokenError> {
        let mut parameters = self.parameters("client_credentials");
        let client_id = &self.config.client_id;
        let authorization = match style {
            CredentialStyle::Header => {
                let escape = |text: &str| {
                    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>()
                };
                Some(credentials::basic(&escape(client_id), &escape(secret)))
            }
            CredentialStyle::Parameters => {
                parameters.insert("client_id", client_id.clone());
                if !secret.is_empty() {
                    parameters.insert("client_secret", secret.to_owned());
                }
                None
            }
        };
        self.post(parameters, authorization, deadline).await
    }

    fn parameters(&self, grant_type: &str) -> BTreeMap<&str, String> {
        let mut parameters = BTreeMap::from([("grant_type", grant_type.to_owned())]);
        if !self.config.scopes.is_empty() {
            parameters.insert("scope", self.config.scopes.join(" "));
        }
        for (name, value) in &self.config.endpoint_params {
            parameters.insert(name, value.clone());
        }
        parameters
    }

    async fn post(
        &self,
        parameters: BTreeMap<&str, String>,
        authorization: Option<HeaderValue>,
        deadline: Instant,
    ) -> Result<ClientResponse, TokenError> {
        let body =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        let mut request = ClientRequest::get(self.config.token_url.clone());
        request.method = Method::POST;
        request.body = body.into();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers.insert(CONTENT_TYPE, form);
        if let Some(value) = authorization {
            request.headers.insert(AUTHORIZATION, value);
        }
        let files = self.files.read().await;
        let provided = Provided { files: &files, authorization: None };
        let response = self.client.send(&request, provided, deadline).await?;
        if response.status.is_success() {
            return Ok(response);
        }
        let status = response.status_text();
        let body = response.body.read_to_end(MAX_RESPONSE).await.unwrap_or_default();
        Err(TokenError::Refused { status, error_code: response::error_code(&body) })
    }
}

impl CachedToken {
    fn is_valid(&self) -> bool {
        self.end.is_none_or(|end| Instant::now() + EXPIRY_MARGIN < end)
    }
}
