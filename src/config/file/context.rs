//! Surroundings in which a section is parsed.

use crate::config::expand::Variables;
use crate::config::file::options::LoadOptions;
use crate::config::file::scrape::section::JobNames;
use crate::config::yaml::error::FileProblem;
use std::path::Path;

/// Maximum size of a configuration file, and of each file that it includes, bytes.
pub(super) const MAX_SIZE: usize = 16 << 20;

/// Surroundings of a section.
pub(super) struct Context<'a> {
    /// Path of the configuration file.
    pub(super) path: &'a Path,
    pub(super) options: LoadOptions,
    pub(super) variables: Variables<'a>,
    /// Names of the jobs of all files.
    pub(super) names: JobNames,
    pub(super) included_problems: Vec<FileProblem>,
    pub(super) included_warnings: Vec<FileProblem>,
}

impl<'a> Context<'a> {
    pub(super) fn new(path: &'a Path, options: LoadOptions, variables: Variables<'a>) -> Self {
        Self {
            path,
            options,
            variables,
            names: JobNames::default(),
            included_problems: Vec::new(),
            included_warnings: Vec::new(),
        }
    }
}
