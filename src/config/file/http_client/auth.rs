//! Basic authentication and the header `Authorization`.

use crate::config::file::http_client::oauth2::OAuth2Config;
use crate::config::file::http_client::source::Source;
use crate::model::secret::Secret;

/// Kind of authentication.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientAuth {
    /// `basic_auth`.
    Basic(BasicAuth),
    /// `authorization`, or the older `bearer_token` and `bearer_token_file`.
    Authorization(Authorization),
    /// `oauth2`.
    OAuth2(Box<OAuth2Config>),
}

/// Section `basic_auth`. A missing part is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BasicAuth {
    /// `username` or `username_file`.
    pub username: Option<Source<String>>,
    /// `password` or `password_file`.
    pub password: Option<Source<Secret>>,
}

/// Section `authorization`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// Scheme, such as `Bearer`. Neither empty nor `Basic`.
    pub scheme: String,
    /// `credentials` or `credentials_file`; `None` is empty.
    pub credentials: Option<Source<Secret>>,
}
