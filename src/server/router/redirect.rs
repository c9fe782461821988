//! Redirects to canonical paths, as in Prometheus 3.14.
//!
//! | path                                 | response                                              |
//! |--------------------------------------|-------------------------------------------------------|
//! | has `//` or a segment `.` or `..`    | 307 to the clean path, even if it is not served       |
//! | `/api/v1`                            | 307 to `/api/v1/`                                     |
//! | a known path and `/`                 | 301 (308 unless GET) to the path without the slash    |
//! | a known path below `/api/v1` and `/` | the same without `/api/v1`, which Prometheus loses    |
//! | a known path without its `/`         | 301 (308 unless GET) to the path with the slash       |
//! | `/` outside of the route prefix      | 302 to the route prefix                               |
//!
//! A route prefix precedes all of these paths. Only the route prefix itself has a slash at its end.
//! In `Location`, the path of `--web.external-url` replaces the route prefix; Prometheus does so on
//! its pages only.
//!
//! The first two come from Go's `http.ServeMux`, the others from `httprouter`, which sees the paths
//! of the API without their prefix. gRPC requests are never redirected.

use crate::config::external_url::UrlPath;
use crate::server::contract;
use crate::server::management::web_state::WebState;
use crate::server::router::route_layers::API;
use crate::server::router::route_table::KnownPath;
use crate::server::transport::framing;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Paths that decide about redirects.
#[derive(Debug)]
pub(super) struct RedirectRules {
    known: Vec<KnownPath>,
    prefix: UrlPath,
    /// Replacement of the prefix in `Location`.
    link_base: UrlPath,
    /// Path of the API with the route prefix, without a slash at its end.
    api: String,
}

impl RedirectRules {
    pub(super) fn new(known: Vec<KnownPath>, prefix: UrlPath, link_base: UrlPath) -> Self {
        let api = format!("{prefix}{API}");
        Self { known, prefix, link_base, api }
    }

    /// Returns the path under which a client of the external URL reaches a path of the server. Only
    /// paths below the route prefix have one.
    fn link_to(&self, path: String) -> String {
        match path.strip_prefix(self.prefix.as_str()) {
            Some(rest) if rest.starts_with('/') => format!("{}{rest}", self.link_base),
            _ => path,
        }
    }

    fn serves(&self, method: &Method, path: &str) -> bool {
        self.known.iter().any(|known| known.serves(method, path))
    }
}

/// `GET /` outside of the route prefix: redirects to the prefix itself, because a proxy that maps
/// the external URL to the prefix never sends this path.
pub(super) async fn to_prefix(State(web): State<Arc<WebState>>, request: Request) -> Response {
    let path = web.route_prefix.as_str().to_owned();
    let found = respond(&request, Target { status: StatusCode::FOUND, path });
    found.unwrap_or_else(contract::http::page_not_found)
}

/// Middleware that redirects a request or passes it on.
pub(super) async fn redirect(
    State(rules): State<Arc<RedirectRules>>,
    request: Request,
    next: Next,
) -> Response {
    let is_routed = request.extensions().get::<MatchedPath>().is_some();
    let target = if framing::is_grpc(&request) || request.method() == Method::CONNECT {
        None
    } else {
        find_target(request.method(), request.uri().path(), is_routed, &rules)
            .map(|target| Target { path: rules.link_to(target.path), ..target })
    };
    match target.and_then(|target| respond(&request, target)) {
        Some(response) => response,
        None => next.run(request).await,
    }
}

/// Status and path of a redirect.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    status: StatusCode,
    path: String,
}

fn find_target(
    method: &Method,
    path: &str,
    is_routed: bool,
    rules: &RedirectRules,
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
    if path == rules.api {
        return Some(Target { status: StatusCode::TEMPORARY_REDIRECT, path: format!("{path}/") });
    }
    let is_get = method == Method::GET;
    let status =
        if is_get { StatusCode::MOVED_PERMANENTLY } else { StatusCode::PERMANENT_REDIRECT };
    match path.strip_suffix('/') {
        Some(without_slash) if rules.serves(method, without_slash) => {
            let target = without_slash.strip_prefix(&rules.api).unwrap_or(without_slash);
            Some(Target { status, path: target.to_owned() })
        }
        None if rules.serves(method, &format!("{path}/")) => {
            Some(Target { status, path: format!("{path}/") })
        }
        _ => None,
    }
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
    use super::{KnownPath, RedirectRules, Target, UrlPath, clean_path, find_target};
    use crate::server::requests::time_limits::RouteKind;
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

    fn rules(prefix: &str) -> RedirectRules {
        let known = |path: &str, method| KnownPath {
            pattern: format!("{prefix}{path}").into(),
            methods: vec![method],
            kind: RouteKind::Page,
        };
        let known = vec![
            known("/", Method::GET),
            known("/metrics", Method::GET),
            known("/api/v1/write", Method::POST),
            known("/api/v1/label/{name}/values", Method::GET),
        ];
        let prefix: UrlPath = prefix.parse().unwrap();
        RedirectRules::new(known, prefix.clone(), prefix)
    }

    #[test]
    fn location_has_the_path_of_the_external_url() {
        for (prefix, link_base, path, link) in [
            ("", "/ext", "/metrics", "/ext/metrics"),
            ("", "/ext", "/", "/ext/"),
            ("/p", "/ext", "/p/metrics", "/ext/metrics"),
            ("/p", "", "/p/", "/"),
            ("/p", "/ext", "/p", "/p"),
            ("/p", "/ext", "/path", "/path"),
            ("/p", "/p", "/p/metrics", "/p/metrics"),
        ] {
            let [prefix, link_base] = [prefix, link_base].map(|path| path.parse().unwrap());
            let rules = RedirectRules::new(Vec::new(), prefix, link_base);
            assert_eq!(rules.link_to(path.to_owned()), link, "{path}");
        }
    }

    #[test]
    fn redirects_keep_the_route_prefix_except_below_the_api() {
        let rules = rules("/p/q");
        for (path, target) in [
            ("/p/q", Some("/p/q/")),
            ("/p/q/metrics/", Some("/p/q/metrics")),
            ("/p/q/api/v1", Some("/p/q/api/v1/")),
            ("/p/q/api/v1/label/a/values/", Some("/label/a/values")),
            ("/p//q/x", Some("/p/q/x")),
            ("/p/q/nothing", None),
            ("/p", None),
            ("/metrics/", None),
            ("/api/v1", None),
        ] {
            let found = find_target(&Method::GET, path, false, &rules);
            assert_eq!(found.as_ref().map(|found| found.path.as_str()), target, "{path}");
        }
    }

    #[test]
    fn trailing_slash_is_redirected_for_served_methods() {
        let rules = rules("");
        let target = |method, path: &str| find_target(&method, path, false, &rules);
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
