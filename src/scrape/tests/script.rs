//! Scripted answers of a target, as the recordings describe them, as an exchange.

use crate::scrape::request::fetch::{
    Exchange, ExchangeError, ExchangeFuture, NextPiece, ScrapeRequest, TargetBody, TargetResponse,
};
use base64::Engine;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

/// Number of answers that a text stands for.
const COUNTED_ANSWERS: usize = 40;
/// Authorities of the target. The last one is that of the recorded bodies.
const AUTHORITIES: [&str; 5] =
    ["127.0.0.1:18180", "127.0.0.1:18181", "[::1]:18180", "localhost:18180", "127.0.0.1:29583"];

/// Answers of a case by path.
pub(in crate::scrape) struct Script {
    answers: BTreeMap<String, Vec<Value>>,
    loops: bool,
}

/// Script at the time of one request.
pub(in crate::scrape) struct ScriptedExchange<'a> {
    script: &'a Script,
    number: usize,
    now_ms: i64,
    first_ms: i64,
}

impl Script {
    pub(in crate::scrape) fn new(case: &Value) -> Self {
        let answers = case["answers"].as_object().unwrap().iter();
        let answers = answers.map(|(path, answers)| {
            let answers = match answers {
                Value::Array(list) => list.clone(),
                // "a K\nb K\n with K = number of the request"
                _ => (1..=COUNTED_ANSWERS)
                    .map(|k| json!({"body": format!("a {k}\nb {k}\n")}))
                    .collect(),
            };
            (path.clone(), answers)
        });
        Self { answers: answers.collect(), loops: case["loop"] == true }
    }

    /// Returns the script at the `number`-th request of a path, at `now_ms`. The first request was
    /// at `first_ms`.
    pub(in crate::scrape) fn at(
        &self,
        number: usize,
        now_ms: i64,
        first_ms: i64,
    ) -> ScriptedExchange<'_> {
        ScriptedExchange { script: self, number, now_ms, first_ms }
    }
}

/// Replaces times: `<<now-100>>` and `<<first+5:s>>`.
pub(in crate::scrape) fn resolve_time(token: &str, now_ms: i64, first_ms: i64) -> Option<String> {
    let (token, in_seconds) = match token.strip_suffix(":s") {
        Some(token) => (token, true),
        None => (token, false),
    };
    let (base, offset) = match token.strip_prefix("now") {
        Some(offset) => (now_ms, offset),
        None => (first_ms, token.strip_prefix("first")?),
    };
    let offset = if offset.is_empty() { 0 } else { offset.parse::<i64>().ok()? };
    let ms = base + offset;
    Some(if in_seconds { format!("{}.{:03}", ms / 1000, ms % 1000) } else { ms.to_string() })
}

/// Returns the path of a URL; `None` if it is not one of the target.
fn path_of(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("http://")?;
    let (authority, path) = rest.split_at(rest.find('/')?);
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    AUTHORITIES.contains(&authority).then_some(path)
}

impl ScriptedExchange<'_> {
    /// Returns the delay of the answer, ms, and the response or the error of the connection.
    fn answer(&self, path: &str) -> (u64, Result<TargetResponse, ExchangeError>) {
        let Some(answers) = self.script.answers.get(path) else {
            return (0, Ok(response(404, Some("Not Found"), &[], Vec::new())));
        };
        match answers.get(if self.script.loops { 0 } else { self.number - 1 }) {
            Some(answer) => (answer["delay"].as_u64().unwrap_or(0), self.response(answer)),
            None => (0, Ok(response(503, Some("Status"), &[], Vec::new()))),
        }
    }

    fn body(&self, answer: &Value) -> Vec<u8> {
        if let Some(encoded) = answer["body_b64"].as_str() {
            return base64::engine::general_purpose::STANDARD.decode(encoded).unwrap();
        }
        let mut text = answer["body"].as_str().unwrap_or_default().to_owned();
        if let Some(fill) = answer["fill"].as_object() {
            let line = fill["line"].as_str().unwrap();
            for i in 0..fill["n"].as_u64().unwrap() {
                text.push_str(&line.replace("%d", &i.to_string()));
                text.push('\n');
            }
            text.push_str(fill.get("end").and_then(Value::as_str).unwrap_or_default());
        }
        let mut resolved = String::new();
        let mut rest = text.as_str();
        while let Some((before, token)) = rest.split_once("<<") {
            let (token, after) = token.split_once(">>").unwrap();
            resolved.push_str(before);
            resolved.push_str(&resolve_time(token, self.now_ms, self.first_ms).unwrap());
            rest = after;
        }
        resolved.push_str(rest);
        let mut bytes = resolved.into_bytes();
        if let Some(size) = answer["size"].as_u64() {
            let padding = size as usize - bytes.len() - 2;
            bytes.push(b'#');
            bytes.resize(bytes.len() + padding, b'x');
            bytes.push(b'\n');
        }
        bytes
    }

    /// Returns the response and the time until it arrives, or the error of the connection.
    fn response(&self, answer: &Value) -> Result<TargetResponse, ExchangeError> {
        if ["drop", "reset"].iter().any(|key| answer[*key] == true) {
            return Err("connection closed".into());
        }
        if let Some(raw) = answer["raw_b64"].as_str() {
            let raw = base64::engine::general_purpose::STANDARD.decode(raw).unwrap();
            return raw_response(&String::from_utf8_lossy(&raw));
        }
        let mut body = self.body(answer);
        let mut headers: Vec<(&str, &str)> = Vec::new();
        match &answer["type"] {
            Value::Null if answer.get("type").is_some() => {}
            Value::Null => headers.push(("content-type", "text/plain; version=0.0.4")),
            content_type => headers.push(("content-type", content_type.as_str().unwrap())),
        }
        if let Some(gzip) = answer["gzip"].as_str() {
            headers.push(("content-encoding", "gzip"));
            if gzip != "off" {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(&body).unwrap();
                body = encoder.finish().unwrap();
            }
            let len = body.len();
            match gzip {
                "cut" => body.truncate(len - 12),
                "crc" => body[len - 8] ^= 0xff,
                "magic" => body[0] ^= 0xff,
                _ => {}
            }
        }
        for (name, value) in answer["headers"].as_object().into_iter().flatten() {
            headers.push((name, value.as_str().unwrap()));
        }
        let status = answer["status"].as_u64().unwrap_or(200) as u16;
        let reason = answer["reason"].as_str();
        let mut frames = vec![Ok(Bytes::from(body.clone()))];
        if let Some(cut) = answer["cut"].as_u64() {
            body.truncate(cut as usize);
            frames = vec![Ok(Bytes::from(body)), Err("unexpected end")];
        }
        let mut response = response(status, reason, &headers, frames);
        let delay = Duration::from_millis(answer["body_delay"].as_u64().unwrap_or(0));
        response.body = Box::new(DelayedBody { delay, body: response.body });
        Ok(response)
    }
}

/// Body of prepared pieces.
struct Pieces(std::vec::IntoIter<Result<Bytes, &'static str>>);

impl TargetBody for Pieces {
    fn next(&mut self) -> NextPiece<'_> {
        let piece = self.0.next().transpose().map_err(ExchangeError::from);
        Box::pin(std::future::ready(piece))
    }
}

/// Body whose first piece arrives after a delay.
struct DelayedBody {
    delay: Duration,
    body: Box<dyn TargetBody>,
}

impl TargetBody for DelayedBody {
    fn next(&mut self) -> NextPiece<'_> {
        let delay = std::mem::take(&mut self.delay);
        Box::pin(async move {
            tokio::time::sleep(delay).await;
            self.body.next().await
        })
    }
}

/// Returns the response that the text of an HTTP/1 response describes.
fn raw_response(text: &str) -> Result<TargetResponse, ExchangeError> {
    let (head, body) = text.split_once("\r\n\r\n").ok_or("malformed response")?;
    let mut lines = head.lines();
    let mut status_line = lines.next().unwrap_or_default().splitn(3, ' ').skip(1);
    let status = status_line.next().and_then(|status| status.parse::<u16>().ok());
    let status = status.ok_or("malformed status")?;
    let headers = lines.filter_map(|line| line.split_once(": ")).collect::<Vec<_>>();
    let body = Ok(Bytes::copy_from_slice(body.as_bytes()));
    Ok(response(status, status_line.next(), &headers, vec![body]))
}

fn response(
    status: u16,
    reason: Option<&str>,
    headers: &[(&str, &str)],
    pieces: Vec<Result<Bytes, &'static str>>,
) -> TargetResponse {
    let headers = headers.iter().map(|(name, value)| {
        (http::HeaderName::try_from(*name).unwrap(), http::HeaderValue::try_from(*value).unwrap())
    });
    TargetResponse {
        status,
        reason: reason.unwrap_or_default().to_owned(),
        headers: headers.collect(),
        body: Box::new(Pieces(pieces.into_iter())),
    }
}

impl Exchange for ScriptedExchange<'_> {
    fn send(&self, request: ScrapeRequest) -> ExchangeFuture {
        let (delay, response) = match path_of(&request.url) {
            Some(path) => self.answer(path),
            None => (0, Err("connection refused".into())),
        };
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(delay)).await;
            response
        })
    }
}
