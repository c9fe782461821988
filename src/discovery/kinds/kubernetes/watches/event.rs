//! Lines of a watch.

use crate::discovery::kinds::kubernetes::objects::list::ListMeta;
use crate::discovery::kinds::kubernetes::objects::resource::Resource;
use crate::discovery::kinds::kubernetes::objects::status::ApiStatus;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Event of a watch.
#[derive(Debug)]
pub(super) enum WatchEvent<T> {
    /// An object was added or changed.
    Stored(T),
    /// An object was removed, or the selectors no longer match it.
    Removed(T),
    /// Nothing has changed up to the version.
    Bookmark,
    /// The watch has failed.
    Failed(ApiStatus),
}

#[derive(Deserialize)]
enum EventKind {
    #[serde(rename = "ADDED")]
    Added,
    #[serde(rename = "MODIFIED")]
    Modified,
    #[serde(rename = "DELETED")]
    Deleted,
    #[serde(rename = "BOOKMARK")]
    Bookmark,
    #[serde(rename = "ERROR")]
    Error,
}

/// Event without most of its object, whose type depends on the kind.
#[derive(Deserialize)]
struct EventHead {
    #[serde(rename = "type")]
    kind: EventKind,
    object: AnyObject,
}

#[derive(Deserialize)]
struct AnyObject {
    #[serde(default)]
    metadata: Option<ListMeta>,
}

#[derive(Deserialize)]
struct EventBody<T> {
    object: T,
}

/// Parses a line. Returns the event and its version, which is empty if the event has none.
pub(super) fn parse<T: Resource>(
    line: &[u8],
) -> Result<(WatchEvent<T>, String), serde_json::Error> {
    let EventHead { kind, object } = serde_json::from_slice(line)?;
    let event = match kind {
        EventKind::Added | EventKind::Modified => WatchEvent::Stored(body(line)?),
        EventKind::Deleted => WatchEvent::Removed(body(line)?),
        EventKind::Bookmark => WatchEvent::Bookmark,
        EventKind::Error => WatchEvent::Failed(body(line)?),
    };
    Ok((event, object.metadata.unwrap_or_default().resource_version))
}

fn body<T: DeserializeOwned>(line: &[u8]) -> Result<T, serde_json::Error> {
    Ok(serde_json::from_slice::<EventBody<T>>(line)?.object)
}

#[cfg(test)]
mod tests {
    use super::{WatchEvent, parse};
    use crate::discovery::kinds::kubernetes::objects::endpoint_slice::EndpointSlice;
    use crate::discovery::kinds::kubernetes::objects::endpoints::Endpoints;
    use crate::discovery::kinds::kubernetes::objects::ingress::Ingress;
    use crate::discovery::kinds::kubernetes::objects::namespace::Namespace;
    use crate::discovery::kinds::kubernetes::objects::node::Node;
    use crate::discovery::kinds::kubernetes::objects::owned::{Job, ReplicaSet};
    use crate::discovery::kinds::kubernetes::objects::pod::Pod;
    use crate::discovery::kinds::kubernetes::objects::service::Service;
    use proptest::prelude::{any, prop, proptest};

    #[test]
    fn events_are_parsed_by_their_type() {
        let line = br#"{"type":"MODIFIED","object":{"kind":"Pod","metadata":{"name":"a",
            "namespace":"n","resourceVersion":"17","managedFields":[{"x":{}}],"labels":null},
            "spec":null,"status":{"podIP":"10.0.0.1","conditions":null}}}"#;
        let (WatchEvent::Stored(pod), version) = parse::<Pod>(line).unwrap() else {
            unreachable!()
        };
        assert_eq!((version.as_str(), pod.status.pod_ip.as_str()), ("17", "10.0.0.1"));
        let line = br#"{"object":{"metadata":{"resourceVersion":"18"}},"type":"BOOKMARK"}"#;
        let (event, version) = parse::<Pod>(line).unwrap();
        assert!(matches!(event, WatchEvent::Bookmark) && version == "18");
        let line = br#"{"type":"ERROR","object":{"kind":"Status","metadata":{},"code":410,
            "reason":"Expired","message":"too old resource version"}}"#;
        let (event, version) = parse::<Pod>(line).unwrap();
        assert!(matches!(event, WatchEvent::Failed(status) if status.code == 410));
        assert_eq!(version, "");
    }

    #[test]
    fn other_lines_are_errors() {
        for line in [
            "",
            "x",
            "{}",
            "[]",
            "null",
            r#"{"type":"ADDED"}"#,
            r#"{"type":"ADDED","object":null}"#,
            r#"{"type":"OTHER","object":{}}"#,
            r#"{"type":"ADDED","object":{"metadata":{"name":5}}}"#,
            r#"{"type":"ADDED","object":{"metadata":{"labels":{"a":1}}}}"#,
            r#"{"type":"ADDED","object":{"spec":{"containers":[{"ports":[{"containerPort":"x"}]}]}}}"#,
            r#"{"type":"ERROR","object":{"code":-1}}"#,
            r#"{"type":"ADDED","object":{}} x"#,
        ] {
            assert!(parse::<Pod>(line.as_bytes()).is_err(), "{line}");
        }
    }

    fn parse_all(line: &[u8]) {
        let _ = parse::<Node>(line);
        let _ = parse::<Pod>(line);
        let _ = parse::<Service>(line);
        let _ = parse::<Endpoints>(line);
        let _ = parse::<EndpointSlice>(line);
        let _ = parse::<Ingress>(line);
        let _ = parse::<Namespace>(line);
        let _ = parse::<ReplicaSet>(line);
        let _ = parse::<Job>(line);
    }

    /// Event with most of the fields.
    const SAMPLE: &str = r#"{"type":"ADDED","object":{"metadata":{"name":"a","namespace":"n",
        "resourceVersion":"5","labels":{"l":"v"},"ownerReferences":[{"kind":"Job","controller":true}]},
        "spec":{"nodeName":"n1","containers":[{"name":"c","ports":[{"containerPort":80}]}],
        "ports":[{"port":1}],"tls":[{"hosts":["h"]}],"rules":[{"http":{"paths":[{"path":"/"}]}}]},
        "status":{"addresses":[{"type":"InternalIP","address":"1"}],"podIP":"2"},
        "endpoints":[{"addresses":["3"],"conditions":{"ready":true}}],"addressType":"IPv4",
        "subsets":[{"addresses":[{"ip":"4"}],"ports":[{"port":5}]}]}}"#;

    proptest! {
        #[test]
        fn any_line_is_parsed_without_panic(line in prop::collection::vec(any::<u8>(), 0..200)) {
            parse_all(&line);
        }

        #[test]
        fn damaged_event_is_parsed_without_panic(
            at in 0..SAMPLE.len(),
            byte in any::<u8>(),
            length in 0..=SAMPLE.len(),
        ) {
            let mut line = SAMPLE.as_bytes().to_vec();
            line[at] = byte;
            line.truncate(length);
            parse_all(&line);
        }

        #[test]
        fn any_json_is_parsed_without_panic(
            object in r#"(\{("(metadata|spec|status|object|labels|ports)":(null|5|"x"|\[\]|\{\})){0,1}\}){0,2}"#,
        ) {
            parse_all(format!(r#"{{"type":"ADDED","object":{object}}}"#).as_bytes());
        }
    }
}
