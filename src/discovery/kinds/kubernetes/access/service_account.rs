//! Access of a pod to the API server of its cluster.

use crate::config::file::http_client::auth::{Authorization, ClientAuth};
use crate::config::file::http_client::proxy::ProxyConfig;
use crate::config::file::http_client::settings::HttpClientConfig;
use crate::config::file::http_client::source::Source;
use crate::config::file::http_client::tls::TlsClientConfig;
use crate::discovery::address::join_host_port;
use crate::discovery::error::ClusterAccessError;
use crate::discovery::kinds::kubernetes::access::cluster::ClusterAccess;
use crate::model::url::Url;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

/// Directory with the files of the service account.
const DIRECTORY: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Maximum size of the name of a namespace, bytes.
const MAX_NAMESPACE_BYTES: u64 = 256;

/// Service account of the pod of this process.
#[derive(Debug, Clone)]
pub(crate) struct ServiceAccount {
    /// Directory with `token`, `ca.crt` and `namespace`.
    pub(crate) directory: PathBuf,
    /// Host and port of the API server; `None` outside of a cluster.
    pub(crate) server: Option<(String, String)>,
}

impl ServiceAccount {
    /// Returns the account as Kubernetes provides it to a pod.
    pub(crate) fn of_process() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let server = variable("KUBERNETES_SERVICE_HOST").zip(variable("KUBERNETES_SERVICE_PORT"));
        Self { directory: PathBuf::from(DIRECTORY), server }
    }

    /// Returns the access with the token of the account.
    pub(super) fn access(&self) -> Result<ClusterAccess, ClusterAccessError> {
        let (host, port) = self.server.as_ref().ok_or(ClusterAccessError::NotInCluster)?;
        let url = format!("https://{}", join_host_port(host, port));
        let url = Url::parse(&url).map_err(|source| ClusterAccessError::Url { source })?;
        let token = self.directory.join("token");
        File::open(&token)
            .map_err(|source| ClusterAccessError::Read { path: token.clone(), source })?;
        let authorization =
            Authorization { scheme: "Bearer".to_owned(), credentials: Some(Source::File(token)) };
        let ca = Some(Source::File(self.directory.join("ca.crt")));
        let http_client = HttpClientConfig {
            auth: Some(ClientAuth::Authorization(authorization)),
            tls: TlsClientConfig { ca, ..TlsClientConfig::default() },
            proxy: ProxyConfig { from_environment: true, ..ProxyConfig::default() },
            ..HttpClientConfig::default()
        };
        Ok(ClusterAccess { url, http_client })
    }

    /// Returns the namespace of the pod.
    pub(crate) fn namespace(&self) -> Result<String, ClusterAccessError> {
        let path = self.directory.join("namespace");
        let mut text = String::new();
        File::open(&path)
            .and_then(|file| file.take(MAX_NAMESPACE_BYTES).read_to_string(&mut text))
            .map_err(|source| ClusterAccessError::Read { path: path.clone(), source })?;
        let name = text.trim();
        if name.is_empty() {
            return Err(ClusterAccessError::Missing { path, what: "namespace" });
        }
        Ok(name.to_owned())
    }
}
