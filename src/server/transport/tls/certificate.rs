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
/// their usual text form. Other kinds of names never match. Source: exporter-toolkit, for
/// which Go's parser returns the same four kinds.
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

#[cfg(test)]
mod tests {
    use super::{has_allowed_san, ip_address, not_after};
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    #[test]
    fn corrupted_certificate_is_an_error_or_another_one() {
        let pem = include_bytes!("../../../../tests/golden/webconfig/files/certs/client.crt");
        let whole = CertificateDer::from_pem_slice(pem).unwrap();
        let names = ["spiffe://client.test/a".to_owned()];
        assert_eq!(has_allowed_san(&whole, &names), Ok(true));
        assert_eq!(not_after(&whole), Ok(4_920_825_600));
        for length in 0..whole.len() {
            let cut = CertificateDer::from(&whole[..length]);
            assert!(has_allowed_san(&cut, &names).is_err() && not_after(&cut).is_err());
        }
        let mut errors = 0;
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            // Nothing panics; the signature is checked elsewhere.
            errors += usize::from(has_allowed_san(&CertificateDer::from(bytes), &names).is_err());
        }
        assert!(errors > whole.len(), "{errors}");
    }

    #[test]
    fn ip_address_has_4_or_16_bytes() {
        let text = |bytes: &[u8]| ip_address(bytes).map(|address| address.to_string());
        assert_eq!(text(&[10, 1, 2, 3]).as_deref(), Some("10.1.2.3"));
        let mut bytes = [0; 16];
        bytes[15] = 1;
        assert_eq!(text(&bytes).as_deref(), Some("::1"));
        bytes[10..].copy_from_slice(&[255, 255, 10, 1, 2, 3]);
        assert_eq!(text(&bytes).as_deref(), Some("10.1.2.3"));
        assert_eq!(text(&[1, 2, 3]), None);
    }
}
