//! Flags of Prometheus that narthex does not have: some mean nothing here and are accepted with one warning, so that a
//! user's habits and chart values carry over; others ask for something that is not built yet and are refused by name.
//! Feature names of Prometheus are all accepted with a warning, as Prometheus itself does with names that it does not know.

use self::Shape::{Switch, Value};
use self::Verdict::{Meaningless, NotBuilt};
use std::ffi::{OsStr, OsString};

/// What is to be done with a foreign flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It changes nothing here.
    Meaningless,
    /// To accept it would be to promise something.
    NotBuilt,
}

/// Whether a flag is followed by a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Switch,
    Value,
}

const FOREIGN: &[(&str, Shape, Verdict)] = &[
    ("agent", Switch, NotBuilt),
    ("alertmanager.drain-notification-queue-on-shutdown", Switch, Meaningless),
    ("alertmanager.notification-batch-size", Value, Meaningless),
    ("alertmanager.notification-queue-capacity", Value, Meaningless),
    ("auto-gomaxprocs", Switch, Meaningless),
    ("auto-gomemlimit", Switch, Meaningless),
    ("auto-gomemlimit.ratio", Value, Meaningless),
    ("auto-gomemlimit.refresh-interval", Value, Meaningless),
    ("config.auto-reload", Switch, NotBuilt),
    ("config.auto-reload-interval", Value, NotBuilt),
    ("query.lookback-delta", Value, Meaningless),
    ("query.max-concurrency", Value, Meaningless),
    ("query.max-samples", Value, Meaningless),
    ("rules.alert.for-grace-period", Value, Meaningless),
    ("rules.alert.for-outage-tolerance", Value, Meaningless),
    ("rules.alert.resend-delay", Value, Meaningless),
    ("rules.max-concurrent-evals", Value, Meaningless),
    ("scrape.adjust-timestamps", Switch, NotBuilt),
    ("scrape.discovery-reload-interval", Value, NotBuilt),
    ("scrape.timestamp-tolerance", Value, NotBuilt),
    ("storage.agent.path", Value, NotBuilt),
    ("storage.remote.flush-deadline", Value, Meaningless),
    ("storage.tsdb.allow-overlapping-blocks", Switch, Meaningless),
    ("storage.tsdb.allow-overlapping-compaction", Switch, NotBuilt),
    ("storage.tsdb.block-reload-interval", Value, NotBuilt),
    ("storage.tsdb.delayed-compaction.max-percent", Value, NotBuilt),
    ("storage.tsdb.head-chunks-write-queue-size", Value, Meaningless),
    ("storage.tsdb.max-block-chunk-segment-size", Value, NotBuilt),
    ("storage.tsdb.no-lockfile", Switch, Meaningless),
    ("storage.tsdb.retention", Value, NotBuilt),
    ("storage.tsdb.samples-per-chunk", Value, NotBuilt),
    // Older versions of Prometheus have it; here the lock is always taken.
    ("storage.tsdb.use-lockfile", Switch, Meaningless),
    ("web.config.file", Value, NotBuilt),
    ("web.console.libraries", Value, Meaningless),
    ("web.console.templates", Value, Meaningless),
    ("web.cors.origin", Value, Meaningless),
    ("web.enable-otlp-receiver", Switch, NotBuilt),
    ("web.enable-remote-write-receiver", Switch, Meaningless),
    ("web.external-url", Value, NotBuilt),
    ("web.max-notifications-subscribers", Value, Meaningless),
    ("web.page-title", Value, Meaningless),
    ("web.remote-write-receiver.accepted-protobuf-messages", Value, NotBuilt),
    ("web.route-prefix", Value, NotBuilt),
    ("web.search.max-limit", Value, Meaningless),
    ("web.user-assets", Value, Meaningless),
];

/// Features that narthex does not have: those of Prometheus 3.14, then those that earlier versions had.
/// `agent` is left out: it asks for another program, as `--agent` does.
const FOREIGN_FEATURES: &[&str] = &[
    "enable-feature=auto-reload-config",
    "enable-feature=concurrent-rule-eval",
    "enable-feature=created-timestamp-zero-ingestion",
    "enable-feature=delayed-compaction",
    "enable-feature=extra-scrape-metrics",
    "enable-feature=fast-startup",
    "enable-feature=metadata-wal-records",
    "enable-feature=native-histograms",
    "enable-feature=old-ui",
    "enable-feature=ooo-native-histograms",
    "enable-feature=otlp-deltatocumulative",
    "enable-feature=otlp-native-delta-ingestion",
    "enable-feature=promql-binop-fill-modifiers",
    "enable-feature=promql-delayed-name-removal",
    "enable-feature=promql-duration-expr",
    "enable-feature=promql-experimental-functions",
    "enable-feature=promql-extended-range-selectors",
    "enable-feature=promql-per-step-stats",
    "enable-feature=search-api",
    "enable-feature=st-synthesis",
    "enable-feature=type-and-unit-labels",
    "enable-feature=use-start-timestamps",
    "enable-feature=use-uncached-io",
    "enable-feature=auto-gomaxprocs",
    "enable-feature=auto-gomemlimit",
    "enable-feature=expand-external-labels",
    "enable-feature=new-service-discovery-manager",
    "enable-feature=no-default-scrape-port",
    "enable-feature=otlp-write-receiver",
    "enable-feature=promql-at-modifier",
    "enable-feature=promql-negative-offset",
    "enable-feature=remote-write-receiver",
    "enable-feature=utf8-names",
];

const FEATURE_FLAG: &str = "--enable-feature";

/// The command line without foreign flags.
#[derive(Debug, PartialEq, Eq)]
pub struct Sifted {
    /// What is left for narthex's own parser.
    pub own: Vec<OsString>,
    /// Flags that were given and mean nothing here, without dashes; features as `enable-feature=NAME`.
    pub meaningless: Vec<&'static str>,
}

/// A flag of Prometheus whose feature does not exist here yet.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("--{0} is a flag of Prometheus that this version of narthex does not support yet; leave it out")]
pub struct NotBuiltYet(pub &'static str);

/// Takes Prometheus's flags that narthex does not have out of a command line.
///
/// # Errors
/// [`NotBuiltYet`] for a flag that can't be ignored honestly.
pub fn sift(arguments: impl IntoIterator<Item = OsString>) -> Result<Sifted, NotBuiltYet> {
    let mut sifted = Sifted { own: Vec::new(), meaningless: Vec::new() };
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if argument == FEATURE_FLAG {
            match arguments.next() {
                Some(list) => sifted.take_features(&list, |own| vec![argument, own]),
                None => sifted.own.push(argument),
            }
            continue;
        }
        if let Some(list) = argument.to_str().and_then(feature_list) {
            let joined = |own: OsString| {
                let mut flag = OsString::from(FEATURE_FLAG);
                flag.push("=");
                flag.push(own);
                vec![flag]
            };
            sifted.take_features(list.as_ref(), joined);
            continue;
        }
        let Some(Found { name, shape, verdict, has_value }) = argument.to_str().and_then(lookup) else {
            sifted.own.push(argument);
            continue;
        };
        if verdict == NotBuilt {
            return Err(NotBuiltYet(name));
        }
        if shape == Value && !has_value {
            arguments.next();
        }
        sifted.note_meaningless(name);
    }
    Ok(sifted)
}

/// Returns the names in `--enable-feature=NAMES`.
fn feature_list(argument: &str) -> Option<&str> {
    argument.strip_prefix(FEATURE_FLAG)?.strip_prefix('=')
}

impl Sifted {
    /// Takes foreign features out of `list`. `to_arguments` makes arguments of the remaining ones, if any.
    fn take_features(&mut self, list: &OsStr, to_arguments: impl FnOnce(OsString) -> Vec<OsString>) {
        let Some(names) = list.to_str() else {
            self.own.extend(to_arguments(list.to_owned()));
            return;
        };
        let mut own = Vec::new();
        for name in names.split(',') {
            match FOREIGN_FEATURES.iter().find(|known| known.split_once('=').is_some_and(|(_, known)| known == name)) {
                Some(known) => self.note_meaningless(known),
                None => own.push(name),
            }
        }
        if !own.is_empty() {
            self.own.extend(to_arguments(own.join(",").into()));
        }
    }

    fn note_meaningless(&mut self, name: &'static str) {
        if !self.meaningless.contains(&name) {
            self.meaningless.push(name);
        }
    }
}

/// A foreign flag on the command line.
#[derive(Debug)]
struct Found {
    /// Without dashes.
    name: &'static str,
    shape: Shape,
    verdict: Verdict,
    /// Whether its value is in the same argument.
    has_value: bool,
}

/// Finds `--name`, `--name=value` or `--no-name` in the table.
fn lookup(argument: &str) -> Option<Found> {
    let flag = argument.strip_prefix("--")?;
    let (name, has_value) = match flag.split_once('=') {
        Some((name, _)) => (name, true),
        None => (flag, false),
    };
    let positive = name.strip_prefix("no-").unwrap_or(name);
    FOREIGN
        .iter()
        .find(|(foreign, shape, _)| *foreign == name || (*shape == Switch && *foreign == positive))
        .map(|&(name, shape, verdict)| Found { name, shape, verdict, has_value })
}

#[cfg(test)]
mod tests {
    use super::{FOREIGN_FEATURES, NotBuiltYet, sift};
    use crate::config::flags::Feature;
    use clap::ValueEnum;
    use std::ffi::OsString;

    fn line(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn flags_without_meaning_are_taken_out_with_their_values() {
        let given = "serve --web.console.templates /etc/c --web.enable-remote-write-receiver --log.level=debug \
                     --query.max-samples=2 --query.max-samples=3";
        let sifted = sift(line(given)).unwrap();
        assert_eq!(sifted.own, line("serve --log.level=debug"));
        assert_eq!(
            sifted.meaningless,
            ["web.console.templates", "web.enable-remote-write-receiver", "query.max-samples"]
        );
    }

    #[test]
    fn prometheus_feature_is_dropped_with_a_warning() {
        let given = "serve --enable-feature=native-histograms,xor2-encoding --enable-feature old-ui,no-such-feature \
                     --enable-feature=metadata-wal-records --enable-feature promql-duration-expr --enable-feature";
        let sifted = sift(line(given)).unwrap();
        let own = "serve --enable-feature=xor2-encoding --enable-feature no-such-feature --enable-feature";
        assert_eq!(sifted.own, line(own), "unknown names are left for the parser, which rejects them");
        let features = ["native-histograms", "old-ui", "metadata-wal-records", "promql-duration-expr"];
        assert_eq!(sifted.meaningless, features.map(|name| format!("enable-feature={name}")));
    }

    #[test]
    fn no_feature_is_both_foreign_and_own() {
        for foreign in FOREIGN_FEATURES {
            let (_, name) = foreign.split_once('=').unwrap();
            assert!(Feature::from_str(name, false).is_err(), "{name}");
        }
    }

    #[test]
    fn flags_that_promise_something_are_refused_by_name() {
        assert_eq!(sift(line("serve --web.config.file=web.yml")), Err(NotBuiltYet("web.config.file")));
        assert_eq!(sift(line("serve --no-scrape.adjust-timestamps")), Err(NotBuiltYet("scrape.adjust-timestamps")));
    }
}
