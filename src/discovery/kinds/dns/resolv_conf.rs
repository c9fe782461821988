//! Configuration of the resolver: name servers, search domains, `ndots`.

use std::io;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;

/// Maximum size of the file, bytes.
const MAX_BYTES: u64 = 1 << 20;
/// Maximum number of name servers and of search domains.
const MAX_ENTRIES: usize = 64;
/// Maximum value of `ndots`.
const MAX_NDOTS: usize = 15;

/// Configuration of the resolver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ResolvConf {
    pub(super) servers: Vec<IpAddr>,
    search: Vec<String>,
    ndots: usize,
}

impl ResolvConf {
    /// Reads the file. It is read for every lookup, so changes take effect.
    pub(super) fn load(path: &Path) -> io::Result<Self> {
        let mut text = String::new();
        std::fs::File::open(path)?.take(MAX_BYTES).read_to_string(&mut text)?;
        Ok(Self::parse(&text))
    }

    /// Parses the text. Unknown lines and options are ignored, as by other resolvers.
    fn parse(text: &str) -> Self {
        let mut conf = Self { servers: Vec::new(), search: Vec::new(), ndots: 1 };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    // A zone is left out: without it, the system selects the interface.
                    let address = words.next().and_then(|word| word.split('%').next());
                    let address: Option<IpAddr> = address.and_then(|word| word.parse().ok());
                    let has_space = conf.servers.len() < MAX_ENTRIES;
                    conf.servers.extend(address.filter(|_| has_space));
                }
                Some("domain") => conf.search = words.take(1).map(str::to_owned).collect(),
                Some("search") => {
                    conf.search = words.take(MAX_ENTRIES).map(str::to_owned).collect();
                }
                Some("options") => {
                    for dots in words.filter_map(|word| word.strip_prefix("ndots:")) {
                        conf.ndots = dots.parse().map_or(conf.ndots, |n: usize| n.min(MAX_NDOTS));
                    }
                }
                _ => {}
            }
        }
        conf
    }

    /// Returns the names to ask for, in this order, each with a final dot.
    pub(super) fn candidates(&self, name: &str) -> Vec<String> {
        if name.ends_with('.') {
            return vec![name.to_owned()];
        }
        let own = format!("{name}.");
        let in_domain = |domain: &String| format!("{own}{}.", domain.trim_end_matches('.'));
        let searched = self.search.iter().map(in_domain);
        // The number of labels counts, which is one more than the dots.
        if name.split('.').count() > self.ndots {
            std::iter::once(own.clone()).chain(searched).collect()
        } else {
            searched.chain(std::iter::once(own.clone())).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ResolvConf;

    #[test]
    fn lines_are_parsed_as_by_other_resolvers() {
        let text = "# comment\nnameserver 127.0.0.77\nnameserver fe80::1%eth0\nnameserver x\n\
                    nameserver\ndomain old.test\nsearch corp.test. other.test\n\
                    options timeout:1 ndots:2 ndots:x\nsortlist 1\n; other\n";
        let conf = ResolvConf::parse(text);
        let servers: Vec<String> = conf.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["127.0.0.77", "fe80::1"]);
        assert_eq!(conf.search, ["corp.test.", "other.test"]);
        assert_eq!(conf.ndots, 2);
        assert_eq!(ResolvConf::parse("options ndots:99").ndots, 15);
        assert_eq!(ResolvConf::parse("domain a b").search, ["a"]);
        assert_eq!(ResolvConf::parse("").ndots, 1);
    }

    #[test]
    fn candidates_follow_search_and_ndots() {
        let conf = |ndots| ResolvConf {
            servers: Vec::new(),
            search: vec!["corp.test.".to_owned(), "x".to_owned()],
            ndots,
        };
        for (ndots, name, expected) in [
            (2, "a.b.", &["a.b."][..]),
            (2, "short", &["short.corp.test.", "short.x.", "short."]),
            (2, "host.test", &["host.test.corp.test.", "host.test.x.", "host.test."]),
            (1, "host.test", &["host.test.", "host.test.corp.test.", "host.test.x."]),
            (0, "short", &["short.", "short.corp.test.", "short.x."]),
        ] {
            assert_eq!(conf(ndots).candidates(name), expected, "ndots {ndots}, {name}");
        }
    }
}
