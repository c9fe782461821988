//! Admin API of Prometheus and narthex, enabled by `--web.enable-admin-api`.

use super::http::{Answer, Http};

/// Flag that enables these calls.
pub(crate) const ENABLE: &str = "--web.enable-admin-api";

/// Client of the admin API of a server.
pub(crate) struct Admin<'a> {
    http: &'a Http,
}

impl Admin<'_> {
    /// Admin API of a server started with [`ENABLE`].
    pub(crate) fn of(http: &Http) -> Admin<'_> {
        Admin { http }
    }

    /// Deletes the samples of a selector from `start` to `end` (ms, inclusive).
    pub(crate) fn delete(&self, selector: &str, start: i64, end: i64) {
        let answer = self.try_delete(selector, start, end).expect("a deletion is answered");
        assert_eq!(answer.status, 204, "deletion of {selector}: {}", answer.text());
    }

    /// Like the method without `try_`, but returns an error if there is no response.
    pub(crate) fn try_delete(
        &self,
        selector: &str,
        start: i64,
        end: i64,
    ) -> Result<Answer, ureq::Error> {
        let seconds = |t: i64| format!("{}.{:03}", t.div_euclid(1000), t.rem_euclid(1000));
        let (selector, start, end) = (percent_encode(selector), seconds(start), seconds(end));
        let query = format!("match%5B%5D={selector}&start={start}&end={end}");
        self.http.try_post(&format!("/api/v1/admin/tsdb/delete_series?{query}"), &[], b"")
    }

    /// Rewrites blocks without the deleted samples.
    pub(crate) fn clean_tombstones(&self) {
        let answer = self.try_clean_tombstones().expect("a clean-up is answered");
        assert_eq!(answer.status, 204, "clean_tombstones: {}", answer.text());
    }

    /// Like the method without `try_`, but returns an error if there is no response.
    pub(crate) fn try_clean_tombstones(&self) -> Result<Answer, ureq::Error> {
        self.http.try_post("/api/v1/admin/tsdb/clean_tombstones", &[], b"")
    }

    /// Takes a snapshot. Returns its name below `snapshots/`.
    pub(crate) fn snapshot(&self) -> String {
        name_of(&self.try_snapshot().expect("a snapshot is answered"))
    }

    /// Like the method without `try_`, but returns an error if there is no response.
    pub(crate) fn try_snapshot(&self) -> Result<Answer, ureq::Error> {
        self.http.try_post("/api/v1/admin/tsdb/snapshot", &[], b"")
    }

    /// Takes a snapshot without the head. Returns its name.
    pub(crate) fn snapshot_of_blocks(&self) -> String {
        name_of(&self.http.post("/api/v1/admin/tsdb/snapshot?skip_head=true", &[], b""))
    }
}

fn name_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "snapshot: {}", answer.text());
    let answer = answer.json();
    assert_eq!(answer["status"], "success", "{answer}");
    answer["data"]["name"].as_str().expect("a snapshot has a name").to_owned()
}

fn percent_encode(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let one = |byte: u8| {
        if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(one).collect()
}
