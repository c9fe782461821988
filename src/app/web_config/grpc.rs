//! Agreement of a web configuration with the flags of gRPC.

use crate::config::flags::grpc::{GrpcAuthFlag, GrpcFlags};
use crate::config::web::contents::WebConfig;

/// Contradiction between a web configuration and the flags of gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GrpcConfigError {
    /// No client certificate is ever verified, so no call would be admitted.
    #[error(
        "--grpc.auth=cert needs client_auth_type VerifyClientCertIfGiven or \
         RequireAndVerifyClientCert in tls_server_config of --web.config.file"
    )]
    NoVerifiedCertificates,
    /// gRPC needs HTTP/2.
    #[error(
        "http_server_config.http2 is false, but gRPC needs HTTP/2: enable it, or disable gRPC \
         (--no-grpc.enabled)"
    )]
    NoHttp2,
}

impl GrpcConfigError {
    /// Returns the section and the key of the file that have to change.
    pub(super) fn key(self) -> (&'static str, &'static str) {
        match self {
            Self::NoVerifiedCertificates => ("tls_server_config", "client_auth_type"),
            Self::NoHttp2 => ("http_server_config", "http2"),
        }
    }
}

/// Checks that gRPC can work at all, at the start and at a reload: a file that a reload accepts
/// must not stop the next start.
///
/// # Errors
/// [`GrpcConfigError`].
pub(crate) fn check(config: &WebConfig, flags: &GrpcFlags) -> Result<(), GrpcConfigError> {
    if !flags.is_enabled() {
        return Ok(());
    }
    let verifies = config.tls.as_ref().is_some_and(|tls| tls.client_auth.verifies());
    if flags.auth == GrpcAuthFlag::Cert && !verifies {
        return Err(GrpcConfigError::NoVerifiedCertificates);
    }
    if config.tls.is_some() && !config.http.http2 {
        return Err(GrpcConfigError::NoHttp2);
    }
    Ok(())
}
