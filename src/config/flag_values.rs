//! Parser of the command line that records the value of every flag.
//!
//! `/api/v1/status/flags` shows the values as Prometheus writes them: durations as `2h` or `1d12h`,
//! sizes as `512MiB`, switches as `true` or `false`. A flag without value and default is an empty
//! string, `0s` or `0B`.

use crate::config::flags::{Cli, Command, ServeFlags};
use crate::config::units;
use crate::config::units::ByteSize;
use clap::builder::ValueParser;
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Args, CommandFactory, FromArgMatches};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

/// Prefix of the negative form of a switch.
const NO: &str = "no-";

/// Flag whose default is the path of another one.
const ROUTE_PREFIX: &str = "web.route-prefix";

/// Value of every flag, by name without dashes.
pub type FlagValues = BTreeMap<String, String>;

/// Parses a command line and fills [`ServeFlags::flag_values`].
///
/// # Errors
/// The error of clap, which is also returned for `--help` and `--version`.
pub fn parse(line: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let matches = Cli::command().try_get_matches_from(line)?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    if let (Command::Serve(flags), Some((_, matches))) = (&mut cli.command, matches.subcommand()) {
        flags.flag_values = display_values(matches);
        let prefix = flags.web.effective_route_prefix();
        flags.flag_values.insert(ROUTE_PREFIX.to_owned(), prefix.display().to_owned());
    }
    Ok(cli)
}

fn display_values(matches: &ArgMatches) -> FlagValues {
    let command = ServeFlags::augment_args(clap::Command::new("serve"));
    let mut values = FlagValues::new();
    for arg in command.get_arguments() {
        let Some(name) = arg.get_long().filter(|name| !name.starts_with(NO)) else { continue };
        let id = arg.get_id().as_str();
        let value = if matches!(arg.get_action(), ArgAction::SetTrue) {
            matches.get_flag(id).to_string()
        } else {
            let raw = matches
                .get_raw(id)
                .into_iter()
                .flatten()
                .map(|value| value.to_string_lossy().into_owned());
            let raw: Vec<String> = raw.collect();
            format_values(arg.get_value_parser(), &raw)
        };
        values.insert(name.to_owned(), value);
    }
    // A negative form is not listed; it sets the value of the positive one.
    let negated = command.get_arguments().filter_map(|arg| {
        let name = arg.get_long()?.strip_prefix(NO)?;
        let is_given =
            matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
        (is_given && matches.get_flag(arg.get_id().as_str())).then(|| name.to_owned())
    });
    for name in negated {
        values.insert(name, "false".to_owned());
    }
    values
}

/// Formats values by the type of the parser. A value that does not parse is returned unchanged.
fn format_values(parser: &ValueParser, raw: &[String]) -> String {
    let value_type = parser.type_id();
    let first = raw.first().map_or("0", String::as_str);
    let formatted = if value_type == std::any::TypeId::of::<Duration>() {
        units::parse_duration(first).ok().map(units::format_prometheus_duration)
    } else if value_type == std::any::TypeId::of::<ByteSize>() {
        units::parse_bytes(first)
            .or_else(|_| units::parse_bytes_with_unit(first))
            .ok()
            .map(units::format_prometheus_bytes)
    } else {
        None
    };
    formatted.unwrap_or_else(|| raw.join(","))
}

#[cfg(test)]
mod tests {
    use super::{FlagValues, parse};
    use crate::config::flags::Command;

    fn display_values(given: &[&str]) -> FlagValues {
        let line = ["narthex", "serve"].iter().chain(given).map(Into::into);
        let Command::Serve(flags) = parse(line).unwrap().command else { unreachable!() };
        flags.flag_values
    }

    #[test]
    fn default_values_are_formatted_like_prometheus() {
        let flags = display_values(&[]);
        for (name, value) in [
            ("storage.tsdb.path", "./data"),
            ("storage.tsdb.min-block-duration", "2h"),
            ("storage.tsdb.max-block-duration", "0s"),
            ("storage.tsdb.retention.time", "0s"),
            ("storage.tsdb.retention.size", "0B"),
            ("storage.tsdb.delay-compact-file.path", ""),
            ("storage.tsdb.wal-segment-size", "128MiB"),
            ("storage.tsdb.wal-compression", "true"),
            ("web.enable-admin-api", "false"),
            ("web.enable-lifecycle", "false"),
            ("web.listen-address", ":9201"),
            ("web.external-url", ""),
            ("web.route-prefix", "/"),
            ("web.cors.origin", ""),
            ("storage.remote.read-sample-limit", "5e7"),
            ("config.file", ""),
            ("enable-feature", ""),
        ] {
            assert_eq!(flags.get(name).map(String::as_str), Some(value), "{name}");
        }
        assert!(flags.keys().all(|name| !name.starts_with("no-")), "{flags:?}");
    }

    #[test]
    fn given_values_are_formatted() {
        let flags = display_values(&[
            "--storage.tsdb.retention.time=360h",
            "--storage.tsdb.retention.size=1.5GB",
            "--web.enable-admin-api",
            "--no-storage.tsdb.wal-compression",
            "--web.listen-address=:1",
            "--web.listen-address=127.0.0.1:2",
            "--web.external-url=https://host/ext/",
            "--web.cors.origin=.*",
            "--enable-feature=xor2-encoding,exemplar-storage",
        ]);
        for (name, value) in [
            ("storage.tsdb.retention.time", "15d"),
            ("storage.tsdb.retention.size", "1GiB512MiB"),
            ("web.enable-admin-api", "true"),
            ("storage.tsdb.wal-compression", "false"),
            ("web.listen-address", ":1,127.0.0.1:2"),
            ("web.external-url", "https://host/ext/"),
            ("web.route-prefix", "/ext"),
            ("web.cors.origin", ".*"),
            ("enable-feature", "xor2-encoding,exemplar-storage"),
        ] {
            assert_eq!(flags.get(name).map(String::as_str), Some(value), "{name}");
        }
    }
}
