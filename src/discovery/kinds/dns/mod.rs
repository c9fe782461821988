//! DNS discovery: one group per name, one target per record.
//!
//! A name that does not exist has no targets. A name that cannot be resolved keeps its targets.
//!
//! | module | content |
//! |---|---|
//! | `lookup` | search domains, servers, UDP and TCP |
//! | `message` | DNS messages |
//! | `resolv_conf` | configuration of the resolver |

mod lookup;
mod message;
mod resolv_conf;

use crate::config::file::discovery::dns::{DnsRecordType, DnsSdConfig};
use crate::discovery::address::join_host_port;
use crate::discovery::kinds::StartProvider;
use crate::discovery::kinds::dns::lookup::Resolver;
use crate::discovery::kinds::dns::message::Record;
use crate::discovery::kinds::environment::Environment;
use crate::discovery::metrics::DiscoveryMetrics;
use crate::discovery::refresh::{ProviderNames, RefreshSource, refresh_every};
use crate::discovery::target_group::{ADDRESS_LABEL, LabelSet, TargetGroup, address_labels};
use domain::base::iana::Rtype;
use std::convert::Infallible;
use tokio::task::JoinSet;

/// Maximum number of names that are resolved at a time.
const MAX_LOOKUPS: usize = 64;

/// Returns a provider of the records of the names.
pub(super) fn provider(
    config: &DnsSdConfig,
    names: ProviderNames,
    environment: &Environment,
    metrics: &DiscoveryMetrics,
) -> StartProvider {
    let source = DnsSource {
        resolver: Resolver {
            resolv_conf: environment.resolv_conf.clone(),
            port: environment.dns_port,
        },
        config: config.clone(),
        metrics: metrics.clone(),
    };
    let interval = config.refresh_interval;
    let refresh = metrics.of_refresh(names.mechanism, &names.job);
    Box::new(move |sink| Box::pin(refresh_every(interval, source, names, refresh, sink)))
}

/// Source of the records of all names of a configuration.
#[derive(Debug)]
struct DnsSource {
    resolver: Resolver,
    config: DnsSdConfig,
    metrics: DiscoveryMetrics,
}

impl RefreshSource for DnsSource {
    type Error = Infallible;

    /// Returns the groups of the names that were resolved.
    async fn refresh(&mut self) -> Result<Vec<TargetGroup>, Infallible> {
        let mut groups = Vec::new();
        for names in self.config.names.chunks(MAX_LOOKUPS) {
            let mut lookups = JoinSet::new();
            for name in names.iter().cloned() {
                let (resolver, kind) = (self.resolver.clone(), query_type(self.config.kind));
                lookups.spawn(async move { (resolver.lookup(&name, kind).await, name) });
            }
            while let Some(finished) = lookups.join_next().await {
                let Ok((resolved, name)) = finished else { continue };
                self.metrics.dns_lookups.inc();
                match resolved {
                    Ok(records) => groups.push(group(name, records, self.config.port)),
                    Err(error) => {
                        self.metrics.dns_lookup_failures.inc();
                        tracing::error!(%error, name, "cannot refresh DNS targets");
                    }
                }
            }
        }
        Ok(groups)
    }
}

fn query_type(kind: DnsRecordType) -> Rtype {
    match kind {
        DnsRecordType::Srv => Rtype::SRV,
        DnsRecordType::A => Rtype::A,
        DnsRecordType::Aaaa => Rtype::AAAA,
        DnsRecordType::Mx => Rtype::MX,
        DnsRecordType::Ns => Rtype::NS,
    }
}

/// Returns the group of a name. Only SRV records have ports of their own.
fn group(name: String, records: Vec<Record>, port: u16) -> TargetGroup {
    let targets = records.into_iter().map(|record| {
        let mut labels = match record {
            Record::A(ip) => address_labels(join_host_port(&ip.to_string(), port)),
            Record::Aaaa(ip) => address_labels(join_host_port(&ip.to_string(), port)),
            Record::Mx(host) => host_labels("__meta_dns_mx_record_target", host, port),
            Record::Ns(host) => host_labels("__meta_dns_ns_record_target", host, port),
            Record::Srv { target, port } => {
                let mut labels = host_labels("__meta_dns_srv_record_target", target, port);
                labels.insert("__meta_dns_srv_record_port".to_owned(), port.to_string());
                labels
            }
        };
        labels.insert("__meta_dns_name".to_owned(), name.clone());
        labels
    });
    TargetGroup { targets: targets.collect(), labels: LabelSet::new(), source: name }
}

/// Returns the labels of a host whose name ends with a dot, which the address leaves out.
fn host_labels(label: &str, host: String, port: u16) -> LabelSet {
    let address = join_host_port(host.trim_end_matches('.'), port);
    LabelSet::from([(ADDRESS_LABEL.to_owned(), address), (label.to_owned(), host)])
}

#[cfg(test)]
mod tests;
