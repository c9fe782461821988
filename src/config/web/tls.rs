//! Section `tls_server_config`.
//!
//! As in Prometheus, a section with neither certificate, key, CA nor policy enables no TLS, and an
//! empty string is a missing value. If both a file and an inline text are set, the file is used.

use crate::config::web::contents::{ClientAuthPolicy, MAX_PEM_BYTES, PemSource, TlsConfig};
use crate::config::web::parameters;
use crate::config::yaml::document::{Section, invalid};
use crate::config::yaml::error::ConfigProblem;
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::path::Path;

/// Beginning of a PEM section.
const PEM_BEGIN: &str = "-----BEGIN ";
/// Maximum number of allowed subject alternative names.
const MAX_SANS: usize = 10_000;

type RawText = Option<Spanned<String>>;

/// No `Debug`: `key` is a secret.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTls {
    cert: RawText,
    cert_file: RawText,
    key: RawText,
    key_file: RawText,
    client_ca: RawText,
    client_ca_file: RawText,
    client_auth_type: RawText,
    client_allowed_sans: Option<Spanned<Vec<Option<String>>>>,
    min_version: RawText,
    max_version: RawText,
    cipher_suites: Option<Vec<Spanned<String>>>,
    curve_preferences: Option<Vec<Spanned<String>>>,
    prefer_server_cipher_suites: Option<bool>,
}

/// Parses the section; `None` if it enables no TLS.
pub(super) fn parse(
    section: &Section<'_>,
    dir: &Path,
    warnings: &mut Vec<ConfigProblem>,
) -> Result<Option<TlsConfig>, ConfigProblem> {
    let raw: RawTls = section.read()?.unwrap_or_default();
    let policy = raw.client_auth_type.filter(|policy| !policy.value.is_empty());
    let client_auth = parameters::client_auth(policy.as_ref())?;
    let min_version = parameters::min_version(raw.min_version.as_ref(), warnings)?;
    let max_version = parameters::max_version(raw.max_version.as_ref(), min_version)?;
    let cipher_suites =
        parameters::cipher_suites(&raw.cipher_suites.unwrap_or_default(), min_version)?;
    let curves = parameters::curves(&raw.curve_preferences.unwrap_or_default())?;
    let client_allowed_sans = allowed_sans(raw.client_allowed_sans, client_auth, warnings)?;
    let certificate = pem("cert", raw.cert, raw.cert_file, dir, warnings)?;
    let key = pem("key", raw.key, raw.key_file, dir, warnings)?;
    let client_ca = pem("client_ca", raw.client_ca, raw.client_ca_file, dir, warnings)?;

    let (certificate, key) = match (certificate, key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(certificate), None) => return Err(invalid(&certificate, missing("key"))),
        (None, Some(key)) => return Err(invalid(&key, missing("cert"))),
        (None, None) => {
            return match (&client_ca, &policy) {
                (Some(ca), _) => Err(invalid(ca, missing("cert"))),
                (None, Some(policy)) => Err(invalid(policy, missing("cert"))),
                (None, None) => {
                    warn_without_tls(section, warnings)?;
                    Ok(None)
                }
            };
        }
    };
    check_client_ca(client_ca.as_ref(), client_auth, policy.as_ref())?;
    Ok(Some(TlsConfig {
        certificate: certificate.value,
        key: key.value,
        client_ca: client_ca.map(|ca| ca.value),
        client_auth,
        client_allowed_sans,
        min_version,
        max_version,
        cipher_suites,
        curves,
        prefer_server_cipher_suites: raw.prefer_server_cipher_suites.unwrap_or(true),
    }))
}

fn missing(name: &str) -> String {
    format!("tls_server_config needs {name} or {name}_file")
}

/// Warns of a section that has keys but enables no TLS.
fn warn_without_tls(
    section: &Section<'_>,
    warnings: &mut Vec<ConfigProblem>,
) -> Result<(), ConfigProblem> {
    if let Some(key) = section.keys()?.into_iter().next() {
        let message = "tls_server_config has neither certificate nor key: TLS is off";
        warnings.push(ConfigProblem::new(key.position, message));
    }
    Ok(())
}

/// Returns the source of a PEM text, or `None` if neither file nor text is set.
fn pem(
    name: &str,
    inline: RawText,
    file: RawText,
    dir: &Path,
    warnings: &mut Vec<ConfigProblem>,
) -> Result<Option<Spanned<PemSource>>, ConfigProblem> {
    let inline = inline.filter(|text| !text.value.is_empty());
    let file = file.filter(|path| !path.value.is_empty());
    if let Some(text) = inline.as_ref().filter(|text| text.value.len() > MAX_PEM_BYTES) {
        let message = format!("tls_server_config.{name} exceeds {MAX_PEM_BYTES} bytes");
        return Err(invalid(text, message));
    }
    // The error of opening the file would contain the text.
    if let Some(text) = file.as_ref().filter(|path| path.value.contains(PEM_BEGIN)) {
        let message = format!(
            "tls_server_config.{name}_file contains PEM text, not a path; {name} takes the text"
        );
        return Err(invalid(text, message));
    }
    Ok(match (inline, file) {
        (inline, Some(path)) => {
            if let Some(text) = inline {
                let message =
                    format!("tls_server_config.{name} is ignored, because {name}_file is set");
                warnings.push(invalid(&text, message));
            }
            let source = PemSource::File(dir.join(&path.value));
            Some(Spanned::new(source, path.referenced, path.defined))
        }
        (Some(text), None) => {
            let (referenced, defined) = (text.referenced, text.defined);
            Some(Spanned::new(PemSource::Inline(text.value), referenced, defined))
        }
        (None, None) => None,
    })
}

/// Checks that a CA is used, and that a policy that verifies certificates has one.
fn check_client_ca(
    ca: Option<&Spanned<PemSource>>,
    client_auth: ClientAuthPolicy,
    policy: Option<&Spanned<String>>,
) -> Result<(), ConfigProblem> {
    match (ca, policy) {
        (Some(ca), _) if client_auth == ClientAuthPolicy::None => {
            let message = "tls_server_config.client_ca needs a client_auth_type other than \
                           NoClientCert";
            Err(invalid(ca, message.to_owned()))
        }
        (None, Some(policy)) if client_auth.verifies() => {
            let message = format!(
                "tls_server_config.client_auth_type {} needs client_ca or client_ca_file, because \
                 narthex does not trust the CAs of the system",
                policy.value
            );
            Err(invalid(policy, message))
        }
        _ => Ok(()),
    }
}

fn allowed_sans(
    names: Option<Spanned<Vec<Option<String>>>>,
    client_auth: ClientAuthPolicy,
    warnings: &mut Vec<ConfigProblem>,
) -> Result<Option<Vec<String>>, ConfigProblem> {
    let Some(names) = names else { return Ok(None) };
    if names.value.len() > MAX_SANS {
        let message =
            format!("tls_server_config.client_allowed_sans has more than {MAX_SANS} names");
        return Err(invalid(&names, message));
    }
    if client_auth == ClientAuthPolicy::None {
        let message = "tls_server_config.client_allowed_sans has no effect, because \
                       client_auth_type requests no certificate";
        warnings.push(invalid(&names, message.to_owned()));
    }
    Ok(Some(names.value.into_iter().map(Option::unwrap_or_default).collect()))
}
