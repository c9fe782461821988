//! HTTP clients of jobs and discoveries: certificates, keys and CAs, which only the creation of a
//! client reads.

use crate::config::file::contents::ConfigFile;
use crate::config::file::discovery::DiscoveryConfig;
use crate::config::file::http_client::settings::HttpClientConfig;
use crate::config::yaml::error::{ConfigProblem, FileProblem};
use crate::discovery::kinds::kubernetes;
use crate::http_client::USER_AGENT;
use crate::http_client::client::HttpClient;
use std::path::Path;

/// Creates the client of every job and discovery, and returns the problems. `path` is that of the
/// configuration file.
pub(crate) fn problems(path: &Path, file: &ConfigFile) -> Vec<FileProblem> {
    let mut problems = Vec::new();
    for (path, job) in file.scrape.jobs_by_file(path) {
        let clients = job.http_clients().filter_map(problem);
        for problem in clients.chain(job.discoveries.iter().filter_map(kubeconfig_problem)) {
            problems.push(FileProblem { path: path.to_owned(), problem });
        }
    }
    problems
}

fn problem(config: &HttpClientConfig) -> Option<ConfigProblem> {
    let environment = |name: &str| std::env::var(name).ok();
    let error = HttpClient::new(config, USER_AGENT, &environment).err()?;
    Some(config.places.problem(error.setting(), &error.reason()))
}

fn kubeconfig_problem(config: &DiscoveryConfig) -> Option<ConfigProblem> {
    let DiscoveryConfig::Kubernetes(config) = config else { return None };
    let error = kubernetes::check_kubeconfig(config).err()?;
    Some(config.places.problem("kubeconfig_file", &error.to_string()))
}
