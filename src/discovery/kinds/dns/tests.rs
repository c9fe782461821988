//! Tests of lookups against servers on loopback.

use super::DnsSource;
use super::lookup::Resolver;
use crate::config::file::discovery::dns::{DnsRecordType, DnsSdConfig};
use crate::discovery::metrics::DiscoveryMetrics;
use crate::discovery::refresh::RefreshSource;
use crate::discovery::target_group::TargetGroup;
use crate::metrics::registry::Registry;
use crate::metrics::text::ExpositionFormat;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

/// Reaction of a server to a question.
#[derive(Debug, Clone)]
enum Reply {
    /// Records with their types and data, under this response code.
    Code(u8, Vec<(u16, Vec<u8>)>),
    /// Truncated over UDP, these addresses over TCP.
    TruncatedUdp(Vec<[u8; 4]>),
    TruncatedBoth,
    Silence,
    Garbage,
    /// A response with another identifier, then this address.
    Forged([u8; 4]),
}

/// Server on loopback. Names without a reply do not exist.
#[derive(Debug, Clone, Default)]
struct Server {
    replies: Arc<Mutex<HashMap<String, Reply>>>,
    /// Questions as `name udp|tcp`.
    questions: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves on an address; port 0 selects one. Returns the port.
    async fn serve(&self, ip: &str, port: u16) -> u16 {
        let udp = UdpSocket::bind((ip, port)).await.expect("a UDP port");
        let port = udp.local_addr().expect("an address").port();
        let tcp = TcpListener::bind((ip, port)).await.expect("a TCP port");
        let server = self.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            loop {
                let (len, from) = udp.recv_from(&mut buffer).await.expect("a query");
                for response in server.responses(&buffer[..len], false) {
                    udp.send_to(&response, from).await.expect("sent");
                }
            }
        });
        let server = self.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = tcp.accept().await.expect("a connection");
                let len = stream.read_u16().await.expect("a length");
                let mut query = vec![0; usize::from(len)];
                stream.read_exact(&mut query).await.expect("a query");
                for response in server.responses(&query, true) {
                    stream.write_u16(response.len() as u16).await.expect("sent");
                    stream.write_all(&response).await.expect("sent");
                }
            }
        });
        port
    }

    fn set(&self, name: &str, reply: Reply) {
        self.replies.lock().insert(name.to_owned(), reply);
    }

    fn responses(&self, query: &[u8], is_tcp: bool) -> Vec<Vec<u8>> {
        let (mut at, mut name) = (12, String::new());
        while query[at] != 0 {
            let len = usize::from(query[at]);
            name.push_str(std::str::from_utf8(&query[at + 1..=at + len]).expect("a name"));
            name.push('.');
            at += len + 1;
        }
        let question = &query[12..at + 5];
        let transport = if is_tcp { "tcp" } else { "udp" };
        self.questions.lock().push(format!("{name} {transport}"));
        let response = |flags: u8, code: u8, records: &[(u16, Vec<u8>)]| {
            let mut message = query[..2].to_vec();
            message.extend_from_slice(&[0x80 | flags, code, 0, 1, 0, records.len() as u8]);
            message.extend_from_slice(&[0; 4]);
            message.extend_from_slice(question);
            for (kind, data) in records {
                message.extend_from_slice(&[0xc0, 12]);
                message.extend_from_slice(&kind.to_be_bytes());
                message.extend_from_slice(&[0, 1, 0, 0, 0, 1, 0, data.len() as u8]);
                message.extend_from_slice(data);
            }
            message
        };
        let addresses = |all: &[[u8; 4]]| -> Vec<_> {
            all.iter().map(|address| (1, address.to_vec())).collect()
        };
        match self.replies.lock().get(&name).cloned() {
            None => vec![response(0, 3, &[])],
            Some(Reply::Code(code, records)) => vec![response(0, code, &records)],
            Some(Reply::TruncatedUdp(all)) if is_tcp => vec![response(0, 0, &addresses(&all))],
            Some(Reply::TruncatedUdp(_) | Reply::TruncatedBoth) => vec![response(2, 0, &[])],
            Some(Reply::Silence) => Vec::new(),
            Some(Reply::Garbage) => vec![query[..5].to_vec()],
            Some(Reply::Forged(address)) => {
                let mut forged = response(0, 0, &addresses(&[[6, 6, 6, 6]]));
                forged[0] ^= 0xff;
                vec![forged, response(0, 0, &addresses(&[address]))]
            }
        }
    }
}

/// Address records under a response code.
fn found(addresses: &[[u8; 4]]) -> Reply {
    Reply::Code(0, addresses.iter().map(|address| (1, address.to_vec())).collect())
}

/// Source of the records of names, its directory and its metrics.
struct Fixture {
    source: DnsSource,
    registry: Registry,
    _dir: TempDir,
}

impl Fixture {
    fn new(resolv_conf: &str, port: u16, kind: DnsRecordType, names: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("resolv.conf");
        fs::write(&path, resolv_conf).expect("a file");
        let mut registry = Registry::new();
        let metrics = DiscoveryMetrics::register(&mut registry);
        let config = DnsSdConfig {
            names: names.iter().map(ToString::to_string).collect(),
            refresh_interval: Duration::from_secs(30),
            kind,
            type_name: kind.name().to_owned(),
            port: 9100,
        };
        let resolver = Resolver { resolv_conf: path, port };
        Self { source: DnsSource { resolver, config, metrics }, registry, _dir: dir }
    }

    /// Returns the groups as `source[targets]`, without `__meta_dns_name`; others as `label=value`.
    async fn refresh(&mut self) -> Vec<String> {
        let Ok(groups) = self.source.refresh().await;
        let mut shown: Vec<_> = groups.iter().map(shown).collect();
        shown.sort();
        shown
    }

    fn lookups_and_failures(&self) -> (String, String) {
        let text = self.registry.encode(ExpositionFormat::Classic);
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).expect(name);
            line.trim().to_owned()
        };
        (
            value("prometheus_sd_dns_lookups_total "),
            value("prometheus_sd_dns_lookup_failures_total "),
        )
    }
}

fn shown(group: &TargetGroup) -> String {
    assert!(group.labels.is_empty());
    let targets = group.targets.iter().map(|labels| {
        assert_eq!(labels["__meta_dns_name"], group.source);
        let labels = labels.iter().filter(|(name, _)| *name != "__meta_dns_name");
        let labels = labels.map(|(name, value)| match name.strip_prefix("__meta_dns_") {
            Some(name) => format!("{name}={value}"),
            None => value.clone(),
        });
        labels.collect::<Vec<_>>().join(" ")
    });
    format!("{}[{}]", group.source, targets.collect::<Vec<_>>().join(", "))
}

#[tokio::test]
async fn records_of_each_type_become_targets() {
    let server = Server::default();
    let port = server.serve("127.0.0.1", 0).await;
    let cname = (5, vec![0xc0, 12]);
    for (kind, record, expected) in [
        (DnsRecordType::A, (1, vec![10, 0, 0, 1]), "10.0.0.1:9100"),
        (DnsRecordType::Aaaa, (28, [vec![0xfd], vec![0; 14], vec![1]].concat()), "[fd00::1]:9100"),
        (
            DnsRecordType::Mx,
            (15, b"\0\x0a\x04mail\xc0\x0c".to_vec()),
            "mail.host.test:9100 mx_record_target=mail.host.test.",
        ),
        (
            DnsRecordType::Ns,
            (2, b"\x03ns1\xc0\x0c".to_vec()),
            "ns1.host.test:9100 ns_record_target=ns1.host.test.",
        ),
        (
            DnsRecordType::Srv,
            (33, b"\0\0\0\x05\x1f\x90\x02h1\xc0\x0c".to_vec()),
            "h1.host.test:8080 srv_record_port=8080 srv_record_target=h1.host.test.",
        ),
    ] {
        server.set("host.test.", Reply::Code(0, vec![cname.clone(), record]));
        let mut fixture = Fixture::new("nameserver 127.0.0.1", port, kind, &["host.test."]);
        assert_eq!(fixture.refresh().await, [format!("host.test.[{expected}]")]);
    }
}

#[tokio::test]
async fn search_domains_are_tried_in_order() {
    let server = Server::default();
    let port = server.serve("127.0.0.1", 0).await;
    server.set("short.corp.test.", found(&[[10, 1, 0, 1]]));
    server.set("host.test.", found(&[[10, 0, 0, 1]]));
    let conf = "nameserver 127.0.0.1\nsearch corp.test\noptions ndots:2\n";
    let mut fixture = Fixture::new(conf, port, DnsRecordType::A, &["short", "host.test"]);
    assert_eq!(fixture.refresh().await, ["host.test[10.0.0.1:9100]", "short[10.1.0.1:9100]"]);
    let mut questions = server.questions.lock().clone();
    questions.sort();
    assert_eq!(questions, ["host.test. udp", "host.test.corp.test. udp", "short.corp.test. udp"]);
}

#[tokio::test]
async fn truncated_response_is_asked_for_over_tcp() {
    let server = Server::default();
    let port = server.serve("127.0.0.1", 0).await;
    let all: Vec<[u8; 4]> = (1..60).map(|i| [10, 2, 0, i]).collect();
    server.set("big.test.", Reply::TruncatedUdp(all));
    server.set("huge.test.", Reply::TruncatedBoth);
    let names = ["big.test.", "huge.test."];
    let mut fixture = Fixture::new("nameserver 127.0.0.1", port, DnsRecordType::A, &names);
    let groups = fixture.refresh().await;
    assert_eq!(groups.len(), 1);
    assert_eq!(groups[0].matches(", ").count(), 58);
    assert!(groups[0].starts_with("big.test.[10.2.0.1:9100, ") && groups[0].contains(".59:9100]"));
    assert!(server.questions.lock().contains(&"big.test. tcp".to_owned()));
}

#[tokio::test]
async fn missing_name_has_no_targets_and_failures_keep() {
    let server = Server::default();
    let port = server.serve("127.0.0.1", 0).await;
    server.set("empty.test.", Reply::Code(0, Vec::new()));
    server.set("ill.test.", Reply::Code(2, Vec::new()));
    server.set("refused.test.", Reply::Code(5, Vec::new()));
    server.set("garbage.test.", Reply::Garbage);
    let names =
        ["absent.test.", "empty.test.", "ill.test.", "refused.test.", "garbage.test.", "a..b."];
    let mut fixture = Fixture::new("nameserver 127.0.0.1", port, DnsRecordType::A, &names);
    assert_eq!(fixture.refresh().await, ["absent.test.[]", "empty.test.[]"]);
    assert_eq!(fixture.lookups_and_failures(), ("6".to_owned(), "4".to_owned()));
}

#[tokio::test]
async fn failure_of_one_search_domain_keeps_targets() {
    let server = Server::default();
    let port = server.serve("127.0.0.1", 0).await;
    server.set("short.ill.test.", Reply::Code(2, Vec::new()));
    let conf = "nameserver 127.0.0.1\nsearch ill.test corp.test\n";
    let mut fixture = Fixture::new(conf, port, DnsRecordType::A, &["short"]);
    assert_eq!(fixture.refresh().await, [""; 0]);
    server.set("short.corp.test.", found(&[[10, 0, 0, 1]]));
    assert_eq!(fixture.refresh().await, ["short[10.0.0.1:9100]"]);
}

#[tokio::test]
async fn next_server_is_asked_after_a_failure() {
    let (first, second) = (Server::default(), Server::default());
    let port = first.serve("127.0.0.1", 0).await;
    second.serve("127.0.0.2", port).await;
    first.set("ill.test.", Reply::Code(2, Vec::new()));
    second.set("ill.test.", found(&[[10, 0, 0, 2]]));
    second.set("absent.test.", found(&[[10, 0, 0, 2]]));
    // Nothing listens on the third address.
    let conf = "nameserver 127.0.0.3\nnameserver 127.0.0.1\nnameserver 127.0.0.2\n";
    let names = ["ill.test.", "absent.test."];
    let mut fixture = Fixture::new(conf, port, DnsRecordType::A, &names);
    assert_eq!(fixture.refresh().await, ["absent.test.[]", "ill.test.[10.0.0.2:9100]"]);
}

#[tokio::test]
async fn forged_response_is_ignored() {
    let server = Server::default();
    let port = server.serve("127.0.0.1", 0).await;
    server.set("host.test.", Reply::Forged([10, 0, 0, 1]));
    let mut fixture = Fixture::new("nameserver 127.0.0.1", port, DnsRecordType::A, &["host.test."]);
    assert_eq!(fixture.refresh().await, ["host.test.[10.0.0.1:9100]"]);
}

#[tokio::test]
async fn silent_server_keeps_targets() {
    let server = Server::default();
    let port = server.serve("127.0.0.1", 0).await;
    server.set("slow.test.", Reply::Silence);
    let mut fixture = Fixture::new("nameserver 127.0.0.1", port, DnsRecordType::A, &["slow.test."]);
    let start = std::time::Instant::now();
    assert_eq!(fixture.refresh().await, [""; 0]);
    assert!(start.elapsed() >= Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test]
async fn resolver_configuration_is_read_for_every_lookup() {
    let server = Server::default();
    let port = server.serve("127.0.0.1", 0).await;
    server.set("host.test.", found(&[[10, 0, 0, 1]]));
    let mut fixture = Fixture::new("", port, DnsRecordType::A, &["host.test."]);
    assert_eq!(fixture.refresh().await, [""; 0], "an answer without servers");
    let path = fixture.source.resolver.resolv_conf.clone();
    fs::write(&path, "nameserver 127.0.0.1\n").expect("a file");
    assert_eq!(fixture.refresh().await, ["host.test.[10.0.0.1:9100]"]);
    fs::remove_file(&path).expect("removed");
    assert_eq!(fixture.refresh().await, [""; 0]);
}
