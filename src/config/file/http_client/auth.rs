//! Basic authentication and the header `Authorization`.

use crate::config::file::http_client::oauth2::OAuth2Config;
use crate::config::file::http_client::source::{Source, SourceKeys, add_secret, add_text};
use crate::config::yaml::mapping::Mapping;
use crate::config::yaml::output::YamlMapping;
use crate::config::yaml::value::Value;
use crate::model::secret::Secret;

const USERNAME: SourceKeys =
    SourceKeys { inline: "username", file: "username_file", reference: "username_ref" };
const PASSWORD: SourceKeys =
    SourceKeys { inline: "password", file: "password_file", reference: "password_ref" };
const CREDENTIALS: SourceKeys =
    SourceKeys { inline: "credentials", file: "credentials_file", reference: "credentials_ref" };
const BEARER_TOKEN: SourceKeys =
    SourceKeys { inline: "bearer_token", file: "bearer_token_file", reference: "" };

/// Kind of authentication.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientAuth {
    /// `basic_auth`.
    Basic(BasicAuth),
    /// `authorization`, or the older `bearer_token` and `bearer_token_file`.
    Authorization(Authorization),
    /// `oauth2`.
    OAuth2(Box<OAuth2Config>),
}

/// Section `basic_auth`. A missing part is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BasicAuth {
    /// `username` or `username_file`.
    pub username: Option<Source<String>>,
    /// `password` or `password_file`.
    pub password: Option<Source<Secret>>,
}

/// Section `authorization`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// Scheme, such as `Bearer`. Neither empty nor `Basic`.
    pub scheme: String,
    /// `credentials` or `credentials_file`; `None` is empty.
    pub credentials: Option<Source<Secret>>,
}

/// Reads all kinds of authentication, of which one is allowed.
pub(super) fn read(mapping: &mut Mapping<'_>) -> Option<ClientAuth> {
    let mut found = Found::default();
    if let Some((value, section)) = section(mapping, "basic_auth") {
        found.add("basic_auth", &value, ClientAuth::Basic(BasicAuth::read(section)));
    }
    if let Some((value, section)) = section(mapping, "authorization") {
        let auth = Authorization::read(section);
        found.add("authorization", &value, ClientAuth::Authorization(auth));
    }
    if let Some((value, section)) = section(mapping, "oauth2") {
        // A section with problems excludes other kinds, too.
        let config = OAuth2Config::read(section).map(|config| ClientAuth::OAuth2(config.into()));
        let placeholder = || ClientAuth::Basic(BasicAuth::default());
        found.add("oauth2", &value, config.unwrap_or_else(placeholder));
    }
    if let Some((token, value)) = BEARER_TOKEN.read(mapping, Secret::new) {
        let auth = Authorization { scheme: "Bearer".to_owned(), credentials: Some(token) };
        found.add("bearer_token", &value, ClientAuth::Authorization(auth));
    }
    found.0.map(|(_, auth)| auth)
}

fn section<'a>(mapping: &mut Mapping<'a>, key: &'static str) -> Option<(Value<'a>, Mapping<'a>)> {
    let value = mapping.get(key)?;
    let section = value.mapping()?;
    Some((value, section))
}

/// First kind of authentication and its key.
#[derive(Default)]
struct Found(Option<(&'static str, ClientAuth)>);

impl Found {
    fn add(&mut self, key: &'static str, value: &Value<'_>, auth: ClientAuth) {
        match &self.0 {
            Some((other, _)) => {
                value.problem(format_args!("excludes {other}; set one kind of authentication"));
            }
            None => self.0 = Some((key, auth)),
        }
    }
}

impl BasicAuth {
    fn read(mut mapping: Mapping<'_>) -> Self {
        let username = USERNAME.read(&mut mapping, |text| text).map(|(source, _)| source);
        let password = PASSWORD.read(&mut mapping, Secret::new).map(|(source, _)| source);
        mapping.finish();
        Self { username, password }
    }

    pub(super) fn effective(&self) -> YamlMapping {
        let mut yaml = YamlMapping::default();
        add_text(self.username.as_ref(), USERNAME, &mut yaml);
        add_secret(self.password.as_ref(), PASSWORD, &mut yaml);
        yaml
    }
}

impl Authorization {
    fn read(mut mapping: Mapping<'_>) -> Self {
        let value = mapping.get("type");
        let text = value.as_ref().and_then(Value::string).unwrap_or_default();
        let scheme = text.trim();
        if let Some(value) = value.filter(|_| scheme.eq_ignore_ascii_case("basic")) {
            value.problem("cannot be basic; use basic_auth");
        }
        let credentials = CREDENTIALS.read(&mut mapping, Secret::new).map(|(source, _)| source);
        mapping.finish();
        let scheme = if scheme.is_empty() { "Bearer" } else { scheme };
        Self { scheme: scheme.to_owned(), credentials }
    }

    pub(super) fn effective(&self) -> YamlMapping {
        let mut yaml = YamlMapping::default();
        yaml.set("type", self.scheme.as_str());
        add_secret(self.credentials.as_ref(), CREDENTIALS, &mut yaml);
        yaml
    }
}
