//! Client certificate of a connection, for its requests.
//!
//! The service of a connection exists before the handshake, which is part of the first read. The
//! two share a [`ClientCertSlot`].

use std::sync::{Arc, OnceLock};

/// Mark of a request whose client proved to have a certificate of a CA in `client_ca_file`. Its
/// connection adds the mark as an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedClientCert;

/// Result of a handshake. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct ClientCertSlot(Arc<OnceLock<VerifiedClientCert>>);

impl ClientCertSlot {
    /// Records that the handshake verified a client certificate.
    pub(crate) fn mark_verified(&self) {
        self.0.get_or_init(|| VerifiedClientCert);
    }

    /// Returns the mark for a request. `None` before the handshake and without a verified
    /// certificate.
    pub(crate) fn get(&self) -> Option<VerifiedClientCert> {
        self.0.get().copied()
    }
}
