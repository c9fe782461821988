//! Validity and names of an X.509 certificate.

use rustls::pki_types::CertificateDer;
use std::net::IpAddr;
use x509_cert::Certificate;
use x509_cert::der::{self, Decode};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// Returns the end of validity of a certificate, seconds since the Unix epoch.
pub(super) fn not_after(certificate: &CertificateDer<'_>) -> der::Result<i64> {
    let certificate = Certificate::from_der(certificate)?;
    let end = certificate.tbs_certificate().validity().not_after.to_unix_duration();
    Ok(i64::try_from(end.as_secs()).unwrap_or(i64::MAX))
}

/// Returns `true` if a subject alternative name of the certificate is one of `allowed`.
///
/// DNS names, e-mail addresses and URIs are compared byte by byte. IP addresses are compared in
/// their usual text form. Other kinds of names never match. Source: exporter-toolkit, which Go's
/// parser gives the same four kinds.
pub(super) fn has_allowed_san(
    certificate: &CertificateDer<'_>,
    allowed: &[String],
) -> der::Result<bool> {
    let certificate = Certificate::from_der(certificate)?;
    let names = certificate.tbs_certificate().get_extension::<SubjectAltName>()?;
    let Some((_, SubjectAltName(names))) = names else { return Ok(false) };
    Ok(names.iter().any(|name| match name {
        GeneralName::DnsName(text)
        | GeneralName::Rfc822Name(text)
        | GeneralName::UniformResourceIdentifier(text) => contains(allowed, text.as_str()),
        GeneralName::IpAddress(bytes) => ip_address(bytes.as_bytes())
            .is_some_and(|address| contains(allowed, &address.to_string())),
        _ => false,
    }))
}

fn contains(allowed: &[String], name: &str) -> bool {
    allowed.iter().any(|allowed| allowed == name)
}

/// Returns the address with these bytes; an IPv4 address that is mapped to IPv6 is IPv4.
fn ip_address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(bytes));
    }
    <[u8; 16]>::try_from(bytes).ok().map(|bytes| IpAddr::from(bytes).to_canonical())
}
