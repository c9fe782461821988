//! Configuration file in Prometheus's YAML, parsed strictly.
//!
//! Each section has a parser in its own file, which the registry lists. Any section or key without
//! a parser is a problem that names it: no setting is ignored. Every problem of every file is
//! reported, not only the first.
//!
//! | module | contents |
//! |---|---|
//! | [`client_file`] | file with the settings of one HTTP client |
//! | [`contents`] | the parsed file |
//! | `context` | surroundings of a section |
//! | [`discovery`] | `static_configs` and `*_sd_configs` |
//! | [`error`] | error of loading |
//! | [`global`] | section `global` |
//! | [`http_client`] | settings of HTTP clients |
//! | `included` | files of `scrape_config_files` |
//! | [`options`] | what a command accepts |
//! | `registry` | parsers of the sections; names of unsupported sections |
//! | `runtime` | section `runtime`, which has no effect |
//! | [`scrape`] | sections `scrape_configs` and `scrape_config_files` |
//! | [`storage`] | section `storage` |

pub mod client_file;
pub mod contents;
mod context;
pub mod discovery;
pub mod error;
pub mod global;
pub mod http_client;
mod included;
pub mod options;
mod registry;
mod runtime;
pub mod scrape;
pub mod storage;

use crate::config::expand::Variables;
use crate::config::file::contents::ConfigFile;
use crate::config::file::context::{Context, MAX_SIZE};
use crate::config::file::error::ConfigFileError;
use crate::config::file::options::LoadOptions;
use crate::config::yaml::document;
use crate::config::yaml::error::{ConfigProblem, FileProblem};
#[cfg(feature = "testing")]
use crate::config::yaml::source::KnownKeys;
use crate::config::yaml::source::Source;
use crate::config::yaml::value::Value;
use std::path::Path;

/// Reads and parses a configuration file and the files that it includes.
///
/// # Errors
/// [`ConfigFileError`] has every problem.
pub fn load(path: &Path, options: LoadOptions) -> Result<ConfigFile, ConfigFileError> {
    let (file, problems) = check(path, options)?;
    if problems.is_empty() { Ok(file) } else { Err(ConfigFileError::Invalid(problems)) }
}

/// Reads and parses a configuration file and the files that it includes. Returns the contents with
/// all problems; the contents are valid only without problems.
///
/// # Errors
/// The configuration file cannot be read.
pub fn check(
    path: &Path,
    options: LoadOptions,
) -> Result<(ConfigFile, Vec<FileProblem>), ConfigFileError> {
    let text = document::read(path, MAX_SIZE)
        .map_err(|source| ConfigFileError::Read { path: path.to_owned(), source })?;
    Ok(parse(&text, path, options, &|name| std::env::var(name).ok()))
}

/// Parses the text of a configuration file and reads the files that it includes. `variables`
/// returns the value of an environment variable.
///
/// Returns the contents with all problems, in the order of the files. The contents are valid only
/// without problems.
pub fn parse(
    text: &str,
    path: &Path,
    options: LoadOptions,
    variables: Variables<'_>,
) -> (ConfigFile, Vec<FileProblem>) {
    if text.len() > MAX_SIZE {
        let problem = ConfigProblem::new(None, &format!("file exceeds {MAX_SIZE} bytes"));
        return (ConfigFile::default(), vec![FileProblem { path: path.to_owned(), problem }]);
    }
    let dir = path.parent().unwrap_or(Path::new(""));
    let (source, tree) = Source::parse(text, dir, options.ignore_unsupported);
    let mut context = Context::new(path, options, variables);
    let mut file = registry::parse_sections(&Value::root(&source, &tree), &mut context);
    let findings = source.into_findings();
    let of_file = |list: Vec<ConfigProblem>| {
        let path = path.to_owned();
        list.into_iter().map(move |problem| FileProblem { path: path.clone(), problem })
    };
    file.warnings = of_file(findings.warnings).chain(context.included_warnings).collect();
    let problems = of_file(findings.problems).chain(context.included_problems).collect();
    (file, problems)
}

/// Returns the keys that are known in each mapping of a configuration file, valid or not, by the
/// path of the mapping, such as `scrape_configs[0].tls_config`; the path of the file is empty.
#[cfg(feature = "testing")]
#[must_use]
pub fn known_keys(text: &str) -> KnownKeys {
    let path = Path::new("");
    let (source, tree) = Source::parse(text, path, false);
    let mut context = Context::new(path, LoadOptions::default(), &|_| None);
    registry::parse_sections(&Value::root(&source, &tree), &mut context);
    source.into_known_keys()
}

/// Parses a valid configuration file for tests of other modules.
#[cfg(test)]
pub(crate) fn parse_for_tests(text: &str) -> ConfigFile {
    let (file, problems) = parse(text, Path::new(""), LoadOptions::new(false), &|_| None);
    assert_eq!(problems, [], "{text}");
    file
}

#[cfg(test)]
mod tests;
