//! `GET` or `POST /api/v1/label_source?match[]=…&start=…&end=…&limit=…` and `GET /api/v1/label/{name}/values`: which label names and values there are.
//!
//! ```text
//! {"status":"success","data":["__name__","job"],"warnings":["results truncated due to limit"]}
//! ```
//!
//! A name that is not made of letters, digits and `_` may stand in the path as `U__` and what Prometheus 3 makes of it.

use crate::server::api::ApiError;
use crate::server::listing;
use crate::server::listing::{ListEnd, ListQuery, ListResponseBuilder};
use crate::server::state::SharedState;
use crate::tsdb::query::label_source::{LabelCollector, LabelQueryError, LabelQueryLimits};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};

/// Most characters between the signs of an escaped name.
const MAX_CODE: usize = 5;

/// Lists the names of labels.
pub(crate) async fn label_names(State(context): State<SharedState>, request: Request) -> Response {
    let parameters = listing::parameters(&context, request).await;
    match parameters.and_then(|parameters| ListQuery::parse(&parameters, ApiError::BadData)) {
        Ok(wanted) => {
            listing::respond(context, move |context, making| list(context, &wanted, None, making))
                .await
        }
        Err(error) => error.into_response(),
    }
}

/// Lists the values of a label.
pub(crate) async fn label_values(
    State(context): State<SharedState>,
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
    let parameters = listing::parameters(&context, request).await;
    match parameters.and_then(|parameters| ListQuery::parse(&parameters, ApiError::BadData)) {
        Ok(wanted) => {
            listing::respond(context, move |context, making| {
                list(context, &wanted, Some(&name), making)
            })
            .await
        }
        Err(error) => error.into_response(),
    }
}

/// Lists the values of a label, or all names.
fn list(
    context: &SharedState,
    wanted: &ListQuery,
    values_of: Option<&str>,
    making: &mut ListResponseBuilder,
) -> Result<ListEnd, ApiError> {
    // One more than is wanted tells that there is more.
    let count = wanted.limit.map_or(usize::MAX, |limit| limit.saturating_add(1));
    let mut memory = |bytes| making.try_reserve(bytes);
    let limit = LabelQueryLimits { count, bytes: context.read_limits.answer_bytes };
    let mut texts = LabelCollector::with_memory(limit, &mut memory);
    let querier = context.db.querier();
    for matchers in wanted.matcher_sets() {
        match values_of {
            Some(name) => querier.offer_label_values(name, matchers, wanted.range, &mut texts),
            None => querier.offer_label_names(matchers, wanted.range, &mut texts),
        }
        .map_err(ApiError::from)?;
    }
    let texts = texts.into_sorted();
    for text in texts.iter().take(wanted.limit.unwrap_or(usize::MAX)) {
        making.push_entry(|out| listing::push_json_string(out, text))?;
    }
    Ok(if texts.len() > making.entries() { ListEnd::Truncated } else { ListEnd::Complete })
}

impl From<LabelQueryError> for ApiError {
    fn from(error: LabelQueryError) -> Self {
        let text = error.to_string();
        match error {
            LabelQueryError::Busy => Self::Unavailable(text),
            LabelQueryError::TooLarge(_) => Self::BadData(text),
            LabelQueryError::Query(_) => {
                tracing::error!(error = text, "labels can't be listed");
                Self::Internal(text)
            }
        }
    }
}

/// The name that `U__…` stands for; `None` where it is no such name. `__` is `_`, and `_hex_` a character.
/// Source: `UnescapeName` of Prometheus's `common/model`.
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
    fn names_are_unescaped_as_prometheus_does_it() {
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
