//! Files of `scrape_config_files`.
//!
//! A pattern may have wildcards in its last part only. A file may have only `scrape_configs`, and
//! its relative paths are relative to its own directory.

use crate::config::file::context::{Context, MAX_SIZE};
use crate::config::file::scrape::defaults::GlobalScrape;
use crate::config::file::scrape::section;
use crate::config::file::scrape::section::IncludedFile;
use crate::config::glob;
use crate::config::yaml::document;
use crate::config::yaml::error::FileProblem;
use crate::config::yaml::source::Source;
use crate::config::yaml::value::Value;
use std::path::{Path, PathBuf};

/// Maximum number of included files.
const MAX_FILES: usize = 10_000;

/// Patterns and files of `scrape_config_files`.
#[derive(Debug, Default)]
pub(super) struct Included {
    pub(super) patterns: Vec<PathBuf>,
    pub(super) files: Vec<IncludedFile>,
}

/// Reads the patterns and all files that they match.
pub(super) fn parse(
    section: &Value<'_>,
    global: &GlobalScrape,
    context: &mut Context<'_>,
) -> Included {
    let mut included = Included::default();
    for value in section.list() {
        let Some(text) = value.string() else { continue };
        if text.split_once('*').is_some_and(|(_, after)| after.contains('/')) {
            value.problem(format_args!("{text:?} has a wildcard before its last part"));
            continue;
        }
        let pattern = value.source().resolve(&text);
        let paths = match glob::matches(&pattern) {
            Ok(paths) => paths,
            Err(error) => {
                value.problem(format_args!("cannot list {text:?}: {error}"));
                continue;
            }
        };
        if paths.is_empty() {
            value.warning(format_args!("{text:?} matches no file"));
        }
        for path in paths {
            if included.files.len() >= MAX_FILES {
                value.problem(format_args!("more than {MAX_FILES} files are included"));
                return included;
            }
            included.files.extend(file(&value, path, global, context));
        }
        included.patterns.push(pattern);
    }
    included
}

fn file(
    pattern: &Value<'_>,
    path: PathBuf,
    global: &GlobalScrape,
    context: &mut Context<'_>,
) -> Option<IncludedFile> {
    let text = match document::read(&path, MAX_SIZE) {
        Ok(text) if text.len() > MAX_SIZE => {
            pattern.problem(format_args!("{} exceeds {MAX_SIZE} bytes", path.display()));
            return None;
        }
        Ok(text) => text,
        Err(error) => {
            pattern.problem(format_args!("cannot read {}: {error}", path.display()));
            return None;
        }
    };
    let dir = path.parent().unwrap_or(Path::new(""));
    let (source, tree) = Source::parse(&text, dir, context.options.ignore_unsupported);
    let mut jobs = Vec::new();
    if let Some(mut root) = Value::root(&source, &tree).mapping() {
        if let Some(value) = root.get("scrape_configs") {
            jobs = section::jobs(&value, &path, global, &mut context.names);
        }
        for key in root.unread() {
            key.problem("an included file may have scrape_configs only");
        }
    }
    let findings = source.into_findings();
    let of_file = |problem| FileProblem { path: path.clone(), problem };
    context.included_problems.extend(findings.problems.into_iter().map(of_file));
    context.included_warnings.extend(findings.warnings.into_iter().map(of_file));
    Some(IncludedFile { path, jobs })
}
