//! A remote-write sender and a remote-read reader.

use prost::Message;

use super::http::{Answer, Http};
use super::points::Points;
use super::samples::{Samples, label_set};
use super::wire::{Matcher, Query, ReadRequest, ReadResponse, WriteRequest, snappy};

/// Where requests to write go.
pub(crate) const WRITE: &str = "/api/v1/write";

/// Where requests to read go.
pub(crate) const READ: &str = "/api/v1/read";

/// The headers of remote write 1.0.
pub(crate) const WRITE_HEADERS: [(&str, &str); 3] = [
    ("Content-Type", "application/x-protobuf"),
    ("Content-Encoding", "snappy"),
    ("X-Prometheus-Remote-Write-Version", "0.1.0"),
];

/// The headers of remote read.
pub(crate) const READ_HEADERS: [(&str, &str); 3] = [
    ("Content-Type", "application/x-protobuf"),
    ("Content-Encoding", "snappy"),
    ("X-Prometheus-Remote-Read-Version", "0.1.0"),
];

/// The remote-write and remote-read side of a server.
#[derive(Clone)]
pub(crate) struct Remote {
    http: Http,
}

impl Remote {
    /// Over the connections of `http`.
    pub(crate) fn new(http: Http) -> Remote {
        Remote { http }
    }

    /// Writes; the answer whatever it is.
    pub(crate) fn write(&self, request: &WriteRequest) -> Answer {
        self.http.post(WRITE, &WRITE_HEADERS, &request.body())
    }

    /// Writes; an error where no answer came.
    pub(crate) fn try_write(&self, request: &WriteRequest) -> Result<Answer, ureq::Error> {
        self.http.try_post(WRITE, &WRITE_HEADERS, &request.body())
    }

    /// Writes what must be taken whole.
    pub(crate) fn write_ok(&self, request: &WriteRequest) {
        let answer = self.write(request);
        assert!(
            answer.status == 204,
            "a good write was answered {}: {}",
            answer.status,
            answer.text()
        );
    }

    /// Writes a whole set in the order of time, ten minutes of data a request.
    pub(crate) fn write_all(&self, samples: &Samples) {
        for request in samples.to_requests(600_000) {
            self.write_ok(&request);
        }
    }

    /// Asks; the answer whatever it is.
    pub(crate) fn ask(&self, request: &ReadRequest) -> Answer {
        self.http.post(READ, &READ_HEADERS, &snappy(&request.encode_to_vec()))
    }

    /// The series that a query gives, as SAMPLES, in the order in which they came.
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

    /// The samples that match, from `start` to `end`, both included.
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

    /// The values of every kind that match, from `start` to `end`, both included.
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

    /// Every value of any kind that has a metric name, whenever it was.
    pub(crate) fn read_all_points(&self) -> Points {
        self.read_points(&[Matcher::regex("__name__", ".+")], MIN_TIME, MAX_TIME)
    }

    /// Everything that has a metric name, whenever it was.
    pub(crate) fn read_all(&self) -> Samples {
        self.read(&[Matcher::regex("__name__", ".+")], MIN_TIME, MAX_TIME)
    }
}

/// Earlier than any test's data, in milliseconds.
pub(crate) const MIN_TIME: i64 = 0;

/// Later than any test's data (the year 2286), in milliseconds.
pub(crate) const MAX_TIME: i64 = 9_999_999_999_999;
