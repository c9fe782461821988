//! Everything that a web configuration file describes, valid and built.

use crate::config::web;
use crate::config::web::WebConfigFile;
use crate::config::web::contents::{PemSource, WebConfig};
use crate::config::yaml::error::{ConfigProblem, LoadConfigError, Position};
use crate::server::transport::listener::HttpVersions;
use crate::server::transport::tls::context::TlsContext;
use crate::server::transport::tls::error::TlsConfigError;
use std::path::{Path, PathBuf};

/// Path of a web configuration file, and the limits that flags set for it.
#[derive(Debug, Clone)]
pub(crate) struct WebConfigSource {
    pub(crate) path: PathBuf,
    /// Maximum cost of a password hash.
    pub(crate) max_bcrypt_cost: u32,
}

/// Valid web configuration. The default is that of a server without a file.
#[derive(Debug, Clone, Default)]
pub(crate) struct WebSetup {
    pub(crate) config: WebConfig,
    /// TLS of the listener; `None` = plain connections.
    pub(crate) tls: Option<TlsContext>,
    /// Warnings of the parser.
    pub(crate) warnings: Vec<ConfigProblem>,
}

/// Error of a web configuration file or of a file that it names.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebConfigError {
    /// The file cannot be read or is invalid.
    #[error(transparent)]
    File(#[from] LoadConfigError),
    /// A certificate, key or CA cannot be used.
    #[error("{}{problem}", place(path, *position))]
    Tls {
        /// Path of the web configuration file.
        path: PathBuf,
        /// Position of the setting.
        position: Option<Position>,
        /// Setting and reason.
        problem: Box<TlsConfigError>,
    },
    /// The file has a setting that this version of narthex does not apply.
    #[error("{}{setting} is not supported yet", place(path, *position))]
    Unsupported {
        /// Path of the web configuration file.
        path: PathBuf,
        /// Position of the setting.
        position: Option<Position>,
        /// Section, or section and key.
        setting: &'static str,
    },
}

impl WebConfigSource {
    /// Loads the file and the files that it names, and rejects settings that `narthex serve` does
    /// not apply.
    pub(crate) fn load_for_server(
        &self,
        versions: Option<HttpVersions>,
    ) -> Result<WebSetup, WebConfigError> {
        let setup = self.load(versions)?;
        let unsupported = [
            ("basic_auth_users", !setup.config.users.is_empty()),
            ("http_server_config.headers", !setup.config.http.headers.is_empty()),
            ("rate_limit", setup.config.rate_limit.is_some()),
        ];
        let Some((setting, _)) = unsupported.into_iter().find(|(_, is_set)| *is_set) else {
            return Ok(setup);
        };
        let (section, key) = setting.split_once('.').unwrap_or((setting, ""));
        let position = web::position_of(&self.path, section, key);
        Err(WebConfigError::Unsupported { path: self.path.clone(), position, setting })
    }

    /// Loads the file and the files that it names.
    ///
    /// `versions` are the versions of HTTP that TLS connections offer; `None` at the start, when
    /// the file determines them.
    pub(crate) fn load(&self, versions: Option<HttpVersions>) -> Result<WebSetup, WebConfigError> {
        let WebConfigFile { config, warnings } = web::load(&self.path, self.max_bcrypt_cost)?;
        let versions = versions.unwrap_or(match config.http.http2 {
            true => HttpVersions::All,
            false => HttpVersions::Http1,
        });
        let tls = config.tls.as_ref().map(|tls| TlsContext::build(tls, versions)).transpose();
        let tls = tls.map_err(|problem| self.tls_error(problem))?;
        Ok(WebSetup { config, tls, warnings })
    }

    fn tls_error(&self, problem: TlsConfigError) -> WebConfigError {
        let key = match &problem {
            TlsConfigError::Pem { place, .. } => Some(place.key()),
            TlsConfigError::MissingClientCa => Some("client_auth_type"),
            TlsConfigError::Unusable(_) => None,
        };
        // The file was valid a moment ago. If it changed since, the error has no position.
        let position = key.and_then(|key| web::position_of(&self.path, "tls_server_config", key));
        WebConfigError::Tls { path: self.path.clone(), position, problem: Box::new(problem) }
    }

    /// Returns the path of the file and those of the files that it names, certificate, key and CA.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>, WebConfigError> {
        let mut files = vec![self.path.clone()];
        if let Some(tls) = web::load(&self.path, self.max_bcrypt_cost)?.config.tls {
            let sources = [Some(tls.certificate), Some(tls.key), tls.client_ca];
            files.extend(sources.into_iter().flatten().filter_map(|source| match source {
                PemSource::File(path) => Some(path),
                PemSource::Inline(_) => None,
            }));
        }
        Ok(files)
    }
}

/// Returns path and position as they precede the text of an error.
fn place(path: &Path, position: Option<Position>) -> String {
    match position {
        Some(Position { line, column }) => format!("{}:{line}:{column}: ", path.display()),
        None => format!("{}: ", path.display()),
    }
}

impl WebSetup {
    pub(crate) fn log_warnings(&self, path: &Path) {
        for ConfigProblem { position, message } in &self.warnings {
            tracing::warn!("{}{message}", place(path, *position));
        }
    }
}
