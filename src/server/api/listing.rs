//! Shared parts of the list APIs: query parameters, permit, memory and JSON of a response.
//!
//! A blocking thread builds the response and stops soon after a disconnect. The complete JSON is in
//! memory, which comes from the budget of responses.

use crate::model::matcher::Matcher;
use crate::model::time::TimeRange;
use crate::promql::selectors;
use crate::server::api::parameters;
use crate::server::api::parameters::Parameter;
use crate::server::api::response::BufferedJson;
use crate::server::contract::api_error::ApiError;
use crate::server::requests::list_state::ListState;
use crate::server::transport::admission::Reservation;
use crate::server::transport::blocking::{ClientWatch, run_blocking};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::fmt::Write as _;
use std::sync::Arc;

/// Maximum number of selectors per request.
const MAX_SELECTORS: usize = 1000;
/// Prometheus's warning for a truncated list.
const TRUNCATED: &str = "results truncated due to limit";

/// Parameters of a list request.
#[derive(Debug)]
pub(crate) struct ListQuery {
    /// Lists of matchers. A series must match all matchers of at least one list.
    pub(crate) selectors: Vec<Vec<Matcher>>,
    pub(crate) range: TimeRange,
    /// Maximum number of entries; `None` means no limit.
    pub(crate) limit: Option<usize>,
}

impl ListQuery {
    /// Parses `match[]`, `start`, `end` and `limit`. `selector_error` wraps the error of a
    /// selector: Prometheus names the parameter for series, but not for labels.
    ///
    /// # Errors
    /// [`ApiError::BadData`] if a parameter is invalid.
    pub(crate) fn parse(
        parameters: &[Parameter],
        selector_error: fn(String) -> ApiError,
    ) -> Result<Self, ApiError> {
        let limit = match parameters::first_value(parameters, "limit").map(str::parse::<i64>) {
            None | Some(Ok(0)) => None,
            Some(Ok(limit)) => {
                let limit = usize::try_from(limit);
                Some(limit.map_err(|_| {
                    parameters::invalid_parameter("limit", "limit must be non-negative")
                })?)
            }
            Some(Err(error)) => return Err(parameters::invalid_parameter("limit", error)),
        };
        let range = parameters::time_range(parameters)?;
        let given = parameters.iter().filter(|(name, _)| name == "match[]");
        if given.clone().count() > MAX_SELECTORS {
            return Err(parameters::invalid_parameter(
                "match[]",
                format!("request has more than {MAX_SELECTORS} selectors"),
            ));
        }
        let parse =
            |text: &str| selectors::parse(text).map_err(|error| selector_error(error.to_string()));
        let selectors = given.map(|(_, text)| parse(text)).collect::<Result<_, _>>()?;
        Ok(Self { selectors, range, limit })
    }

    /// Returns the matchers of each selector, or one empty list if there are no selectors.
    pub(crate) fn matcher_sets(&self) -> Vec<&[Matcher]> {
        if self.selectors.is_empty() {
            vec![&[]]
        } else {
            self.selectors.iter().map(Vec::as_slice).collect()
        }
    }
}

/// JSON of a response under construction, with its memory reservation.
#[derive(Debug)]
pub(crate) struct ResponseJson {
    reservation: Reservation,
    client: ClientWatch,
    text: String,
    reserved: usize,
}

impl ResponseJson {
    fn new(lists: &ListState, client: ClientWatch) -> Self {
        let text = String::from("{\"status\":\"success\",\"data\":");
        Self { reservation: lists.responses.budget.reserve(), client, text, reserved: 0 }
    }

    /// Reserves `bytes` more. Returns `false` if the budget is exhausted or the client
    /// disconnected.
    pub(crate) fn try_reserve(&mut self, bytes: usize) -> bool {
        !self.client.is_disconnected() && self.reservation.extend(bytes).is_ok()
    }

    /// Appends what `write` appends.
    ///
    /// # Errors
    /// [`ApiError::Unavailable`] if its memory cannot be reserved.
    pub(crate) fn push(&mut self, write: impl FnOnce(&mut String)) -> Result<(), ApiError> {
        write(&mut self.text);
        let more = self.text.len() - self.reserved;
        self.reserved = self.text.len();
        if self.try_reserve(more) {
            Ok(())
        } else {
            Err(ApiError::Unavailable("too many bytes in flight".to_owned()))
        }
    }

    /// Appends a value.
    ///
    /// # Errors
    /// [`ApiError::Unavailable`] if its memory cannot be reserved; [`ApiError::Internal`] if the
    /// value cannot be encoded.
    pub(crate) fn push_value(&mut self, value: &impl Serialize) -> Result<(), ApiError> {
        let json = encode(value)?;
        self.push(|out| out.push_str(&json))
    }

    /// Appends a list of values.
    ///
    /// # Errors
    /// As [`Self::push_value`].
    pub(crate) fn push_list<T: Serialize>(
        &mut self,
        values: impl Iterator<Item = T>,
    ) -> Result<(), ApiError> {
        self.text.push('[');
        for (at, value) in values.enumerate() {
            if at > 0 {
                self.text.push(',');
            }
            self.push_value(&value)?;
        }
        self.push(|out| out.push(']'))
    }

    fn finish(mut self, end: &str) -> BufferedJson {
        self.text.push_str(end);
        BufferedJson { text: self.text.into_bytes(), reservation: self.reservation }
    }
}

/// JSON of a list under construction.
#[derive(Debug)]
pub(crate) struct ListResponseBuilder {
    json: ResponseJson,
    entries: usize,
}

impl ListResponseBuilder {
    /// Reserves `bytes` more. Returns `false` if the budget is exhausted or the client
    /// disconnected.
    pub(crate) fn try_reserve(&mut self, bytes: usize) -> bool {
        self.json.try_reserve(bytes)
    }

    /// Appends an entry; `write` appends its JSON.
    ///
    /// # Errors
    /// [`ApiError::Unavailable`] if its memory cannot be reserved.
    pub(crate) fn push_entry(&mut self, write: impl FnOnce(&mut String)) -> Result<(), ApiError> {
        let separator = if self.entries == 0 { '[' } else { ',' };
        self.entries += 1;
        self.json.push(|out| {
            out.push(separator);
            write(out);
        })
    }

    /// Appends an entry.
    ///
    /// # Errors
    /// As [`ResponseJson::push_value`].
    pub(crate) fn push_value(&mut self, value: &impl Serialize) -> Result<(), ApiError> {
        let json = encode(value)?;
        self.push_entry(|out| out.push_str(&json))
    }

    /// Returns the number of entries.
    pub(crate) fn entries(&self) -> usize {
        self.entries
    }

    fn finish(self, end: ListEnd) -> BufferedJson {
        let start = if self.entries == 0 { "[" } else { "" };
        let warnings = match end {
            ListEnd::Complete => String::new(),
            ListEnd::Truncated => format!(",\"warnings\":[\"{TRUNCATED}\"]"),
        };
        self.json.finish(&format!("{start}]{warnings}}}"))
    }
}

/// Completeness of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListEnd {
    /// The list contains all entries.
    Complete,
    /// The limit cut the list off.
    Truncated,
}

/// Returns the parameters of a request.
///
/// # Errors
/// [`ApiError::Unavailable`] unless the server is ready; [`ApiError::BadData`] for an unreadable
/// form.
pub(crate) async fn parameters(
    lists: &ListState,
    request: Request,
) -> Result<Vec<Parameter>, ApiError> {
    parameters::check_ready(&lists.lifecycle, &lists.db)?;
    parameters::parse_request(&lists.bodies, request).await
}

/// Waits for a permit and builds a list with `make` on a blocking thread.
pub(crate) async fn respond(
    lists: Arc<ListState>,
    make: impl FnOnce(&ListState, &mut ListResponseBuilder) -> Result<ListEnd, ApiError>
    + Send
    + 'static,
) -> Response {
    run(lists, |lists, json| {
        let mut builder = ListResponseBuilder { json, entries: 0 };
        let end = make(lists, &mut builder)?;
        Ok(builder.finish(end))
    })
    .await
}

/// Waits for a permit and builds a response on a blocking thread. `make` appends its data.
pub(crate) async fn respond_json(
    lists: Arc<ListState>,
    make: impl FnOnce(&mut ResponseJson) -> Result<(), ApiError> + Send + 'static,
) -> Response {
    run(lists, |_, mut json| {
        make(&mut json)?;
        Ok(json.finish("}"))
    })
    .await
}

async fn run(
    lists: Arc<ListState>,
    make: impl FnOnce(&ListState, ResponseJson) -> Result<BufferedJson, ApiError> + Send + 'static,
) -> Response {
    let shared = lists.clone();
    let built = run_blocking(&lists.gate, "building the response", move |client| {
        make(&shared, ResponseJson::new(&shared, client))
    });
    match built.await.unwrap_or_else(|error| Err(ApiError::from(error))) {
        Ok(json) => json.into_response(lists.responses.time),
        Err(error) => error.into_response(),
    }
}

fn encode(value: &impl Serialize) -> Result<String, ApiError> {
    serde_json::to_string(value).map_err(|error| ApiError::Internal(error.to_string()))
}

/// Appends a JSON string as Go encodes it, with HTML characters escaped.
pub(crate) fn push_json_string(out: &mut String, text: &str) {
    for c in serde_json::Value::from(text).to_string().chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ListQuery, push_json_string};
    use crate::model::time::TimeRange;
    use crate::server::api::parameters;
    use crate::server::contract::api_error::ApiError;

    fn parse(query: &str) -> Result<ListQuery, ApiError> {
        let parameters: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        ListQuery::parse(&parameters, |error| parameters::invalid_parameter("match[]", error))
    }

    #[test]
    fn missing_parameters_select_everything() {
        let query = parse("limit=0").unwrap();
        assert_eq!(
            (query.range, query.limit, query.matcher_sets().len()),
            (TimeRange::ALL, None, 1)
        );
        let query = parse("match[]=up&match%5B%5D={a=\"b\"}&start=1.5&end=2&limit=7").unwrap();
        assert_eq!((query.range, query.limit), (TimeRange::new(1500, 2000), Some(7)));
        assert_eq!(
            query.matcher_sets().iter().map(|set| set[0].name().to_owned()).collect::<Vec<_>>(),
            ["__name__", "a"]
        );
    }

    #[test]
    fn invalid_parameters_are_bad_data() {
        for query in [
            "limit=x",
            "limit=-1",
            "limit=1.5",
            "start=x",
            "end=x",
            "match[]=",
            "match[]={}",
            "match[]=up{",
        ] {
            let name = query.split('=').next().unwrap();
            let error = parse(query).unwrap_err();
            assert!(
                matches!(&error, ApiError::BadData(text) if text.contains(name)),
                "{query}: {error:?}"
            );
        }
    }

    #[test]
    fn strings_are_escaped_as_go_does() {
        let mut out = String::new();
        push_json_string(&mut out, "a<b>&\"c\"\n\u{1}é\u{2028}");
        assert_eq!(out, r#""a\u003cb\u003e\u0026\"c\"\n\u0001é\u2028""#);
    }
}
