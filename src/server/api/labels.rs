//! Label names and label values: `GET` or `POST /api/v1/labels?match[]=…&start=…&end=…&limit=…` and
//! `GET /api/v1/label/{name}/values`.
//!
//! ```text
//! {"status":"success","data":["__name__","job"],"warnings":["results truncated due to limit"]}
//! ```
//!
//! A name with characters other than letters, digits and `_` may be escaped in the path with `U__`,
//! as in Prometheus 3.

use crate::server::api::listing;
use crate::server::api::listing::{ListEnd, ListQuery, ListResponseBuilder};
use crate::server::contract::api_error::ApiError;
use crate::server::requests::list_state::ListState;
use crate::tsdb::db::{LabelCollector, LabelQueryLimits};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Maximum number of hexadecimal digits of an escaped character.
const MAX_CODE: usize = 5;

/// Handles a request for label names.
pub(crate) async fn label_names(State(lists): State<Arc<ListState>>, request: Request) -> Response {
    let parameters = listing::parameters(&lists, request).await;
    match parameters.and_then(|parameters| ListQuery::parse(&parameters, ApiError::BadData)) {
        Ok(query) => {
            listing::respond(lists, move |lists, builder| list(lists, &query, None, builder)).await
        }
        Err(error) => error.into_response(),
    }
}

/// Handles a request for the values of a label.
pub(crate) async fn label_values(
    State(lists): State<Arc<ListState>>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let name = match name {
        Ok(Path(name)) => unescape_label_name(&name).unwrap_or(name),
        Err(error) => {
            return ApiError::BadData(format!("invalid label name: {error}")).into_response();
        }
    };
    if name.is_empty() {
        return ApiError::BadData(format!("invalid label name: {name:?}")).into_response();
    }
    let parameters = listing::parameters(&lists, request).await;
    match parameters.and_then(|parameters| ListQuery::parse(&parameters, ApiError::BadData)) {
        Ok(query) => {
            listing::respond(lists, move |lists, builder| list(lists, &query, Some(&name), builder))
                .await
        }
        Err(error) => error.into_response(),
    }
}

/// Lists the values of the label `values_of`, or all label names if it is `None`.
fn list(
    lists: &ListState,
    query: &ListQuery,
    values_of: Option<&str>,
    builder: &mut ListResponseBuilder,
) -> Result<ListEnd, ApiError> {
    // One entry more than the limit shows that the list is truncated.
    let count = query.limit.map_or(usize::MAX, |limit| limit.saturating_add(1));
    let mut memory = |bytes| builder.try_reserve(bytes);
    let limit = LabelQueryLimits { count, bytes: lists.max_bytes };
    let mut strings = LabelCollector::with_memory(limit, &mut memory);
    let querier = lists.db.ready()?.querier();
    for matchers in query.matcher_sets() {
        match values_of {
            Some(name) => querier.offer_label_values(name, matchers, query.range, &mut strings),
            None => querier.offer_label_names(matchers, query.range, &mut strings),
        }
        .map_err(ApiError::from)?;
    }
    let strings = strings.into_sorted();
    for text in strings.iter().take(query.limit.unwrap_or(usize::MAX)) {
        builder.push_entry(|out| listing::push_json_string(out, text))?;
    }
    Ok(if strings.len() > builder.entries() { ListEnd::Truncated } else { ListEnd::Complete })
}

/// Returns the name that `U__…` escapes, or `None` if `name` is not escaped: `__` is `_`, and
/// `_hex_` is a character. Source: `UnescapeName` of Prometheus's `common/model`.
fn unescape_label_name(name: &str) -> Option<String> {
    let mut rest = name.strip_prefix("U__")?;
    let mut out = String::with_capacity(rest.len());
    while let Some((before, after)) = rest.split_once('_') {
        out.push_str(before);
        let (code, behind) = after.split_once('_')?;
        let is_code = code.len() <= MAX_CODE && code.bytes().all(|b| b.is_ascii_hexdigit());
        match code {
            "" => out.push('_'),
            code if is_code => out.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?),
            _ => return None,
        }
        rest = behind;
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::unescape_label_name;

    #[test]
    fn names_are_unescaped_as_in_prometheus() {
        for (name, expected) in [
            ("U__a_2e_b", Some("a.b")),
            ("U__a__b", Some("a_b")),
            ("U___e9__2F_", Some("é/")),
            ("U__", Some("")),
            ("U__plain", Some("plain")),
            ("U__a_2e", None),
            ("U__a_", None),
            ("U__a_xyz_", None),
            ("U__a_d800_", None),
            ("U__a_10ffff_", None),
            ("job", None),
        ] {
            assert_eq!(unescape_label_name(name).as_deref(), expected, "{name}");
        }
    }
}
