//! Stored samples of scrape jobs by the number of the scrape, so that servers that scrape at other
//! times can be compared.
//!
//! The scraper's own samples of a job tell the times of its scrapes. Samples at other times have
//! timestamps of their target; they are compared by these.

use std::collections::BTreeMap;
use std::fmt;

use super::samples::{LabelSet, Samples};

/// Bits of a stale marker.
pub(crate) const STALE: u64 = 0x7ff0_0000_0000_0002;

/// Time of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum When {
    /// Number of the scrape, from 1.
    Scrape(usize),
    /// Timestamp of the target, ms.
    Own(i64),
}

/// Samples of one job, which has one target.
#[derive(Clone, Default)]
pub(crate) struct JobScrapes {
    /// Timestamps of the scrapes.
    pub(crate) times: Vec<i64>,
    /// Labels of the series that the scraper itself makes.
    target_labels: LabelSet,
    /// Bits of the samples by series. Label sets lack `job` and `instance`.
    pub(crate) series: BTreeMap<LabelSet, Vec<(When, u64)>>,
}

impl JobScrapes {
    /// Selects the samples of a job.
    pub(crate) fn of(samples: &Samples, job: &str) -> JobScrapes {
        let mut scrapes = JobScrapes::honored(samples, job, job);
        scrapes.target_labels.retain(|(name, _)| name != "job" && name != "instance");
        let labeled = std::mem::take(&mut scrapes.series).into_iter();
        scrapes.series = labeled
            .map(|(mut labels, samples)| {
                labels.retain(|(name, _)| name != "job" && name != "instance");
                (labels, samples)
            })
            .collect();
        scrapes
    }

    /// Selects the samples with the label `job` that the scrapes of another job stored. Label sets
    /// keep `job` and `instance`.
    pub(crate) fn honored(samples: &Samples, scraped_by: &str, job: &str) -> JobScrapes {
        let mut scrapes = JobScrapes::default();
        for (labels, t, _) in samples.iter() {
            // No test exposes this name.
            let is_scrape = get(labels, "__name__") == Some("scrape_duration_seconds");
            if is_scrape && get(labels, "job") == Some(scraped_by) {
                scrapes.times.push(t);
                if scrapes.target_labels.is_empty() {
                    scrapes.target_labels = labels.clone();
                }
            }
        }
        for (labels, t, bits) in samples.iter() {
            if get(labels, "job") == Some(job) {
                let when = match scrapes.times.binary_search(&t) {
                    Ok(index) => When::Scrape(index + 1),
                    Err(_) => When::Own(t),
                };
                if !scrapes.series.contains_key(labels) {
                    scrapes.series.insert(labels.clone(), Vec::new());
                }
                scrapes.series.get_mut(labels).expect("inserted").push((when, bits));
            }
        }
        scrapes
    }

    /// Keeps the first `count` scrapes, and all samples with timestamps of the target.
    pub(crate) fn first(mut self, count: usize) -> JobScrapes {
        self.times.truncate(count);
        for samples in self.series.values_mut() {
            samples.retain(|(when, _)| !matches!(when, When::Scrape(number) if *number > count));
        }
        self.series.retain(|_, samples| !samples.is_empty());
        self
    }

    /// Returns the samples of a series that the scraper itself makes.
    pub(crate) fn of_scraper(&self, metric: &str) -> &[(When, u64)] {
        let mut labels = self.target_labels.clone();
        for (name, value) in &mut labels {
            if name == "__name__" {
                *value = metric.to_owned();
            }
        }
        self.series.get(&labels).map_or(&[], Vec::as_slice)
    }

    /// Returns the values of a series of the scraper by scrape.
    pub(crate) fn values(&self, name: &str) -> Vec<f64> {
        self.of_scraper(name).iter().map(|(_, bits)| f64::from_bits(*bits)).collect()
    }

    /// Returns `1` or `0` for each scrape: the values of `up`.
    pub(crate) fn up(&self) -> String {
        self.values("up").iter().map(|value| if *value == 1.0 { '1' } else { '0' }).collect()
    }

    /// Returns the number of stale markers.
    pub(crate) fn markers(&self) -> usize {
        self.all().filter(|(_, bits)| *bits == STALE).count()
    }

    /// Returns the number of samples that are not stale markers.
    pub(crate) fn values_count(&self) -> usize {
        self.all().filter(|(_, bits)| *bits != STALE).count()
    }

    fn all(&self) -> impl Iterator<Item = &(When, u64)> {
        self.series.values().flatten()
    }

    /// Returns a line for each series. Durations are not comparable and are left out.
    pub(crate) fn lines(&self) -> BTreeMap<String, String> {
        self.series
            .iter()
            .map(|(labels, samples)| {
                let is_duration = get(labels, "__name__") == Some("scrape_duration_seconds");
                let samples = samples.iter().map(|(when, bits)| match is_duration {
                    true => format!("{when}"),
                    false => format!("{when}={}", value_text(*bits)),
                });
                (series_text(labels), samples.collect::<Vec<_>>().join(" "))
            })
            .collect()
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            When::Scrape(number) => write!(f, "{number}"),
            When::Own(t) => write!(f, "@{t}"),
        }
    }
}

/// Returns the lines that differ.
pub(crate) fn difference(
    one: (&str, &BTreeMap<String, String>),
    other: (&str, &BTreeMap<String, String>),
) -> String {
    let mut text = String::new();
    let names: std::collections::BTreeSet<&String> = one.1.keys().chain(other.1.keys()).collect();
    for name in names {
        let (a, b) = (one.1.get(name), other.1.get(name));
        if a != b {
            let line = |lines: Option<&String>| lines.cloned().unwrap_or_else(|| "-".to_owned());
            text.push_str(&format!(
                "  {name}\n    {:10} {}\n    {:10} {}\n",
                one.0,
                line(a),
                other.0,
                line(b)
            ));
        }
    }
    text
}

/// Returns the value of a label.
pub(crate) fn get<'a>(labels: &'a LabelSet, name: &str) -> Option<&'a str> {
    labels.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
}

/// Formats a label set as a series of the text format.
pub(crate) fn series_text(labels: &LabelSet) -> String {
    let name = get(labels, "__name__").unwrap_or("");
    let pairs: Vec<String> = labels
        .iter()
        .filter(|(name, _)| name != "__name__")
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    if pairs.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", pairs.join(",")) }
}

/// Formats a value so that different bits have different texts; -0 is 0, as Prometheus reads it.
pub(crate) fn value_text(bits: u64) -> String {
    let value = f64::from_bits(bits);
    if bits == STALE {
        "stale".to_owned()
    } else if value.is_nan() {
        format!("NaN:{bits:016x}")
    } else if value == 0.0 {
        "0".to_owned()
    } else {
        value.to_string()
    }
}
