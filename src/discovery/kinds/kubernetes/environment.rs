//! Settings of the system that Kubernetes discovery uses, and what all its providers share.

use crate::discovery::kinds::kubernetes::access::service_account::ServiceAccount;
use crate::discovery::kinds::kubernetes::watches::registry::WatchRegistry;
use crate::discovery::kinds::kubernetes::watches::times::WatchTimes;

/// Service account of the process, and the watches that all providers share. Clones share them,
/// too.
#[derive(Debug, Clone)]
pub struct KubernetesEnvironment {
    pub(super) account: ServiceAccount,
    pub(super) watches: WatchRegistry,
    pub(super) times: WatchTimes,
}

impl Default for KubernetesEnvironment {
    fn default() -> Self {
        Self {
            account: ServiceAccount::of_process(),
            watches: WatchRegistry::default(),
            times: WatchTimes::default(),
        }
    }
}
