//! Section `tls_config`.

use crate::config::file::http_client::source::{Source, SourceKeys, add_secret, add_text};
use crate::config::yaml::mapping::Mapping;
use crate::config::yaml::output::YamlMapping;
use crate::model::secret::Secret;

const CA: SourceKeys = SourceKeys { inline: "ca", file: "ca_file", reference: "ca_ref" };
const CERT: SourceKeys = SourceKeys { inline: "cert", file: "cert_file", reference: "cert_ref" };
const KEY: SourceKeys = SourceKeys { inline: "key", file: "key_file", reference: "key_ref" };

/// Section `tls_config`. The default verifies servers against the roots of the system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsClientConfig {
    /// `ca` or `ca_file`: certificates in PEM that replace the roots of the system.
    pub ca: Option<Source<String>>,
    /// Certificate of the client.
    pub identity: Option<ClientIdentity>,
    /// Name that the certificate of the server must have; `None` is the host of the URL.
    pub server_name: Option<String>,
    /// Whether the certificate of the server is not verified.
    pub insecure_skip_verify: bool,
    /// Minimum version; `None` is TLS 1.2.
    pub min_version: Option<MinTlsVersion>,
    /// Maximum version, at least the minimum one; `None` is TLS 1.3.
    pub max_version: Option<MaxTlsVersion>,
}

/// Certificate of the client and its key, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// `cert` or `cert_file`.
    pub certificate: Source<String>,
    /// `key` or `key_file`.
    pub key: Source<Secret>,
}

/// Minimum TLS version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MinTlsVersion {
    /// TLS 1.0. narthex negotiates at least TLS 1.2.
    Tls10,
    /// TLS 1.1. narthex negotiates at least TLS 1.2.
    Tls11,
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// Maximum TLS version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxTlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// Reads the section of a mapping; without one, returns the default.
pub(super) fn read(mapping: &mut Mapping<'_>) -> TlsClientConfig {
    let Some(mut section) = mapping.mapping("tls_config") else {
        return TlsClientConfig::default();
    };
    let min_version = min_version(&mut section);
    let config = TlsClientConfig {
        ca: CA.read(&mut section, |text| text).map(|(source, _)| source),
        identity: identity(&mut section),
        server_name: section.string("server_name").filter(|name| !name.is_empty()),
        insecure_skip_verify: section.boolean("insecure_skip_verify").unwrap_or(false),
        min_version,
        max_version: max_version(&mut section, min_version),
    };
    section.finish();
    config
}

fn identity(section: &mut Mapping<'_>) -> Option<ClientIdentity> {
    match (CERT.read(section, |text| text), KEY.read(section, Secret::new)) {
        (Some((certificate, _)), Some((key, _))) => Some(ClientIdentity { certificate, key }),
        (Some((_, value)), None) => {
            value.problem("needs key or key_file");
            None
        }
        (None, Some((_, value))) => {
            value.problem("needs cert or cert_file");
            None
        }
        (None, None) => None,
    }
}

fn min_version(section: &mut Mapping<'_>) -> Option<MinTlsVersion> {
    let value = section.get("min_version").filter(|value| !value.is_null())?;
    match value.string()?.as_str() {
        "TLS10" => Some(MinTlsVersion::Tls10),
        "TLS11" => Some(MinTlsVersion::Tls11),
        "TLS12" => Some(MinTlsVersion::Tls12),
        "TLS13" => Some(MinTlsVersion::Tls13),
        other => {
            value.problem(format_args!("must be TLS10, TLS11, TLS12 or TLS13, not {other:?}"));
            None
        }
    }
}

fn max_version(section: &mut Mapping<'_>, min: Option<MinTlsVersion>) -> Option<MaxTlsVersion> {
    let value = section.get("max_version").filter(|value| !value.is_null())?;
    match value.string()?.as_str() {
        "TLS12" => {
            if min == Some(MinTlsVersion::Tls13) {
                value.problem("must be at least min_version");
            }
            Some(MaxTlsVersion::Tls12)
        }
        "TLS13" => Some(MaxTlsVersion::Tls13),
        old @ ("TLS10" | "TLS11") => {
            value.problem(format_args!("{old} is not supported; narthex has TLS 1.2 and TLS 1.3"));
            None
        }
        other => {
            value.problem(format_args!("must be TLS12 or TLS13, not {other:?}"));
            None
        }
    }
}

impl TlsClientConfig {
    /// Adds the section unless it has only defaults.
    pub(super) fn add_to(&self, yaml: &mut YamlMapping) {
        if *self == Self::default() {
            return;
        }
        let mut section = YamlMapping::default();
        let certificate = self.identity.as_ref().map(|identity| &identity.certificate);
        let key = self.identity.as_ref().map(|identity| &identity.key);
        add_text(self.ca.as_ref(), CA, &mut section);
        add_text(certificate, CERT, &mut section);
        add_secret(key, KEY, &mut section);
        section.set_unless_zero("server_name", self.server_name.as_deref().unwrap_or_default());
        section.set("insecure_skip_verify", self.insecure_skip_verify);
        section.set_unless_zero("min_version", self.min_version.map_or("", MinTlsVersion::name));
        section.set_unless_zero("max_version", self.max_version.map_or("", MaxTlsVersion::name));
        yaml.set("tls_config", section);
    }
}

impl MinTlsVersion {
    fn name(self) -> &'static str {
        match self {
            Self::Tls10 => "TLS10",
            Self::Tls11 => "TLS11",
            Self::Tls12 => "TLS12",
            Self::Tls13 => "TLS13",
        }
    }
}

impl MaxTlsVersion {
    fn name(self) -> &'static str {
        match self {
            Self::Tls12 => "TLS12",
            Self::Tls13 => "TLS13",
        }
    }
}
