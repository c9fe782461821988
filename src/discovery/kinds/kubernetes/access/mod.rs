//! Access to API servers: address and settings of the HTTP client.
//!
//! # Differences
//! In a cluster, and with a kubeconfig file, a missing CA or token is an error of the
//! configuration. `exec`, `auth-provider` and impersonation in a kubeconfig file are not supported.
//! A kubeconfig file is read once, but the files that it names are read again for each request.
//!
//! | module | content |
//! |---|---|
//! | [`cluster`] | address and settings |
//! | `kubeconfig` | kubeconfig files |
//! | [`service_account`] | access of a pod to the API server of its cluster |

pub(crate) mod cluster;
mod kubeconfig;
pub(crate) mod service_account;

use crate::config::file::discovery::kubernetes::KubernetesServer;
use crate::discovery::error::ClusterAccessError;
use crate::discovery::kinds::kubernetes::access::cluster::ClusterAccess;
use crate::discovery::kinds::kubernetes::access::service_account::ServiceAccount;
use std::path::Path;

/// Returns the access to a server. Reads files, and blocks meanwhile.
pub(super) fn resolve(
    server: &KubernetesServer,
    account: &ServiceAccount,
) -> Result<ClusterAccess, ClusterAccessError> {
    match server {
        KubernetesServer::InCluster => account.access(),
        KubernetesServer::KubeConfig(path) => of_kubeconfig(path),
        KubernetesServer::Api { url, http_client } => {
            Ok(ClusterAccess { url: (**url).clone(), http_client: (**http_client).clone() })
        }
    }
}

/// Returns the access of a kubeconfig file. Reads files, and blocks meanwhile.
pub(super) fn of_kubeconfig(path: &Path) -> Result<ClusterAccess, ClusterAccessError> {
    kubeconfig::access(path)
}

#[cfg(test)]
mod tests;
