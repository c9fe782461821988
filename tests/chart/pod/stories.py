"""Life of the pod of each scenario, with the real narthex.

1. It starts, its probes succeed, it is confined, and `helm test` succeeds.
2. A check of the scenario, such as a changed ConfigMap.
3. It ends after SIGTERM.
4. It starts again with a full disk. The replay is held at a fail point: startup and readiness fail,
   liveness succeeds. Afterwards all probes succeed, nothing is written, and all data is present.
5. It ends after SIGTERM.

All stories run at once, each in a thread.
"""

import concurrent.futures
import dataclasses
import errno
import functools
import gzip
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import tempfile
import unittest
import urllib.parse
from collections.abc import Callable

import yaml

import chart
from pod import credentials, network
from pod.client import Client
from pod.cluster import TARGET_LIST, TOKEN, Cluster
from pod.kubelet import BINARY, Pod, wait_until

PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
# Time until a change of a ConfigMap or Secret must have an effect, seconds.
RELOAD_LIMIT = 60
# Number of repetitions of probes that must have the same result each time.
REPEATS = 5
# Data directory that a real Prometheus wrote.
PROMETHEUS = chart.ROOT / "tests/golden/blocks-clean"
HELD = "/data/held"
FULL_DISK_AND_HELD_REPLAY = {
    "storage": {"diskReserve": "1000TB"},
    "extraEnv": [{"name": "NARTHEX_FAULT_POINTS", "value": f"replay.record=pause:{HELD}"}],
    "test": {"timeout": "2s"},
}

check = unittest.TestCase()
check.maxDiff = None


@dataclasses.dataclass
class Story:
    """A scenario of ci/ with further values, and the check of its pod."""

    scenario: str
    check: Callable
    values: dict = dataclasses.field(default_factory=dict)
    # Whether the volume is kept when the pod ends.
    keeps_data: bool = True
    # Preparation before the pod starts.
    prepare: Callable = lambda _: None

    def render(self, *more):
        """Renders the scenario with further values. Changed files apply within a second."""
        values = {"config": {"reloadInterval": "1s"}, "test": {"timeout": "20s"}}
        for other in (chart.scenario(self.scenario), self.values, *more):
            values = chart.merged(values, other)
        return chart.render(values)


class Run:
    """A running story."""

    def __init__(self, story, pod):
        self.story = story
        self.pod = pod
        self.client = Client(pod.rendered, pod.secrets)

    def probes(self):
        return {name: self.pod.probe(name) for name in PROBES}

    def metric(self, name):
        """Returns the value of a metric without labels."""
        return float(re.search(rf"(?m)^{name} (\S+)$", self.client.text("/metrics"))[1])

    def wait_metric(self, name, value, timeout=RELOAD_LIMIT):
        wait_until(f"{name} is {value}", lambda: self.metric(name) == value, timeout)

    def stored(self):
        """Returns the value of each stored sample, by series and time."""
        matcher = urllib.parse.quote('{__name__=~".+"}')
        lines = self.client.text(f"/api/v1/export?match[]={matcher}").splitlines()
        return {
            (json.dumps(line["metric"], sort_keys=True), time): value
            for line in map(json.loads, lines)
            for time, value in zip(line["timestamps"], line["values"])
        }

    def change_config(self, data):
        """Upgrades the release to another configuration file. Only the ConfigMap changes."""
        rendered = self.story.render({"config": {"data": data}})
        check.assertEqual(rendered.pod, self.pod.rendered.pod)
        name = rendered.container_volume("config")["configMap"]["name"]
        self.pod.volumes["config"].write(rendered.find("ConfigMap", name)["data"])

    def config_in_use(self):
        return yaml.safe_load(self.client.json("/api/v1/status/config")["data"]["yaml"])

    def labels_in_use(self):
        return self.config_in_use()["global"].get("external_labels", {})

    def helm_test(self):
        """Asserts that the pod of the helm test succeeds within its memory limit."""
        code, output, peak, limit = self.pod.run_helm_test()
        check.assertEqual(code, 0, output)
        check.assertLess(peak, limit)


def assert_confined(pod):
    """Asserts that narthex has the user of the render, no capability and a read-only root."""
    spec, status = pod.container.spec, pod.container.status()
    check.assertEqual(status["NSpid"][-1], "1")
    check.assertEqual(status["Uid"], [str(spec["uid"])] * 4)
    check.assertEqual(status["Gid"], [str(spec["gid"])] * 4)
    check.assertEqual(status["Groups"], [str(group) for group in spec["groups"]])
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        check.assertEqual(int(status[name][0], 16), 0, name)
    check.assertEqual(status["NoNewPrivs"], ["1"])
    for folder in ("/", "/etc/narthex/config"):
        with check.assertRaises(OSError) as caught:
            (pod.container.path(folder) / "file").touch()
        check.assertEqual(caught.exception.errno, errno.EROFS, folder)


def reload_config(run):
    """A changed ConfigMap applies. One that narthex rejects changes nothing but the metric."""
    before = run.labels_in_use()
    wanted = before | {"changed": "yes"}
    run.change_config({"global": {"external_labels": {"changed": "yes"}}})
    wait_until("changed labels", lambda: run.labels_in_use() == wanted, RELOAD_LIMIT)
    run.change_config({"global": {"external_labels": {"changed": "no"}}, "alerting": {}})
    run.wait_metric("prometheus_config_last_reload_successful", 0)
    check.assertEqual(run.labels_in_use(), wanted)
    check.assertEqual(run.probes(), dict.fromkeys(PROBES, True))
    run.change_config({})
    wait_until("the labels of the start", lambda: run.labels_in_use() == before, RELOAD_LIMIT)
    run.wait_metric("prometheus_config_last_reload_successful", 1)


def check_default(run):
    """The default interval suffices, and both families of addresses are served."""
    run.change_config({"global": {"external_labels": {"changed": "yes"}}})
    wait_until("changed labels", lambda: run.labels_in_use() == {"changed": "yes"}, RELOAD_LIMIT)
    if network.has_ipv6():
        for port in (9201, 9202):
            socket.create_connection(("::1", port), 5).close()


def check_tls(run):
    """A changed certificate is served."""
    reload_config(run)
    before = run.client.server_certificate()
    authority = shared_authority()
    run.pod.volumes["certificates"].write(authority.issue(f"DNS:{credentials.SERVER_NAME}"))
    changed = lambda: run.client.server_certificate() != before
    wait_until("the changed certificate", changed, RELOAD_LIMIT)
    run.helm_test()


def check_users(run):
    """Requests need a password, and a new user can log in."""
    reload_config(run)
    check.assertEqual(run.client.as_user(None).status("/-/ready"), 401)
    second = run.client.as_user(credentials.SECOND)
    check.assertEqual(second.status("/-/ready"), 401)
    users = [credentials.PROBE, credentials.SECOND]
    run.pod.volumes["web"].write({"web.yml": credentials.web_file(users=users)})
    wait_until("the new user", lambda: second.status("/-/ready") == 200, RELOAD_LIMIT)


def check_client_certificates(run):
    """A client without a certificate is rejected."""
    reload_config(run)
    with check.assertRaises((ssl.SSLError, ConnectionError)):
        run.client.without_certificate().status("/-/ready")


def check_route_prefix(run):
    reload_config(run)
    check.assertEqual(run.client.below("").status("/-/ready"), 404)


def discovery_config():
    """Returns the configuration of the scenario, with a discovery that refreshes in addition."""
    refreshed = {"job_name": "list", "http_sd_configs": [{"url": TARGET_LIST}]}
    data = chart.scenario("kubernetes-discovery")["config"]["data"]
    jobs = [*data["scrape_configs"], refreshed]
    return {"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}


def prepare_kubernetes_discovery(run):
    run.cluster = Cluster(shared_authority())
    run.pod.account = run.cluster.account


def check_kubernetes_discovery(run):
    """The annotated pod, and no other, is discovered with the token and scraped."""
    def targets():
        return run.client.json("/api/v1/targets")["data"]

    def is_scraped():
        active = targets()["activeTargets"]
        return active and all(target["health"] == "up" for target in active)

    wait_until("a healthy target", is_scraped, 30)
    found = targets()
    names = [target["discoveredLabels"]["__meta_kubernetes_pod_name"]
             for target in found["activeTargets"]]
    check.assertEqual(names, ["cart"])
    check.assertEqual(len(found["droppedTargets"]), 1)
    def scraped():
        return [value for (series, _), value in run.stored().items() if "cart_orders" in series]

    wait_until("two scrapes", lambda: len(scraped()) > 1, 30)
    check.assertEqual(set(scraped()), {7})
    check.assertEqual(run.cluster.credentials(), {f"Bearer {TOKEN}"})


def check_thanos(run):
    """Each replica has its own external label, and the tenants of the router a label."""
    reload_config(run)
    check.assertEqual(run.labels_in_use(), {"cluster": "prod", "replica": "narthex-0"})


def prepare_existing_claim(run):
    """Puts the data directory of a Prometheus into the subdirectory of its operator."""
    context = run.pod.rendered.pod["securityContext"]
    volume = run.pod.add_volume("data", context["fsGroup"])
    shutil.unpack_archive(PROMETHEUS / "data.tar.gz", volume)
    (volume / "data").rename(volume / "prometheus-db")
    for path in (volume / "prometheus-db", *(volume / "prometheus-db").rglob("*")):
        os.chown(path, context["runAsUser"], context["runAsGroup"])


def check_existing_claim(run):
    """All samples of the Prometheus are read, and the one of the helm test."""
    with gzip.open(PROMETHEUS / "expected.txt.gz", "rt") as file:
        expected = sum(line.startswith('{"t":') for line in file)
    check.assertEqual(len(run.stored()), expected + 1)


def check_full_volume(run):
    """On a volume that is full, narthex lives and is ready. It writes again when there is space."""
    ballast = run.pod.container.path("/data/ballast")
    with open(ballast, "wb", buffering=0) as file, check.assertRaises(OSError) as caught:
        while True:
            file.write(bytes(1 << 16))
    check.assertEqual(caught.exception.errno, errno.ENOSPC)
    run.wait_metric("narthex_tsdb_writable", 0)
    for _ in range(REPEATS):
        check.assertEqual(run.probes(), dict.fromkeys(PROBES, True))
    ballast.unlink()
    run.wait_metric("narthex_tsdb_writable", 1)
    run.helm_test()


STORIES = {
    "default": Story("default", check_default, {"config": {"reloadInterval": "30s"}}),
    "tls": Story("tls", check_tls),
    "users": Story("users", check_users),
    "users-exec": Story("users", check_users, {"management": {"enabled": False}}),
    "client-certificates": Story("client-certificates", check_client_certificates),
    "route-prefix": Story("route-prefix", check_route_prefix),
    "kubernetes-discovery": Story(
        "kubernetes-discovery",
        check_kubernetes_discovery,
        {"config": {"data": discovery_config()}},
        prepare=prepare_kubernetes_discovery,
    ),
    "thanos": Story("thanos", check_thanos),
    "openshift": Story("openshift", reload_config),
    "existing-claim": Story(
        "existing-claim",
        check_existing_claim,
        {"storage": {"retention": {"time": "100y"}}},
        prepare=prepare_existing_claim,
    ),
    "emptydir": Story(
        "emptydir",
        check_full_volume,
        {"persistence": {"emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}}},
        keeps_data=False,
    ),
}


@functools.cache
def shared_authority():
    return credentials.Authority()


@functools.cache
def shared_secrets():
    return credentials.secrets(shared_authority())


def run_story(name):
    """Runs a story. Returns the names of all metrics that its narthex exposes."""
    story = STORIES[name]
    rendered = story.render()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        secrets = shared_secrets().get(story.scenario, {})
        with Pod(folder, rendered, secrets) as pod:
            run = Run(story, pod)
            try:
                story.prepare(run)
                metrics, before = first_life(run)
                if story.keeps_data:
                    second_life(run, before)
            except BaseException as error:
                log = (folder / "log").read_text(errors="replace")
                error.add_note(f"end of the log of {name}:\n{log[-4000:]}")
                raise
    return metrics


def first_life(run):
    """Steps 1 to 3. Returns the names of all metrics, and the stored samples."""
    run.pod.start()
    run.pod.wait_started()
    check.assertEqual(run.probes(), dict.fromkeys(PROBES, True))
    assert_confined(run.pod)
    run.helm_test()
    run.story.check(run)
    metrics = set(re.findall(r"(?m)^([a-z_]+)[{ ]", run.client.text("/metrics")))
    before = run.stored()
    check.assertTrue(before)
    check.assertEqual(run.pod.stop(), 0)
    return metrics, before


def second_life(run, before):
    """Steps 4 and 5."""
    run.pod.start(run.story.render(FULL_DISK_AND_HELD_REPLAY))
    marker = run.pod.container.path(HELD)
    wait_until("narthex, with fail points, holds the replay", marker.exists, 20)
    for _ in range(REPEATS):
        wanted = {"startupProbe": False, "readinessProbe": False, "livenessProbe": True}
        check.assertEqual(run.probes(), wanted)
    marker.unlink()
    run.pod.wait_started()
    run.wait_metric("narthex_tsdb_writable", 0)
    for _ in range(REPEATS):
        check.assertEqual(run.probes(), dict.fromkeys(PROBES, True))
    code, output, *_ = run.pod.run_helm_test()
    check.assertEqual(code, 1, output)
    check.assertIn("cannot write a sample", output)
    check.assertLessEqual(before.items(), run.stored().items())
    check.assertEqual(run.pod.stop(), 0)


@functools.cache
def start_all():
    """Starts all stories, and returns their futures by name."""
    assert BINARY.exists(), f"NARTHEX: {BINARY} does not exist"
    shared_secrets()
    threads = concurrent.futures.ThreadPoolExecutor(len(STORIES))
    return {name: threads.submit(run_story, name) for name in STORIES}
