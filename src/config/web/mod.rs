//! Web configuration file: TLS, users, headers and the rate limit, in the syntax of Prometheus's
//! exporter-toolkit.
//!
//! The parser accepts the files that Prometheus accepts, except for settings that rustls does not
//! have and settings under which every request would be rejected. It reads neither certificates nor
//! keys.
//!
//! | module | contents |
//! |---|---|
//! | [`contents`] | the parsed file |
//! | `duration` | durations in the syntax of Go |
//! | `http` | section `http_server_config` |
//! | `parameters` | policies, versions, cipher suites and curves by name |
//! | `rate_limit` | section `rate_limit` |
//! | `tls` | section `tls_server_config` |
//! | `users` | section `basic_auth_users` |

pub mod contents;
mod duration;
mod http;
mod parameters;
mod rate_limit;
mod tls;
mod users;

use crate::config::web::contents::WebConfig;
use crate::config::yaml::document;
use crate::config::yaml::document::{Document, Key, Section};
use crate::config::yaml::error::{ConfigProblem, LoadConfigError, Position};
use std::path::Path;

/// Maximum size of a web configuration file, bytes.
const MAX_SIZE: usize = 4 << 20;
/// Default of `--web.auth-max-bcrypt-cost`.
pub const DEFAULT_MAX_BCRYPT_COST: u32 = 14;

const TLS: &str = "tls_server_config";
const HTTP: &str = "http_server_config";
const USERS: &str = "basic_auth_users";
const RATE_LIMIT: &str = "rate_limit";
const SECTIONS: [&str; 4] = [TLS, HTTP, USERS, RATE_LIMIT];

/// Valid web configuration file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebConfigFile {
    /// Contents of the file.
    pub config: WebConfig,
    /// Whether the file has the section `basic_auth_users`, even without users. Null is no section.
    pub has_users_section: bool,
    /// Settings that are valid but have another effect than their text says, or none.
    pub warnings: Vec<ConfigProblem>,
}

/// Reads and parses a web configuration file. `max_bcrypt_cost` is the maximum cost of a password
/// hash.
///
/// # Errors
/// [`LoadConfigError`] names the file and, if known, line and column.
pub fn load(path: &Path, max_bcrypt_cost: u32) -> Result<WebConfigFile, LoadConfigError> {
    let dir = path.parent().unwrap_or(Path::new(""));
    document::load(path, MAX_SIZE, |text| parse(text, dir, max_bcrypt_cost))
}

/// Returns the position of a key in a section, or of the section, for an error that the parser does
/// not find. Returns `None` if the file cannot be parsed or does not have the section.
pub fn position_of(path: &Path, section: &str, key: &str) -> Option<Position> {
    let positions = document::load(path, MAX_SIZE, |text| {
        let document = Document::new(text, MAX_SIZE)?;
        let find = |keys: Vec<Key>, name| keys.into_iter().find(|key| key.name == name);
        let outer = find(document.keys()?, section);
        let inner = find(Section { document: &document, name: section }.keys()?, key);
        Ok(inner.or(outer).and_then(|key| key.position))
    });
    positions.ok().flatten()
}

/// Parses the text of a web configuration file. Relative paths in it are relative to `dir`.
///
/// # Errors
/// The first problem, with its position.
pub fn parse(text: &str, dir: &Path, max_bcrypt_cost: u32) -> Result<WebConfigFile, ConfigProblem> {
    let document = Document::new(text, MAX_SIZE)?;
    let keys = document.keys()?;
    if let Some(key) = keys.iter().find(|key| !SECTIONS.contains(&key.name.as_str())) {
        let expected = SECTIONS.join(", ");
        let message = format!("unknown section {:?}, expected one of {expected}", key.name);
        return Err(ConfigProblem::new(key.position, &message));
    }
    if keys.is_empty() {
        return Ok(WebConfigFile::default());
    }
    let section = |name| Section { document: &document, name };
    let mut warnings = Vec::new();
    let users = users::parse(&section(USERS), max_bcrypt_cost, &mut warnings)?;
    let has_users_section = users.is_some();
    let config = WebConfig {
        tls: tls::parse(&section(TLS), dir, &mut warnings)?,
        http: http::parse(&section(HTTP))?,
        users: users.unwrap_or_default(),
        rate_limit: rate_limit::parse(&section(RATE_LIMIT))?,
    };
    Ok(WebConfigFile { config, has_users_section, warnings })
}

#[cfg(test)]
mod tests;
