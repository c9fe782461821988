"""Probes, configuration, sizing, access, networks and notes of the scenarios."""

import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import yaml

import chart

PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
CLIENT = "/etc/narthex/client"


class Probes(unittest.TestCase):
    def test_probes_use_the_management_listener(self):
        names = set(chart.SCENARIOS) - {"client-certificates", "route-prefix"}
        for name in sorted(names):
            with self.subTest(scenario=name):
                rendered = chart.render(chart.scenario(name))
                self.assertEqual(rendered.flag("--web.management-listen-address"), ":9202")
                for probe in PROBES:
                    check = "healthy" if probe == "livenessProbe" else "ready"
                    wanted = {"path": f"/-/{check}", "port": "management"}
                    self.assertEqual(rendered.container[probe]["httpGet"], wanted)

    def test_probes_have_the_client_certificate(self):
        rendered = chart.render(chart.scenario("client-certificates"))
        self.assertIsNone(rendered.flag("--web.management-listen-address"))
        for probe in PROBES:
            check = "healthy" if probe == "livenessProbe" else "ready"
            self.assertEqual(
                rendered.container[probe]["exec"]["command"],
                [
                    "/bin/narthex", "check", check, "--url=https://localhost:9201",
                    f"--ca-file={CLIENT}/ca.crt", f"--cert-file={CLIENT}/tls.crt",
                    f"--key-file={CLIENT}/tls.key", "--server-name=narthex.monitoring.svc",
                ],
            )
        mounts = {item["name"]: item for item in rendered.container["volumeMounts"]}
        self.assertEqual(mounts["client"]["mountPath"], CLIENT)

    def test_probes_have_the_route_prefix(self):
        rendered = chart.render(chart.scenario("route-prefix"))
        for probe in PROBES:
            check = "healthy" if probe == "livenessProbe" else "ready"
            self.assertEqual(
                rendered.container[probe]["httpGet"],
                {"path": f"/narthex/-/{check}", "port": "http", "scheme": "HTTP"},
            )

    def test_probes_without_management_listener_have_the_password(self):
        values = chart.merged(chart.scenario("users"), {"management": {"enabled": False}})
        command = chart.render(values).container["readinessProbe"]["exec"]["command"]
        wanted = ["--username=probe", f"--password-file={CLIENT}/password"]
        self.assertEqual(command[-2:], wanted)

    def test_route_prefix_follows_the_rules_of_narthex(self):
        for url, prefix, wanted in (
            ("", "", ""),
            ("https://example.com/narthex/", "", "/narthex"),
            ("https://example.com/narthex", "/", ""),
            ("", "/a/b/", "/a/b"),
            ("/narthex", "", "/narthex"),
            ("https://example.com", "", ""),
        ):
            web = {"externalUrl": url, "routePrefix": prefix}
            rendered = chart.render({"web": web, "probes": {"method": "http"}})
            path = rendered.container["readinessProbe"]["httpGet"]["path"]
            self.assertEqual(path, f"{wanted}/-/ready", web)

    def test_replay_has_an_hour_and_the_end_five_minutes(self):
        for name in chart.SCENARIOS:
            rendered = chart.render(chart.scenario(name))
            startup = rendered.container["startupProbe"]
            budget = startup["periodSeconds"] * startup["failureThreshold"]
            self.assertEqual(budget, 3600)
            self.assertEqual(rendered.pod["terminationGracePeriodSeconds"], 300)

    def test_monitor_has_the_route_prefix(self):
        rendered = chart.render(chart.scenario("route-prefix"))
        endpoint = {"port": "http", "path": "/narthex/metrics", "scheme": "http"}
        self.assertEqual(rendered.find("ServiceMonitor")["spec"]["endpoints"], [endpoint])

    def test_no_probe_uses_grpc(self):
        for name in chart.SCENARIOS:
            for item in chart.render(chart.scenario(name)).pod["containers"]:
                for probe in PROBES:
                    self.assertNotIn("grpc", item.get(probe, {}))


class Configuration(unittest.TestCase):
    def retention(self, values):
        return chart.render(values).config["storage"]["tsdb"]["retention"]

    def test_retention_is_four_fifths_of_the_volume(self):
        for size, wanted in (("50Gi", "40960MB"), ("50G", "38146MB"), ("1Ti", "838860MB"),
                             ("1.5Ti", "1258291MB")):
            values = {"persistence": {"size": size}}
            self.assertEqual(self.retention(values), {"size": wanted}, size)

    def test_retention_of_an_unknown_volume_is_a_percentage(self):
        wanted = {"time": "90d", "percentage": 80}
        self.assertEqual(self.retention(chart.scenario("existing-claim")), wanted)

    def test_retention_of_an_empty_dir_is_that_of_its_limit(self):
        self.assertEqual(self.retention(chart.scenario("emptydir")), {"size": "4096MB"})

    def test_retention_of_an_existing_file_is_a_flag(self):
        values = {"config": {"existingConfigMap": "own"}, "storage": {"retention": {"time": "9d"}}}
        rendered = chart.render(values)
        self.assertEqual(rendered.flag("--storage.tsdb.retention.size"), "40960MB")
        self.assertEqual(rendered.flag("--storage.tsdb.retention.time"), "9d")
        self.assertEqual(rendered.all("ConfigMap"), [])

    def test_retention_of_the_file_is_kept(self):
        own = {"time": "5d"}
        values = {"config": {"data": {"storage": {"tsdb": {"retention": own}}}}}
        self.assertEqual(self.retention(values), own)

    def test_budgets_follow_the_memory_limit(self):
        for limit, wanted in (("512Mi", "128MB"), ("2Gi", "256MB"), ("8G", "953MB"),
                              ("64Gi", "2047MB"), (4294967296, "512MB")):
            rendered = chart.render({"resources": {"limits": {"memory": limit}}})
            for name in ("web", "scrape"):
                self.assertEqual(rendered.flag(f"--{name}.max-bytes-in-flight"), wanted, limit)
        own = chart.render({"extraArgs": ["--web.max-bytes-in-flight=1GB"]})
        flags = [arg for arg in own.args if arg.startswith("--web.max-bytes-in-flight")]
        self.assertEqual(flags, ["--web.max-bytes-in-flight=1GB"])

    def test_configuration_reloads_without_a_restart(self):
        for name in chart.SCENARIOS:
            rendered = chart.render(chart.scenario(name))
            self.assertIs(rendered.flag("--config.auto-reload"), True)
            self.assertEqual(rendered.flag("--config.file"), "/etc/narthex/config/narthex.yml")

    def test_thanos_replicas_have_different_labels(self):
        rendered = chart.render(chart.scenario("thanos"))
        labels = rendered.config["global"]["external_labels"]
        self.assertEqual(labels, {"cluster": "prod", "replica": "${POD_NAME}"})
        env = rendered.container["env"][0]
        self.assertEqual(env["valueFrom"]["fieldRef"]["fieldPath"], "metadata.name")

    def test_no_deployment_runs_narthex(self):
        for name in chart.SCENARIOS:
            for item in chart.render(chart.scenario(name)).all("Deployment"):
                for container in item["spec"]["template"]["spec"]["containers"]:
                    self.assertTrue(container["image"].startswith("thanosio/thanos"))

    def test_replicas_spread_over_nodes(self):
        constraint = chart.render({"replicas": 2}).pod["topologySpreadConstraints"][0]
        self.assertEqual(constraint["topologyKey"], "kubernetes.io/hostname")
        self.assertEqual(constraint["whenUnsatisfiable"], "ScheduleAnyway")
        self.assertNotIn("topologySpreadConstraints", chart.render().pod)

    def test_hooks_run_on_the_nodes_of_narthex(self):
        nodes = {"nodeSelector": {"disk": "ssd"}, "tolerations": [{"operator": "Exists"}]}
        job = {"persistence": {"resizeJob": {"enabled": True, "image": "example/kubectl:1"}}}
        rendered = chart.render({**nodes, **job})
        hook = rendered.find("Job")["spec"]["template"]["spec"]
        for spec in (rendered.pod, rendered.find("Pod")["spec"], hook):
            self.assertEqual({key: spec[key] for key in nodes}, nodes)

    def test_budget_of_disruptions_needs_two_replicas(self):
        self.assertEqual(chart.render().all("PodDisruptionBudget"), [])
        budget = chart.render({"replicas": 2}).find("PodDisruptionBudget")
        self.assertEqual(budget["spec"]["maxUnavailable"], 1)

    def test_annotations_of_pods_replace_those_of_the_chart(self):
        own = {"kubectl.kubernetes.io/default-container": "box", "checksum/restart": "x"}
        template = chart.render({"podAnnotations": own}).statefulset["spec"]["template"]
        self.assertEqual(template["metadata"]["annotations"], own)

    def test_common_labels_replace_no_selector_and_no_key_twice(self):
        own = {"app.kubernetes.io/part-of": "platform", "helm.sh/chart": "x"}
        labels = chart.render({"commonLabels": own}).statefulset["metadata"]["labels"]
        self.assertLessEqual(own.items(), labels.items())

    def test_openshift_is_detected_by_its_api(self):
        rendered = chart.render(arguments=["--api-versions", "security.openshift.io/v1"])
        self.assertNotIn("runAsUser", rendered.pod["securityContext"])
        values = {"openshift": False}
        rendered = chart.render(values, arguments=["--api-versions", "security.openshift.io/v1"])
        self.assertEqual(rendered.pod["securityContext"]["runAsUser"], 65534)

    def test_resize_job_patches_claims_before_it_deletes_the_set(self):
        values = {"replicas": 2, "persistence": {
            "size": "99Gi", "resizeJob": {"enabled": True, "image": "example/kubectl:1"}}}
        rendered = chart.render(values)
        spec = rendered.find("Job")["spec"]["template"]["spec"]
        claims = [item["args"][4] for item in spec["initContainers"]]
        self.assertEqual(claims, ["data-narthex-0", "data-narthex-1"])
        patch = spec["initContainers"][0]["args"][-1].partition("=")[2]
        self.assertEqual(
            json.loads(patch), {"spec": {"resources": {"requests": {"storage": "99Gi"}}}}
        )
        delete = spec["containers"][0]["args"]
        self.assertEqual(delete[2:5], ["delete", "statefulset", "narthex"])
        self.assertIn("--cascade=orphan", delete)
        hooks = {item["kind"]: item["metadata"]["annotations"] for item in rendered.objects
                 if "helm.sh/hook" in item["metadata"].get("annotations", {})}
        for kind in ("ServiceAccount", "Role", "RoleBinding", "Job"):
            self.assertEqual(hooks[kind]["helm.sh/hook"], "pre-upgrade")
        self.assertLess(int(hooks["Role"]["helm.sh/hook-weight"]),
                        int(hooks["Job"]["helm.sh/hook-weight"]))


class Access(unittest.TestCase):
    def test_no_rbac_and_no_token_without_discovery(self):
        kinds = ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")
        checked = 0
        for name in chart.SCENARIOS:
            if name == "kubernetes-discovery":
                continue
            with self.subTest(scenario=name):
                rendered = chart.render(chart.scenario(name))
                self.assertEqual([item for kind in kinds for item in rendered.all(kind)], [])
                self.assertIs(rendered.pod["automountServiceAccountToken"], False)
                account = rendered.find("ServiceAccount")
                self.assertIs(account["automountServiceAccountToken"], False)
                for item in rendered.all("Deployment"):
                    spec = item["spec"]["template"]["spec"]
                    self.assertIs(spec["automountServiceAccountToken"], False)
                test = rendered.find("Pod", "narthex-test")
                self.assertIs(test["spec"]["automountServiceAccountToken"], False)
                checked += 1
        self.assertEqual(checked, len(chart.SCENARIOS) - 1)

    def test_discovery_mounts_the_token_and_only_reads(self):
        rendered = chart.render(chart.scenario("kubernetes-discovery"))
        self.assertIs(rendered.pod["automountServiceAccountToken"], True)
        role = rendered.find("ClusterRole")
        for rule in role["rules"]:
            self.assertLessEqual(set(rule["verbs"]), {"get", "list", "watch"})
            self.assertNotIn("secrets", rule.get("resources", []))
        binding = rendered.find("ClusterRoleBinding")
        self.assertEqual(binding["roleRef"]["name"], role["metadata"]["name"])
        self.assertEqual(binding["subjects"], [
            {"kind": "ServiceAccount", "name": "narthex", "namespace": "monitoring"}])

    def test_roles_allow_all_that_discovery_watches(self):
        source = chart.ROOT / "src/discovery/kinds/kubernetes/objects"
        text = "".join(path.read_text() for path in source.glob("*.rs"))
        watched = re.findall(r'group: "/apis?/([^"]+)", plural: "([a-z]+)"', text)
        self.assertGreater(len(watched), 7)
        rules = chart.render(chart.scenario("kubernetes-discovery")).find("ClusterRole")["rules"]
        allowed = {
            (group, resource): rule["verbs"]
            for rule in rules
            for group in rule.get("apiGroups", [])
            for resource in rule.get("resources", [])
        }
        for path, resource in watched:
            # The core group has a version only.
            group = path.partition("/")[0] if "/" in path else ""
            with self.subTest(group=group, resource=resource):
                self.assertEqual(allowed[group, resource], ["get", "list", "watch"])

    def test_discovery_of_namespaces_needs_no_cluster_role(self):
        values = {"kubernetesDiscovery": {"enabled": True, "namespaces": ["a", "b"]}}
        rendered = chart.render(values)
        self.assertEqual(rendered.all("ClusterRole"), [])
        for kind in ("Role", "RoleBinding"):
            namespaces = [item["metadata"]["namespace"] for item in rendered.all(kind)]
            self.assertEqual(namespaces, ["a", "b"])


class Thanos(unittest.TestCase):
    HOSTS = [f"narthex-{n}.narthex-headless.monitoring.svc:9201" for n in range(3)]

    def setUp(self):
        self.rendered = chart.render(chart.scenario("thanos"))

    def args(self, component):
        item = self.rendered.find("Deployment", f"narthex-{component}")
        return item["spec"]["template"]["spec"]["containers"][0]["args"]

    def test_router_has_every_replica(self):
        text = self.rendered.find("ConfigMap", "narthex-router")["data"]["hashring.json"]
        self.assertEqual(json.loads(text), [{"endpoints": self.HOSTS}])
        args = self.args("router")
        self.assertIn("--receive.replication-factor=2", args)
        self.assertFalse([arg for arg in args if "local-endpoint" in arg], "it must only route")

    def test_query_has_every_replica_once(self):
        endpoints = [f"--endpoint={host}" for host in self.HOSTS]
        args = self.args("query")
        self.assertEqual([arg for arg in args if arg.startswith("--endpoint")], endpoints)
        self.assertIn("--query.replica-label=replica", args)
        self.assertIn("--deduplication.func=chain", args)

    def test_router_reads_the_hashring_every_30_seconds(self):
        self.assertIn("--receive.hashrings-file-refresh-interval=30s", self.args("router"))

    def test_flags_of_the_user_replace_those_of_the_chart(self):
        for component, flag, value in (
            ("query", "--deduplication.func", "penalty"),
            ("router", "--receive.hashrings-file-refresh-interval", "5m"),
        ):
            own = chart.nested(f"thanos.{component}.extraArgs", [f"{flag}={value}"])
            self.rendered = chart.render(chart.merged(chart.scenario("thanos"), own))
            found = [arg for arg in self.args(component) if arg.startswith(f"{flag}=")]
            # Thanos rejects a flag that is given twice.
            self.assertEqual(found, [f"{flag}={value}"])

    def test_sidecar_and_narthex_name_the_same_directory(self):
        sidecar = self.rendered.container_named("thanos-sidecar")
        self.assertIn("--tsdb.path=/data", sidecar["args"])
        self.assertIn("--prometheus.url=http://localhost:9201", sidecar["args"])
        path = self.rendered.flag("--storage.tsdb.delay-compact-file.path")
        self.assertEqual(path, "/data/thanos.shipper.json")
        mounts = [
            next(m for m in item["volumeMounts"] if m["name"] == "data")
            for item in self.rendered.pod["containers"]
        ]
        self.assertEqual(mounts[0], mounts[1])

    def test_helm_test_of_replicas_verifies_the_name_of_the_service(self):
        tls = {"web": {"tls": True, "config": {"existingSecret": "web"}},
               "thanos": {"clientTls": {"existingSecret": "tls"},
                          "sidecar": {"httpClient": {"existingSecret": "http-client"}}}}
        rendered = chart.render(chart.merged(chart.scenario("thanos"), tls))
        for item in rendered.find("Pod", "narthex-test")["spec"]["containers"]:
            self.assertEqual(item["args"][-1], "--server-name=narthex.monitoring.svc")

    def test_helm_test_checks_each_replica(self):
        spec = self.rendered.find("Pod", "narthex-test")["spec"]
        urls = [item["args"][2] for item in spec["containers"]]
        self.assertEqual(urls, [f"--url=http://{host}" for host in self.HOSTS])


class HelmTest(unittest.TestCase):
    def test_runs_narthex_itself_with_its_credentials(self):
        service = "narthex.monitoring.svc:9201"
        wanted = {
            "default": [f"--url=http://{service}"],
            "tls": [f"--url=https://{service}", f"--ca-file={CLIENT}/ca.crt"],
            "users": [f"--url=http://{service}", "--username=probe",
                      f"--password-file={CLIENT}/password"],
            "route-prefix": [f"--url=http://{service}/narthex"],
            "client-certificates": [
                f"--url=https://{service}", f"--ca-file={CLIENT}/ca.crt",
                f"--cert-file={CLIENT}/tls.crt", f"--key-file={CLIENT}/tls.key"],
        }
        for name, args in wanted.items():
            with self.subTest(scenario=name):
                pod = chart.render(chart.scenario(name)).find("Pod", "narthex-test")
                self.assertEqual(pod["metadata"]["annotations"]["helm.sh/hook"], "test")
                container, = pod["spec"]["containers"]
                self.assertEqual(container["command"], ["/bin/narthex"])
                found = [arg for arg in container["args"] if not arg.startswith("--timeout")]
                self.assertEqual(found, ["check", "roundtrip", *args])


NOTES_OBJECT = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: notes
data:
  notes: |
    {{- tpl (.Files.Get "notes.txt") . | nindent 4 }}
"""


class Notes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """Copies the chart with a template that has the notes as an object: without a cluster,
        Helm renders the notes but does not print them.
        """
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.copy = pathlib.Path(cls.folder.name) / "narthex"
        shutil.copytree(chart.CHART, cls.copy)
        (cls.copy / "templates/NOTES.txt").rename(cls.copy / "notes.txt")
        (cls.copy / "templates/notes.yaml").write_text(NOTES_OBJECT)

    def notes(self, values, helm):
        rendered = chart.render(values, helm=helm, chart=self.copy)
        return rendered.find("ConfigMap", "notes")["data"]["notes"]

    def test_urls_are_those_of_the_release(self):
        service = "http://narthex.monitoring.svc:9201"
        wanted = {
            "default": f"{service}/api/v1/",
            "tls": "https://narthex.monitoring.svc:9201/api/v1/",
            "route-prefix": "https://metrics.example.com/narthex/api/v1/",
            "ingress": "https://narthex.example.com/api/v1/",
            "gateway": "https://narthex.example.com/api/v1/",
        }
        for helm in chart.HELMS:
            for name, base in wanted.items():
                with self.subTest(scenario=name, helm=helm):
                    notes = self.notes(chart.scenario(name), helm)
                    section = yaml.safe_load(
                        re.search(r"(?ms)^  remote_write:.*?read_recent: true$", notes)[0])
                    self.assertEqual(section, {
                        "remote_write": [{"url": f"{base}write"}],
                        "remote_read": [{"url": f"{base}read", "read_recent": True}]})

    def test_thanos_writes_to_the_router_and_reads_from_query(self):
        for helm in chart.HELMS:
            notes = self.notes(chart.scenario("thanos"), helm)
            self.assertIn("http://narthex-router.monitoring.svc:19291/api/v1/receive", notes)
            self.assertIn("http://narthex-query.monitoring.svc:10902", notes)

    def test_replicas_are_named_one_by_one(self):
        notes = self.notes({"replicas": 2}, "3")
        for n in range(2):
            host = f"http://narthex-{n}.narthex-headless.monitoring.svc:9201"
            self.assertIn(f"{host}/api/v1/write", notes)

    def test_thanos_router_needs_no_credentials_of_narthex(self):
        text = "Add tls_config and basic_auth"
        web = {"web": {"config": {"existingSecret": "web-secret"}}}
        self.assertIn(text, self.notes(web, "3"))
        self.assertNotIn(text, self.notes(chart.merged(chart.scenario("thanos"), web), "3"))

    def test_monitor_that_may_not_scrape_is_told(self):
        web = {"web": {"config": {"existingSecret": "web-secret"}}}
        tls = chart.merged(web, {"web": {"tls": True}})
        user = {"basicAuth": {"username": {"name": "scraper", "key": "username"}}}
        ca = {"tlsConfig": {"ca": {"secret": {"name": "ca", "key": "ca.crt"}}}}
        pair = {"tlsConfig": {"certFile": "/certs/tls.crt", "keyFile": "/certs/tls.key"}}
        no_ca, no_credentials = "serviceMonitor.tlsConfig is empty", "has no credentials"
        for values, monitor, wanted in (
            ({}, {}, set()),
            (web, {}, {no_credentials}),
            (web, user, set()),
            (tls, {}, {no_ca, no_credentials}),
            (tls, user, {no_ca}),
            (tls, ca, {no_credentials}),
            (tls, ca | user, set()),
            (tls, pair, set()),
            (chart.merged(tls, {"management": {"metrics": True}}), {}, set()),
        ):
            values = chart.merged(values, {"serviceMonitor": {"enabled": True, **monitor}})
            for helm in chart.HELMS:
                with self.subTest(values=values, helm=helm):
                    notes = self.notes(values, helm)
                    found = {text for text in (no_ca, no_credentials) if text in notes}
                    self.assertEqual(found, wanted)
                    told = "Check that Prometheus can scrape narthex" in notes
                    self.assertEqual(told, bool(wanted))
        self.assertNotIn("scrape narthex", self.notes(tls, "3"), "without a ServiceMonitor")

    def test_fate_of_the_claims_is_told(self):
        delete = {"persistence": {"retentionPolicy": {"whenDeleted": "Delete"}}}
        for values, text in (
            ({}, "helm uninstall keeps the claims and their data"),
            (delete, "helm uninstall deletes the claims and their data"),
            (chart.scenario("existing-claim"), "helm uninstall keeps it"),
            (chart.scenario("emptydir"), "It is deleted with its pod"),
        ):
            self.assertIn(text, self.notes(values, "3"))


class Files(unittest.TestCase):
    def test_version_is_that_of_the_package(self):
        about = yaml.safe_load((chart.CHART / "Chart.yaml").read_text())
        cargo = (chart.ROOT / "Cargo.toml").read_text()
        self.assertEqual(about["appVersion"], re.search(r'(?m)^version = "(.*)"', cargo)[1])
        changes = (chart.CHART / "CHANGELOG.md").read_text()
        self.assertIn(f"## {about['version']}", changes)
        self.assertTrue(yaml.safe_load(about["annotations"]["artifacthub.io/changes"]))

    def test_alerts_of_the_issue_exist(self):
        rules = yaml.safe_load((chart.CHART / "files/rules.yaml").read_text())
        names = {rule.get("alert") for group in rules["groups"] for rule in group["rules"]}
        wanted = (
            "IngestStopped SamplesRejected WalFailed ReadOnly CompactionFailing "
            "BlocksQuarantined DiskFullIn4Hours DiskFullIn4Days ReplaySlow CardinalityGrowing "
            "ReloadFailed CertificateExpiring SenderClockAhead"
        )
        self.assertEqual(names - {None}, {f"Narthex{name}" for name in wanted.split()})

    def test_rules_pass_promtool(self):
        if not shutil.which("promtool"):
            self.skipTest("promtool is missing")
        rules = chart.CHART / "files/rules.yaml"
        tests = chart.ROOT / "tests/chart/rules_test.yaml"
        done = subprocess.run(["promtool", "check", "rules", rules], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("15 rules found", done.stdout)
        # promtool finds the rules beside the tests.
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(rules, folder)
            command = ["promtool", "test", "rules", shutil.copy(tests, folder)]
            done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_each_alert_fires_in_a_test(self):
        rules = yaml.safe_load((chart.CHART / "files/rules.yaml").read_text())
        names = [rule.get("alert") for group in rules["groups"] for rule in group["rules"]]
        tests = (chart.ROOT / "tests/chart/rules_test.yaml").read_text()
        for name in filter(None, names):
            self.assertRegex(tests, f'alertname(: |="){name}\\b')

    def test_lines_are_not_wide(self):
        folders = [chart.ROOT / "helm", chart.ROOT / "tests/chart"]
        names = {"generate", "run", "install"}
        for path in [path for folder in folders for path in folder.rglob("*")]:
            if path.suffix in (".py", ".yaml", ".tpl", ".go") or path.name in names:
                if path.parent == chart.GOLDEN or not path.is_file():
                    continue
                for number, line in enumerate(path.read_text().splitlines(), 1):
                    self.assertLessEqual(len(line), 100, f"{path}:{number}")
