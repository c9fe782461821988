//! Flags of Prometheus that narthex does not have.
//!
//! - Flags without effect in narthex are accepted with one warning, so that existing command lines
//!   and chart values work.
//! - Flags for features that narthex does not support yet are rejected by name.
//! - Names of Prometheus's features are accepted with a warning, as Prometheus accepts unknown
//!   feature names.

use self::FlagArity::{Switch, Value};
use self::FlagSupport::{Ignored, Unsupported};
use std::ffi::{OsStr, OsString};

/// Treatment of a Prometheus flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FlagSupport {
    /// No effect in narthex.
    Ignored,
    /// Rejected: the flag asks for behavior that narthex does not have.
    Unsupported,
}

/// Number of values that follow a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FlagArity {
    Switch,
    Value,
}

const PROMETHEUS_FLAGS: &[(&str, FlagArity, FlagSupport)] = &[
    ("agent", Switch, Unsupported),
    ("alertmanager.drain-notification-queue-on-shutdown", Switch, Ignored),
    ("alertmanager.notification-batch-size", Value, Ignored),
    ("alertmanager.notification-queue-capacity", Value, Ignored),
    ("auto-gomaxprocs", Switch, Ignored),
    ("auto-gomemlimit", Switch, Ignored),
    ("auto-gomemlimit.ratio", Value, Ignored),
    ("auto-gomemlimit.refresh-interval", Value, Ignored),
    ("query.lookback-delta", Value, Ignored),
    ("query.max-concurrency", Value, Ignored),
    ("query.max-samples", Value, Ignored),
    ("rules.alert.for-grace-period", Value, Ignored),
    ("rules.alert.for-outage-tolerance", Value, Ignored),
    ("rules.alert.resend-delay", Value, Ignored),
    ("rules.max-concurrent-evals", Value, Ignored),
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
    // Flag of older versions of Prometheus. narthex always locks the data directory.
    ("storage.tsdb.use-lockfile", Switch, Ignored),
    ("web.console.libraries", Value, Ignored),
    ("web.console.templates", Value, Ignored),
    ("web.enable-otlp-receiver", Switch, Unsupported),
    ("web.enable-remote-write-receiver", Switch, Ignored),
    ("web.page-title", Value, Ignored),
    ("web.remote-write-receiver.accepted-protobuf-messages", Value, Unsupported),
    ("web.search.max-limit", Value, Ignored),
    ("web.user-assets", Value, Ignored),
];

/// Features of Prometheus 3.14 that narthex does not have, then those of earlier versions.
///
/// `agent` is not in the list: like `--agent`, it selects another mode of the program.
const PROMETHEUS_FEATURES: &[&str] = &[
    "enable-feature=auto-reload-config",
    "enable-feature=concurrent-rule-eval",
    "enable-feature=delayed-compaction",
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

/// A command line without the flags of Prometheus that narthex does not have.
#[derive(Debug, PartialEq, Eq)]
pub struct SplitArgs {
    /// Remaining arguments, for the parser of narthex.
    pub narthex_args: Vec<OsString>,
    /// Removed flags without effect, without dashes; features as `enable-feature=NAME`. Each name
    /// once.
    pub ignored: Vec<&'static str>,
}

/// Error of a Prometheus flag that this version does not support.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "--{0} is a flag of Prometheus that this version of narthex does not support yet; remove it"
)]
pub struct UnsupportedFlag(pub &'static str);

/// Removes the flags of Prometheus that narthex does not have from a command line.
///
/// # Errors
/// [`UnsupportedFlag`] for the first flag that must not be ignored.
pub fn split_args(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<SplitArgs, UnsupportedFlag> {
    let mut split = SplitArgs { narthex_args: Vec::new(), ignored: Vec::new() };
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if argument == FEATURE_FLAG {
            match arguments.next() {
                Some(list) => split.take_features(&list, |own| vec![argument, own]),
                None => split.narthex_args.push(argument),
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
            split.take_features(list.as_ref(), joined);
            continue;
        }
        let Some(MatchedFlag { name, arity, support, has_value }) =
            argument.to_str().and_then(find_prometheus_flag)
        else {
            split.narthex_args.push(argument);
            continue;
        };
        if support == Unsupported {
            return Err(UnsupportedFlag(name));
        }
        if arity == Value && !has_value {
            arguments.next();
        }
        split.record_ignored(name);
    }
    Ok(split)
}

fn feature_list(argument: &str) -> Option<&str> {
    argument.strip_prefix(FEATURE_FLAG)?.strip_prefix('=')
}

impl SplitArgs {
    /// Removes Prometheus's features from `list`. If other names remain, `to_arguments` turns them
    /// into arguments.
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
            match PROMETHEUS_FEATURES
                .iter()
                .find(|known| known.split_once('=').is_some_and(|(_, known)| known == name))
            {
                Some(known) => self.record_ignored(known),
                None => own.push(name),
            }
        }
        if !own.is_empty() {
            self.narthex_args.extend(to_arguments(own.join(",").into()));
        }
    }

    fn record_ignored(&mut self, name: &'static str) {
        if !self.ignored.contains(&name) {
            self.ignored.push(name);
        }
    }
}

/// Match of an argument in [`PROMETHEUS_FLAGS`].
#[derive(Debug)]
struct MatchedFlag {
    name: &'static str,
    arity: FlagArity,
    support: FlagSupport,
    /// Whether the value is part of the same argument.
    has_value: bool,
}

/// Finds `--name`, `--name=value` or `--no-name` in [`PROMETHEUS_FLAGS`].
fn find_prometheus_flag(argument: &str) -> Option<MatchedFlag> {
    let flag = argument.strip_prefix("--")?;
    let (name, has_value) = match flag.split_once('=') {
        Some((name, _)) => (name, true),
        None => (flag, false),
    };
    let positive = name.strip_prefix("no-").unwrap_or(name);
    PROMETHEUS_FLAGS
        .iter()
        .find(|(flag_name, arity, _)| {
            *flag_name == name || (*arity == Switch && *flag_name == positive)
        })
        .map(|&(name, arity, support)| MatchedFlag { name, arity, support, has_value })
}

#[cfg(test)]
mod tests {
    use super::{PROMETHEUS_FEATURES, UnsupportedFlag, split_args};
    use crate::config::flags::features::Feature;
    use clap::ValueEnum;
    use std::ffi::OsString;

    fn line(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn ignored_flags_are_removed_with_values() {
        let given = "serve --web.console.templates /etc/c --web.enable-remote-write-receiver \
                     --log.level=debug --query.max-samples=2 --query.max-samples=3";
        let split = split_args(line(given)).unwrap();
        assert_eq!(split.narthex_args, line("serve --log.level=debug"));
        assert_eq!(
            split.ignored,
            ["web.console.templates", "web.enable-remote-write-receiver", "query.max-samples"]
        );
    }

    #[test]
    fn prometheus_feature_is_ignored() {
        let given = "serve --enable-feature=native-histograms,xor2-encoding \
                     --enable-feature old-ui,no-such-feature \
                     --enable-feature=metadata-wal-records \
                     --enable-feature promql-duration-expr --enable-feature";
        let split = split_args(line(given)).unwrap();
        let own = "serve --enable-feature=xor2-encoding --enable-feature no-such-feature \
                   --enable-feature";
        assert_eq!(
            split.narthex_args,
            line(own),
            "unknown names must remain for the parser, which rejects them"
        );
        let features =
            ["native-histograms", "old-ui", "metadata-wal-records", "promql-duration-expr"];
        assert_eq!(split.ignored, features.map(|name| format!("enable-feature={name}")));
    }

    #[test]
    fn prometheus_features_are_not_narthex_features() {
        for feature in PROMETHEUS_FEATURES {
            let (_, name) = feature.split_once('=').unwrap();
            assert!(Feature::from_str(name, false).is_err(), "{name}");
        }
    }

    #[test]
    fn unsupported_flag_is_rejected_by_name() {
        assert_eq!(
            split_args(line("serve --storage.agent.path=data")),
            Err(UnsupportedFlag("storage.agent.path"))
        );
        assert_eq!(
            split_args(line("serve --no-web.enable-otlp-receiver")),
            Err(UnsupportedFlag("web.enable-otlp-receiver"))
        );
    }
}
