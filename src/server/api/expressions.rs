//! `GET` or `POST /api/v1/{format_query,parse_query}?query=…`: an expression with line breaks and
//! indentation, and its syntax tree as JSON.
//!
//! Every part of the language is accepted, also those that Prometheus has behind feature flags.

use crate::promql::ast::tree::Ast;
use crate::promql::features::Features;
use crate::promql::parser::parse_expression;
use crate::promql::print::json::json;
use crate::promql::print::pretty::pretty;
use crate::server::api::parameters;
use crate::server::api::response::{BufferedJson, encode_success};
use crate::server::contract::api_error::ApiError;
use crate::server::requests::list_state::ListState;
use crate::server::transport::blocking::run_blocking;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Maximum length of a formatted expression, bytes. Indentation grows with the square of the depth.
const MAX_FORMATTED: usize = 16 << 20;

/// Handles `format_query`.
pub(crate) async fn format_query(
    State(lists): State<Arc<ListState>>,
    request: Request,
) -> Response {
    run(&lists, request, formatted)
        .await
        .map_or_else(IntoResponse::into_response, |json| json.into_response(lists.responses.time))
}

/// Handles `parse_query`.
pub(crate) async fn parse_query(State(lists): State<Arc<ListState>>, request: Request) -> Response {
    run(&lists, request, syntax_tree)
        .await
        .map_or_else(IntoResponse::into_response, |json| json.into_response(lists.responses.time))
}

/// Parses the expression of a request, and encodes the response on a blocking thread.
async fn run(
    lists: &ListState,
    request: Request,
    encode: fn(&Ast) -> Result<Vec<u8>, ApiError>,
) -> Result<BufferedJson, ApiError> {
    parameters::check_ready(&lists.lifecycle, &lists.db)?;
    let parameters = parameters::parse_request(&lists.bodies, request).await?;
    let query = parameters::first_value(&parameters, "query").unwrap_or_default().to_owned();
    let mut reservation = lists.responses.budget.reserve();
    let encoded = run_blocking(&lists.gate, "parsing an expression", move |_| {
        let ast = parse_expression(query.as_bytes(), Features::ALL)
            .map_err(|error| parameters::invalid_parameter("query", error))?;
        let text = encode(&ast)?;
        reservation.extend(text.len())?;
        Ok(BufferedJson { text, reservation })
    });
    encoded.await?
}

fn formatted(ast: &Ast) -> Result<Vec<u8>, ApiError> {
    let text = pretty(ast, MAX_FORMATTED)
        .map_err(|error| parameters::invalid_parameter("query", error))?;
    encode_success(&text).map_err(|error| ApiError::Internal(error.to_string()))
}

fn syntax_tree(ast: &Ast) -> Result<Vec<u8>, ApiError> {
    Ok(format!("{{\"status\":\"success\",\"data\":{}}}", json(ast)).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::{formatted, syntax_tree};
    use crate::promql::features::Features;
    use crate::promql::parser::parse_expression;

    #[test]
    fn responses_have_the_envelope_of_prometheus() {
        let ast = parse_expression(b"-(\"<\")", Features::ALL).unwrap_err();
        assert!(ast.to_string().starts_with("1:1: parse error: unary expression"));
        let ast = parse_expression(b"a  or\nb", Features::ALL).expect("an expression");
        let text = String::from_utf8(formatted(&ast).expect("a text")).expect("UTF-8");
        assert_eq!(text, r#"{"status":"success","data":"a or b"}"#);
        let ast = parse_expression(b"(1)", Features::ALL).expect("an expression");
        let text = String::from_utf8(syntax_tree(&ast).expect("a text")).expect("UTF-8");
        let tree = r#"{"expr":{"type":"numberLiteral","val":"1"},"type":"parenExpr"}"#;
        assert_eq!(text, format!(r#"{{"status":"success","data":{tree}}}"#));
    }
}
