//! Everything that a web configuration file describes, valid and built.

use crate::app::web_config::grpc;
use crate::app::web_config::grpc::GrpcConfigError;
use crate::app::web_config::reload_check::ReloadProblem;
use crate::config::flags::grpc::GrpcFlags;
use crate::config::web;
use crate::config::web::WebConfigFile;
use crate::config::web::contents::{PemSource, WebConfig};
use crate::config::yaml::error::{ConfigProblem, LoadConfigError, Position};
use crate::server::transport::listener::HttpVersions;
use crate::server::transport::tls::context::TlsContext;
use crate::server::transport::tls::error::TlsConfigError;
use std::path::{Path, PathBuf};

/// Path of a web configuration file, and the flags that apply to it.
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
    /// Whether the file has the section `basic_auth_users`, even without users.
    pub(crate) has_users_section: bool,
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
    #[error("{}{problem}", location(path, *position))]
    Tls {
        /// Path of the web configuration file.
        path: PathBuf,
        /// Position of the setting.
        position: Option<Position>,
        /// Setting and reason.
        problem: Box<TlsConfigError>,
    },
    /// The file contradicts a flag of gRPC.
    #[error("{location}{problem}")]
    Grpc {
        /// Path and position of the setting; empty without a file.
        location: String,
        /// Setting, flag and reason.
        problem: GrpcConfigError,
    },
    /// The file is valid, but would change what only a restart or an explicit setting may change.
    #[error("{}{problem}", location(path, *position))]
    Reload {
        /// Path of the web configuration file.
        path: PathBuf,
        /// Position of the section, if the file has it.
        position: Option<Position>,
        /// Section and reason.
        problem: ReloadProblem,
    },
}

impl WebConfigSource {
    /// Loads the file and the files that it names, and checks that gRPC can work with it.
    ///
    /// `versions` are as in [`Self::load`].
    pub(crate) fn load_for_server(
        &self,
        versions: Option<HttpVersions>,
        flags: &GrpcFlags,
    ) -> Result<WebSetup, WebConfigError> {
        let setup = self.load(versions)?;
        grpc::check(&setup.config, flags).map_err(|problem| {
            let (section, key) = problem.key();
            let position = web::position_of(&self.path, section, key);
            WebConfigError::Grpc { location: location(&self.path, position), problem }
        })?;
        Ok(setup)
    }

    /// Loads the file and the files that it names.
    ///
    /// `versions` are the versions of HTTP that TLS connections offer; `None` at the start, when
    /// the file determines them.
    pub(crate) fn load(&self, versions: Option<HttpVersions>) -> Result<WebSetup, WebConfigError> {
        let WebConfigFile { config, has_users_section, warnings } =
            web::load(&self.path, self.max_bcrypt_cost)?;
        let versions = versions.unwrap_or(match config.http.http2 {
            true => HttpVersions::All,
            false => HttpVersions::Http1,
        });
        let tls = config.tls.as_ref().map(|tls| TlsContext::build(tls, versions)).transpose();
        let tls = tls.map_err(|problem| self.tls_error(problem))?;
        Ok(WebSetup { config, tls, has_users_section, warnings })
    }

    fn tls_error(&self, problem: TlsConfigError) -> WebConfigError {
        let key = match &problem {
            TlsConfigError::Pem { location, .. } => Some(location.key()),
            TlsConfigError::MissingClientCa => Some("client_auth_type"),
            TlsConfigError::Unusable(_) => None,
        };
        // The file was valid a moment ago. If it changed since, the error has no position.
        let position = key.and_then(|key| web::position_of(&self.path, "tls_server_config", key));
        WebConfigError::Tls { path: self.path.clone(), position, problem: Box::new(problem) }
    }

    pub(super) fn reload_error(&self, problem: ReloadProblem) -> WebConfigError {
        let position = web::position_of(&self.path, problem.section(), "");
        WebConfigError::Reload { path: self.path.clone(), position, problem }
    }

    /// Reads the file and returns its path and those of the files that it names.
    pub(super) fn read_files(&self) -> Result<Vec<PathBuf>, WebConfigError> {
        Ok(self.files(&web::load(&self.path, self.max_bcrypt_cost)?.config))
    }

    /// Returns the path of the file and those of the files that a configuration names: certificate,
    /// key and CA.
    pub(super) fn files(&self, config: &WebConfig) -> Vec<PathBuf> {
        let mut files = vec![self.path.clone()];
        if let Some(tls) = &config.tls {
            let sources = [Some(&tls.certificate), Some(&tls.key), tls.client_ca.as_ref()];
            files.extend(sources.into_iter().flatten().filter_map(|source| match source {
                PemSource::File(path) => Some(path.clone()),
                PemSource::Inline(_) => None,
            }));
        }
        files
    }
}

/// Returns path and position as they precede the text of an error.
fn location(path: &Path, position: Option<Position>) -> String {
    match position {
        Some(Position { line, column }) => format!("{}:{line}:{column}: ", path.display()),
        None => format!("{}: ", path.display()),
    }
}

impl WebSetup {
    pub(crate) fn log_warnings(&self, path: &Path) {
        for ConfigProblem { position, message } in &self.warnings {
            tracing::warn!("{}{message}", location(path, *position));
        }
    }
}
