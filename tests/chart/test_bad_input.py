"""Wrong values fail the render with a message that names the value."""

import json
import re
import unittest

import chart
import test_values

SCHEMA = json.loads((chart.CHART / "values.schema.json").read_text())


def schema_of(path):
    schema = SCHEMA
    for key in path.split("."):
        schema = schema["properties"][key]
    return schema


def wrong_type(schema):
    """Returns a value of a type that the schema does not allow."""
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return {"wrong": "type"} if "string" in kinds or "array" in kinds else "wrong type"


def wrong_content(schema):
    """Returns a value of the right type that the schema does not allow, or `None`."""
    if "pattern" in schema:
        return "\twrong"
    if "maxLength" in schema:
        return "x" * (schema["maxLength"] + 1)
    if schema.get("minLength"):
        return ""
    if "minimum" in schema:
        return schema["minimum"] - 1
    if schema.get("type") == "array":
        return [[]]
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return {"key": 1}
    return None


BASE_ROUTE = {"enabled": True, "parentRefs": [{"name": "public"}]}
THANOS = chart.scenario("thanos")
TLS = {"web": {"tls": True, "config": {"existingSecret": "web"}}}
TLS_THANOS = chart.merged(
    THANOS, chart.merged(TLS, {"thanos": {"clientTls": {"existingSecret": "client-tls"}}})
)
USERS = chart.scenario("users")

# Values that are valid one by one, and what the message must name.
COMBINATIONS = [
    ({"replicas": 2, "persistence": {"existingClaim": "x"}},
     "replicas is 2, but persistence.existingClaim allows only 1"),
    ({"httpRoute": {"enabled": True}}, "httpRoute.parentRefs is empty; name at least one gateway"),
    ({"grpcRoute": {"enabled": True}}, "grpcRoute.parentRefs is empty; name at least one gateway"),
    ({"ingress": {"enabled": True}}, "ingress.hosts is empty; name at least one host"),
    ({"replicas": 2, "ingress": {"enabled": True, "hosts": ["x"]}},
     "ingress.enabled needs replicas 1, not 2"),
    ({"replicas": 2, "httpRoute": BASE_ROUTE}, "httpRoute.enabled needs replicas 1, not 2"),
    ({"replicas": 2, "grpcRoute": BASE_ROUTE}, "grpcRoute.enabled needs replicas 1, not 2"),
    ({"grpcRoute": BASE_ROUTE, "grpc": {"enabled": False}},
     "grpcRoute.enabled needs grpc.enabled"),
    ({"storage": {"retention": {"size": "51GB"}}},
     "storage.retention.size is 51GB, but the volume has only 53687091200 bytes (persistence)"),
    ({"storage": {"retention": {"size": "1TB"}}, "persistence": {"size": "1T"}},
     "storage.retention.size is 1TB, but the volume has only 1000000000000 bytes"),
    ({"storage": {"retention": {"size": "6GB"}}, "persistence": {
        "enabled": False, "emptyDir": {"sizeLimit": "5Gi"}}},
     "storage.retention.size is 6GB, but the volume has only 5368709120 bytes"),
    ({"config": {"data": {"storage": {"tsdb": {"retention": {"size": "50GB1MB"}}}}}},
     "config.data.storage.tsdb.retention.size is 50GB1MB, but the volume"),
    ({"config": {"data": {"storage": {"tsdb": {"retention": {"size": "50 GB"}}}}}},
     'config.data.storage.tsdb.retention.size: "50 GB" is not a size'),
    ({"config": {"data": {"storage": {"tsdb": {"retention": {"time": "5d"}}}}},
      "storage": {"retention": {"time": "90d"}}},
     "config.data.storage.tsdb.retention and storage.retention are both set"),
    ({"resources": {"limits": {"memory": "256Mi"}}},
     "resources.limits.memory is 256Mi; narthex needs at least 512Mi"),
    ({"resources": {"limits": {"memory": "2 GB"}}},
     'resources.limits.memory: "2 GB" is not a size'),
    ({"commonLabels": {"app.kubernetes.io/name": "x"}},
     "commonLabels must not set app.kubernetes.io/name"),
    ({"podLabels": {"app.kubernetes.io/instance": "x"}},
     "podLabels must not set app.kubernetes.io/instance"),
    ({"web": {"tls": True}}, "web.tls needs web.config.existingSecret"),
    (chart.merged(TLS, {"web": {"http2": False}}),
     "web.http2 is false: set grpc.enabled to false"),
    ({"management": {"enabled": False, "metrics": True}},
     "management.metrics needs management.enabled"),
    ({"management": {"enabled": False}, "probes": {"method": "management"}},
     "probes.method is management, but management.enabled is false"),
    *[({"client": {key: "x"}}, f"client.{key} needs client.existingSecret")
      for key in ("passwordKey", "caKey", "certKey", "keyKey")],
    *[({"client": {"existingSecret": "s", one: "x"}}, f"client.{one} needs client.{other}")
      for one, other in (("username", "passwordKey"), ("passwordKey", "username"),
                         ("certKey", "keyKey"), ("keyKey", "certKey"))],
    *[({"service": {name: {"nodePort": 30000}}},
       f"service.{name}.nodePort needs service.type NodePort or LoadBalancer")
      for name in ("http", "grpc")],
    ({"service": {"externalTrafficPolicy": "Local"}},
     "service.externalTrafficPolicy needs service.type NodePort or LoadBalancer"),
    ({"service": {"type": "NodePort", "loadBalancerClass": "x"}},
     "service.loadBalancerClass needs service.type LoadBalancer"),
    ({"service": {"loadBalancerSourceRanges": ["10.0.0.0/8"]}},
     "service.loadBalancerSourceRanges needs service.type LoadBalancer"),
    ({"extraArgs": ["--storage.tsdb.path=/x"]},
     "extraArgs: the chart sets --storage.tsdb.path; use its value"),
    ({"extraArgs": ["--config.auto-reload"]}, "extraArgs: the chart sets --config.auto-reload"),
    ({"extraArgs": ["--storage.tsdb.retention.size=5GB"]},
     "extraArgs: set storage.retention instead of --storage.tsdb.retention.size"),
    ({"extraEnv": [{"name": "POD_NAME"}]}, "extraEnv: the name POD_NAME is used already"),
    ({"extraEnv": [{"name": "A"}, {"name": "A"}]}, "extraEnv: the name A is used already"),
    ({"extraVolumes": [{"name": "data"}]}, "extraVolumes: the name data is used already"),
    ({"extraContainers": [{"name": "narthex"}]},
     "extraContainers: the name narthex is used already"),
    ({"initContainers": [{"name": "narthex"}]}, "initContainers: the name narthex is used already"),
    ({"extraVolumeMounts": [{"name": "x", "mountPath": "/data"}]},
     "extraVolumeMounts: /data is mounted already"),
    ({"config": {"data": {"scrape_configs": [
        {"job_name": "pods", "kubernetes_sd_configs": [{"role": "pod"}]}]}}},
     "job pods of config.data has kubernetes_sd_configs; set kubernetesDiscovery.enabled"),
    ({"persistence": {"resizeJob": {"enabled": True}}},
     "persistence.resizeJob.image is empty; name an image with kubectl"),
    ({"persistence": {"existingClaim": "x", "resizeJob": {"enabled": True, "image": "k"}}},
     "persistence.resizeJob.enabled needs claims that the chart creates"),
    ({"networkPolicy": {"enabled": True}, "serviceMonitor": {"enabled": True}},
     "networkPolicy.scrapers is empty; name the Prometheus that uses serviceMonitor"),
    (chart.merged(USERS, {"serviceMonitor": {"enabled": True}}),
     "serviceMonitor.basicAuth is empty, but client.username shows that narthex has users"),
    ({"restartOn": ["wbe.http2"]}, 'restartOn: there is no value "wbe.http2"'),
    ({"prometheusRule": {"enabled": True, "disabled": ["NarthexTypo"]}},
     'prometheusRule.disabled: "NarthexTypo" is not one of: NarthexIngestStopped, '),
    (chart.merged(THANOS, {"thanos": {"router": {"replicationFactor": 4}}}),
     "thanos.router.replicationFactor is 4, but replicas is only 3"),
    (chart.merged(THANOS, {"grpc": {"enabled": False}}), "thanos.enabled needs grpc.enabled"),
    (chart.merged(THANOS, TLS), "thanos.clientTls.existingSecret is empty, but web.tls is true"),
    (chart.merged(THANOS, USERS),
     "thanos.enabled needs grpc.auth cert, because Thanos has no password (client.username)"),
    *[(values, "thanos.sidecar.httpClient.existingSecret is empty, but narthex has TLS or users")
      for values in (TLS_THANOS, chart.merged(THANOS, USERS | {"grpc": {"auth": "cert"}}))],
    (chart.merged(THANOS, {"thanos": {"sidecar": {"objectStore": {"existingSecret": ""}}}}),
     "thanos.sidecar.objectStore.existingSecret is empty"),
]


class BadInput(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        chart.prepare([values for values, _ in COMBINATIONS])

    def error(self, values, helm="3"):
        with self.assertRaises(chart.RenderError) as caught:
            chart.render_text(values, helm=helm)
        return str(caught.exception)

    def assert_named(self, wrong, helm):
        values = {}
        for path, value in wrong.items():
            values = chart.merged(values, chart.nested(path, value))
        error = self.error(values, helm)
        for path in wrong:
            with self.subTest(path=path, helm=helm):
                # An item or a key of the value may be named instead of the value.
                self.assertRegex(error, rf"at '/{path.replace('.', '/')}[/']")

    def test_each_value_of_a_wrong_type_is_named(self):
        wrong = {path: wrong_type(schema_of(path)) for path in test_values.all_values()}
        self.assertGreater(len(wrong), 150)
        for helm in chart.HELMS:
            self.assert_named(wrong, helm)

    def test_each_value_with_wrong_contents_is_named(self):
        schemas = {path: schema_of(path) for path in test_values.all_values()}
        wrong = {path: wrong_content(schema) for path, schema in schemas.items()}
        wrong = {path: value for path, value in wrong.items() if value is not None}
        self.assertGreater(len(wrong), 90)
        for helm in chart.HELMS:
            self.assert_named(wrong, helm)

    def test_allowed_values_are_named(self):
        for path in test_values.all_values():
            allowed = schema_of(path).get("enum", [])
            if allowed:
                with self.subTest(path=path):
                    error = self.error(chart.nested(path, "wrong"))
                    for value in allowed:
                        text = str(value).lower() if isinstance(value, bool) else f"'{value}'"
                        self.assertIn(text, error)

    def test_unknown_keys_are_named_at_every_level(self):
        levels = [()]
        pending = [((), SCHEMA)]
        while pending:
            path, schema = pending.pop()
            for key, child in schema.get("properties", {}).items():
                if child.get("properties") and key != "global":
                    levels.append((*path, key))
                    pending.append(((*path, key), child))
        self.assertGreater(len(levels), 35)
        values = {}
        for level in levels:
            values = chart.merged(values, chart.nested(".".join((*level, "surplus")), 1))
        for helm in chart.HELMS:
            error = self.error(values, helm)
            for level in levels:
                with self.subTest(level=level, helm=helm):
                    self.assertIn(f"at '/{'/'.join(level)}'" if level else "at ''", error)
            self.assertEqual(error.count("additional properties 'surplus' not allowed"),
                             len(levels))

    def test_every_level_of_the_schema_is_closed_and_described(self):
        def check(schema, path):
            for key, child in schema.get("properties", {}).items():
                here = f"{path}.{key}"
                self.assertIn("description", child, here)
                if child.get("properties"):
                    closed = child.get("additionalProperties", True) is False
                    self.assertEqual(closed, here != ".global", here)
                check(child, here)

        self.assertIs(SCHEMA["additionalProperties"], False)
        check(SCHEMA, "")

    def test_values_that_do_not_fit_together_are_named(self):
        for helm in chart.HELMS:
            for values, message in COMBINATIONS:
                with self.subTest(message=message, helm=helm):
                    self.assertIn(message, self.error(values, helm))

    def test_every_failure_of_the_templates_has_a_test(self):
        errors = [self.error(values) for values, _ in COMBINATIONS]
        formats = []
        for path in (chart.CHART / "templates").rglob("*.tpl"):
            text = None
            for line in path.read_text().splitlines():
                literal = re.search(r'"((?:[^"\\]|\\.)*)"', line)
                if "$text :=" in line:
                    text = literal[1]
                elif "{{- fail " in line:
                    formats.append(text if "printf $text" in line else literal[1])
        self.assertGreater(len(formats), 20)
        for text in formats:
            with self.subTest(message=text):
                pattern = ".*".join(re.escape(part) for part in re.split("%[a-z]", text))
                self.assertTrue([error for error in errors if re.search(pattern, error)])
