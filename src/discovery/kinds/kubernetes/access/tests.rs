//! Access by service account and by kubeconfig file.

use super::resolve;
use super::service_account::ServiceAccount;
use crate::config::file::discovery::kubernetes::KubernetesServer;
use crate::config::file::http_client::auth::{Authorization, BasicAuth, ClientAuth};
use crate::config::file::http_client::source::Source;
use crate::discovery::kinds::kubernetes::access::cluster::ClusterAccess;
use crate::model::secret::Secret;
use std::path::PathBuf;

fn outside() -> ServiceAccount {
    ServiceAccount { directory: PathBuf::from("/none"), server: None }
}

#[test]
fn pod_uses_its_service_account() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Some(("fd00::1".to_owned(), "443".to_owned()));
    let account = ServiceAccount { directory: dir.path().to_owned(), server };
    let error = resolve(&KubernetesServer::InCluster, &account).expect_err("no token");
    assert!(
        error.to_string().ends_with("token: No such file or directory (os error 2)"),
        "{error}"
    );
    std::fs::write(dir.path().join("token"), "t").expect("a token");
    let access = resolve(&KubernetesServer::InCluster, &account).expect("an access");
    assert_eq!(access.url.to_string(), "https://[fd00::1]:443");
    let token = Some(Source::File(dir.path().join("token")));
    let expected = Authorization { scheme: "Bearer".to_owned(), credentials: token };
    assert_eq!(access.http_client.auth, Some(ClientAuth::Authorization(expected)));
    assert_eq!(access.http_client.tls.ca, Some(Source::File(dir.path().join("ca.crt"))));
    assert!(account.namespace().is_err());
    std::fs::write(dir.path().join("namespace"), "").expect("a namespace");
    assert!(account.namespace().is_err());
    std::fs::write(dir.path().join("namespace"), "shop\n").expect("a namespace");
    assert_eq!(account.namespace().expect("a namespace"), "shop");
}

#[test]
fn process_outside_of_a_cluster_has_no_access() {
    let error = resolve(&KubernetesServer::InCluster, &outside()).expect_err("no cluster");
    assert_eq!(
        error.to_string(),
        "not in a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set; set \
         api_server or kubeconfig_file"
    );
}

fn kubeconfig(text: &str) -> Result<ClusterAccess, String> {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("config");
    std::fs::write(&path, text).expect("a kubeconfig file");
    let access = resolve(&KubernetesServer::KubeConfig(path.clone()), &outside());
    access.map_err(|error| error.to_string().replace(&path.display().to_string(), "F"))
}

/// Returns the file with these keys of cluster and user.
fn file(cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\npreferences: {{}}\ncurrent-context: here\n\
         clusters:\n- name: other\n  cluster: {{server: 'http://other'}}\n\
         - name: c\n  cluster: {{{cluster}}}\n\
         contexts:\n- name: here\n  context: {{cluster: c, user: u, namespace: x}}\n\
         users:\n- name: u\n  user: {{{user}}}\n"
    )
}

#[test]
fn current_context_selects_cluster_and_user() {
    let access = kubeconfig(&file("server: 'https://k:6443/p'", "token: secret-t")).unwrap();
    assert_eq!(access.url.to_string(), "https://k:6443/p");
    let credentials = Some(Source::Inline(Secret::new("secret-t")));
    let expected = Authorization { scheme: "Bearer".to_owned(), credentials };
    assert_eq!(access.http_client.auth, Some(ClientAuth::Authorization(expected)));
    assert!(access.http_client.proxy.from_environment);
}

#[test]
fn certificates_are_inline_or_in_files() {
    let cluster = "server: 'k:6443', certificate-authority-data: Q0E=, certificate-authority: ca, \
                   tls-server-name: n, insecure-skip-tls-verify: true, proxy-url: 'http://p:1'";
    let user = "client-certificate: c.pem, client-key-data: S0VZ, username: u, password: p";
    let access = kubeconfig(&file(cluster, user)).unwrap();
    assert_eq!(access.url.to_string(), "https://k:6443");
    let tls = access.http_client.tls;
    assert_eq!(tls.ca, Some(Source::Inline("CA".to_owned())));
    assert_eq!((tls.server_name.as_deref(), tls.insecure_skip_verify), (Some("n"), true));
    let identity = tls.identity.expect("a certificate");
    assert!(identity.certificate.file().is_some_and(|path| path.is_absolute()));
    assert_eq!(identity.key, Source::Inline(Secret::new("KEY")));
    let expected = BasicAuth {
        username: Some(Source::Inline("u".to_owned())),
        password: Some(Source::Inline(Secret::new("p"))),
    };
    assert_eq!(access.http_client.auth, Some(ClientAuth::Basic(expected)));
    let proxy = access.http_client.proxy;
    assert_eq!(proxy.url.map(|url| url.to_string()).as_deref(), Some("http://p:1"));
    assert!(!proxy.from_environment);
}

#[test]
fn token_file_wins_over_token() {
    let access = kubeconfig(&file("server: 'http://k'", "token: t, tokenFile: /run/t")).unwrap();
    let credentials = Some(Source::File(PathBuf::from("/run/t")));
    let expected = Authorization { scheme: "Bearer".to_owned(), credentials };
    assert_eq!(access.http_client.auth, Some(ClientAuth::Authorization(expected)));
}

#[test]
fn invalid_kubeconfig_is_an_error_without_secrets() {
    let good = "server: 'http://k'";
    let cases = [
        (String::new(), "file F has no current-context"),
        ("current-context: a\n".to_owned(), "kubeconfig file F has no context \"a\""),
        (
            "current-context: a\ncontexts: [{name: a, context: {cluster: b}}]\n".to_owned(),
            "kubeconfig file F has no cluster \"b\"",
        ),
        (file("", ""), "file F has no server"),
        (file(good, "").replace("users:\n- name: u", "users:\n- name: v"), "has no user \"u\""),
        (file(good, "exec: {command: x}"), "kubeconfig file F: exec is not supported"),
        (file(good, "auth-provider: {name: x}"), "auth-provider is not supported"),
        (file(good, "as: x"), "as is not supported"),
        (file(good, "token: a, username: b"), "has both a token and a password"),
        (file(good, "client-certificate: a"), "file F has no client-key"),
        (file(good, "client-key: a"), "file F has no client-certificate"),
        (
            file(good, "client-key-data: '!', client-certificate: a"),
            "client-key-data is not text in Base64",
        ),
        (file("server: 'http://'", ""), "host is missing in URL"),
        ("users: [hunter2]\n".to_owned(), "kubeconfig file F, line 1: not a kubeconfig file"),
        ("a: [".to_owned(), "not a kubeconfig file"),
    ];
    for (text, expected) in cases {
        let error = kubeconfig(&text).expect_err(&text);
        assert!(error.contains(expected), "{text}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    let missing = KubernetesServer::KubeConfig(PathBuf::from("/none/config"));
    let error = resolve(&missing, &outside()).expect_err("no file").to_string();
    assert_eq!(error, "cannot read /none/config: No such file or directory (os error 2)");
}
