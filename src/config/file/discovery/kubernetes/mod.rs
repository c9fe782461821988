//! Entries of `kubernetes_sd_configs`.
//!
//! | module | contents |
//! |---|---|
//! | `selector` | syntax of label and field selectors |

mod selector;

use crate::config::file::http_client::places::SettingPlaces;
use crate::config::file::http_client::settings::HttpClientConfig;
use crate::config::yaml::mapping::Mapping;
use crate::config::yaml::output::{Yaml, YamlMapping};
use crate::config::yaml::value::Value;
use crate::model::url::Url;
use std::path::PathBuf;

/// Maximum number of `namespaces.names`. Each one has its own requests.
const MAX_NAMESPACES: usize = 1_000;

/// Settings of Kubernetes discovery.
#[derive(Debug, Clone, PartialEq)]
pub struct KubernetesSdConfig {
    /// Kind of the objects that become targets.
    pub role: KubernetesRole,
    /// API server and access to it.
    pub server: KubernetesServer,
    /// Namespaces of the objects.
    pub namespaces: NamespaceSelection,
    /// Selectors, at most one of each role.
    pub selectors: Vec<RoleSelector>,
    /// Additional metadata of targets.
    pub attach_metadata: AttachMetadata,
    /// Positions of the settings, which comparisons ignore.
    pub places: SettingPlaces,
}

/// Kind of the objects that become targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KubernetesRole {
    /// Nodes: the address of the kubelet.
    Node,
    /// Pods: each port of each container.
    Pod,
    /// Services: each port.
    Service,
    /// Endpoints, which `EndpointSlice` replaces since Kubernetes 1.33.
    Endpoints,
    /// Endpoint slices: each port of each address.
    EndpointSlice,
    /// Ingresses: each path of each host.
    Ingress,
}

/// API server and access to it.
#[derive(Debug, Clone, PartialEq)]
pub enum KubernetesServer {
    /// Server of the cluster of this process, with the service account of its pod.
    InCluster,
    /// Server and credentials of a kubeconfig file.
    KubeConfig(PathBuf),
    /// Server of `api_server`.
    Api {
        /// Address, with a path if the server is behind a proxy.
        url: Box<Url>,
        /// Settings of the HTTP client.
        http_client: Box<HttpClientConfig>,
    },
}

/// Section `namespaces`. The default is all namespaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamespaceSelection {
    /// Whether the namespace of the pod of this process belongs to the selection.
    pub own_namespace: bool,
    /// Names of namespaces.
    pub names: Vec<String>,
}

/// Entry of `selectors`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleSelector {
    /// Kind of the selected objects.
    pub role: KubernetesRole,
    /// Label selector; empty selects all.
    pub label: String,
    /// Field selector; empty selects all.
    pub field: String,
}

/// Section `attach_metadata`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AttachMetadata {
    /// Whether targets have the labels and annotations of their node.
    pub node: bool,
    /// Whether targets have the labels and annotations of their namespace.
    pub namespace: bool,
    /// Whether targets have the name of the deployment of their pod.
    pub deployment: bool,
    /// Whether targets have the name of the job of their pod.
    pub job: bool,
    /// Whether targets have the name of the cron job of their pod.
    pub cron_job: bool,
}

/// Roles and their names.
const ROLES: [(KubernetesRole, &str); 6] = [
    (KubernetesRole::Pod, "pod"),
    (KubernetesRole::Service, "service"),
    (KubernetesRole::Endpoints, "endpoints"),
    (KubernetesRole::EndpointSlice, "endpointslice"),
    (KubernetesRole::Node, "node"),
    (KubernetesRole::Ingress, "ingress"),
];

impl KubernetesRole {
    /// All roles.
    pub const ALL: [Self; 6] =
        [Self::Pod, Self::Service, Self::Endpoints, Self::EndpointSlice, Self::Node, Self::Ingress];

    /// Returns the name in the configuration and in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        ROLES.iter().find(|(role, _)| *role == self).map_or("", |(_, name)| name)
    }

    /// Returns the roles that selectors may have.
    fn selectable(self) -> &'static [Self] {
        match self {
            Self::Pod => &[Self::Pod, Self::Node],
            Self::Service => &[Self::Service],
            Self::EndpointSlice => &[Self::Pod, Self::Service, Self::EndpointSlice],
            Self::Endpoints => &[Self::Pod, Self::Service, Self::Endpoints],
            Self::Node => &[Self::Node],
            Self::Ingress => &[Self::Ingress],
        }
    }
}

/// Reads an entry. `None` if the role is missing or invalid, or the server is not valid.
pub(super) fn parse(mut entry: Mapping<'_>) -> Option<KubernetesSdConfig> {
    let role = entry.get("role").map(|value| role(&value));
    if role.is_none() {
        entry.value().problem(format_args!("needs role: {}", names(&KubernetesRole::ALL)));
    }
    let role = role.flatten();
    let url = entry.get("api_server").filter(|value| !value.is_null());
    let kubeconfig = entry.get("kubeconfig_file");
    let http_client = HttpClientConfig::read(&mut entry);
    let places = http_client.places.clone();
    let (namespaces, own_namespace) = namespaces(&mut entry);
    let server = server(&entry, url, kubeconfig, http_client, own_namespace.as_ref());
    let selectors = selectors(&mut entry, role);
    let attach_metadata = entry.mapping("attach_metadata").map(attach_metadata);
    entry.finish();
    Some(KubernetesSdConfig {
        role: role?,
        server: server?,
        namespaces,
        selectors,
        attach_metadata: attach_metadata.unwrap_or_default(),
        places,
    })
}

/// Reads a role; null and an empty text are problems, too.
fn role(value: &Value<'_>) -> Option<KubernetesRole> {
    let text = value.string()?;
    let known = ROLES.iter().find(|(_, name)| *name == text);
    if known.is_none() {
        let all = names(&KubernetesRole::ALL);
        value.problem(format_args!("{text:?} is not a role; use one of {all}"));
    }
    known.map(|(role, _)| *role)
}

fn names(roles: &[KubernetesRole]) -> String {
    roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(", ")
}

/// Returns the server; `None` after a problem with its URL.
fn server(
    entry: &Mapping<'_>,
    url: Option<Value<'_>>,
    kubeconfig: Option<Value<'_>>,
    http_client: HttpClientConfig,
    own_namespace: Option<&Value<'_>>,
) -> Option<KubernetesServer> {
    let path = kubeconfig.as_ref().and_then(Value::path);
    let is_custom = http_client != HttpClientConfig::default();
    if let (Some(_), Some(value)) = (&url, kubeconfig.filter(|_| path.is_some())) {
        value.problem("excludes api_server; set one of them");
    } else if path.is_some() && is_custom {
        entry.value().problem("kubeconfig_file excludes keys of the HTTP client");
    } else if url.is_none() && is_custom {
        entry.value().problem("keys of the HTTP client need api_server");
    }
    if let Some(value) = own_namespace {
        if url.is_some() {
            value.problem("excludes api_server");
        } else if path.is_some() {
            value.problem("excludes kubeconfig_file");
        }
    }
    match (url, path) {
        (Some(value), _) => {
            let (url, http_client) = (Box::new(server_url(&value)?), Box::new(http_client));
            Some(KubernetesServer::Api { url, http_client })
        }
        (None, Some(path)) => Some(KubernetesServer::KubeConfig(path)),
        (None, None) => Some(KubernetesServer::InCluster),
    }
}

/// Reads the URL of the server. As in Prometheus, the scheme may be missing.
fn server_url(value: &Value<'_>) -> Option<Url> {
    let text = value.string()?;
    let has_scheme = text.contains("://");
    let with_scheme = if has_scheme { text } else { format!("http://{text}") };
    let url = Url::parse(&with_scheme).map_err(|error| value.problem(error)).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        value.problem("scheme must be http or https");
        return None;
    }
    Some(url)
}

/// Reads `namespaces`, and the value of `own_namespace` if it is `true`.
fn namespaces<'a>(entry: &mut Mapping<'a>) -> (NamespaceSelection, Option<Value<'a>>) {
    let Some(mut section) = entry.mapping("namespaces") else {
        return (NamespaceSelection::default(), None);
    };
    let own = section.get("own_namespace");
    let own = own.filter(|value| value.boolean().unwrap_or(false));
    let list = section.get("names");
    let names = list.as_ref().map(Value::strings).unwrap_or_default();
    if let Some(value) = list.filter(|_| names.len() > MAX_NAMESPACES) {
        value.problem(format_args!("has more than {MAX_NAMESPACES} names"));
    }
    section.finish();
    (NamespaceSelection { own_namespace: own.is_some(), names }, own)
}

fn selectors(entry: &mut Mapping<'_>, role: Option<KubernetesRole>) -> Vec<RoleSelector> {
    let mut selectors: Vec<RoleSelector> = Vec::new();
    for value in entry.list("selectors") {
        let Some(selector) = value.mapping().and_then(|section| selector(section, role)) else {
            continue;
        };
        if selectors.iter().any(|known| known.role == selector.role) {
            value.problem(format_args!("is the second one with role {}", selector.role.name()));
        }
        selectors.push(selector);
    }
    selectors
}

fn selector(mut section: Mapping<'_>, of: Option<KubernetesRole>) -> Option<RoleSelector> {
    let selected = match section.get("role") {
        Some(value) => {
            let selected = role(&value);
            if let (Some(selected), Some(of)) = (selected, of)
                && !of.selectable().contains(&selected)
            {
                let allowed = names(of.selectable());
                let (of, selected) = (of.name(), selected.name());
                value.problem(format_args!(
                    "role {of} has no selectors with role {selected}, only {allowed}"
                ));
            }
            selected
        }
        None => {
            section.value().problem("needs role");
            None
        }
    };
    let mut text = |key: &'static str, check: fn(&str) -> Result<(), selector::SelectorError>| {
        let value = section.get(key)?;
        let text = value.string()?;
        check(&text).map_err(|error| value.problem(error)).ok()?;
        Some(text)
    };
    let label = text("label", selector::check_labels).unwrap_or_default();
    let field = text("field", selector::check_fields).unwrap_or_default();
    section.finish();
    Some(RoleSelector { role: selected?, label, field })
}

fn attach_metadata(mut section: Mapping<'_>) -> AttachMetadata {
    let mut flag = |key| section.boolean(key).unwrap_or(false);
    let metadata = AttachMetadata {
        node: flag("node"),
        namespace: flag("namespace"),
        deployment: flag("deployment"),
        job: flag("job"),
        cron_job: flag("cronjob"),
    };
    section.finish();
    metadata
}

/// Returns the entry of the effective configuration.
pub(super) fn effective(config: &KubernetesSdConfig) -> YamlMapping {
    let mut entry = YamlMapping::default();
    let (url, path, http_client) = match &config.server {
        KubernetesServer::InCluster => (None, String::new(), None),
        KubernetesServer::KubeConfig(path) => (None, path.display().to_string(), None),
        KubernetesServer::Api { url, http_client } => (Some(url), String::new(), Some(http_client)),
    };
    if let Some(url) = url {
        entry.set("api_server", url.to_string());
    }
    entry.set("role", config.role.name());
    entry.set("kubeconfig_file", path);
    match http_client {
        Some(http_client) => http_client.add_to(&mut entry),
        None => HttpClientConfig::default().add_to(&mut entry),
    }
    if config.namespaces != NamespaceSelection::default() {
        let mut section = YamlMapping::default();
        section.set("own_namespace", config.namespaces.own_namespace);
        section.set("names", config.namespaces.names.clone());
        entry.set("namespaces", section);
    }
    let selectors = config.selectors.iter().map(|selector| {
        let mut section = YamlMapping::default();
        section.set("role", selector.role.name());
        section.set_unless_zero("label", selector.label.as_str());
        section.set_unless_zero("field", selector.field.as_str());
        section
    });
    entry.set_unless_zero("selectors", Yaml::from(selectors.collect::<Vec<_>>()));
    if config.attach_metadata != AttachMetadata::default() {
        let AttachMetadata { node, namespace, deployment, job, cron_job } = config.attach_metadata;
        let mut section = YamlMapping::default();
        for (key, value) in [
            ("node", node),
            ("namespace", namespace),
            ("deployment", deployment),
            ("job", job),
            ("cronjob", cron_job),
        ] {
            section.set(key, value);
        }
        entry.set("attach_metadata", section);
    }
    entry
}

#[cfg(test)]
mod tests;
