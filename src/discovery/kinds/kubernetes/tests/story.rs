//! Recorded story of Prometheus 3.14, step by step.

use crate::config::file::discovery::DiscoveryConfig;
use crate::discovery::kinds::kubernetes::tests::fake_api::RequestKind;
use crate::discovery::kinds::kubernetes::tests::fixture::{Fixture, Running, eventually};
use crate::discovery::story::{STEPS, Story, load_world, targets};
use std::path::Path;
use std::time::Duration;

/// Address of the fake of the recording.
const RECORDED: &str = "127.0.0.1:18403";
/// Step in which the server fails.
const FAILURE: usize = 4;

/// Jobs that had no labels of pods in the last step, because their endpoints were known before the
/// pods. Here they have those of the first step, which shows the same objects.
const LATE_PODS: [&str; 1] = ["k8s-endpoints"];

#[tokio::test]
async fn targets_of_every_step_are_those_of_prometheus() {
    let fixture = Fixture::new().await;
    let story = Story::of("k8s", RECORDED, &fixture.api.address, Path::new("/none"));
    assert_eq!(story.jobs().len(), 13);
    let world = load_world();
    fixture.api.show(&world[0]["kubernetes"]);
    let jobs: Vec<(String, Running)> = story
        .jobs()
        .into_iter()
        .map(|job| {
            let DiscoveryConfig::Kubernetes(config) = story.config(&job) else { unreachable!() };
            (job.clone(), fixture.start(config))
        })
        .collect();
    for step in 0..STEPS {
        fixture.api.show(&world[step]["kubernetes"]);
        if step == FAILURE {
            // Nothing may change while the server fails.
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        for (job, running) in &jobs {
            let is_late = step == STEPS - 1 && LATE_PODS.contains(&job.as_str());
            let expected = story.expected(if is_late { 0 } else { step }, job);
            eventually(
                || (step, job, targets(&running.sink.groups())),
                |(_, _, found)| *found == expected,
            )
            .await;
        }
        if step == FAILURE - 1 {
            // Two sets of namespaces and one of selectors; all other jobs share.
            assert_eq!(fixture.environment.watches.len(), 9 + 2 + 1);
            let received = fixture.api.received();
            let count = |kind| received.iter().filter(|received| received.kind == kind).count();
            assert_eq!((count(RequestKind::List), count(RequestKind::Watch)), (12, 12));
        }
    }
}
