//! Flags of Prometheus that narthex does not have: some mean nothing here and are accepted with one warning, so that a
//! user's habits and chart values carry over; others ask for something that is not built yet and are refused by name.

use self::Shape::{Switch, Value};
use self::Verdict::{Meaningless, NotBuilt};
use std::ffi::OsString;

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

/// The command line without foreign flags.
#[derive(Debug, PartialEq, Eq)]
pub struct Sifted {
    /// What is left for narthex's own parser.
    pub own: Vec<OsString>,
    /// Flags that were given and mean nothing here, without dashes.
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
        if !sifted.meaningless.contains(&name) {
            sifted.meaningless.push(name);
        }
    }
    Ok(sifted)
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
    use super::{NotBuiltYet, sift};
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
    fn flags_that_promise_something_are_refused_by_name() {
        assert_eq!(sift(line("serve --web.config.file=web.yml")), Err(NotBuiltYet("web.config.file")));
        assert_eq!(sift(line("serve --no-scrape.adjust-timestamps")), Err(NotBuiltYet("scrape.adjust-timestamps")));
    }
}
