//! Clients that nobody here wrote: stock gRPC, and programs on stock packages, against the real binary.
//!
//! Each program checks what it is answered; what is stored is then read back here, exactly, also after a kill.

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use support::dir;
use support::export::{export_points, points_of_lines};
use support::foreign::Foreign;
use support::launch::{Launch, Server};
use support::points::Points;

const EXEMPLARS: &str = "/api/v1/query_exemplars?query=%7B__name__%3D~%22.%2B%22%7D";

/// What a program says that it has stored.
struct Written {
    points: Points,
    exemplars: BTreeMap<String, Value>,
    metadata: Value,
}

impl Written {
    fn of(said: &Value) -> Written {
        let list = |name: &str| said[name].as_array().unwrap_or_else(|| panic!("no {name}")).clone();
        Written {
            points: points_of_lines(list("export")),
            exemplars: by_series(&list("exemplars")),
            metadata: said["metadata"].clone(),
        }
    }

    /// A test that compares nothing with nothing has shown nothing.
    fn has_at_least(&self, least: [usize; 3]) {
        let exemplar_count: usize = self.exemplars.values().map(|list| list.as_array().map_or(0, Vec::len)).sum();
        let found = [self.points.count(), self.points.histogram_count(), exemplar_count];
        assert!(found.iter().zip(least).all(|(found, least)| *found >= least), "{found:?}");
    }

    fn is_shown_by(&self, server: &Server, when: &str) {
        export_points(&server.http).assert_equals(&self.points, when);
        let exemplars = server.http.get(EXEMPLARS).json()["data"].clone();
        assert_eq!(by_series(exemplars.as_array().expect("a list")), self.exemplars, "exemplars {when}");
        assert_eq!(server.http.get("/api/v1/metadata").json()["data"], self.metadata, "metadata {when}");
    }

    /// It is there now, and after a kill.
    fn survives(&self, server: Server, data: &Path) {
        self.is_shown_by(&server, "while it runs");
        server.kill();
        let server = Launch::narthex(data).start();
        self.is_shown_by(&server, "after a kill");
        server.stop();
    }
}

/// Exemplars by the text of their series' labels.
fn by_series(all: &[Value]) -> BTreeMap<String, Value> {
    all.iter().map(|series| (series["seriesLabels"].to_string(), series["exemplars"].clone())).collect()
}

/// Runs a program on a server of its own: it writes and says what; that is there, also after a kill.
fn writes_what_survives(program: &str, version: &str, least: [usize; 3]) {
    let place = dir::temp();
    let data = place.path().join("data");
    let server = Launch::narthex(&data).start();
    let mut client = Foreign::start_with(program, &[&server.http.port().to_string(), version]);
    let written = Written::of(&client.step("written"));
    client.finish();
    written.has_at_least(least);
    written.survives(server, &data);
}

#[test]
#[ignore = "needs Python's gRPC: run tests/run"]
fn what_stock_grpc_writes_by_version_1_is_there_with_every_bit_and_after_a_kill() {
    writes_what_survives("write_unary.py", "1", [910, 650, 13]);
}
