//! Objects of a request.

use crate::discovery::kinds::kubernetes::objects::resource::ResourcePath;
use std::fmt::Write;

/// Namespace and selectors of a request. The default is all objects of a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ObjectScope {
    /// Empty means all namespaces, or a resource without them.
    pub(crate) namespace: String,
    /// Label selector; empty selects all.
    pub(crate) label: String,
    /// Field selector; empty selects all.
    pub(crate) field: String,
}

impl ObjectScope {
    /// Returns the path of the objects.
    pub(super) fn path(&self, resource: ResourcePath) -> String {
        let ResourcePath { group, plural } = resource;
        if self.namespace.is_empty() {
            return format!("{group}/{plural}");
        }
        format!("{group}/namespaces/{}/{plural}", escape_segment(&self.namespace))
    }

    /// Returns the parameters of the selectors.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [("labelSelector", self.label.as_str()), ("fieldSelector", self.field.as_str())]
            .into_iter()
            .filter(|(_, selector)| !selector.is_empty())
    }
}

/// Escapes a segment of a path. A name of a namespace is valid as it is.
fn escape_segment(segment: &str) -> String {
    let mut escaped = String::new();
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::ObjectScope;
    use crate::discovery::kinds::kubernetes::objects::pod::Pod;
    use crate::discovery::kinds::kubernetes::objects::resource::Resource;

    #[test]
    fn namespace_is_a_segment_of_the_path() {
        let path = |namespace: &str| {
            let scope = ObjectScope { namespace: namespace.to_owned(), ..ObjectScope::default() };
            scope.path(Pod::PATH)
        };
        assert_eq!(path(""), "/api/v1/pods");
        assert_eq!(path("kube-system"), "/api/v1/namespaces/kube-system/pods");
        assert_eq!(path("../x?"), "/api/v1/namespaces/%2E%2E%2Fx%3F/pods");
    }
}
