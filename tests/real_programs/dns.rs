//! DNS discovery with a real name server: Debian's knot.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use narthex::config::file::discovery::DiscoveryConfig;
use narthex::config::file::discovery::dns::{DnsRecordType, DnsSdConfig};
use narthex::discovery::groups::state::JobTargets;
use narthex::discovery::kinds::environment::Environment;
use narthex::discovery::metrics::DiscoveryMetrics;
use narthex::discovery::providers::Providers;
use narthex::discovery::providers::updates::TargetUpdates;
use narthex::metrics::registry::Registry;
use narthex::metrics::text::ExpositionFormat;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::support::dir;
use crate::support::launch::free_port;
use crate::support::program::Program;
use crate::support::wait::wait_until;

/// Maximum wait for an update, long enough for a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Interval of the lookups.
const REFRESH: Duration = Duration::from_millis(200);

/// Records of the zone `services.test`.
const RECORDS: &str = "\
@ NS ns1
@ NS ns2.other.test.
@ MX 10 mail
@ MX 20 mail.other.test.
ns1 A 127.0.0.1
mail A 10.0.0.9
www A 10.0.0.1
www A 10.0.0.2
www AAAA fd00::1
alias CNAME www
text TXT \"no address\"
_m._tcp SRV 0 5 8080 www
_m._tcp SRV 0 5 9090 a\\032b\\.c
";

/// Starts knot with the zones `services.test` and `broken.test`, whose file is missing.
fn knot(dir: &Path, port: u16, records: &str) -> Program {
    let zone =
        format!("$ORIGIN services.test.\n$TTL 1\n@ SOA ns1 admin 1 3600 600 86400 1\n{records}");
    std::fs::write(dir.join("services.zone"), zone).expect("a zone");
    let config = format!(
        "server:\n  rundir: {0}\n  listen: 127.0.0.1@{port}\n  udp-workers: 1\n  tcp-workers: 1\n  \
         background-workers: 1\nlog:\n- target: stdout\n  any: info\n\
         database:\n  storage: {0}\ncontrol:\n  listen: {0}/socket\n\
         template:\n- id: default\n  storage: {0}\n  semantic-checks: off\n  \
         journal-content: none\n  zonefile-sync: -1\n\
         zone:\n- domain: services.test\n  file: services.zone\n\
         - domain: broken.test\n  file: absent.zone\n",
        dir.display()
    );
    let path = dir.join("knot.conf");
    std::fs::write(&path, config).expect("a configuration");
    let mut command = Command::new("knotd");
    command.arg("-c").arg(path);
    let knot = Program::spawn("knotd", command);
    wait_until("zones of knotd", || {
        let log = knot.log();
        log.contains("[services.test.] loaded") && log.contains("[broken.test.] zone event 'load'")
    });
    knot
}

/// Running discovery. Jobs are named after the types of their records.
struct Discovery {
    runtime: Runtime,
    updates: TargetUpdates,
    registry: Registry,
    _providers: Providers,
}

impl Discovery {
    fn start(dir: &Path, port: u16, jobs: &[(DnsRecordType, &[&str])]) -> Self {
        let resolv_conf = dir.join("resolv.conf");
        // Nothing listens on the first address.
        let text = "nameserver 127.0.0.2\nnameserver 127.0.0.1\nsearch services.test\n";
        std::fs::write(&resolv_conf, text).expect("a file");
        let mut registry = Registry::new();
        let metrics = DiscoveryMetrics::register(&mut registry);
        let environment = Environment { resolv_conf, dns_port: port, ..Environment::default() };
        let (providers, updates) = Providers::new(Duration::from_millis(1), environment, metrics);
        let configs = jobs.iter().map(|(kind, names)| {
            let config = DnsSdConfig {
                names: names.iter().map(ToString::to_string).collect(),
                refresh_interval: REFRESH,
                kind: *kind,
                type_name: kind.name().to_owned(),
                port: 9100,
            };
            (kind.name().to_owned(), vec![DiscoveryConfig::Dns(config)])
        });
        let prepared = providers.prepare(&configs.collect()).expect("providers");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async { providers.apply(prepared) });
        Self { runtime, updates, registry, _providers: providers }
    }

    /// Waits until the targets of all jobs are these.
    fn wait_targets(&mut self, expected: &[(&str, &[&str])]) {
        let expected: BTreeMap<_, Vec<_>> = expected
            .iter()
            .map(|(job, targets)| {
                (job.to_string(), targets.iter().map(ToString::to_string).collect())
            })
            .collect();
        let mut last = BTreeMap::new();
        while last != expected {
            let next =
                self.runtime.block_on(async { timeout(PATIENCE, self.updates.next()).await });
            let Ok(next) = next else { panic!("{last:#?} instead of {expected:#?}") };
            last = shown(&next.expect("running providers"));
        }
    }

    fn value(&self, name: &str) -> u64 {
        let text = self.registry.encode(ExpositionFormat::Classic);
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.expect(name).parse().expect("an integer")
    }
}

/// Returns the sorted targets of each job: their names, addresses and other labels.
fn shown(targets: &JobTargets) -> BTreeMap<String, Vec<String>> {
    let jobs = targets.iter().map(|(job, groups)| {
        let labels = groups.iter().flat_map(|group| &group.targets);
        let mut shown: Vec<String> = labels
            .map(|labels| {
                let mut text = format!("{}: {}", labels["__meta_dns_name"], labels["__address__"]);
                for (name, value) in labels.iter().filter(|(name, _)| name.ends_with("_target")) {
                    let name = name.trim_start_matches("__meta_dns_");
                    text.push_str(&format!(" {name}={value}"));
                }
                text
            })
            .collect();
        shown.sort();
        (job.clone(), shown)
    });
    jobs.collect()
}

#[test]
#[ignore = "needs knot: run tests/run"]
fn records_of_each_type_are_resolved() {
    let temp_dir = dir::temp();
    let (dir, port) = (temp_dir.path(), free_port());
    let mut knot = knot(dir, port, RECORDS);
    let mut discovery = Discovery::start(
        dir,
        port,
        &[
            (
                DnsRecordType::A,
                &["www", "alias.services.test.", "absent.services.test", "text.services.test"],
            ),
            (DnsRecordType::Aaaa, &["www.services.test"]),
            (DnsRecordType::Mx, &["services.test"]),
            (DnsRecordType::Ns, &["services.test."]),
            (DnsRecordType::Srv, &["_m._tcp"]),
        ],
    );
    discovery.wait_targets(&[
        (
            "A",
            &[
                "alias.services.test.: 10.0.0.1:9100",
                "alias.services.test.: 10.0.0.2:9100",
                "www: 10.0.0.1:9100",
                "www: 10.0.0.2:9100",
            ],
        ),
        ("AAAA", &["www.services.test: [fd00::1]:9100"]),
        (
            "MX",
            &[
                "services.test: mail.other.test:9100 mx_record_target=mail.other.test.",
                "services.test: mail.services.test:9100 mx_record_target=mail.services.test.",
            ],
        ),
        (
            "NS",
            &[
                "services.test.: ns1.services.test:9100 ns_record_target=ns1.services.test.",
                "services.test.: ns2.other.test:9100 ns_record_target=ns2.other.test.",
            ],
        ),
        (
            "SRV",
            &[
                r"_m._tcp: a\ b\.c.services.test:9090 srv_record_target=a\ b\.c.services.test.",
                "_m._tcp: www.services.test:8080 srv_record_target=www.services.test.",
            ],
        ),
    ]);
    assert!(knot.is_running());
}

#[test]
#[ignore = "needs knot: run tests/run"]
fn response_over_the_size_of_udp_comes_over_tcp() {
    let temp_dir = dir::temp();
    let (dir, port) = (temp_dir.path(), free_port());
    let addresses: Vec<String> =
        (0..1000).map(|i| format!("10.1.{}.{}", i / 250, i % 250)).collect();
    let many = addresses.iter().map(|address| format!("many A {address}\n")).collect::<String>();
    let _knot = knot(dir, port, &format!("{RECORDS}{many}"));
    let mut discovery = Discovery::start(dir, port, &[(DnsRecordType::A, &["many"])]);
    let mut expected: Vec<String> =
        addresses.iter().map(|address| format!("many: {address}:9100")).collect();
    expected.sort();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    discovery.wait_targets(&[("A", &expected)]);
}

#[test]
#[ignore = "needs knot: run tests/run"]
fn targets_are_kept_without_a_server_and_cleared_by_nxdomain() {
    let temp_dir = dir::temp();
    let (dir, port) = (temp_dir.path(), free_port());
    let mut server = knot(dir, port, RECORDS);
    let names = ["www.services.test.", "mail.services.test.", "www.broken.test."];
    let mut discovery = Discovery::start(dir, port, &[(DnsRecordType::A, &names)]);
    let all = [
        "mail.services.test.: 10.0.0.9:9100",
        "www.services.test.: 10.0.0.1:9100",
        "www.services.test.: 10.0.0.2:9100",
    ];
    discovery.wait_targets(&[("A", &all)]);
    // SERVFAIL of one name.
    wait_until("a failed lookup", || {
        discovery.value("prometheus_sd_dns_lookup_failures_total") > 0
    });
    let (lookups, failures) = (
        discovery.value("prometheus_sd_dns_lookups_total"),
        discovery.value("prometheus_sd_dns_lookup_failures_total"),
    );
    assert!(failures < lookups, "{failures} of {lookups} lookups failed");

    server.kill();
    let failures = discovery.value("prometheus_sd_dns_lookup_failures_total");
    // At least three refreshes without a server: each has a failure for each name.
    wait_until("failed lookups without a server", || {
        discovery.value("prometheus_sd_dns_lookup_failures_total") > failures + 9
    });
    let next =
        discovery.runtime.block_on(async { timeout(3 * REFRESH, discovery.updates.next()).await });
    if let Ok(next) = next {
        assert_eq!(shown(&next.expect("running providers"))["A"], all);
    }

    let records: String =
        RECORDS.lines().filter(|line| !line.starts_with("www")).map(|l| format!("{l}\n")).collect();
    let _server = knot(dir, port, &format!("{records}mail A 10.0.0.10\n"));
    discovery.wait_targets(&[(
        "A",
        &["mail.services.test.: 10.0.0.10:9100", "mail.services.test.: 10.0.0.9:9100"],
    )]);
}
