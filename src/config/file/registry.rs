//! Registry of the section parsers.
//!
//! A new section is a file with its type and parser, a field of [`ConfigFile`] and an entry of
//! [`PARSERS`].

use crate::config::expand::Variables;
use crate::config::file::contents::ConfigFile;
use crate::config::file::{global, storage};
use crate::config::yaml::document::{Document, Key, Section};
use crate::config::yaml::error::ConfigProblem;

/// Function that parses a section and stores the result in its field.
type ParseSection = fn(&Section<'_>, Variables<'_>, &mut ConfigFile) -> Result<(), ConfigProblem>;

/// Supported sections, in the order in which they are parsed.
const PARSERS: [(&str, ParseSection); 2] = [
    ("global", |section, variables, file| {
        global::parse(section, variables).map(|parsed| file.global = parsed)
    }),
    ("storage", |section, _, file| storage::parse(section).map(|parsed| file.storage = parsed)),
];

/// Other sections of Prometheus's configuration file. They get another error than unknown names.
const UNSUPPORTED: [&str; 9] = [
    "runtime",
    "rule_files",
    "scrape_config_files",
    "scrape_configs",
    "alerting",
    "tracing",
    "otlp",
    "remote_write",
    "remote_read",
];

/// Parses all sections of a document.
pub(super) fn parse_sections(
    document: &Document<'_>,
    variables: Variables<'_>,
) -> Result<ConfigFile, ConfigProblem> {
    let keys = document.keys()?;
    let is_supported = |key: &&Key| PARSERS.iter().any(|(name, _)| *name == key.name);
    if let Some(key) = keys.iter().find(|key| !is_supported(key)) {
        return Err(ConfigProblem::new(key.position, &unknown_section(&key.name)));
    }
    let mut file = ConfigFile::default();
    for (name, parse) in PARSERS {
        if keys.iter().any(|key| key.name == name) {
            parse(&Section { document, name }, variables, &mut file)?;
        }
    }
    Ok(file)
}

fn unknown_section(name: &str) -> String {
    if UNSUPPORTED.contains(&name) {
        format!("section {name} is not supported by this version of narthex; remove it")
    } else {
        format!("unknown section {name}")
    }
}
