//! Valid write that must succeed after each invalid request.

use std::cell::Cell;

use super::data::BEGIN;
use super::launch::Server;
use super::remote::{MAX_TIME, MIN_TIME};
use super::samples::Samples;
use super::wire::{Matcher, WriteRequest};

/// Number of valid writes to a server.
#[derive(Default)]
pub(crate) struct GoodWrites {
    done: Cell<i64>,
}

impl GoodWrites {
    /// Writes a sample of a dedicated series and reads all its samples.
    pub(crate) fn one_more(&self, server: &Server, after: &str) {
        let number = self.done.replace(self.done.get() + 1);
        let labels = [("__name__", "good"), ("job", "contract")];
        let sample = |number: i64| (BEGIN + number * 1000, number as f64 + 0.5);
        let answer = server.remote().write(&WriteRequest::one(&labels, &[sample(number)]));
        assert_eq!(answer.status, 204, "a good write after {after}: {}", answer.text());

        let mut expected = Samples::new();
        let all: Vec<(i64, f64)> = (0..=number).map(sample).collect();
        expected.add_request(&WriteRequest::one(&labels, &all));
        let returned =
            server.remote().read(&[Matcher::equal("__name__", "good")], MIN_TIME, MAX_TIME);
        returned.assert_equals(&expected, &format!("good writes after {after}"));
    }
}
