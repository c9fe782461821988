//! Section `oauth2`.

use crate::config::file::http_client::proxy::ProxyConfig;
use crate::config::file::http_client::source::{Source, SourceKeys, add_secret};
use crate::config::file::http_client::tls;
use crate::config::file::http_client::tls::TlsClientConfig;
use crate::config::yaml::json;
use crate::config::yaml::mapping::Mapping;
use crate::config::yaml::output::{Yaml, YamlMapping};
use crate::config::yaml::value::Value;
use crate::model::secret::Secret;
use crate::model::url::Url;
use std::collections::BTreeMap;

/// Value of `grant_type` for [`OAuth2Grant::JwtBearer`].
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

const SECRET: SourceKeys = SourceKeys {
    inline: "client_secret",
    file: "client_secret_file",
    reference: "client_secret_ref",
};
const KEY: SourceKeys = SourceKeys {
    inline: "client_certificate_key",
    file: "client_certificate_key_file",
    reference: "client_certificate_key_ref",
};
const ALGORITHMS: [(&str, JwtAlgorithm); 3] = [
    ("RS256", JwtAlgorithm::Rs256),
    ("RS384", JwtAlgorithm::Rs384),
    ("RS512", JwtAlgorithm::Rs512),
];

/// Section `oauth2`.
#[derive(Debug, Clone, PartialEq)]
pub struct OAuth2Config {
    /// Client identifier, not empty.
    pub client_id: String,
    /// Endpoint that issues the tokens.
    pub token_url: Url,
    /// Requested scopes.
    pub scopes: Vec<String>,
    /// Additional parameters of the token request. Of its own ones, they replace only `grant_type`.
    pub endpoint_params: BTreeMap<String, String>,
    /// Key `grant_type` as written. Any value but [`JWT_BEARER`] means client credentials.
    pub grant_type: Option<String>,
    /// Proof of the client's identity.
    pub grant: OAuth2Grant,
    /// TLS of connections to the token endpoint.
    pub tls: TlsClientConfig,
    /// Proxy of connections to the token endpoint.
    pub proxy: ProxyConfig,
}

/// Grant of a token request.
#[derive(Debug, Clone, PartialEq)]
pub enum OAuth2Grant {
    /// Client credentials: `client_secret` or `client_secret_file`; `None` is empty.
    ClientCredentials(Option<Source<Secret>>),
    /// Signed assertion (RFC 7523).
    JwtBearer(JwtBearer),
}

/// Settings of a signed assertion.
#[derive(Debug, Clone, PartialEq)]
pub struct JwtBearer {
    /// RSA key in PEM: `client_certificate_key` or `client_certificate_key_file`.
    pub key: Option<Source<Secret>>,
    /// `client_certificate_key_id`, header `kid` of the assertion.
    pub key_id: Option<String>,
    /// `signature_algorithm`; `None` is [`JwtAlgorithm::Rs256`].
    pub algorithm: Option<JwtAlgorithm>,
    /// `iss`; `None` is the client identifier.
    pub issuer: Option<String>,
    /// `audience`; `None` is the token URL.
    pub audience: Option<String>,
    /// Additional claims, which replace the standard ones.
    pub claims: serde_json::Map<String, serde_json::Value>,
}

/// Signature algorithm of an assertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwtAlgorithm {
    /// RSA with SHA-256.
    Rs256,
    /// RSA with SHA-384.
    Rs384,
    /// RSA with SHA-512.
    Rs512,
}

impl OAuth2Config {
    /// Reads the section; `None` if a required key is missing or invalid.
    pub(super) fn read(mut mapping: Mapping<'_>) -> Option<Self> {
        let client_id = required(&mut mapping, "client_id").map(|(text, _)| text);
        let token_url = required(&mut mapping, "token_url").and_then(|(text, value)| {
            let url = Url::parse(&text).map_err(|error| value.problem(error)).ok();
            url.filter(|url| {
                let is_http = matches!(url.scheme(), "http" | "https");
                if !is_http {
                    value.problem("scheme must be http or https");
                }
                is_http
            })
        });
        let scopes: Vec<String> = mapping.list("scopes").iter().filter_map(Value::string).collect();
        let endpoint_params = endpoint_params(&mut mapping, !scopes.is_empty());
        let grant_type = text(&mut mapping, "grant_type");
        let secret = SECRET.read(&mut mapping, Secret::new).map(|(source, _)| source);
        let jwt = JwtBearer::read(&mut mapping);
        let grant = match grant_type.as_deref() {
            Some(JWT_BEARER) => OAuth2Grant::JwtBearer(jwt),
            _ => OAuth2Grant::ClientCredentials(secret),
        };
        let tls = tls::read(&mut mapping);
        let proxy = ProxyConfig::read(&mut mapping);
        mapping.finish();
        Some(Self {
            client_id: client_id?,
            token_url: token_url?,
            scopes,
            endpoint_params,
            grant_type,
            grant,
            tls,
            proxy,
        })
    }

    pub(super) fn effective(&self) -> YamlMapping {
        let mut yaml = YamlMapping::default();
        let set = |yaml: &mut YamlMapping, key: &str, text: &Option<String>| {
            yaml.set_unless_zero(key, text.as_deref().unwrap_or_default());
        };
        yaml.set("client_id", self.client_id.as_str());
        match &self.grant {
            OAuth2Grant::ClientCredentials(secret) => {
                add_secret(secret.as_ref(), SECRET, &mut yaml);
                set(&mut yaml, "grant_type", &self.grant_type);
            }
            OAuth2Grant::JwtBearer(jwt) => {
                set(&mut yaml, "client_certificate_key_id", &jwt.key_id);
                add_secret(jwt.key.as_ref(), KEY, &mut yaml);
                set(&mut yaml, "grant_type", &self.grant_type);
                let name = ALGORITHMS.iter().find(|(_, known)| Some(*known) == jwt.algorithm);
                yaml.set_unless_zero("signature_algorithm", name.map_or("", |(name, _)| *name));
                set(&mut yaml, "iss", &jwt.issuer);
                set(&mut yaml, "audience", &jwt.audience);
                yaml.set_unless_zero("claims", mapping_of(&jwt.claims));
            }
        }
        yaml.set_unless_zero("scopes", self.scopes.clone());
        yaml.set("token_url", self.token_url.to_string());
        yaml.set_unless_zero("endpoint_params", YamlMapping::from_texts(&self.endpoint_params));
        self.tls.add_to(&mut yaml);
        self.proxy.add_to(&mut yaml);
        yaml
    }
}

impl JwtBearer {
    fn read(mapping: &mut Mapping<'_>) -> Self {
        let algorithm = mapping.get("signature_algorithm").and_then(|value| {
            let text = value.string().filter(|text| !text.is_empty())?;
            let known = ALGORITHMS.iter().find(|(name, _)| *name == text);
            if known.is_none() {
                value.problem("must be RS256, RS384 or RS512");
            }
            known.map(|(_, algorithm)| *algorithm)
        });
        let claims = mapping.get("claims").filter(|value| value.mapping().is_some());
        Self {
            key: KEY.read(mapping, Secret::new).map(|(source, _)| source),
            key_id: text(mapping, "client_certificate_key_id"),
            algorithm,
            issuer: text(mapping, "iss"),
            audience: text(mapping, "audience"),
            claims: match claims.map(|value| json::of(&value)) {
                Some(serde_json::Value::Object(claims)) => claims,
                _ => serde_json::Map::new(),
            },
        }
    }
}

/// Reads a text; `None` if it is empty.
fn text(mapping: &mut Mapping<'_>, key: &'static str) -> Option<String> {
    mapping.string(key).filter(|text| !text.is_empty())
}

/// Reads a text that must not be empty.
fn required<'a>(mapping: &mut Mapping<'a>, key: &'static str) -> Option<(String, Value<'a>)> {
    match mapping.get(key) {
        Some(value) => {
            let text = value.string()?;
            if text.is_empty() {
                value.problem("must not be empty");
                return None;
            }
            Some((text, value))
        }
        None => {
            mapping.value().problem(format_args!("needs {key}"));
            None
        }
    }
}

/// Reads the parameters. As in Prometheus, they cannot replace `scope`.
fn endpoint_params(mapping: &mut Mapping<'_>, has_scopes: bool) -> BTreeMap<String, String> {
    let Some(section) = mapping.mapping("endpoint_params") else { return BTreeMap::new() };
    let mut params = BTreeMap::new();
    for (key, value) in section.entries() {
        if has_scopes && key.name == "scope" {
            key.problem("excludes scopes; set one of them");
        }
        params.insert(key.name.to_owned(), value.string().unwrap_or_default());
    }
    params
}

fn mapping_of(json: &serde_json::Map<String, serde_json::Value>) -> YamlMapping {
    let mut yaml = YamlMapping::default();
    for (key, value) in json {
        yaml.set(key, node(value));
    }
    yaml
}

/// Returns a claim as YAML. A null is an empty text.
fn node(json: &serde_json::Value) -> Yaml {
    match json {
        serde_json::Value::Null => Yaml::from(""),
        serde_json::Value::Bool(value) => Yaml::from(*value),
        serde_json::Value::Number(number) => match number.as_u64() {
            Some(value) => Yaml::from(value),
            None => Yaml::from(number.as_f64().unwrap_or_default()),
        },
        serde_json::Value::String(text) => Yaml::from(text.as_str()),
        serde_json::Value::Array(items) => items.iter().map(node).collect(),
        serde_json::Value::Object(map) => Yaml::from(mapping_of(map)),
    }
}
