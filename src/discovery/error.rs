//! Errors of discovery.

use crate::http_client::build_error::BuildClientError;
use crate::model::url::syntax::ParseUrlError;
use std::io;
use std::path::PathBuf;

/// Error of creating a provider: the configuration that contains it is invalid.
#[derive(Debug, thiserror::Error)]
#[error("cannot create {mechanism} discovery of job {job:?}: {source}")]
pub struct CreateProviderError {
    /// Name of the mechanism.
    pub mechanism: &'static str,
    /// First job that uses the provider.
    pub job: String,
    /// Cause.
    pub source: ProviderFailure,
}

/// Cause of [`CreateProviderError`].
#[derive(Debug, thiserror::Error)]
pub enum ProviderFailure {
    /// The HTTP client cannot be built.
    #[error(transparent)]
    Client(Box<BuildClientError>),
    /// No access to the API server of Kubernetes.
    #[error(transparent)]
    Cluster(ClusterAccessError),
}

/// Error of the access to an API server of Kubernetes. No text contains a secret.
#[derive(Debug, thiserror::Error)]
pub enum ClusterAccessError {
    /// The process is not in a pod.
    #[error(
        "not in a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set; set \
         api_server or kubeconfig_file"
    )]
    NotInCluster,
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// Error of reading it.
        source: io::Error,
    },
    /// The file is not YAML, or its keys have other types.
    #[error("kubeconfig file {}, line {line}: not a kubeconfig file", path.display())]
    Syntax {
        /// Path of the file.
        path: PathBuf,
        /// Line of the mistake, from 1; 0 if unknown.
        line: u64,
    },
    /// A key or a text is missing.
    #[error("file {} has no {what}", path.display())]
    Missing {
        /// Path of the file.
        path: PathBuf,
        /// Name of the key.
        what: &'static str,
    },
    /// A name refers to nothing.
    #[error("kubeconfig file {} has no {what} {name:?}", path.display())]
    Unknown {
        /// Path of the file.
        path: PathBuf,
        /// Kind of the entry.
        what: &'static str,
        /// Name of the entry.
        name: String,
    },
    /// narthex does not support a key.
    #[error("kubeconfig file {}: {what} is not supported; use a token file", path.display())]
    Unsupported {
        /// Path of the file.
        path: PathBuf,
        /// Name of the key.
        what: &'static str,
    },
    /// Only one kind of credentials can be sent.
    #[error("kubeconfig file {}: user has both a token and a password", path.display())]
    TwoCredentials {
        /// Path of the file.
        path: PathBuf,
    },
    /// The value of a key is not Base64, or not text.
    #[error("kubeconfig file {}: {what} is not text in Base64", path.display())]
    Base64 {
        /// Path of the file.
        path: PathBuf,
        /// Name of the key.
        what: &'static str,
    },
    /// The address of the server is invalid.
    #[error("invalid address of API server or proxy: {source}")]
    Url {
        /// Error of the URL.
        source: ParseUrlError,
    },
}
