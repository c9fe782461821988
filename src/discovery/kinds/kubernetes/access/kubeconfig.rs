//! Kubeconfig files.
//!
//! Source: client-go's `tools/clientcmd`. The current context selects cluster and user. Text in the
//! file (`…-data`) wins over the path of a file. A relative path is relative to the kubeconfig
//! file.

use crate::config::file::http_client::auth::{Authorization, BasicAuth, ClientAuth};
use crate::config::file::http_client::proxy::ProxyConfig;
use crate::config::file::http_client::settings::HttpClientConfig;
use crate::config::file::http_client::source::Source;
use crate::config::file::http_client::tls::{ClientIdentity, TlsClientConfig};
use crate::discovery::error::ClusterAccessError;
use crate::discovery::kinds::kubernetes::access::cluster::ClusterAccess;
use crate::model::secret::Secret;
use crate::model::url::Url;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Maximum size of a kubeconfig file, bytes.
const MAX_BYTES: u64 = 4 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct KubeConfig {
    #[serde(default)]
    current_context: Option<String>,
    #[serde(default)]
    clusters: Option<Vec<NamedCluster>>,
    #[serde(default)]
    contexts: Option<Vec<NamedContext>>,
    #[serde(default)]
    users: Option<Vec<NamedUser>>,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    #[serde(default)]
    cluster: Option<Cluster>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Cluster {
    server: Option<String>,
    tls_server_name: Option<String>,
    insecure_skip_tls_verify: Option<bool>,
    certificate_authority: Option<String>,
    certificate_authority_data: Option<String>,
    proxy_url: Option<String>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    #[serde(default)]
    context: Option<Context>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Context {
    cluster: Option<String>,
    user: Option<String>,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    #[serde(default)]
    user: Option<User>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct User {
    client_certificate: Option<String>,
    client_certificate_data: Option<String>,
    client_key: Option<String>,
    client_key_data: Option<Secret>,
    token: Option<Secret>,
    #[serde(rename = "tokenFile")]
    token_file: Option<String>,
    username: Option<String>,
    password: Option<Secret>,
    exec: Option<IgnoredAny>,
    auth_provider: Option<IgnoredAny>,
    #[serde(rename = "as")]
    impersonate: Option<IgnoredAny>,
}

/// Returns the access of the current context.
pub(super) fn access(path: &Path) -> Result<ClusterAccess, ClusterAccessError> {
    let text =
        read(path).map_err(|source| ClusterAccessError::Read { path: path.to_owned(), source })?;
    parse(&text, path)
}

fn read(path: &Path) -> io::Result<String> {
    // A FIFO would block the open.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut text = String::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("larger than 4 MiB"));
    }
    Ok(text)
}

fn parse(text: &str, path: &Path) -> Result<ClusterAccess, ClusterAccessError> {
    let file = KubeConfigFile { path };
    let options = serde_saphyr::options! { with_snippet: false };
    let config: Option<KubeConfig> =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            // The text of the error may quote a secret.
            let line = error.location().map_or(0, |location| location.line());
            ClusterAccessError::Syntax { path: path.to_owned(), line }
        })?;
    let config = config.ok_or_else(|| file.missing("current-context"))?;
    let name = non_empty(config.current_context).ok_or_else(|| file.missing("current-context"))?;
    let contexts = config.contexts.unwrap_or_default();
    let context = contexts.into_iter().find(|context| context.name == name);
    let context = context.and_then(|named| named.context);
    let context = context.ok_or_else(|| file.unknown("context", name))?;

    let name = non_empty(context.cluster).ok_or_else(|| file.missing("cluster"))?;
    let clusters = config.clusters.unwrap_or_default();
    let cluster = clusters.into_iter().find(|cluster| cluster.name == name);
    let cluster = cluster.and_then(|named| named.cluster);
    let cluster = cluster.ok_or_else(|| file.unknown("cluster", name))?;

    let user = match non_empty(context.user) {
        Some(name) => {
            let users = config.users.unwrap_or_default();
            let user = users.into_iter().find(|user| user.name == name);
            user.ok_or_else(|| file.unknown("user", name))?.user.unwrap_or_default()
        }
        None => User::default(),
    };
    file.access(cluster, user)
}

fn non_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// Place of a kubeconfig file.
#[derive(Clone, Copy)]
struct KubeConfigFile<'a> {
    path: &'a Path,
}

impl KubeConfigFile<'_> {
    fn access(self, cluster: Cluster, user: User) -> Result<ClusterAccess, ClusterAccessError> {
        for (is_set, what) in [
            (user.exec.is_some(), "exec"),
            (user.auth_provider.is_some(), "auth-provider"),
            (user.impersonate.is_some(), "as"),
        ] {
            if is_set {
                return Err(ClusterAccessError::Unsupported { path: self.path.to_owned(), what });
            }
        }
        let ca = self.source(
            cluster.certificate_authority_data,
            cluster.certificate_authority,
            "certificate-authority-data",
        )?;
        let tls = TlsClientConfig {
            ca,
            identity: self.identity(&user)?,
            server_name: non_empty(cluster.tls_server_name),
            insecure_skip_verify: cluster.insecure_skip_tls_verify.unwrap_or(false),
            ..TlsClientConfig::default()
        };
        let server = non_empty(cluster.server).ok_or_else(|| self.missing("server"))?;
        let url = match (server.contains("://"), tls == TlsClientConfig::default()) {
            (true, _) => self.url(&server)?,
            (false, true) => self.url(&format!("http://{server}"))?,
            (false, false) => self.url(&format!("https://{server}"))?,
        };
        let proxy = match non_empty(cluster.proxy_url) {
            Some(text) => ProxyConfig { url: Some(self.url(&text)?), ..ProxyConfig::default() },
            None => ProxyConfig { from_environment: true, ..ProxyConfig::default() },
        };
        let auth = self.auth(user)?;
        let http_client = HttpClientConfig { auth, tls, proxy, ..HttpClientConfig::default() };
        Ok(ClusterAccess { url, http_client })
    }

    fn auth(self, user: User) -> Result<Option<ClientAuth>, ClusterAccessError> {
        let file = non_empty(user.token_file).map(|path| Source::File(self.resolve(&path)));
        let token = user.token.filter(|token| !token.is_empty()).map(Source::Inline);
        let username = non_empty(user.username).map(Source::Inline);
        let password = user.password.filter(|secret| !secret.is_empty()).map(Source::Inline);
        // The file may have a newer token.
        Ok(match (file.or(token), username, password) {
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
                return Err(ClusterAccessError::TwoCredentials { path: self.path.to_owned() });
            }
            (credentials @ Some(_), None, None) => {
                let scheme = "Bearer".to_owned();
                Some(ClientAuth::Authorization(Authorization { scheme, credentials }))
            }
            (None, None, None) => None,
            (None, username, password) => Some(ClientAuth::Basic(BasicAuth { username, password })),
        })
    }

    fn identity(self, user: &User) -> Result<Option<ClientIdentity>, ClusterAccessError> {
        let certificate = self.source(
            user.client_certificate_data.clone(),
            user.client_certificate.clone(),
            "client-certificate-data",
        )?;
        let key_data = user.client_key_data.as_ref().map(|key| key.expose().to_owned());
        let key = self.source(key_data, user.client_key.clone(), "client-key-data")?;
        let key = key.map(|source| match source {
            Source::Inline(text) => Source::Inline(Secret::new(text)),
            Source::File(path) => Source::File(path),
        });
        match (certificate, key) {
            (Some(certificate), Some(key)) => Ok(Some(ClientIdentity { certificate, key })),
            (None, None) => Ok(None),
            (Some(_), None) => Err(self.missing("client-key")),
            (None, Some(_)) => Err(self.missing("client-certificate")),
        }
    }

    /// Returns the text of `data`, which is Base64, or the path of a file.
    fn source(
        self,
        data: Option<String>,
        file: Option<String>,
        what: &'static str,
    ) -> Result<Option<Source<String>>, ClusterAccessError> {
        let Some(data) = non_empty(data) else {
            return Ok(non_empty(file).map(|path| Source::File(self.resolve(&path))));
        };
        let bytes = STANDARD.decode(data.trim()).ok();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let invalid = || ClusterAccessError::Base64 { path: self.path.to_owned(), what };
        text.map(|text| Some(Source::Inline(text))).ok_or_else(invalid)
    }

    fn resolve(self, path: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }

    fn url(self, text: &str) -> Result<Url, ClusterAccessError> {
        Url::parse(text).map_err(|source| ClusterAccessError::Url { source })
    }

    fn missing(self, what: &'static str) -> ClusterAccessError {
        ClusterAccessError::Missing { path: self.path.to_owned(), what }
    }

    fn unknown(self, what: &'static str, name: String) -> ClusterAccessError {
        ClusterAccessError::Unknown { path: self.path.to_owned(), what, name }
    }
}
