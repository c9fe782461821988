//! Reloads that are rejected because they would open the server, and reloads that are repeated
//! because files changed during them.

use super::{
    EARLY, EXPIRY, Fixture, LATE, SUCCESSFUL, TLS, cert_path, copy_certificate, grpc_flags, source,
    users,
};
use crate::app::web_config::watcher::WatchedConfig;

impl Fixture {
    /// Reloads, and asserts that the file is rejected with this error.
    #[track_caller]
    fn assert_rejected(&mut self, error: &str) {
        self.watcher.reload_if_changed();
        assert_eq!(self.metric(SUCCESSFUL), 0.0);
        assert_eq!(self.notifications.active().len(), 1);
        let failure = self.watcher.failure.as_deref().unwrap_or_default();
        assert!(failure.contains(error), "{failure}");
    }
}

#[tokio::test]
async fn reload_that_turns_tls_on_or_off_is_rejected_as_a_whole() {
    let mut fixture = Fixture::load(&users("one"));
    std::fs::copy(cert_path("ca.crt"), fixture.dir.path().join("ca.crt")).unwrap();
    let verifying = "  client_ca_file: ca.crt\n  client_auth_type: RequireAndVerifyClientCert\n";
    for text in [format!("{TLS}{verifying}"), format!("basic_auth_users: {{}}\n{TLS}{verifying}")] {
        fixture.write("web.yml", &text);
        fixture.assert_rejected("tls_server_config enables TLS, which needs a restart");
        assert!(fixture.admits("one").await && !fixture.admits("anything").await, "{text}");
    }

    let mut fixture = Fixture::load(TLS);
    fixture.write("web.yml", &users("one"));
    fixture.assert_kept(LATE);
    assert!(fixture.admits("anything").await, "the users are not in use");
    fixture.assert_rejected("web.yml: tls_server_config does not enable TLS any more");
    fixture.write("web.yml", &format!("{TLS}{}", users("one")));
    fixture.assert_reloaded(LATE);
    assert!(fixture.admits("one").await && !fixture.admits("anything").await);
}

#[tokio::test]
async fn file_that_lost_its_users_does_not_remove_them() {
    let mut fixture = Fixture::load(&users("one"));
    for text in ["", "basic_auth_users:\n", "http_server_config: {http2: true}\n"] {
        fixture.write("web.yml", text);
        fixture.assert_rejected("basic_auth_users is missing or null");
        assert!(fixture.admits("one").await && !fixture.admits("anything").await, "{text}");
    }
    for text in ["basic_auth_users: {}\n", "# no users as before\n"] {
        fixture.write("web.yml", text);
        fixture.watcher.reload_if_changed();
        assert_eq!(fixture.metric(SUCCESSFUL), 1.0, "{text}");
        assert!(fixture.admits("anything").await, "{text}");
    }
}

#[test]
fn files_that_are_not_watched_are_not_loaded() {
    let mut fixture = Fixture::load(TLS);
    let new = fixture.dir.path().join("new");
    std::fs::create_dir(&new).unwrap();
    copy_certificate(&new, "client-expired");
    fixture.write("web.yml", &TLS.replace("tls.", "new/tls."));
    assert!(!fixture.watcher.reload_if_stable());
    assert_eq!(fixture.metric(EXPIRY), LATE);
    fixture.assert_reloaded(EARLY);
    fixture.write("web.yml", &TLS.replace("tls.", "missing/tls."));
    assert!(!fixture.watcher.reload_if_stable());
    assert_eq!(fixture.metric(SUCCESSFUL), 1.0);
    fixture.assert_kept(EARLY);
}

#[test]
fn file_that_changes_during_the_start_is_loaded_again() {
    let dir = tempfile::tempdir().unwrap();
    let [old, new] = ["old", "new"].map(|name| dir.path().join(name));
    for path in [&old, &new] {
        std::fs::create_dir(path).unwrap();
        copy_certificate(path, "client-expired");
    }
    let file = dir.path().join("web.yml");
    std::fs::write(&file, TLS.replace("tls.", "new/tls.")).unwrap();
    // The files that it named before.
    let files = [file, old.join("tls.crt"), old.join("tls.key")];
    let (setup, watched) =
        WatchedConfig::load_with(source(dir.path()), grpc_flags(&[]), &files).unwrap();
    let mut fixture = Fixture::with_loaded(dir, setup, watched);
    assert_eq!(fixture.metric(EXPIRY), EARLY);
    copy_certificate(&new, "server");
    fixture.assert_reloaded(LATE);
}
