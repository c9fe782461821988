//! Labels of targets that have a meaning.

/// Host and port.
pub const ADDRESS: &str = "__address__";
/// `http` or `https`.
pub const SCHEME: &str = "__scheme__";
/// Path of the URL.
pub const METRICS_PATH: &str = "__metrics_path__";
/// Prefix of the first value of a URL parameter.
pub const PARAM_PREFIX: &str = "__param_";
/// Time between two scrapes.
pub const SCRAPE_INTERVAL: &str = "__scrape_interval__";
/// Maximum duration of a scrape.
pub const SCRAPE_TIMEOUT: &str = "__scrape_timeout__";
/// Path of a unix socket to connect to.
pub const UNIX_SOCKET: &str = "__unix_socket__";
/// Whether native histograms are read.
pub const SCRAPE_NATIVE_HISTOGRAMS: &str = "__scrape_native_histograms__";
/// Whether classic histograms become native histograms with custom buckets.
pub const CONVERT_CLASSIC_HISTOGRAMS: &str = "__convert_classic_histograms_to_nhcb__";
/// Whether the classic form of a native histogram is stored, too.
pub const ALWAYS_SCRAPE_CLASSIC_HISTOGRAMS: &str = "__always_scrape_classic_histograms__";
/// Prefix of labels that exist during relabeling only.
pub const META_PREFIX: &str = "__meta_";
/// Prefix of labels that are not added to series.
pub const INTERNAL_PREFIX: &str = "__";
/// Name of the job.
pub const JOB: &str = "job";
/// Address, unless relabeling sets something else.
pub const INSTANCE: &str = "instance";
/// Prefix of exposed labels that the target has, too.
pub const EXPORTED_PREFIX: &str = "exported_";
