//! CAs that are trusted without `ca_file`, read once per process.
//!
//! As in Go: the first bundle that exists is read, or the file `SSL_CERT_FILE`. Folders are read if
//! no bundle has certificates, or if `SSL_CERT_DIR` names them.
//!
//! A system without CAs, such as the container image, gets those of Mozilla, which are built in. If
//! a variable is set, it limits the trust, so nothing replaces files that cannot be read.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use webpki_roots::TLS_SERVER_ROOTS;

/// Bundles of Debian, Fedora, openSUSE, OpenELEC, RHEL and Alpine.
const BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
const FOLDERS: [&str; 2] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];

/// Maximum size of a bundle, bytes.
const MAX_BYTES: u64 = 16 << 20;
/// Maximum number of files of a folder that are read.
const MAX_FILES: usize = 10_000;

/// Returns the CAs of the system, or the built-in ones. Empty if the variables name files without
/// CAs.
pub(super) fn default_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    Arc::clone(ROOTS.get_or_init(|| {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let (file, folders) = (variable("SSL_CERT_FILE"), variable("SSL_CERT_DIR"));
        let is_configured = file.is_some() || folders.is_some();
        let (origin, roots) = choose(load(file, folders), is_configured);
        tracing::info!(origin, count = roots.len(), "loaded CA certificates");
        Arc::new(roots)
    }))
}

/// Returns the CAs of the system, or the built-in ones if it has none and none are configured.
fn choose(system: RootCertStore, is_configured: bool) -> (&'static str, RootCertStore) {
    if system.is_empty() && !is_configured {
        return ("built-in", TLS_SERVER_ROOTS.iter().cloned().collect());
    }
    ("system", system)
}

fn load(file: Option<String>, folders: Option<String>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    match file {
        Some(file) => add(&mut roots, Path::new(&file)),
        None => {
            for bundle in BUNDLES {
                if roots.is_empty() {
                    add(&mut roots, Path::new(bundle));
                }
            }
        }
    }
    let read_folders = folders.is_some() || roots.is_empty();
    let folders = folders.unwrap_or_else(|| FOLDERS.join(":"));
    for folder in folders.split(':').filter(|_| read_folders) {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.take(MAX_FILES).for_each(|entry| add(&mut roots, &entry.path()));
    }
    roots
}

/// Adds the certificates of a file. As in Go, what cannot be read or parsed is skipped.
fn add(roots: &mut RootCertStore, path: &Path) {
    let is_file = std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    let Some(file) = File::open(path).ok().filter(|_| is_file) else { return };
    let mut text = Vec::new();
    if file.take(MAX_BYTES).read_to_end(&mut text).is_ok() {
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&text).flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::{choose, load};
    use rustls::RootCertStore;
    use webpki_roots::TLS_SERVER_ROOTS;

    fn certificate() -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        rcgen::CertificateParams::default().self_signed(&key).unwrap().pem()
    }

    #[test]
    fn bundle_and_folders_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let (bundle, folder) = (dir.path().join("b.pem"), dir.path().join("d"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(&bundle, format!("junk\n{}{}", certificate(), certificate())).unwrap();
        std::fs::write(folder.join("a.pem"), certificate()).unwrap();
        std::fs::write(folder.join("no.pem"), "junk").unwrap();
        let text = |path: &std::path::Path| Some(path.to_str().unwrap().to_owned());
        assert_eq!(load(text(&bundle), None).len(), 2);
        assert_eq!(load(text(&bundle), text(&folder)).len(), 3);
        assert_eq!(load(text(&dir.path().join("missing")), text(&folder)).len(), 1);
    }

    #[test]
    fn built_in_cas_serve_only_systems_without_cas() {
        let dir = tempfile::tempdir().unwrap();
        let bundle = dir.path().join("b.pem");
        std::fs::write(&bundle, certificate()).unwrap();
        let system = || load(Some(bundle.to_str().unwrap().to_owned()), None);
        let chosen = |system, is_configured| {
            let (origin, roots) = choose(system, is_configured);
            (origin, roots.len())
        };
        assert!(TLS_SERVER_ROOTS.len() > 100);
        assert_eq!(chosen(RootCertStore::empty(), false), ("built-in", TLS_SERVER_ROOTS.len()));
        assert_eq!(chosen(RootCertStore::empty(), true), ("system", 0));
        assert_eq!(chosen(system(), false), ("system", 1));
        assert_eq!(chosen(system(), true), ("system", 1));
    }
}
