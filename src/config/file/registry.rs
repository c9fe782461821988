//! Registry of the section parsers.
//!
//! A new section is a file with its type and parser, a field of [`ConfigFile`] and an entry of
//! [`PARSERS`].

use crate::config::file::contents::ConfigFile;
use crate::config::file::context::Context;
use crate::config::file::scrape::defaults::GlobalScrape;
use crate::config::file::scrape::section;
use crate::config::file::{global, included, runtime, storage};
use crate::config::yaml::value::Value;

/// Function that parses a section and stores the result in its field.
type ParseSection = fn(&Value<'_>, &mut Context<'_>, &mut ConfigFile);

/// Section that narthex has.
struct SectionParser {
    name: &'static str,
    parse: ParseSection,
}

/// Supported sections, in the order in which they are parsed: jobs need the section `global`.
const PARSERS: [SectionParser; 5] = [
    SectionParser {
        name: "global",
        parse: |section, context, file| file.global = global::parse(section, context),
    },
    SectionParser { name: "runtime", parse: |section, _, _| runtime::parse(section) },
    SectionParser {
        name: "scrape_configs",
        parse: |section, context, file| {
            let global = &file.global.scrape;
            file.scrape.jobs = section::jobs(section, context.path, global, &mut context.names);
        },
    },
    SectionParser {
        name: "scrape_config_files",
        parse: |section, context, file| {
            let included = included::parse(section, &file.global.scrape, context);
            file.scrape.file_patterns = included.patterns;
            file.scrape.included = included.files;
        },
    },
    SectionParser {
        name: "storage",
        parse: |section, _, file| file.storage = storage::parse(section),
    },
];

/// Other sections of Prometheus's configuration file, with what to do instead.
const UNSUPPORTED: [(&str, &str); 6] = [
    ("alerting", "evaluate alerts in a Prometheus or Thanos Ruler that reads from narthex"),
    ("otlp", "remove it"),
    ("remote_read", "remove it"),
    ("remote_write", "remove it, or let the sender write to both"),
    ("rule_files", "evaluate rules in a Prometheus or Thanos Ruler that reads from narthex"),
    ("tracing", "remove it"),
];

/// Parses all sections of a file.
pub(super) fn parse_sections(root: &Value<'_>, context: &mut Context<'_>) -> ConfigFile {
    let mut file = ConfigFile::default();
    file.global.scrape = GlobalScrape::with(context.options.features);
    let Some(mut sections) = root.mapping() else { return file };
    for parser in PARSERS {
        if let Some(section) = sections.get(parser.name) {
            (parser.parse)(&section, context, &mut file);
        }
    }
    let ignoring = if context.options.ignore_unsupported {
        ""
    } else {
        ", or start with --config.ignore-unsupported"
    };
    for key in sections.unread() {
        let unsupported = UNSUPPORTED.iter().find(|(name, _)| *name == key.name);
        match unsupported.map(|(_, advice)| *advice) {
            // Null sets nothing.
            Some(_) if key.has_null_value() => {}
            Some(advice) => key.unsupported(format_args!(
                "section is not supported by this version of narthex; {advice}{ignoring}"
            )),
            None => key.problem("unknown section"),
        }
    }
    file
}
