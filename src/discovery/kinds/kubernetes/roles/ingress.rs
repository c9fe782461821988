//! Role `ingress`: each path of each host.

use crate::discovery::kinds::kubernetes::objects::ingress::{Ingress, IngressRule};
use crate::discovery::kinds::kubernetes::roles::labels::{set, set_metadata};
use crate::discovery::kinds::kubernetes::roles::lookup::Lookup;
use crate::discovery::target_group::{LabelSet, TargetGroup, address_labels};

/// Path of a rule without one.
const ROOT: &str = "/";

/// Returns the group of an ingress.
pub(crate) fn group(ingress: &Ingress, lookup: &mut Lookup<'_>) -> Option<TargetGroup> {
    let (metadata, spec) = (&ingress.metadata, &ingress.spec);
    let mut labels = LabelSet::new();
    set(&mut labels, "namespace", &metadata.namespace);
    let class = spec.ingress_class_name.as_deref();
    set(&mut labels, "ingress_class_name", class.unwrap_or_default());
    set_metadata(&mut labels, "ingress", metadata.into());
    lookup.set_namespace_labels(&mut labels, &metadata.namespace);
    let targets = spec.rules.iter().flat_map(|rule| {
        let mut hosts = spec.tls.iter().flat_map(|tls| &tls.hosts);
        let is_secure = hosts.any(|pattern| matches(pattern, &rule.host));
        let scheme = if is_secure { "https" } else { "http" };
        paths(rule).into_iter().map(move |path| {
            let mut target = address_labels(rule.host.clone());
            set(&mut target, "ingress_scheme", scheme);
            set(&mut target, "ingress_host", &rule.host);
            set(&mut target, "ingress_path", path);
            target
        })
    });
    Some(TargetGroup { targets: targets.collect(), labels, ..TargetGroup::default() })
}

fn paths(rule: &IngressRule) -> Vec<&str> {
    let Some(http) = &rule.http else { return vec![ROOT] };
    let paths = http.paths.iter().map(|path| path.path.as_str());
    paths.map(|path| if path.is_empty() { ROOT } else { path }).collect()
}

/// Returns `true` if the host is the pattern, or the pattern is `*` in place of its first label.
fn matches(pattern: &str, host: &str) -> bool {
    if pattern == host {
        return true;
    }
    match pattern.strip_prefix('*') {
        // The only pattern without a point matches every host without one.
        Some("") => !host.contains('.'),
        Some(end) => match host.find('.') {
            Some(at) => host[at..] == *end,
            None => false,
        },
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn wildcard_is_the_first_label() {
        for (pattern, host, expected) in [
            ("a.test", "a.test", true),
            ("a.test", "b.test", false),
            ("*.test", "a.test", true),
            ("*.test", "a.b.test", false),
            ("*.test", "test", false),
            ("*.test", "*.test", true),
            ("*a.test", "ba.test", false),
            ("a.*", "a.test", false),
            ("*", "a", true),
            ("*", "a.b", false),
            ("*", "", true),
            ("", "", true),
            ("*.", "a.", true),
        ] {
            assert_eq!(matches(pattern, host), expected, "{pattern} {host}");
        }
    }
}
