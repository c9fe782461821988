//! Client of remote write and remote read.

use prost::Message;

use super::http::{Answer, Http};
use super::points::Points;
use super::samples::{Samples, label_set};
use super::wire::{Matcher, Query, ReadRequest, ReadResponse, WriteRequest, snappy};

/// Path of remote write.
pub(crate) const WRITE: &str = "/api/v1/write";

/// Path of remote read.
pub(crate) const READ: &str = "/api/v1/read";

/// Headers of remote write 1.0.
pub(crate) const WRITE_HEADERS: [(&str, &str); 3] = [
    ("Content-Type", "application/x-protobuf"),
    ("Content-Encoding", "snappy"),
    ("X-Prometheus-Remote-Write-Version", "0.1.0"),
];

/// Headers of remote read.
pub(crate) const READ_HEADERS: [(&str, &str); 3] = [
    ("Content-Type", "application/x-protobuf"),
    ("Content-Encoding", "snappy"),
    ("X-Prometheus-Remote-Read-Version", "0.1.0"),
];

/// Remote write and remote read client of a server.
#[derive(Clone)]
pub(crate) struct Remote {
    http: Http,
}

impl Remote {
    /// Creates a client with the connections of `http`.
    pub(crate) fn new(http: Http) -> Remote {
        Remote { http }
    }

    /// Sends a write request. Returns any response.
    pub(crate) fn write(&self, request: &WriteRequest) -> Answer {
        self.http.post(WRITE, &WRITE_HEADERS, &request.body())
    }

    /// Sends a write request. Returns an error without a response.
    pub(crate) fn try_write(&self, request: &WriteRequest) -> Result<Answer, ureq::Error> {
        self.http.try_post(WRITE, &WRITE_HEADERS, &request.body())
    }

    /// Sends a write request, which must be accepted completely.
    pub(crate) fn write_ok(&self, request: &WriteRequest) {
        let answer = self.write(request);
        assert!(
            answer.status == 204,
            "a good write was answered {}: {}",
            answer.status,
            answer.text()
        );
    }

    /// Writes a set by time, ten minutes of data per request.
    pub(crate) fn write_all(&self, samples: &Samples) {
        for request in samples.to_requests(600_000) {
            self.write_ok(&request);
        }
    }

    /// Sends a read request. Returns any response.
    pub(crate) fn ask(&self, request: &ReadRequest) -> Answer {
        self.http.post(READ, &READ_HEADERS, &snappy(&request.encode_to_vec()))
    }

    /// Queries with response type SAMPLES. Returns the series in order.
    pub(crate) fn query(&self, matchers: &[Matcher], start: i64, end: i64) -> ReadResponse {
        let query = Query { start, end, matchers: matchers.to_vec(), hints: None };
        let answer =
            self.ask(&ReadRequest { queries: vec![query], accepted_response_types: Vec::new() });
        assert!(answer.status == 200, "a read was answered {}: {}", answer.status, answer.text());
        let raw = snap::raw::Decoder::new()
            .decompress_vec(&answer.body)
            .expect("the answer is snappy's block format");
        let response = ReadResponse::decode(raw.as_slice()).expect("the answer is a ReadResponse");
        assert_eq!(response.results.len(), 1, "one query has one result");
        response
    }

    /// Reads the float samples from `start` to `end`, inclusive.
    pub(crate) fn read(&self, matchers: &[Matcher], start: i64, end: i64) -> Samples {
        let mut samples = Samples::new();
        for series in &self.query(matchers, start, end).results[0].timeseries {
            let labels = label_set(&series.labels);
            let mut last = i64::MIN;
            for sample in &series.samples {
                assert!(
                    sample.timestamp > last,
                    "samples of {labels:?} are not in the order of time"
                );
                last = sample.timestamp;
                samples.add(&labels, sample.timestamp, sample.bits.unwrap_or(0));
            }
        }
        samples
    }

    /// Reads the samples of all types from `start` to `end`, inclusive.
    pub(crate) fn read_points(&self, matchers: &[Matcher], start: i64, end: i64) -> Points {
        let mut points = Points::new();
        for series in &self.query(matchers, start, end).results[0].timeseries {
            let is_rising = |times: Vec<i64>| times.windows(2).all(|pair| pair[0] < pair[1]);
            let floats = series.samples.iter().map(|sample| sample.timestamp).collect();
            let histograms =
                series.histograms.iter().map(|histogram| histogram.timestamp).collect();
            assert!(
                is_rising(floats) && is_rising(histograms),
                "{:?} is not in the order of time",
                series.labels
            );
            points.add_series(series);
        }
        points
    }

    /// Reads all samples of series with a metric name.
    pub(crate) fn read_all_points(&self) -> Points {
        self.read_points(&[Matcher::regex("__name__", ".+")], MIN_TIME, MAX_TIME)
    }

    /// Reads all float samples of series with a metric name.
    pub(crate) fn read_all(&self) -> Samples {
        self.read(&[Matcher::regex("__name__", ".+")], MIN_TIME, MAX_TIME)
    }
}

/// Timestamp before all test data, ms.
pub(crate) const MIN_TIME: i64 = 0;

/// Timestamp after all test data (year 2286), ms.
pub(crate) const MAX_TIME: i64 = 9_999_999_999_999;
