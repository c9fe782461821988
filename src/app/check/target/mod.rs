//! Check of targets: scrapes each once and prints what would be stored, without a server.
//!
//! # Output
//! Lines on standard output that begin with their kind and a colon: the target and its labels, the
//! result of the scrape, changes of labels, samples, limits. Problems of the check itself, and
//! warnings of discovery, are on standard error. The exit code is 1 if a scrape fails, a target is
//! invalid or no target is found.
//!
//! | module | contents |
//! |---|---|
//! | `candidates` | discovered targets of a job after relabeling |
//! | `discover` | targets of a job, found by discovery |
//! | `error` | errors of the check |
//! | `report` | lines about a target and its scrape |
//! | `scrape` | one scrape without storage |
//! | `verdict` | result of the check |

mod candidates;
mod discover;
mod error;
mod report;
mod scrape;
mod verdict;

use crate::app::check::target::candidates::{Candidate, CandidateResult};
use crate::app::check::target::error::CheckTargetError;
use crate::app::check::target::scrape::ScrapeLimits;
use crate::app::check::target::verdict::Verdict;
use crate::app::logging;
use crate::config::file;
use crate::config::file::http_client::settings::HttpClientConfig;
use crate::config::file::options::LoadOptions;
use crate::config::file::scrape::defaults::GlobalScrape;
use crate::config::file::scrape::job::ScrapeJob;
use crate::config::flags::check::CheckTargetFlags;
use crate::config::flags::log::{LogFlags, LogFormat, LogLevel};
use crate::http_client::USER_AGENT;
use crate::http_client::client::HttpClient;
use crate::model::url::Url;
use crate::scrape::pool::job::{JobSettings, TargetSpec};
use crate::scrape::request::client_exchange::ClientExchange;
use crate::scrape::target::label_names::{INSTANCE, JOB};
use crate::scrape::unit::error::ScrapeError;
use crate::scrape::unit::settings::StartTimestamps;
use std::collections::HashSet;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// Name of the job of a URL.
const URL_JOB: &str = "check";

/// Checks a target, or those of a job.
pub(super) fn run(flags: &CheckTargetFlags) -> ExitCode {
    let log = LogFlags { level: LogLevel::Warn, format: LogFormat::Logfmt };
    // Dropped last, so that all log lines are flushed. Without a log, the check runs all the same.
    let _logging = logging::start(&log).ok();
    let mut out = BufWriter::new(std::io::stdout().lock());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let checked = runtime.map_err(CheckTargetError::from).and_then(|runtime| {
        let checked = runtime.block_on(check(flags, &mut out));
        // Threads of discovery may wait for files.
        runtime.shutdown_background();
        checked
    });
    // Failed writes are ignored: the exit code has the result, too.
    let _ = out.flush();
    match checked {
        Ok(Verdict::Healthy) => ExitCode::SUCCESS,
        Ok(Verdict::Failed) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "ERROR: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn check(
    flags: &CheckTargetFlags,
    out: &mut impl Write,
) -> Result<Verdict, CheckTargetError> {
    let limits = ScrapeLimits::new(flags.max_body_size.as_usize());
    match (&flags.url, &flags.job, &flags.config_file) {
        (Some(url), ..) => check_url(url, &limits, out).await,
        (None, Some(job), Some(path)) => {
            let options = LoadOptions::new(flags.ignore_unsupported);
            check_job(find_job(path, job, options)?, flags, &limits, out).await
        }
        // The parser of the command line demands the URL, or the job with its file.
        (None, ..) => Err(CheckTargetError::NoTarget),
    }
}

/// Scrapes a URL with the defaults of a job.
async fn check_url(
    text: &str,
    limits: &ScrapeLimits,
    out: &mut impl Write,
) -> Result<Verdict, CheckTargetError> {
    let url = Url::parse(text).map_err(CheckTargetError::Url)?;
    let job = job_settings(ScrapeJob::new(URL_JOB, &GlobalScrape::default()))?;
    let instance = url.authority();
    let pairs = [(INSTANCE, instance.as_str()), (JOB, URL_JOB)];
    let target = TargetSpec::of_url(text, &pairs, &job.config)?;
    let scraped = scrape::scrape(&job, &target, limits).await;
    report::write_target(out, &url.to_string(), &target.labels)?;
    Ok(report::write_scrape(out, &job, &target, &scraped, limits)?)
}

/// Scrapes the targets of a job.
async fn check_job(
    job: ScrapeJob,
    flags: &CheckTargetFlags,
    limits: &ScrapeLimits,
    out: &mut impl Write,
) -> Result<Verdict, CheckTargetError> {
    let job = job_settings(job)?;
    let groups = discover::groups(&job.config, flags.discovery_timeout).await?;
    let candidates = candidates::resolve(&job.targets, &groups);
    let over_limit = over_target_limit(&job, &candidates);
    let wanted = |candidate: &&Candidate| match &flags.target {
        Some(name) => candidate.is_named(name),
        None => true,
    };
    let mut verdict = None;
    for candidate in candidates.iter().filter(wanted) {
        report::write_candidate(out, candidate)?;
        let result = match (&candidate.result, &over_limit) {
            (CandidateResult::Dropped(_), _) => Verdict::Healthy,
            (CandidateResult::Invalid(_), _) => Verdict::Failed,
            (CandidateResult::Active(_), Some(error)) => {
                report::write_error(out, error)?;
                Verdict::Failed
            }
            (CandidateResult::Active(target), None) => {
                let scraped = scrape::scrape(&job, target, limits).await;
                report::write_scrape(out, &job, target, &scraped, limits)?
            }
        };
        verdict = Some(verdict.unwrap_or(Verdict::Healthy).and(result));
    }
    verdict.ok_or_else(|| match &flags.target {
        Some(target) => CheckTargetError::UnknownTarget(target.clone()),
        None => CheckTargetError::NoTarget,
    })
}

/// Returns the error of every scrape if the job has too many targets.
fn over_target_limit(job: &JobSettings, candidates: &[Candidate]) -> Option<ScrapeError> {
    let active: HashSet<u64> = candidates
        .iter()
        .filter_map(|candidate| match &candidate.result {
            CandidateResult::Active(target) => Some(target.hash),
            CandidateResult::Dropped(_) | CandidateResult::Invalid(_) => None,
        })
        .collect();
    let (targets, limit) = (active.len(), job.target_limit);
    (limit > 0 && targets as u64 > limit).then_some(ScrapeError::TargetLimit { targets, limit })
}

fn find_job(path: &Path, name: &str, options: LoadOptions) -> Result<ScrapeJob, CheckTargetError> {
    let file = file::load(path, options)?;
    let job = file.scrape.all_jobs().find(|job| job.name == name);
    job.cloned().ok_or_else(|| CheckTargetError::UnknownJob(name.to_owned()))
}

fn job_settings(job: ScrapeJob) -> Result<JobSettings, CheckTargetError> {
    let client = client(&job.http_client)?;
    let exchange = Arc::new(ClientExchange::new(Arc::new(client)));
    Ok(JobSettings::new(Arc::new(job), exchange, StartTimestamps::Ignore))
}

fn client(config: &HttpClientConfig) -> Result<HttpClient, CheckTargetError> {
    let environment = |name: &str| std::env::var(name).ok();
    HttpClient::new(config, USER_AGENT, &environment).map_err(CheckTargetError::Client)
}

#[cfg(test)]
mod tests;
