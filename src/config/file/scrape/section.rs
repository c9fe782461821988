//! Sections `scrape_configs` and `scrape_config_files`: all jobs of a configuration.

use crate::config::file::scrape::defaults::GlobalScrape;
use crate::config::file::scrape::job;
use crate::config::file::scrape::job::ScrapeJob;
use crate::config::yaml::value::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// All jobs of a configuration. Names are unique over all files.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScrapeSections {
    /// Jobs in `scrape_configs`.
    pub jobs: Vec<ScrapeJob>,
    /// Patterns in `scrape_config_files`, relative to the working directory.
    pub file_patterns: Vec<PathBuf>,
    /// Files that the patterns match, in the order in which they are read.
    pub included: Vec<IncludedFile>,
}

/// File that `scrape_config_files` includes.
#[derive(Debug, Clone, PartialEq)]
pub struct IncludedFile {
    /// Path of the file.
    pub path: PathBuf,
    /// Jobs in it.
    pub jobs: Vec<ScrapeJob>,
}

impl ScrapeSections {
    /// Returns all jobs, those of included files last.
    pub fn all_jobs(&self) -> impl Iterator<Item = &ScrapeJob> {
        self.jobs.iter().chain(self.included.iter().flat_map(|file| &file.jobs))
    }

    /// Returns all jobs with the paths of their files. `path` is that of the configuration file.
    pub fn jobs_by_file<'a>(
        &'a self,
        path: &'a Path,
    ) -> impl Iterator<Item = (&'a Path, &'a ScrapeJob)> {
        let included = self.included.iter();
        let included =
            included.flat_map(|file| file.jobs.iter().map(|job| (file.path.as_path(), job)));
        self.jobs.iter().map(move |job| (path, job)).chain(included)
    }
}

/// Names of jobs, and the place of each.
#[derive(Debug, Default)]
pub(crate) struct JobNames(HashMap<String, String>);

/// Reads `scrape_configs`. A name that another job has is a problem.
pub(crate) fn jobs(
    section: &Value<'_>,
    file: &Path,
    global: &GlobalScrape,
    names: &mut JobNames,
) -> Vec<ScrapeJob> {
    let mut jobs = Vec::new();
    for entry in section.list() {
        if entry.is_null() {
            entry.problem("must be a mapping, not null");
        }
        let Some(job) = entry.mapping().and_then(|entry| job::parse(entry, global)) else {
            continue;
        };
        let place = format!("{}:{}", file.display(), entry.position().line);
        match names.0.get(&job.name) {
            Some(first) => {
                let name = &job.name;
                entry.problem(format_args!("job_name {name:?} is already used at {first}"));
            }
            None => {
                names.0.insert(job.name.clone(), place);
            }
        }
        jobs.push(job);
    }
    jobs
}
