//! Flags of Prometheus that narthex does not have: some mean nothing here and are accepted with one warning, so that a
//! user's habits and chart values carry over; others ask for something that is not built yet and are refused by name.
//! Feature names of Prometheus are all accepted with a warning, as Prometheus itself does with names that it does not know.

use self::FlagArity::{Switch, Value};
use self::FlagSupport::{Ignored, Unsupported};
use std::ffi::{OsStr, OsString};

/// What is to be done with a foreign flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FlagSupport {
    /// It changes nothing here.
    Ignored,
    /// To accept it would be to promise something.
    Unsupported,
}

/// Whether a flag is followed by a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FlagArity {
    Switch,
    Value,
}

const FOREIGN: &[(&str, FlagArity, FlagSupport)] = &[
    ("agent", Switch, Unsupported),
    ("alertmanager.drain-notification-queue-on-shutdown", Switch, Ignored),
    ("alertmanager.notification-batch-size", Value, Ignored),
    ("alertmanager.notification-queue-capacity", Value, Ignored),
    ("auto-gomaxprocs", Switch, Ignored),
    ("auto-gomemlimit", Switch, Ignored),
    ("auto-gomemlimit.ratio", Value, Ignored),
    ("auto-gomemlimit.refresh-interval", Value, Ignored),
    ("config.auto-reload", Switch, Unsupported),
    ("config.auto-reload-interval", Value, Unsupported),
    ("query.lookback-delta", Value, Ignored),
    ("query.max-concurrency", Value, Ignored),
    ("query.max-samples", Value, Ignored),
    ("rules.alert.for-grace-period", Value, Ignored),
    ("rules.alert.for-outage-tolerance", Value, Ignored),
    ("rules.alert.resend-delay", Value, Ignored),
    ("rules.max-concurrent-evals", Value, Ignored),
    ("scrape.adjust-timestamps", Switch, Unsupported),
    ("scrape.discovery-reload-interval", Value, Unsupported),
    ("scrape.timestamp-tolerance", Value, Unsupported),
    ("storage.agent.path", Value, Unsupported),
    ("storage.remote.flush-deadline", Value, Ignored),
    ("storage.tsdb.allow-overlapping-blocks", Switch, Ignored),
    ("storage.tsdb.allow-overlapping-compaction", Switch, Unsupported),
    ("storage.tsdb.block-reload-interval", Value, Unsupported),
    ("storage.tsdb.delayed-compaction.max-percent", Value, Unsupported),
    ("storage.tsdb.head-chunks-write-queue-size", Value, Ignored),
    ("storage.tsdb.max-block-chunk-segment-size", Value, Unsupported),
    ("storage.tsdb.no-lockfile", Switch, Ignored),
    ("storage.tsdb.retention", Value, Unsupported),
    ("storage.tsdb.samples-per-chunk", Value, Unsupported),
    // Older versions of Prometheus have it; here the lock is always taken.
    ("storage.tsdb.use-lockfile", Switch, Ignored),
    ("web.config.file", Value, Unsupported),
    ("web.console.libraries", Value, Ignored),
    ("web.console.templates", Value, Ignored),
    ("web.cors.origin", Value, Ignored),
    ("web.enable-otlp-receiver", Switch, Unsupported),
    ("web.enable-remote-write-receiver", Switch, Ignored),
    ("web.external-url", Value, Unsupported),
    ("web.max-notifications-subscribers", Value, Ignored),
    ("web.page-title", Value, Ignored),
    ("web.remote-write-receiver.accepted-protobuf-messages", Value, Unsupported),
    ("web.route-prefix", Value, Unsupported),
    ("web.search.max-limit", Value, Ignored),
    ("web.user-assets", Value, Ignored),
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
pub struct SplitArgs {
    /// What is left for narthex's own parser.
    pub narthex_args: Vec<OsString>,
    /// Flags that were given and mean nothing here, without dashes; features as `enable-feature=NAME`.
    pub ignored: Vec<&'static str>,
}

/// A flag of Prometheus whose feature does not exist here yet.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "--{0} is a flag of Prometheus that this version of narthex does not support yet; leave it out"
)]
pub struct UnsupportedFlag(pub &'static str);

/// Takes Prometheus's flags that narthex does not have out of a command line.
///
/// # Errors
/// [`UnsupportedFlag`] for a flag that can't be ignored honestly.
pub fn split_args(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<SplitArgs, UnsupportedFlag> {
    let mut sifted = SplitArgs { narthex_args: Vec::new(), ignored: Vec::new() };
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if argument == FEATURE_FLAG {
            match arguments.next() {
                Some(list) => sifted.take_features(&list, |own| vec![argument, own]),
                None => sifted.narthex_args.push(argument),
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
        let Some(MatchedFlag { name, shape, verdict, has_value }) =
            argument.to_str().and_then(find_prometheus_flag)
        else {
            sifted.narthex_args.push(argument);
            continue;
        };
        if verdict == Unsupported {
            return Err(UnsupportedFlag(name));
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

impl SplitArgs {
    /// Takes foreign features out of `list`. `to_arguments` makes arguments of the remaining ones, if any.
    fn take_features(
        &mut self,
        list: &OsStr,
        to_arguments: impl FnOnce(OsString) -> Vec<OsString>,
    ) {
        let Some(names) = list.to_str() else {
            self.narthex_args.extend(to_arguments(list.to_owned()));
            return;
        };
        let mut own = Vec::new();
        for name in names.split(',') {
            match FOREIGN_FEATURES
                .iter()
                .find(|known| known.split_once('=').is_some_and(|(_, known)| known == name))
            {
                Some(known) => self.note_meaningless(known),
                None => own.push(name),
            }
        }
        if !own.is_empty() {
            self.narthex_args.extend(to_arguments(own.join(",").into()));
        }
    }

    fn note_meaningless(&mut self, name: &'static str) {
        if !self.ignored.contains(&name) {
            self.ignored.push(name);
        }
    }
}

/// A foreign flag on the command line.
#[derive(Debug)]
struct MatchedFlag {
    /// Without dashes.
    name: &'static str,
    shape: FlagArity,
    verdict: FlagSupport,
    /// Whether its value is in the same argument.
    has_value: bool,
}

/// Finds `--name`, `--name=value` or `--no-name` in the table.
fn find_prometheus_flag(argument: &str) -> Option<MatchedFlag> {
    let flag = argument.strip_prefix("--")?;
    let (name, has_value) = match flag.split_once('=') {
        Some((name, _)) => (name, true),
        None => (flag, false),
    };
    let positive = name.strip_prefix("no-").unwrap_or(name);
    FOREIGN
        .iter()
        .find(|(foreign, shape, _)| *foreign == name || (*shape == Switch && *foreign == positive))
        .map(|&(name, shape, verdict)| MatchedFlag { name, shape, verdict, has_value })
}

#[cfg(test)]
mod tests {
    use super::{FOREIGN_FEATURES, UnsupportedFlag, split_args};
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
        let sifted = split_args(line(given)).unwrap();
        assert_eq!(sifted.narthex_args, line("serve --log.level=debug"));
        assert_eq!(
            sifted.ignored,
            ["web.console.templates", "web.enable-remote-write-receiver", "query.max-samples"]
        );
    }

    #[test]
    fn prometheus_feature_is_dropped_with_a_warning() {
        let given = "serve --enable-feature=native-histograms,xor2-encoding --enable-feature old-ui,no-such-feature \
                     --enable-feature=metadata-wal-records --enable-feature promql-duration-expr --enable-feature";
        let sifted = split_args(line(given)).unwrap();
        let own = "serve --enable-feature=xor2-encoding --enable-feature no-such-feature --enable-feature";
        assert_eq!(
            sifted.narthex_args,
            line(own),
            "unknown names are left for the parser, which rejects them"
        );
        let features =
            ["native-histograms", "old-ui", "metadata-wal-records", "promql-duration-expr"];
        assert_eq!(sifted.ignored, features.map(|name| format!("enable-feature={name}")));
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
        assert_eq!(
            split_args(line("serve --web.config.file=web.yml")),
            Err(UnsupportedFlag("web.config.file"))
        );
        assert_eq!(
            split_args(line("serve --no-scrape.adjust-timestamps")),
            Err(UnsupportedFlag("scrape.adjust-timestamps"))
        );
    }
}
