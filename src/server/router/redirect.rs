//! Redirects to canonical paths, as in Prometheus 3.14.
//!
//! | path                                 | response                                              |
//! |--------------------------------------|-------------------------------------------------------|
//! | has `//` or a segment `.` or `..`    | 307 to the clean path, even if it is not served       |
//! | `/api/v1`                            | 307 to `/api/v1/`                                     |
//! | a known path and `/`                 | 301 (308 unless GET) to the path without the slash    |
//! | a known path below `/api/v1` and `/` | the same without `/api/v1`, which Prometheus loses    |
//!
//! The first two come from Go's `http.ServeMux`, the others from `httprouter`, which sees the paths
//! of the API without their prefix. gRPC requests are never redirected.

use crate::server::transport::framing;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

const API: &str = "/api/v1";

/// Served path and its methods. A segment in braces matches any segment.
#[derive(Clone, Debug)]
pub(crate) struct KnownPath {
    pub(crate) pattern: &'static str,
    pub(crate) methods: Vec<Method>,
}

impl KnownPath {
    fn serves(&self, method: &Method, path: &str) -> bool {
        // A response to HEAD is that to GET without its body.
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.methods.contains(method) && matches_pattern(self.pattern, path)
    }
}

fn matches_pattern(pattern: &str, path: &str) -> bool {
    let (mut expected, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (expected.next(), given.next()) {
            (None, None) => return true,
            (Some(expected), Some(given)) if expected == given => {}
            (Some(expected), Some(given)) if expected.starts_with('{') && !given.is_empty() => {}
            _ => return false,
        }
    }
}

/// Middleware that redirects a request or passes it on.
pub(crate) async fn redirect(
    State(known): State<Arc<[KnownPath]>>,
    request: Request,
    next: Next,
) -> Response {
    let is_routed = request.extensions().get::<MatchedPath>().is_some();
    let target = if framing::is_grpc(&request) || request.method() == Method::CONNECT {
        None
    } else {
        find_target(request.method(), request.uri().path(), is_routed, &known)
    };
    match target.and_then(|target| respond(&request, target)) {
        Some(response) => response,
        None => next.run(request).await,
    }
}

/// Status and `Location` path of a redirect.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    status: StatusCode,
    path: String,
}

fn find_target(
    method: &Method,
    path: &str,
    is_routed: bool,
    known: &[KnownPath],
) -> Option<Target> {
    if !path.starts_with('/') {
        return None;
    }
    let clean = clean_path(path);
    if clean != path {
        return Some(Target { status: StatusCode::TEMPORARY_REDIRECT, path: clean });
    }
    if is_routed {
        return None;
    }
    if path == API {
        return Some(Target { status: StatusCode::TEMPORARY_REDIRECT, path: format!("{API}/") });
    }
    let without_slash = path.strip_suffix('/')?;
    if !known.iter().any(|known| known.serves(method, without_slash)) {
        return None;
    }
    let is_get = method == Method::GET;
    let status =
        if is_get { StatusCode::MOVED_PERMANENTLY } else { StatusCode::PERMANENT_REDIRECT };
    let target = without_slash.strip_prefix(API).unwrap_or(without_slash);
    Some(Target { status, path: target.to_owned() })
}

/// Returns the path without empty segments and without `.` and `..`. It starts with `/`; a trailing
/// slash is kept.
fn clean_path(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let end = if path.ends_with('/') && !segments.is_empty() { "/" } else { "" };
    format!("/{}{end}", segments.join("/"))
}

/// Returns `None` if the path is not a valid header value.
fn respond(request: &Request, target: Target) -> Option<Response> {
    let query = request.uri().query().filter(|query| !query.is_empty());
    let location =
        query.map_or_else(|| target.path.clone(), |query| format!("{}?{query}", target.path));
    // Only redirect to a path that parses as a URI.
    location.parse::<Uri>().ok()?;
    let header = HeaderValue::from_str(&location).ok()?;
    let mut response = (target.status, [(LOCATION, header)]).into_response();
    if [Method::GET, Method::HEAD].contains(request.method()) {
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    }
    if request.method() == Method::GET {
        let reason = target.status.canonical_reason().unwrap_or_default();
        *response.body_mut() =
            Body::from(format!("<a href=\"{}\">{reason}</a>.\n\n", escape_html(&location)));
    }
    Some(response)
}

fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::{KnownPath, Target, clean_path, find_target};
    use axum::http::{Method, StatusCode};

    #[test]
    fn clean_path_keeps_a_trailing_slash() {
        for (path, clean) in [
            ("/", "/"),
            ("//", "/"),
            ("/a", "/a"),
            ("/a/", "/a/"),
            ("//a///b//", "/a/b/"),
            ("/a/./b/.", "/a/b"),
            ("/a/../../b/", "/b/"),
            ("/..", "/"),
            ("/a/...", "/a/..."),
        ] {
            assert_eq!(clean_path(path), clean, "{path}");
        }
    }

    #[test]
    fn trailing_slash_is_redirected_for_served_methods() {
        let known = [
            KnownPath { pattern: "/metrics", methods: vec![Method::GET] },
            KnownPath { pattern: "/api/v1/write", methods: vec![Method::POST] },
            KnownPath { pattern: "/api/v1/label/{name}/values", methods: vec![Method::GET] },
        ];
        let target = |method, path: &str| find_target(&method, path, false, &known);
        let to = |status: StatusCode, path: &str| Some(Target { status, path: path.to_owned() });
        assert_eq!(target(Method::GET, "/metrics/"), to(StatusCode::MOVED_PERMANENTLY, "/metrics"));
        assert_eq!(
            target(Method::HEAD, "/metrics/"),
            to(StatusCode::PERMANENT_REDIRECT, "/metrics")
        );
        assert_eq!(
            target(Method::POST, "/api/v1/write/"),
            to(StatusCode::PERMANENT_REDIRECT, "/write")
        );
        let values = to(StatusCode::MOVED_PERMANENTLY, "/label/a/values");
        assert_eq!(target(Method::GET, "/api/v1/label/a/values/"), values);
        for (method, path) in [
            (Method::POST, "/metrics/"),
            (Method::GET, "/api/v1/write/"),
            (Method::GET, "/nothing/"),
            (Method::GET, "/api/v1/"),
            (Method::GET, "/"),
            (Method::OPTIONS, "*"),
        ] {
            assert_eq!(target(method, path), None, "{path}");
        }
    }
}
