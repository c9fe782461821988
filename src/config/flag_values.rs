//! The flags as `/api/v1/status/flags` shows them: every flag with the value that holds, written as Prometheus writes it.
//!
//! Durations are `2h` or `1d12h`, sizes `512MiB`, switches `true` or `false`. A flag without a value and without a default is an empty text, `0s` or `0B`.
//! Pure.

use crate::config::flags::{Cli, Command, ServeFlags};
use crate::config::units;
use crate::config::units::ByteSize;
use clap::builder::ValueParser;
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Args, CommandFactory, FromArgMatches};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

/// What a negative form of a switch begins with.
const NO: &str = "no-";

/// Every flag, without dashes, and its value.
pub type FlagValues = BTreeMap<String, String>;

/// Reads a command line; the flags of `serve` know how they are shown then.
///
/// # Errors
/// What is wrong with it, or that it asks for help.
pub fn parse(line: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let matches = Cli::command().try_get_matches_from(line)?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    let Command::Serve(flags) = &mut cli.command;
    if let Some((_, matches)) = matches.subcommand() {
        flags.flag_values = display_values(matches);
    }
    Ok(cli)
}

fn display_values(matches: &ArgMatches) -> FlagValues {
    let command = ServeFlags::augment_args(clap::Command::new("serve"));
    let mut shown = FlagValues::new();
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
        shown.insert(name.to_owned(), value);
    }
    // A negative form has no meaning of its own.
    let negated = command.get_arguments().filter_map(|arg| {
        let name = arg.get_long()?.strip_prefix(NO)?;
        let is_given =
            matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
        (is_given && matches.get_flag(arg.get_id().as_str())).then(|| name.to_owned())
    });
    for name in negated {
        shown.insert(name, "false".to_owned());
    }
    shown
}

/// The values as they are shown; what does not read as its kind is shown as it was given.
fn format_values(parser: &ValueParser, raw: &[String]) -> String {
    let kind = parser.type_id();
    let one = raw.first().map_or("0", String::as_str);
    let normal = if kind == std::any::TypeId::of::<Duration>() {
        units::parse_duration(one).ok().map(units::format_prometheus_duration)
    } else if kind == std::any::TypeId::of::<ByteSize>() {
        units::parse_bytes(one)
            .or_else(|_| units::parse_bytes_with_unit(one))
            .ok()
            .map(units::format_prometheus_bytes)
    } else {
        None
    };
    normal.unwrap_or_else(|| raw.join(","))
}

#[cfg(test)]
mod tests {
    use super::{FlagValues, parse};
    use crate::config::flags::Command;

    fn display_values(given: &[&str]) -> FlagValues {
        let line = ["narthex", "serve"].iter().chain(given).map(Into::into);
        let Command::Serve(flags) = parse(line).unwrap().command;
        flags.flag_values
    }

    #[test]
    fn flags_are_shown_as_prometheus_shows_them() {
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
            ("storage.remote.read-sample-limit", "5e7"),
            ("config.file", ""),
            ("enable-feature", ""),
        ] {
            assert_eq!(flags.get(name).map(String::as_str), Some(value), "{name}");
        }
        assert!(flags.keys().all(|name| !name.starts_with("no-")), "{flags:?}");
    }

    #[test]
    fn what_was_given_is_shown() {
        let flags = display_values(&[
            "--storage.tsdb.retention.time=360h",
            "--storage.tsdb.retention.size=1.5GB",
            "--web.enable-admin-api",
            "--no-storage.tsdb.wal-compression",
            "--web.listen-address=:1",
            "--web.listen-address=127.0.0.1:2",
            "--enable-feature=xor2-encoding,exemplar-storage",
        ]);
        for (name, value) in [
            ("storage.tsdb.retention.time", "15d"),
            ("storage.tsdb.retention.size", "1GiB512MiB"),
            ("web.enable-admin-api", "true"),
            ("storage.tsdb.wal-compression", "false"),
            ("web.listen-address", ":1,127.0.0.1:2"),
            ("enable-feature", "xor2-encoding,exemplar-storage"),
        ] {
            assert_eq!(flags.get(name).map(String::as_str), Some(value), "{name}");
        }
    }
}
