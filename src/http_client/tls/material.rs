//! Contents of certificates and keys. Equal contents mean that a transport can still be used.

use crate::config::file::http_client::source::Source;
use crate::config::file::http_client::tls::TlsClientConfig;
use crate::http_client::files::{FileSet, Files, ReadFileError};
use crate::http_client::tls::error::TlsSettingsError;
use crate::model::secret::Secret;

/// PEM texts of the settings. No `Debug`: one is a private key.
#[derive(Clone, Default, PartialEq, Eq)]
pub(in crate::http_client) struct TlsMaterial {
    pub(super) ca: Option<Vec<u8>>,
    pub(super) certificate: Option<Vec<u8>>,
    pub(super) key: Option<Vec<u8>>,
}

impl TlsMaterial {
    /// Adds the files of the settings.
    pub(in crate::http_client) fn add_files(config: &TlsClientConfig, set: &mut FileSet) {
        set.add(config.ca.as_ref());
        set.add(config.identity.as_ref().map(|identity| &identity.certificate));
        set.add(config.identity.as_ref().map(|identity| &identity.key));
    }

    /// Returns the current contents.
    pub(in crate::http_client) fn new(
        config: &TlsClientConfig,
        files: &Files,
    ) -> Result<Self, TlsSettingsError> {
        let identity = config.identity.as_ref();
        Ok(Self {
            ca: bytes(config.ca.as_ref(), files, String::as_bytes)
                .map_err(TlsSettingsError::ReadCa)?,
            certificate: bytes(identity.map(|id| &id.certificate), files, String::as_bytes)
                .map_err(TlsSettingsError::ReadCertificate)?,
            key: bytes(identity.map(|id| &id.key), files, |key: &Secret| key.expose().as_bytes())
                .map_err(TlsSettingsError::ReadKey)?,
        })
    }
}

fn bytes<T>(
    source: Option<&Source<T>>,
    files: &Files,
    inline: impl FnOnce(&T) -> &[u8],
) -> Result<Option<Vec<u8>>, ReadFileError> {
    Ok(match source {
        None => None,
        Some(Source::Inline(text)) => Some(inline(text).to_vec()),
        Some(Source::File(path)) => Some(files.bytes(path)?.to_vec()),
    })
}
