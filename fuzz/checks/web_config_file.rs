//! Web configuration file: arbitrary text is rejected at a position, or its contents keep what
//! their types promise.

use super::config_file::assert_position;
use narthex::config::web;
use narthex::config::web::DEFAULT_MAX_BCRYPT_COST;
use narthex::config::web::contents::{ClientAuthPolicy, HttpConfig, PemSource, TlsConfig};
use std::path::Path;

/// Directory of the file.
const DIR: &str = "/etc/narthex";

/// Panics if a problem has no position within the text, or if the contents of a valid file break a
/// promise.
pub(crate) fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let parse = || web::parse(&text, Path::new(DIR), DEFAULT_MAX_BCRYPT_COST);
    match parse() {
        Ok(file) => {
            assert_eq!(parse().as_ref(), Ok(&file), "two results for one text");
            file.warnings.iter().for_each(|warning| assert_position(&text, warning));
            let config = &file.config;
            config.tls.iter().for_each(check_tls);
            check_headers(&config.http);
            for (name, hash) in &config.users {
                let is_valid = hash.0.len() == 60 && hash.0.is_ascii() && hash.0.starts_with("$2");
                assert!(is_valid, "hash of {name:?}");
            }
            if let Some(limit) = config.rate_limit {
                assert!(!limit.interval.is_zero() && limit.burst > 0, "{limit:?}");
            }
        }
        Err(problem) => assert_position(&text, &problem),
    }
}

fn check_tls(tls: &TlsConfig) {
    for source in [Some(&tls.certificate), Some(&tls.key), tls.client_ca.as_ref()] {
        match source {
            Some(PemSource::File(path)) => assert!(path.is_absolute(), "{path:?}"),
            Some(PemSource::Inline(text)) => assert!(!text.is_empty()),
            None => {}
        }
    }
    assert!(tls.min_version <= tls.max_version, "{tls:?}");
    assert!(tls.cipher_suites.len() <= 6 && tls.curves.len() <= 3, "{tls:?}");
    match tls.client_auth {
        ClientAuthPolicy::None => assert_eq!(tls.client_ca, None),
        ClientAuthPolicy::VerifyIfGiven | ClientAuthPolicy::RequireAndVerify => {
            assert!(tls.client_ca.is_some(), "{tls:?}");
        }
        ClientAuthPolicy::Request | ClientAuthPolicy::RequireAny => {}
    }
}

/// Checks the number of headers and that no value ends the header or the response.
fn check_headers(http: &HttpConfig) {
    assert!(http.headers.len() <= 5, "{http:?}");
    for (name, value) in &http.headers {
        let is_valid = !value.contains(|c: char| c.is_ascii_control() && c != '\t');
        assert!(is_valid, "{name}: {value:?}");
    }
}
