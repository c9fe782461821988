//! Certificates and keys in PEM, from text or file.
//!
//! Files are regular and at most [`MAX_PEM_BYTES`] long, so that a start or a reload neither hangs
//! nor grows with them.

use crate::config::web::contents::{MAX_PEM_BYTES, PemSource};
use crate::server::transport::tls::error::{PemProblem, TlsConfigError, TlsSetting};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Returns all certificates, at least one.
pub(super) fn certificates(
    setting: TlsSetting,
    source: &PemSource,
) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let fail = |problem| TlsConfigError::pem(setting, source, problem);
    let text = read(source).map_err(fail)?;
    let certificates = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| fail(PemProblem::Syntax(error.into())))?;
    if certificates.is_empty() {
        return Err(fail(PemProblem::NoCertificate));
    }
    Ok(certificates)
}

/// Returns the first private key.
pub(super) fn private_key(
    setting: TlsSetting,
    source: &PemSource,
) -> Result<PrivateKeyDer<'static>, TlsConfigError> {
    let fail = |problem| TlsConfigError::pem(setting, source, problem);
    let text = read(source).map_err(fail)?;
    let key = PrivateKeyDer::pem_slice_iter(&text).next();
    key.ok_or_else(|| fail(PemProblem::NoKey))?
        .map_err(|error| fail(PemProblem::Syntax(error.into())))
}

fn read(source: &PemSource) -> Result<Cow<'_, [u8]>, PemProblem> {
    let text = match source {
        PemSource::Inline(text) => Cow::Borrowed(text.as_bytes()),
        PemSource::File(path) => Cow::Owned(read_file(path).map_err(PemProblem::Read)?),
    };
    if text.len() > MAX_PEM_BYTES { Err(PemProblem::TooLarge) } else { Ok(text) }
}

/// Reads one byte beyond the limit at most.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    // A FIFO would block the open, so the type is checked first.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut text = Vec::new();
    File::open(path)?.take(MAX_PEM_BYTES as u64 + 1).read_to_end(&mut text)?;
    Ok(text)
}
