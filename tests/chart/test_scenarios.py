"""Every scenario of ci/ with every Helm: lint, schemas, and rules for all objects."""

import collections
import functools
import os
import re
import subprocess
import tempfile
import unittest

import kubernetes_validate
from kubernetes_validate import utils

import chart

VERSIONS = ("1.29", "1.33", "1.37")
CUSTOM = {
    "monitoring": ["ServiceMonitor", "PrometheusRule"],
    "gateway": ["HTTPRoute", "GRPCRoute"],
    "route-prefix": ["ServiceMonitor"],
}
CUSTOM_KINDS = {kind for kinds in CUSTOM.values() for kind in kinds}

# Values that no scenario has, for the schemas.
MORE = {
    "resize": {
        "replicas": 2,
        "persistence": {"resizeJob": {"enabled": True, "image": "example/kubectl:1"}},
    },
    "load-balancer": {
        "service": {
            "type": "LoadBalancer",
            "ipFamilyPolicy": "PreferDualStack",
            "ipFamilies": ["IPv6", "IPv4"],
            "loadBalancerClass": "internal",
            "loadBalancerSourceRanges": ["10.0.0.0/8"],
            "externalTrafficPolicy": "Local",
            "http": {"nodePort": 30001},
        },
    },
    "namespaces": {"kubernetesDiscovery": {"enabled": True, "namespaces": ["a", "b"]}},
    "thanos-tls": chart.merged(
        chart.scenario("thanos"),
        {
            "web": {"tls": True, "config": {"existingSecret": "web"}},
            "thanos": {
                "clientTls": {"existingSecret": "tls", "certKey": "c", "keyKey": "k"},
                "sidecar": {"httpClient": {"existingSecret": "client"}},
            },
        },
    ),
    "memory": {"persistence": {"enabled": False, "emptyDir": {"sizeLimit": "", "medium": ""}}},
}

# The package reads its large files again for each object.
utils.schema_contents = functools.cache(utils.schema_contents)


def each():
    for helm in chart.HELMS:
        for name in chart.SCENARIOS:
            yield helm, name


def pod_specs(rendered):
    """Yields name and pod spec of every object with pods."""
    for item in rendered.objects:
        if item["kind"] == "Pod":
            yield item["metadata"]["name"], item["spec"]
        elif item["kind"] in ("StatefulSet", "Deployment", "Job"):
            yield item["metadata"]["name"], item["spec"]["template"]["spec"]


class Scenarios(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        chart.prepare([chart.scenario(name) for name in chart.SCENARIOS])

    def each_render(self):
        for helm, name in each():
            with self.subTest(helm=helm, scenario=name):
                yield name, chart.render(chart.scenario(name), helm=helm)

    def test_all_scenarios_of_the_issue_exist(self):
        wanted = (
            "default tls users client-certificates route-prefix kubernetes-discovery thanos "
            "existing-claim emptydir ingress gateway network-policy monitoring openshift"
        )
        self.assertEqual(chart.SCENARIOS, sorted(wanted.split()))

    def test_lint_is_strict_and_silent(self):
        for helm, name in each():
            with self.subTest(helm=helm, scenario=name):
                path = chart.CHART / "ci" / f"{name}-values.yaml"
                command = ["lint", "--strict", str(chart.CHART), "--values", str(path)]
                done = chart.helm(command, helm=helm)
                output = done.stdout + done.stderr
                self.assertEqual(done.returncode, 0, output)
                self.assertNotRegex(output, r"\[(WARNING|ERROR)\]")

    def test_helm_3_and_helm_4_render_the_same(self):
        if "4" not in chart.HELMS:
            self.skipTest("Helm 4 cannot be built here")
        for name in chart.SCENARIOS:
            with self.subTest(scenario=name):
                values = chart.scenario(name)
                three = chart.render(values, helm="3").objects
                four = chart.render(values, helm="4").objects
                key = lambda item: (item["kind"], item["metadata"]["name"])
                self.assertEqual(sorted(three, key=key), sorted(four, key=key))

    def test_objects_are_valid_in_three_versions_of_kubernetes(self):
        checked = 0
        values = {name: chart.scenario(name) for name in chart.SCENARIOS} | MORE
        for name in values:
            for item in chart.render(values[name]).objects:
                if item["kind"] in CUSTOM_KINDS:
                    continue
                for version in VERSIONS:
                    with self.subTest(scenario=name, kind=item["kind"], version=version):
                        used = kubernetes_validate.validate(item, version, strict=True)
                        self.assertEqual(used, version)
                        checked += 1
        self.assertGreater(checked, 3 * 5 * len(chart.SCENARIOS))

    def test_schemas_reject_an_unknown_field(self):
        item = chart.render().statefulset
        item["spec"]["template"]["spec"]["unknown"] = 1
        for version in VERSIONS:
            with self.assertRaises(kubernetes_validate.ValidationError):
                kubernetes_validate.validate(item, version, strict=True)

    def test_custom_resources_unmarshal_into_their_types(self):
        texts = [chart.render_text(chart.scenario(name)) for name in chart.SCENARIOS]
        done = self.validate("\n---\n".join(texts))
        self.assertEqual(done.returncode, 0, done.stderr)
        wanted = collections.Counter(kind for kinds in CUSTOM.values() for kind in kinds)
        found = {kind: int(n) for kind, n in map(str.split, done.stdout.splitlines())}
        self.assertEqual(found, wanted)

    def test_validator_rejects_wrong_custom_resources(self):
        wrong = {
            "monitoring": [("    - port: management", "    - prot: management")],
            "gateway": [("type: PathPrefix", "typ: PathPrefix"), ("rules:", "rule:")],
        }
        for name, changes in wrong.items():
            text = chart.render_text(chart.scenario(name))
            for before, after in changes:
                with self.subTest(scenario=name, change=after):
                    self.assertIn(before, text)
                    done = self.validate(text.replace(before, after))
                    self.assertEqual(done.returncode, 1)
                    self.assertIn("unknown field", done.stderr)

    def validate(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(text)
            file.flush()
            command = [os.environ["CHART_VALIDATOR"], file.name]
            return subprocess.run(command, capture_output=True, text=True)

    def test_names_are_unique(self):
        for _, rendered in self.each_render():
            keys = [
                (item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"])
                for item in rendered.objects
            ]
            self.assertEqual(len(keys), len(set(keys)), keys)

    def test_lists_with_keys_have_no_duplicates(self):
        for name, rendered in self.each_render():
            for item in rendered.all("Service"):
                ports = item["spec"]["ports"]
                self.unique(port["name"] for port in ports)
                self.unique((port["port"], port["protocol"]) for port in ports)
            for _, spec in pod_specs(rendered):
                containers = spec["containers"] + spec.get("initContainers", [])
                self.unique(item["name"] for item in containers)
                self.unique(item["name"] for item in spec.get("volumes", []))
                ports = [port for item in containers for port in item.get("ports", [])]
                self.unique(port["name"] for port in ports)
                self.unique(port["containerPort"] for port in ports)
                for item in containers:
                    self.unique(env["name"] for env in item.get("env", []))
                    self.unique(mount["mountPath"] for mount in item.get("volumeMounts", []))
                    self.unique(arg.split("=")[0] for arg in item["args"] if repeats(arg))

    def unique(self, keys):
        keys = list(keys)
        self.assertEqual(len(keys), len(set(keys)), keys)

    def test_loader_rejects_duplicate_keys(self):
        with self.assertRaisesRegex(Exception, "duplicate key 'a'"):
            chart.load_all("a: 1\na: 2\n")

    def test_objects_have_namespace_and_standard_labels(self):
        for _, rendered in self.each_render():
            for item in rendered.objects:
                metadata = item["metadata"]
                if not item["kind"].startswith("Cluster"):
                    self.assertEqual(metadata["namespace"], "monitoring", metadata["name"])
                self.assertEqual(metadata["labels"]["app.kubernetes.io/instance"], "narthex")
                self.assertEqual(metadata["labels"]["app.kubernetes.io/managed-by"], "Helm")
                self.assertLessEqual(len(metadata["name"]), 63)

    def test_selector_and_claims_have_only_the_two_fixed_labels(self):
        for _, rendered in self.each_render():
            spec = rendered.statefulset["spec"]
            fixed = {key: "narthex" for key in chart.NAME_LABELS}
            self.assertEqual(spec["selector"], {"matchLabels": fixed})
            for claim in spec.get("volumeClaimTemplates", []):
                self.assertEqual(claim["metadata"]["labels"], fixed)
            self.assertEqual(spec["template"]["metadata"]["labels"], fixed)

    def test_services_select_only_pods_of_their_component(self):
        for _, rendered in self.each_render():
            pods = {}
            for item in rendered.objects:
                if item["kind"] in ("StatefulSet", "Deployment", "Job"):
                    labels = item["spec"]["template"]["metadata"]["labels"]
                elif item["kind"] == "Pod":
                    labels = item["metadata"]["labels"]
                else:
                    continue
                pods[item["metadata"]["name"]] = labels
            for item in rendered.all("Service"):
                selector = item["spec"]["selector"].items()
                selected = [name for name, labels in pods.items() if selector <= labels.items()]
                wanted = re.sub("-(headless|grpc)$", "", item["metadata"]["name"])
                self.assertEqual(selected, [wanted], item["metadata"]["name"])

    def test_pods_are_confined(self):
        renders = list(self.each_render())
        renders += [(name, chart.render(values)) for name, values in MORE.items()]
        for name, rendered in renders:
            for pod, spec in pod_specs(rendered):
                context = spec["securityContext"]
                self.assertTrue(context["runAsNonRoot"], pod)
                self.assertEqual(context["seccompProfile"], {"type": "RuntimeDefault"}, pod)
                if name == "openshift":
                    self.assertFalse({"runAsUser", "runAsGroup", "fsGroup"} & set(context))
                else:
                    ids = {context[key] for key in ("runAsUser", "runAsGroup", "fsGroup")}
                    self.assertEqual(ids, {65534}, pod)
                self.assertEqual(context["fsGroupChangePolicy"], "OnRootMismatch")
                self.assertFalse(spec["enableServiceLinks"])
                for item in spec["containers"] + spec.get("initContainers", []):
                    confined = item["securityContext"]
                    self.assertTrue(confined["readOnlyRootFilesystem"])
                    self.assertFalse(confined["allowPrivilegeEscalation"])
                    self.assertEqual(confined["capabilities"], {"drop": ["ALL"]})
                    self.assertNotIn("privileged", confined)
                    self.assertIn("memory", item["resources"]["limits"])

    def test_only_data_is_mounted_by_sub_path(self):
        for _, rendered in self.each_render():
            for _, spec in pod_specs(rendered):
                for item in spec["containers"]:
                    for mount in item.get("volumeMounts", []):
                        if mount["name"] != "data":
                            self.assertNotIn("subPath", mount)

    def test_only_the_image_of_narthex_is_used_without_thanos(self):
        for name, rendered in self.each_render():
            images = {
                item["image"] for _, spec in pod_specs(rendered) for item in spec["containers"]
            }
            wanted = {"narthex:0.1.0"}
            if name == "thanos":
                wanted.add("thanosio/thanos:v0.42.4")
            self.assertEqual(images, wanted)

    def test_mounts_have_volumes(self):
        for _, rendered in self.each_render():
            for pod, spec in pod_specs(rendered):
                volumes = {item["name"] for item in spec.get("volumes", [])}
                if pod == "narthex":
                    claims = rendered.statefulset["spec"].get("volumeClaimTemplates", [])
                    volumes |= {item["metadata"]["name"] for item in claims}
                used = {
                    mount["name"]
                    for item in spec["containers"]
                    for mount in item.get("volumeMounts", [])
                }
                self.assertEqual(used, volumes, pod)

    def test_flags_of_narthex_exist(self):
        source = "".join(
            path.read_text() for path in chart.ROOT.glob("src/config/flags/*.rs")
        )
        known = {"--" + name for name in re.findall(r'\blong = "([^"]+)"', source)}
        self.assertIn("--storage.tsdb.path", known)
        for _, rendered in self.each_render():
            self.assertEqual(rendered.args[0], "serve")
            flags = {arg.split("=")[0] for arg in rendered.args[1:]}
            self.assertEqual(flags - known, set())

    def test_long_release_names_keep_names_valid(self):
        release = "a" * 53
        values = chart.merged(chart.scenario("thanos"), {"fullnameOverride": "b" * 63})
        for options in ({"release": release}, {"values": values}):
            rendered = chart.render(options.pop("values", chart.scenario("thanos")), **options)
            for item in rendered.objects:
                self.assertLessEqual(len(item["metadata"]["name"]), 63)
            # The label controller-revision-hash is the name, a dash and a hash of 10 characters.
            self.assertLessEqual(len(rendered.statefulset["metadata"]["name"]), 52)


def repeats(arg):
    """Returns `True` for a flag that may be given once."""
    return arg.startswith("--") and arg.split("=")[0] not in (
        "--endpoint",
        "--query.replica-label",
        "--label",
    )
