"""The NetworkPolicy has exactly the connections of the table in docs/chart.md, in each scenario."""

import json
import unittest

import yaml

import chart

DEFAULTS = yaml.safe_load((chart.CHART / "values.yaml").read_text())
LISTS = ("senders", "thanos", "scrapers", "probes", "dns", "apiServer", "targets", "objectStore")
# Peers that differ, so that a peer in the rule of another list is found.
PEERS = {key: [{"ipBlock": {"cidr": f"10.{number}.0.0/16"}}] for number, key in enumerate(LISTS)}
ALL = "all"


class Release:
    """Values of a release, with the conditions of the table."""

    def __init__(self, values):
        self.values = chart.merged(DEFAULTS, values)
        self.policy = self.values["networkPolicy"]
        self.management = self.values["management"]["enabled"]
        self.metrics = self.values["management"]["metrics"]
        self.discovers = self.values["kubernetesDiscovery"]["enabled"]
        self.scrapes = self.discovers or "scrape_configs" in self.values["config"]["data"]
        self.thanos = self.values["thanos"]["enabled"]
        self.sidecar = self.thanos and self.values["thanos"]["sidecar"]["enabled"]

    def probes_by_http(self):
        probes = chart.render(self.values).container["livenessProbe"]
        return probes.get("httpGet", {}).get("port") == "http"

    def peers(self, key):
        """Returns the peers of a list; an empty list admits nobody."""
        return self.policy[key]

    def peers_or_all(self, key):
        """Returns the peers of a list; an empty list admits all."""
        return self.policy[key] or [ALL]

    def scrapers_beside(self, key):
        """Returns the scrapers, unless all peers are admitted already."""
        return self.policy["scrapers"] if self.policy[key] else []

    def components(self):
        names = ["test"] + (["router", "query"] if self.thanos else [])
        return [
            {"podSelector": {"matchLabels": {
                "app.kubernetes.io/name": f"narthex-{name}",
                "app.kubernetes.io/instance": "narthex",
            }}}
            for name in names
        ]


# Rows of the table: peers and ports, or nothing if the condition of the row is not met.
ROWS = {
    ("in", "`networkPolicy.senders`, by default the pods of the namespace", "9201", ""):
        lambda r: (r.peers("senders"), ["http"]),
    ("in", "`networkPolicy.thanos`", "9201", ""):
        lambda r: (r.peers("thanos"), ["http"]),
    ("in", "pods of the helm test, of the Thanos router and of Query", "9201", "they exist"):
        lambda r: (r.components(), ["http"]),
    ("in", "`networkPolicy.scrapers`", "9201, or 9202 with `management.metrics`", ""):
        lambda r: (r.scrapers_beside("probes"), ["management"])
        if r.metrics else (r.peers("scrapers"), ["http"]),
    ("in", "`networkPolicy.probes`, by default all", "9202", "the management listener is open"):
        lambda r: r.management and (r.peers_or_all("probes"), ["management"]),
    ("in", "`networkPolicy.probes`", "9201", "the method of the probes is `http`"):
        lambda r: r.probes_by_http() and (r.peers("probes"), ["http"]),
    ("in", "`networkPolicy.probes` and `.scrapers`, by default all", "10902", "there is a Sidecar"):
        lambda r: r.sidecar and (
            r.peers_or_all("probes") + r.scrapers_beside("probes"), ["sidecar-http"]),
    ("out", "`networkPolicy.dns`, by default all", "53",
     "narthex scrapes, discovers targets or has a Sidecar"):
        lambda r: (r.scrapes or r.sidecar) and (r.peers_or_all("dns"), [("UDP", 53), 53]),
    ("out", "`networkPolicy.apiServer`, by default all", "443, 6443", "Kubernetes discovery is on"):
        lambda r: r.discovers and (r.peers_or_all("apiServer"), [443, 6443]),
    ("out", "`networkPolicy.targets`, by default all pods", "all",
     "narthex scrapes or discovers targets"):
        lambda r: r.scrapes and (r.peers("targets"), [ALL]),
    ("out", "`networkPolicy.objectStore`, by default all", "443", "there is a Sidecar"):
        lambda r: r.sidecar and (r.peers_or_all("objectStore"), [443]),
}


def documented(values):
    """Returns the connections of the table: direction, peer and port."""
    found = set()
    for (direction, *_), row in ROWS.items():
        peers, ports = row(Release(values)) or ([], [])
        for port in ports:
            port = port if isinstance(port, tuple) or port == ALL else ("TCP", port)
            found |= {(direction, json.dumps(peer, sort_keys=True), port) for peer in peers}
    return found


def rendered(values):
    """Returns the connections of the NetworkPolicy: direction, peer and port."""
    spec = chart.render(values).find("NetworkPolicy")["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    found = set()
    for direction, rules, key in (("in", "ingress", "from"), ("out", "egress", "to")):
        for rule in spec[rules]:
            for peer in rule.get(key, [ALL]):
                for port in rule.get("ports", [ALL]):
                    port = port if port == ALL else (port["protocol"], port["port"])
                    found.add((direction, json.dumps(peer, sort_keys=True), port))
    return found


class NetworkPolicy(unittest.TestCase):
    maxDiff = None

    def test_table_of_the_chart_guide_has_these_rows(self):
        text = (chart.ROOT / "docs/chart.md").read_text()
        section = text.partition("## Restrict the network")[2].partition("\n## ")[0]
        lines = [line for line in section.splitlines() if line.startswith("|")]
        cells = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines[2:]]
        self.assertEqual(cells, list(ROWS))

    def test_each_scenario_has_exactly_the_documented_connections(self):
        policies = (
            {"enabled": True, **PEERS},
            {"enabled": True, "scrapers": PEERS["scrapers"]},
        )
        all_values = [
            chart.merged(chart.scenario(name), {"networkPolicy": policy, **more})
            for name in chart.SCENARIOS
            for policy in policies
            for more in ({}, {"management": {"metrics": True, "enabled": True}})
        ]
        # As the file itself says.
        all_values += [
            chart.scenario(name)
            for name in chart.SCENARIOS
            if "networkPolicy" in chart.scenario(name)
        ]
        chart.prepare(all_values, helms=["3"])
        connections = [rendered(values) for values in all_values]
        for values, found in zip(all_values, connections):
            with self.subTest(values=values):
                self.assertEqual(found, documented(values))
        # Each row is used, and each list of peers.
        used = {row for values in all_values for row in ROWS if ROWS[row](Release(values))}
        self.assertEqual(used, set(ROWS))
        self.assertGreater(len(set(map(frozenset, connections))), 10)

    def test_no_policy_by_default(self):
        self.assertEqual(chart.render().all("NetworkPolicy"), [])
