//! Keys of jobs and of their defaults: values, inheritance, and problems with their positions.

use crate::config::expand::Variables;
use crate::config::file;
use crate::config::file::discovery::DiscoveryConfig;
use crate::config::file::discovery::file::FileSdConfig;
use crate::config::file::discovery::static_groups::StaticGroup;
use crate::config::file::options::LoadOptions;
use crate::config::file::scrape::job::ScrapeJob;
use crate::config::file::scrape::names::EscapingScheme;
use crate::config::file::scrape::protocol::ScrapeProtocol;
use crate::config::units::ByteSize;
use crate::model::label_name::NameValidationScheme;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

const NO_VARIABLES: Variables<'_> = &|_| None;

/// Returns the job of a valid file with these keys in `global` and in the job.
fn job(global: &str, keys: &str) -> ScrapeJob {
    let text = format!("global: {{{global}}}\nscrape_configs:\n- {{job_name: one, {keys}}}\n");
    let file = file::parse_for_tests(&text);
    file.scrape.jobs.into_iter().next().expect("one job")
}

/// Returns the problems of a file, with the path of the file `/etc/n.yml`.
fn problems(text: &str) -> Vec<String> {
    let (_, problems) =
        file::parse(text, Path::new("/etc/n.yml"), LoadOptions::new(false), NO_VARIABLES);
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn job_without_keys_has_defaults_of_prometheus() {
    let job = job("", "");
    assert_eq!((job.interval, job.timeout), (Duration::from_secs(60), Duration::from_secs(10)));
    assert_eq!((job.metrics_path.as_str(), job.scheme.as_str()), ("/metrics", "http"));
    assert_eq!(job.protocols, ScrapeProtocol::DEFAULT);
    assert_eq!(job.fallback_protocol, None);
    assert!(job.honor_timestamps && job.enable_compression);
    assert!(!job.honor_labels && !job.track_timestamps_staleness && !job.extra_metrics);
    assert_eq!(job.limits.body_size, ByteSize(0));
    assert_eq!(job.validation, NameValidationScheme::Utf8);
    assert_eq!(job.escaping, EscapingScheme::AllowUtf8);
    assert!(job.params.is_empty() && job.discoveries.is_empty());
}

#[test]
fn timeout_is_at_most_the_interval() {
    let secs = Duration::from_secs;
    for (global, keys, interval, timeout) in [
        ("", "scrape_interval: 5s", 5, 5),
        ("", "scrape_interval: 2m", 120, 10),
        ("", "scrape_timeout: 1m", 60, 60),
        ("scrape_interval: 5s", "", 5, 5),
        ("scrape_interval: 20s, scrape_timeout: 7s", "", 20, 7),
        ("scrape_interval: 20s, scrape_timeout: 7s", "scrape_interval: 3s", 3, 3),
        ("scrape_interval: 20s, scrape_timeout: 7s", "scrape_interval: 0s", 20, 7),
        ("scrape_interval: 20s", "scrape_interval: , scrape_timeout: 0", 20, 10),
    ] {
        let job = job(global, keys);
        assert_eq!((job.interval, job.timeout), (secs(interval), secs(timeout)), "{global} {keys}");
    }
}

#[test]
fn zero_limit_of_job_is_the_global_one() {
    let limits = "body_size_limit: 10MB, sample_limit: 1, target_limit: 2, label_limit: 3, \
                  label_name_length_limit: 4, label_value_length_limit: 5, keep_dropped_targets: 6";
    let zeros = "body_size_limit: 0, sample_limit: 0, target_limit: 0, label_limit: 0, \
                 label_name_length_limit: 0, label_value_length_limit: 0, keep_dropped_targets: 0";
    let inherited = job(limits, "").limits;
    assert_eq!(inherited.body_size, ByteSize(10 << 20));
    assert_eq!((inherited.samples, inherited.targets, inherited.labels), (1, 2, 3),);
    assert_eq!((inherited.label_name_length, inherited.label_value_length), (4, 5));
    assert_eq!(inherited.keep_dropped_targets, 6);
    assert_eq!(job(limits, zeros).limits, inherited);
    assert_eq!(job("sample_limit: 9", limits).limits, inherited);
    assert_eq!(job("", "sample_limit: 0x10").limits.samples, 16);
    assert_eq!(job("", "sample_limit: 1e3").limits.samples, 1000);
}

#[test]
fn protocols_follow_native_histograms_unless_set() {
    for (global, keys, first, count) in [
        ("", "", ScrapeProtocol::OpenMetricsText1_0_0, 4),
        ("", "scrape_native_histograms: true", ScrapeProtocol::PrometheusProto, 5),
        ("scrape_native_histograms: true", "", ScrapeProtocol::PrometheusProto, 5),
        (
            "scrape_native_histograms: true",
            "scrape_native_histograms: off",
            ScrapeProtocol::OpenMetricsText1_0_0,
            4,
        ),
        (
            "scrape_protocols: [PrometheusText0.0.4]",
            "scrape_native_histograms: true",
            ScrapeProtocol::PrometheusText0_0_4,
            1,
        ),
        ("scrape_protocols: ", "scrape_protocols: ~", ScrapeProtocol::OpenMetricsText1_0_0, 4),
    ] {
        let protocols = job(global, keys).protocols;
        assert_eq!((protocols[0], protocols.len()), (first, count), "{global} {keys}");
    }
    let fallback = job("", "fallback_scrape_protocol: PrometheusText1.0.0").fallback_protocol;
    assert_eq!(fallback, Some(ScrapeProtocol::PrometheusText1_0_0));
}

#[test]
fn escaping_follows_the_validation_unless_set() {
    use EscapingScheme::{AllowUtf8, Dots, Underscores, Values};
    use NameValidationScheme::{Legacy, Utf8};
    const VALIDATION: &str = "metric_name_validation_scheme";
    const ESCAPING: &str = "metric_name_escaping_scheme";
    for (global, keys, expected) in [
        (String::new(), String::new(), (Utf8, AllowUtf8)),
        (format!("{VALIDATION}: legacy"), String::new(), (Legacy, Underscores)),
        (String::new(), format!("{VALIDATION}: legacy"), (Legacy, Underscores)),
        (format!("{ESCAPING}: values"), String::new(), (Utf8, Values)),
        (format!("{ESCAPING}: values"), format!("{VALIDATION}: legacy"), (Legacy, Underscores)),
        (format!("{VALIDATION}: legacy"), format!("{VALIDATION}: utf8"), (Utf8, AllowUtf8)),
        (format!("{VALIDATION}: ''"), format!("{ESCAPING}: dots"), (Utf8, Dots)),
    ] {
        let job = job(&global, &keys);
        assert_eq!((job.validation, job.escaping), expected, "{global} {keys}");
    }
}

#[test]
fn switches_of_the_job_win_over_global_ones() {
    let keys = |value: &str| {
        format!(
            "scrape_native_histograms: {value}, convert_classic_histograms_to_nhcb: {value}, \
             always_scrape_classic_histograms: {value}, extra_scrape_metrics: {value}"
        )
    };
    let switches = |global: &str, own: &str| {
        let job = job(global, own);
        let histograms = job.histograms;
        [
            histograms.scrape_native,
            histograms.convert_classic,
            histograms.always_scrape_classic,
            job.extra_metrics,
        ]
    };
    assert_eq!(switches(&keys("yes"), ""), [true; 4]);
    assert_eq!(switches(&keys("yes"), &keys("no")), [false; 4]);
    assert_eq!(switches("", &keys("on")), [true; 4]);
    let histograms =
        job("", "native_histogram_bucket_limit: 160, native_histogram_min_bucket_factor: 1.1")
            .histograms;
    assert_eq!((histograms.bucket_limit, histograms.min_bucket_factor), (160, 1.1));
}

#[test]
fn params_and_paths_are_read_and_resolved() {
    let text = "global: {scrape_failure_log_file: g.log}\nscrape_configs:\n\
                - {job_name: a, params: {x: [1, 'y', ], z: []}, metrics_path: /m?q, scheme: https}\n\
                - {job_name: b, scrape_failure_log_file: /b.log}\n";
    let (file, problems) =
        file::parse(text, Path::new("/etc/n.yml"), LoadOptions::new(false), NO_VARIABLES);
    assert_eq!(problems, []);
    let [a, b] = file.scrape.jobs.as_slice() else { panic!("two jobs") };
    let params = [("x", vec!["1", "y"]), ("z", vec![])];
    let params = params.map(|(name, values)| {
        (name.to_owned(), values.into_iter().map(str::to_owned).collect::<Vec<_>>())
    });
    assert_eq!(a.params, BTreeMap::from(params));
    assert_eq!((a.metrics_path.as_str(), a.scheme.as_str()), ("/m?q", "https"));
    assert_eq!(a.failure_log_file, Some(PathBuf::from("/etc/g.log")));
    assert_eq!(b.failure_log_file, Some(PathBuf::from("/b.log")));
}

#[test]
fn discoveries_are_read_in_order() {
    let job = job(
        "",
        "file_sd_configs: [{files: [a/*.json, /b.YAML], refresh_interval: 1m}, {files: [c.yml]}], \
         static_configs: [{targets: [5, '[::1]:9'], labels: {x: , y: 1.50}}, {}]",
    );
    let file = |paths: &[&str], secs| {
        DiscoveryConfig::File(FileSdConfig {
            files: paths.iter().map(PathBuf::from).collect(),
            refresh_interval: Duration::from_secs(secs),
        })
    };
    let labels = [("x", ""), ("y", "1.50")];
    let group = StaticGroup {
        targets: vec!["5".to_owned(), "[::1]:9".to_owned()],
        labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
    };
    assert_eq!(
        job.discoveries,
        [
            DiscoveryConfig::Static(vec![group, StaticGroup::default()]),
            file(&["a/*.json", "/b.YAML"], 60),
            file(&["c.yml"], 300),
        ]
    );
}

#[test]
fn invalid_keys_of_a_job_are_named_with_position() {
    for (keys, expected) in [
        ("scrape_interval: 15", "scrape_interval: \"15\" is not a duration"),
        ("scrape_interval: ''", "scrape_interval: \"\" is not a duration"),
        ("scrape_timeout: 61s", "scrape_timeout: 1m1s exceeds scrape_interval 1m"),
        ("sample_limit: 1.5", "sample_limit: must be an integer of at least 0"),
        ("sample_limit: '7'", "sample_limit: must be an integer of at least 0"),
        ("label_limit: -1", "label_limit: must be an integer of at least 0"),
        ("body_size_limit: 8EB", "body_size_limit: \"8EB\" is not a size"),
        ("body_size_limit: 100", "body_size_limit: \"100\" is not a size"),
        ("honor_labels: 1", "honor_labels: must be true or false"),
        ("params: {a: x}", "params.a: must be a list"),
        ("scrape_protocols: []", "scrape_protocols: must not be empty"),
        ("scrape_protocols: [Text]", "scrape_protocols[0]: unknown protocol \"Text\""),
        (
            "scrape_protocols: [PrometheusProto, PrometheusProto]",
            "scrape_protocols[1]: PrometheusProto is listed twice",
        ),
        ("fallback_scrape_protocol: Text", "fallback_scrape_protocol: unknown protocol \"Text\""),
        ("metric_name_validation_scheme: UTF8", "metric_name_validation_scheme: must be legacy"),
        ("metric_name_escaping_scheme: utf8", "metric_name_escaping_scheme: must be allow-utf-8"),
        ("native_histogram_min_bucket_factor: .nan", "min_bucket_factor: must be a number"),
        ("metrics_path: [a]", "metrics_path: must be a string, not a list"),
        ("static_configs: [{targets: [a/b]}]", "static_configs[0].targets[0]: \"a/b\" is not an"),
        ("static_configs: [~]", "static_configs[0]: must be a mapping, not null"),
        ("static_configs: [{labels: {'': a}}]", "labels.: \"\" is not a valid label name"),
        ("file_sd_configs: [{files: []}]", "file_sd_configs[0]: needs at least one path in files"),
        ("file_sd_configs: [{files: [a.txt]}]", "files[0]: \"a.txt\" is not a path for file"),
        ("file_sd_configs: [{files: ['a*/b.json']}]", "files[0]: \"a*/b.json\" is not a path"),
        (
            "file_sd_configs: [{files: [a.json], refresh_interval: 0s}]",
            "refresh_interval: must be more than 0",
        ),
        ("basic_auth: {user: u}", "basic_auth.user: unknown key \"user\""),
        ("http_sd_configs: [{}]", "http_sd_configs[0]: needs url"),
        ("http_sd_configs: [{url: ''}]", "http_sd_configs[0].url: must not be empty"),
        ("http_sd_configs: [{url: 'http://'}]", "url: host is missing in URL"),
        ("http_sd_configs: [{url: /path}]", "url: URL has no scheme"),
        ("http_sd_configs: [{url: 'ftp://h/'}]", "url: scheme must be http or https"),
        ("http_sd_configs: [{url: 'http://h:x/'}]", "url: URL has an invalid port"),
        (
            "http_sd_configs: [{url: 'http://h/', refresh_interval: 0s}]",
            "refresh_interval: must be more than 0",
        ),
        (
            "http_sd_configs: [{url: 'http://h/', tls_config: {cert_file: a}}]",
            "http_sd_configs[0].tls_config.cert_file: needs key or key_file",
        ),
        ("consul_sd_configs: [{server: ' '}]", "consul_sd_configs[0].server: must not be empty"),
        ("consul_sd_configs: [{server: 'ftp://h'}]", "server: scheme must be http, https or unix"),
        ("consul_sd_configs: [{server: 'h:x'}]", "server: URL has an invalid port"),
        ("consul_sd_configs: [{server: 'https://u:p@h'}]", "server: must not have a user"),
        ("consul_sd_configs: [{scheme: ftp}]", "scheme: must be http or https, not \"ftp\""),
        ("consul_sd_configs: [{servers: [a]}]", "unknown key \"servers\"; did you mean"),
        ("consul_sd_configs: [{token: \"a\\n\"}]", "token: contains a control character"),
        (
            "consul_sd_configs: [{token: t, authorization: {credentials: c}}]",
            "consul_sd_configs[0].token: excludes authorization; set one of them",
        ),
        (
            "consul_sd_configs: [{username: u, basic_auth: {username: v}}]",
            "username: excludes other kinds of authentication",
        ),
        ("consul_sd_configs: [{refresh_interval: 0s}]", "refresh_interval: must be more than 0"),
        ("consul_sd_configs: [{node_meta: [a]}]", "node_meta: must be a mapping"),
        ("docker_sd_configs: [{port: 80}]", "docker_sd_configs[0]: needs host"),
        ("docker_sd_configs: [{host: ''}]", "docker_sd_configs[0].host: must not be empty"),
        ("docker_sd_configs: [{host: nonsense}]", "host: must begin with unix://, tcp://"),
        ("docker_sd_configs: [{host: 'unix://'}]", "host: must have the path of a socket"),
        ("docker_sd_configs: [{host: 'tcp://h:x'}]", "host: URL has an invalid port"),
        ("docker_sd_configs: [{host: 'http://u:p@h'}]", "host: must not have a user"),
        ("docker_sd_configs: [{host: 'tcp://h', port: 70000}]", "port: 70000 is not a port"),
        (
            "docker_sd_configs: [{host: 'tcp://h', filters: [{name: a, value: b}]}]",
            "filters[0].value: unknown key \"value\"; did you mean \"values\"?",
        ),
        ("docker_sd_configs: [{host: 'tcp://h', filters: [~]}]", "filters[0]: must be a mapping"),
        ("ec2_sd_configs: []", "ec2_sd_configs: ec2_sd_configs is not supported"),
        ("cloud_sd_configs: []", "cloud_sd_configs: unknown key \"cloud_sd_configs\""),
    ] {
        let found = problems(&format!("scrape_configs:\n- job_name: a\n  {keys}\n"));
        let [problem] = found.as_slice() else { panic!("{keys}: {found:?}") };
        assert!(problem.starts_with("/etc/n.yml:3:"), "{problem}");
        assert!(problem.contains("scrape_configs[0].") && problem.contains(expected), "{problem}");
    }
}

#[test]
fn conflicting_schemes_are_named() {
    let global = "global: {metric_name_validation_scheme: legacy, \
                  metric_name_escaping_scheme: allow-utf-8}\n";
    assert_eq!(
        problems(global),
        ["/etc/n.yml:1:78: global.metric_name_escaping_scheme: allow-utf-8 needs \
          metric_name_validation_scheme: utf8"]
    );
}

#[test]
fn names_of_jobs_are_unique() {
    let found = problems("scrape_configs:\n- job_name: a\n- ~\n- job_name: ''\n- job_name: a\n");
    assert_eq!(
        found,
        [
            "/etc/n.yml:3:3: scrape_configs[1]: must be a mapping, not null",
            "/etc/n.yml:4:13: scrape_configs[2].job_name: job_name must not be empty",
            "/etc/n.yml:5:3: scrape_configs[3]: job_name \"a\" is already used at /etc/n.yml:2",
        ]
    );
}

#[test]
fn relabeling_rules_are_validated_by_the_scheme_of_the_job() {
    let rules = job(
        "",
        "relabel_configs: [{action: Keep, regex: 5}, {target_label: x, replacement: , \
         separator: ''}], metric_relabel_configs: [{action: hashmod, modulus: 8, target_label: m}], \
         static_configs: [{targets: [a/b]}]",
    );
    let [keep, replace] = rules.relabel_rules.as_slice() else { panic!("two rules") };
    assert_eq!((keep.action().name(), keep.regex()), ("keep", "5"));
    assert_eq!((replace.replacement(), replace.separator()), ("", ""));
    assert_eq!(rules.metric_relabel_rules[0].modulus(), 8);
    for (keys, at, expected) in [
        ("{action: none}", 30, "[0].action: unknown relabel action \"none\""),
        ("{action: hashmod, target_label: a}", 21, "[0]: hashmod action requires a non-zero"),
        ("{regex: '(', target_label: a}", 29, "[0].regex: invalid 'regex' \"(\""),
        ("{target_label: a, modulus: -1}", 48, "[0].modulus: must be an integer of at least 0"),
        ("{target_label: a, what: 1}", 39, "[0].what: unknown key \"what\""),
        ("~", 21, "[0]: must be a mapping, not null"),
    ] {
        let text = format!("scrape_configs:\n- job_name: a\n  relabel_configs: [{keys}]\n");
        let found = problems(&text);
        let [problem] = found.as_slice() else { panic!("{keys}: {found:?}") };
        let place = format!("/etc/n.yml:3:{at}: scrape_configs[0].relabel_configs");
        assert!(problem.starts_with(&place) && problem.contains(expected), "{problem}");
    }
    let legacy = "scrape_configs:\n- job_name: a\n  metric_name_validation_scheme: legacy\n  \
                  relabel_configs: [{target_label: a.b}]\n";
    assert!(problems(legacy)[0].contains("target_label: \"a.b\" is invalid"), "{legacy}");
}

#[test]
fn written_defaults_of_a_rule_equal_missing_keys() {
    let rules = |keys: &str| job("", &format!("relabel_configs: [{{{keys}}}]")).relabel_rules;
    assert_eq!(
        rules("target_label: a, source_labels: [], separator: ';', replacement: $1"),
        rules("target_label: a")
    );
    assert_ne!(rules("target_label: a, separator: ''"), rules("target_label: a"));
}
