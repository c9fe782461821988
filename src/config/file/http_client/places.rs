//! Positions of the settings of an HTTP client, for problems that only its creation finds.

use crate::config::yaml::error::{ConfigProblem, Position};
use crate::config::yaml::mapping::Mapping;
use crate::config::yaml::value::Value;

/// Keys whose values are checked when a client is created.
const CHECKED: [&str; 4] = ["tls_config", "oauth2", "proxy_from_environment", "kubeconfig_file"];
/// Levels below a checked key, such as `oauth2.tls_config.ca_file`.
const LEVELS: usize = 2;

/// Positions of the settings of an HTTP client; none if they are not from a file.
///
/// All are equal: the place of settings does not take part in their comparison, because a job that
/// only moved in its file is unchanged.
#[derive(Debug, Clone, Default)]
pub struct SettingPlaces {
    /// Key and position of the mapping that has the settings.
    root: Option<(String, Position)>,
    /// Keys relative to the root.
    keys: Vec<(String, Position)>,
}

impl PartialEq for SettingPlaces {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl SettingPlaces {
    /// Returns the positions in a mapping.
    pub(super) fn of(mapping: &Mapping<'_>) -> Self {
        let mut keys = Vec::new();
        for (key, value) in mapping.entries().filter(|(key, _)| CHECKED.contains(&key.name)) {
            add(&mut keys, key.name, &value, LEVELS);
        }
        let root = mapping.value();
        Self { root: Some((root.key().to_owned(), root.position())), keys }
    }

    /// Returns a problem of a setting, such as `tls_config.ca_file`, with its position and key. A
    /// setting that is not in the file has the position of the next section around it.
    pub(crate) fn problem(&self, setting: &str, reason: &str) -> ConfigProblem {
        let mut name = setting;
        let found = loop {
            let found = self.keys.iter().find(|(key, _)| key == name);
            match (found, name.rsplit_once('.')) {
                (None, Some((section, _))) => name = section,
                _ => break found.map(|(_, position)| *position),
            }
        };
        let Some((root, start)) = &self.root else {
            return ConfigProblem::new(None, &format!("{setting}: {reason}"));
        };
        let separator = if root.is_empty() { "" } else { "." };
        let message = format!("{root}{separator}{setting}: {reason}");
        ConfigProblem::new(Some(found.unwrap_or(*start)), &message)
    }
}

fn add(keys: &mut Vec<(String, Position)>, name: &str, value: &Value<'_>, levels: usize) {
    keys.push((name.to_owned(), value.position()));
    if levels == 0 || !value.is_mapping() {
        return;
    }
    for (key, value) in value.mapping().iter().flat_map(Mapping::entries) {
        add(keys, &format!("{name}.{}", key.name), &value, levels - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::SettingPlaces;
    use crate::config::yaml::source::Source;
    use crate::config::yaml::value::Value;
    use std::path::Path;

    #[test]
    fn problem_has_position_of_setting_or_section() {
        let text = "a: 1\ntls_config:\n  ca_file: x\noauth2: {tls_config: {ca_file: y}}\n";
        let (source, tree) = Source::parse(text, Path::new(""), false);
        let mapping = Value::root(&source, &tree).mapping().expect("a mapping");
        let places = SettingPlaces::of(&mapping);
        for (setting, expected) in [
            ("tls_config.ca_file", "3:12: tls_config.ca_file: r"),
            ("tls_config.key_file", "3:3: tls_config.key_file: r"),
            ("oauth2.tls_config.ca_file", "4:32: oauth2.tls_config.ca_file: r"),
            ("proxy_from_environment", "1:1: proxy_from_environment: r"),
        ] {
            assert_eq!(places.problem(setting, "r").to_string(), expected);
        }
        assert_eq!(places, SettingPlaces::default());
        let unknown = SettingPlaces::default().problem("tls_config.ca", "r");
        assert_eq!(unknown.to_string(), "tls_config.ca: r");
    }
}
