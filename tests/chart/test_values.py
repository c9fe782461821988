"""A test of the rendered output for each value.

A case has a path, a value, and a place in the render that shows it. Cases with the same base are
rendered together. Each place must show the value, and must not show it without the case.
"""

import importlib.machinery
import importlib.util
import json
import unittest

import yaml

import chart

WEB = {"web": {"config": {"existingSecret": "web-secret"}}}
THANOS = chart.scenario("thanos")
TLS_THANOS = chart.merged(
    THANOS,
    {
        "web": {"tls": True, "config": {"existingSecret": "web-secret"}},
        "thanos": {
            "clientTls": {"existingSecret": "client-tls"},
            "sidecar": {"httpClient": {"existingSecret": "http-client"}},
        },
    },
)
INGRESS = {"ingress": {"enabled": True, "hosts": ["a.example.com"]}}
ROUTE = {"parentRefs": [{"name": "public"}], "enabled": True}
ROUTES = {"httpRoute": ROUTE, "grpcRoute": ROUTE}
POLICY = {"networkPolicy": {"enabled": True}}
SCRAPING = {"config": {"data": {"scrape_configs": [{"job_name": "node"}]}}}
DISCOVERY = {"kubernetesDiscovery": {"enabled": True}}
EXEC = {
    "management": {"enabled": False},
    "client": {"existingSecret": "client-secret"},
    **WEB,
}
MONITORS = {key: {"enabled": True} for key in ("serviceMonitor", "prometheusRule", "dashboard")}
RESIZE = {"persistence": {"resizeJob": {"enabled": True, "image": "example/kubectl:1"}}}

CASES = []


def case(path, value, place, wanted=None, base=None, alone=False):
    """Adds a case. `wanted` is what the place shows; without it, the value."""
    wanted = value if wanted is None else wanted
    CASES.append((path, value, place, wanted, base or {}, alone))


def flag(name):
    return lambda r: r.flag(name)


def metadata(kind, name, part):
    """Returns the labels or annotations of an object."""
    return lambda r: r.find(kind, name)["metadata"].get(part, {})


def includes(get, key):
    """Returns one entry of what `get` returns."""
    return lambda r: get(r).get(key)


def service(name):
    return lambda r: r.find("Service", name)["spec"]


def in_spec(get, key):
    return lambda r: get(r).get(key)


def port(get):
    return lambda r: get(r)["ports"][0]


def pod(key):
    return lambda r: r.pod.get(key)


def probe(name, key):
    return lambda r: r.container[name][key]


def claim(r):
    return r.statefulset["spec"]["volumeClaimTemplates"][0]


def policy(part, key):
    """Returns all values of a key in the rules of a NetworkPolicy."""
    def get(r):
        rules = r.find("NetworkPolicy")["spec"][part]
        return [entry for rule in rules for entry in rule.get(key, [])]
    return get


def one_of(get, wanted):
    """Returns `True` if the list has all wanted entries."""
    return lambda r: all(item in get(r) for item in wanted)


def alert(r):
    return r.find("PrometheusRule")["spec"]["groups"][0]["rules"][0]


def alerts(r):
    groups = r.find("PrometheusRule")["spec"]["groups"]
    return [rule.get("alert") for group in groups for rule in group["rules"]]


def thanos(component):
    return lambda r: r.find("Deployment", f"narthex-{component}")["spec"]


def thanos_container(component, key):
    return lambda r: thanos(component)(r)["template"]["spec"]["containers"][0].get(key)


def sidecar(key):
    return lambda r: r.container_named("thanos-sidecar").get(key)


def has_arg(get, arg):
    return lambda r: arg in get(r)


def test_pod(r):
    return r.find("Pod", "narthex-test")


# Names and images.
case("nameOverride", "store", lambda r: r.statefulset["metadata"]["name"], "narthex-store",
     alone=True)
case("fullnameOverride", "metrics", lambda r: r.statefulset["metadata"]["name"], alone=True)
case("commonLabels", {"team": "a"},
     includes(metadata("StatefulSet", "narthex", "labels"), "team"), "a", alone=True)
case("commonAnnotations", {"note": "b"},
     includes(metadata("StatefulSet", "narthex", "annotations"), "note"), "b", alone=True)
case("global.imageRegistry", "mirror.example.com/", lambda r: r.container["image"],
     "mirror.example.com/narthex:0.1.0", alone=True)
case("global.imagePullSecrets", ["g"], pod("imagePullSecrets"), [{"name": "g"}], alone=True)
case("imagePullSecrets", [{"name": "s"}], pod("imagePullSecrets"), alone=True)
case("image.registry", "r.example.com", lambda r: r.container["image"],
     "r.example.com/narthex:0.1.0", alone=True)
case("image.repository", "team/narthex", lambda r: r.container["image"],
     "team/narthex:0.1.0", alone=True)
case("image.tag", "1.2.3", lambda r: r.container["image"], "narthex:1.2.3", alone=True)
DIGEST = "sha256:" + "0f" * 32
case("image.digest", DIGEST, lambda r: r.container["image"], f"narthex@{DIGEST}", alone=True)
case("image.pullPolicy", "Always", lambda r: r.container["imagePullPolicy"])
case("replicas", 3, lambda r: r.statefulset["spec"]["replicas"], alone=True)

# Configuration.
case("config.data", {"global": {"scrape_interval": "7s"}, "storage": {"exemplars": {
    "max_exemplars": 10000000}}},
     lambda r: (r.config["global"]["scrape_interval"],
                r.config["storage"]["exemplars"]["max_exemplars"]), ("7s", 10000000))
case("config.existingConfigMap", "own",
     lambda r: r.container_volume("config")["configMap"]["name"], alone=True)
case("config.key", "prometheus.yml", flag("--config.file"), "/etc/narthex/config/prometheus.yml")
case("config.reloadInterval", "9s", flag("--config.auto-reload-interval"))
case("config.ignoreUnsupported", True, flag("--config.ignore-unsupported"))
case("restartOn", ["web.http2", "config.data.global.external_labels"],
     lambda r: r.statefulset["spec"]["template"]["metadata"]["annotations"]["checksum/restart"]
     != chart.render().statefulset["spec"]["template"]["metadata"]["annotations"][
         "checksum/restart"], True, alone=True)

# Web.
case("web.externalUrl", "https://a.example.com/x", flag("--web.external-url"))
case("web.routePrefix", "/y", flag("--web.route-prefix"))
case("web.config.existingSecret", "web-a",
     lambda r: r.container_volume("web")["secret"]["secretName"])
case("web.config.key", "web-config.yml", flag("--web.config.file"),
     "/etc/narthex/web/web-config.yml", base=WEB)
case("web.certificates.existingSecret", "certs",
     lambda r: r.container_volume("certificates")["secret"]["secretName"])
case("web.tls", True, lambda r: r.find("ServiceMonitor")["spec"]["endpoints"][0]["scheme"],
     "https", base=chart.merged(WEB, MONITORS))
case("web.healthWithoutAuth", True, flag("--web.health-without-auth"))
case("web.corsOrigin", "https://x", flag("--web.cors.origin"))
case("web.enableLifecycle", True, flag("--web.enable-lifecycle"))
case("web.enableAdminApi", True, flag("--web.enable-admin-api"))
for path, value in (("web.http2", False), ("web.rateLimit", {"interval": "1ms", "burst": 2})):
    case(path, value,
         lambda r: r.statefulset["spec"]["template"]["metadata"]["annotations"]["checksum/restart"]
         != chart.render().statefulset["spec"]["template"]["metadata"]["annotations"][
             "checksum/restart"], True, alone=True)
case("grpc.enabled", False, flag("--grpc.enabled"), "false", alone=True)
case("grpc.auth", "cert", flag("--grpc.auth"), alone=True)
case("management.enabled", False,
     lambda r: [item["name"] for item in r.container["ports"]], ["http"], alone=True)
case("management.metrics", True, flag("--web.management-metrics"))

# Credentials of probes.
case("client.existingSecret", "c2", lambda r: r.container_volume("client")["secret"]["secretName"],
     base=EXEC)
for path, value, arg in (
    ("username", "u", "--username=u"),
    ("passwordKey", "pw", "--password-file=/etc/narthex/client/pw"),
    ("caKey", "ca", "--ca-file=/etc/narthex/client/ca"),
    ("certKey", "c", "--cert-file=/etc/narthex/client/c"),
    ("keyKey", "k", "--key-file=/etc/narthex/client/k"),
    ("serverName", "n", "--server-name=n"),
):
    case(f"client.{path}", value,
         has_arg(lambda r: r.container["livenessProbe"]["exec"]["command"], arg), True, base=EXEC)

# Probes.
case("probes.method", "http", lambda r: r.container["livenessProbe"]["httpGet"]["port"],
     alone=True)
case("probes.startup.budgetSeconds", 7200, probe("startupProbe", "failureThreshold"), 1440,
     alone=True)
case("probes.startup.periodSeconds", 7, probe("startupProbe", "periodSeconds"))
case("probes.startup.timeoutSeconds", 3, probe("startupProbe", "timeoutSeconds"))
for name in ("liveness", "readiness"):
    for key, value in (("periodSeconds", 21), ("timeoutSeconds", 13), ("failureThreshold", 8)):
        case(f"probes.{name}.{key}", value, probe(f"{name}Probe", key))

# Storage.
case("storage.path", "/var/narthex", flag("--storage.tsdb.path"))
case("storage.walSync", "always", flag("--storage.tsdb.wal-sync"))
case("storage.diskReserve", "3GB", flag("--storage.tsdb.disk-reserve"))
case("storage.maxActiveSeries", 20000000, flag("--storage.tsdb.max-active-series"), "20000000")
case("storage.features", ["st-storage", "xor2-encoding"], flag("--enable-feature"),
     "st-storage,xor2-encoding")
case("storage.retention.time", "90d", lambda r: r.config["storage"]["tsdb"]["retention"]["time"])
case("storage.retention.size", "20GB", lambda r: r.config["storage"]["tsdb"]["retention"]["size"],
     alone=True)
case("storage.retention.percentage", 50,
     lambda r: r.config["storage"]["tsdb"]["retention"]["size"], "25600MB", alone=True)

# Volume.
case("persistence.enabled", False,
     lambda r: r.container_volume("data")["emptyDir"], {"sizeLimit": "10Gi"}, alone=True)
case("persistence.existingClaim", "old",
     lambda r: r.container_volume("data")["persistentVolumeClaim"]["claimName"], alone=True)
case("persistence.size", "123Gi",
     lambda r: claim(r)["spec"]["resources"]["requests"]["storage"], alone=True)
case("persistence.storageClass", "fast", lambda r: claim(r)["spec"]["storageClassName"])
case("persistence.accessMode", "ReadWriteOncePod", lambda r: claim(r)["spec"]["accessModes"],
     ["ReadWriteOncePod"])
case("persistence.annotations", {"a": "b"}, lambda r: claim(r)["metadata"]["annotations"])
case("persistence.subPath", "prometheus-db", lambda r: r.container["volumeMounts"][0]["subPath"])
for key in ("whenDeleted", "whenScaled"):
    case(f"persistence.retentionPolicy.{key}", "Delete",
         lambda r, key=key: r.statefulset["spec"]["persistentVolumeClaimRetentionPolicy"][key])
NO_CLAIM = {"persistence": {"enabled": False}}
case("persistence.emptyDir.sizeLimit", "3Gi",
     lambda r: r.container_volume("data")["emptyDir"]["sizeLimit"], base=NO_CLAIM)
case("persistence.emptyDir.medium", "Memory",
     lambda r: r.container_volume("data")["emptyDir"]["medium"], base=NO_CLAIM)
case("persistence.resizeJob.enabled", True, lambda r: r.find("Job")["kind"], "Job",
     base={"persistence": {"resizeJob": {"image": "example/kubectl:1"}}})
case("persistence.resizeJob.image", "example/kubectl:2",
     lambda r: r.find("Job")["spec"]["template"]["spec"]["containers"][0]["image"], base=RESIZE)

# Sizing.
case("sizing.fromMemoryLimit", False, lambda r: r.flag("--web.max-bytes-in-flight") is None, True)
case("resources", {"limits": {"memory": "8Gi", "cpu": "4"}},
     lambda r: (r.container["resources"]["limits"], r.flag("--web.max-bytes-in-flight"),
                r.flag("--scrape.max-bytes-in-flight")),
     ({"memory": "8Gi", "cpu": "4"}, "1024MB", "1024MB"), alone=True)

# Services.
HTTP, GRPC = service("narthex"), service("narthex-grpc")
case("service.type", "LoadBalancer", in_spec(HTTP, "type"))
case("service.annotations", {"a": "b"}, metadata("Service", "narthex", "annotations"))
case("service.ipFamilyPolicy", "PreferDualStack", in_spec(HTTP, "ipFamilyPolicy"))
case("service.ipFamilies", ["IPv6", "IPv4"], in_spec(service("narthex-headless"), "ipFamilies"))
case("service.loadBalancerClass", "internal", in_spec(HTTP, "loadBalancerClass"))
case("service.loadBalancerSourceRanges", ["10.0.0.0/8"],
     in_spec(GRPC, "loadBalancerSourceRanges"))
case("service.externalTrafficPolicy", "Local", in_spec(HTTP, "externalTrafficPolicy"))
for name, get in (("http", HTTP), ("grpc", GRPC)):
    case(f"service.{name}.port", 80, in_spec(port(get), "port"))
    case(f"service.{name}.nodePort", 30123, in_spec(port(get), "nodePort"))
    case(f"service.{name}.appProtocol", "x", in_spec(port(get), "appProtocol"))
case("service.grpc.annotations", {"c": "d"}, metadata("Service", "narthex-grpc", "annotations"))

# Ingress and routes.
def ingress(r):
    return r.find("Ingress")["spec"]


def ingress_path(r):
    return ingress(r)["rules"][0]["http"]["paths"][0]


case("ingress.enabled", True, lambda r: r.find("Ingress")["kind"], "Ingress",
     base={"ingress": {"hosts": ["a.example.com"]}})
case("ingress.className", "nginx", in_spec(ingress, "ingressClassName"), base=INGRESS)
case("ingress.annotations", {"a": "b"}, metadata("Ingress", "narthex", "annotations"),
     base=INGRESS)
case("ingress.hosts", ["b.example.com"], lambda r: [rule["host"] for rule in ingress(r)["rules"]],
     base=INGRESS)
case("ingress.path", "/p", in_spec(ingress_path, "path"), base=INGRESS)
case("ingress.pathType", "Exact", in_spec(ingress_path, "pathType"), base=INGRESS)
case("ingress.tls", [{"secretName": "s"}], in_spec(ingress, "tls"), base=INGRESS)
for name, kind in (("httpRoute", "HTTPRoute"), ("grpcRoute", "GRPCRoute")):
    spec = lambda r, kind=kind: r.find(kind)["spec"]
    rule = lambda r, kind=kind: r.find(kind)["spec"]["rules"][0]
    case(f"{name}.enabled", True, lambda r, kind=kind: r.find(kind)["kind"], kind,
         base={name: {"parentRefs": ROUTE["parentRefs"]}})
    case(f"{name}.annotations", {"a": "b"}, metadata(kind, "narthex", "annotations"), base=ROUTES)
    case(f"{name}.parentRefs", [{"name": "other"}], in_spec(spec, "parentRefs"), base=ROUTES)
    case(f"{name}.hostnames", ["c.example.com"], in_spec(spec, "hostnames"), base=ROUTES)
    case(f"{name}.filters", [{"type": "ExtensionRef"}], in_spec(rule, "filters"), base=ROUTES)
case("httpRoute.path", "/q",
     lambda r: r.find("HTTPRoute")["spec"]["rules"][0]["matches"][0]["path"]["value"], base=ROUTES)
case("httpRoute.timeouts", {"request": "5m"},
     lambda r: r.find("HTTPRoute")["spec"]["rules"][0].get("timeouts"), base=ROUTES)

# NetworkPolicy.
case("networkPolicy.enabled", True, lambda r: r.find("NetworkPolicy")["kind"], "NetworkPolicy",
     alone=True)
for key in ("senders", "scrapers", "probes", "thanos"):
    cidr = [{"ipBlock": {"cidr": f"10.{len(key)}.{ord(key[0])}.0/24"}}]
    case(f"networkPolicy.{key}", cidr, one_of(policy("ingress", "from"), cidr), True, base=POLICY)
ALL_EGRESS = chart.merged(chart.merged(POLICY, DISCOVERY), chart.merged(SCRAPING, {
    "thanos": THANOS["thanos"], "replicas": 3}))
for key in ("dns", "apiServer", "targets", "objectStore"):
    cidr = [{"ipBlock": {"cidr": f"10.{len(key)}.{ord(key[0])}.0/24"}}]
    case(f"networkPolicy.{key}", cidr, one_of(policy("egress", "to"), cidr), True, base=ALL_EGRESS)
case("networkPolicy.apiServerPorts", [6444],
     one_of(policy("egress", "ports"), [{"port": 6444, "protocol": "TCP"}]), True, base=ALL_EGRESS)
case("networkPolicy.objectStorePort", 9000,
     one_of(policy("egress", "ports"), [{"port": 9000, "protocol": "TCP"}]), True, base=ALL_EGRESS)
case("networkPolicy.scraping", True,
     one_of(policy("egress", "to"), [{"namespaceSelector": {}}]), True,
     base=chart.merged(POLICY, {"config": {"existingConfigMap": "own"}}))
EXTRA = [{"ports": [{"port": 7777}]}]
case("networkPolicy.extraIngress", EXTRA,
     lambda r: EXTRA[0] in r.find("NetworkPolicy")["spec"]["ingress"], True, base=POLICY)
case("networkPolicy.extraEgress", EXTRA,
     lambda r: EXTRA[0] in r.find("NetworkPolicy")["spec"]["egress"], True, base=POLICY)

# Access.
case("serviceAccount.create", False, lambda r: len(r.all("ServiceAccount")), 0, alone=True)
case("serviceAccount.name", "sa", pod("serviceAccountName"))
case("serviceAccount.annotations", {"a": "b"},
     lambda r: r.find("ServiceAccount")["metadata"].get("annotations"))
case("kubernetesDiscovery.enabled", True, pod("automountServiceAccountToken"))
case("kubernetesDiscovery.namespaces", ["a", "b"],
     lambda r: [item["metadata"]["namespace"] for item in r.all("Role")], base=DISCOVERY)
case("kubernetesDiscovery.nodeMetrics", True,
     lambda r: "nodes/metrics" in str(r.find("ClusterRole")["rules"]), True, base=DISCOVERY)

# Scheduling.
TWO = {"replicas": 2}
case("podDisruptionBudget.enabled", False, lambda r: len(r.all("PodDisruptionBudget")), 0,
     base=TWO)
case("podDisruptionBudget.maxUnavailable", "50%",
     lambda r: r.find("PodDisruptionBudget")["spec"]["maxUnavailable"],
     base=chart.merged(TWO, {"nodeSelector": {"x": "y"}}))
case("topologySpreadConstraints",
     [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
     lambda r: (r.pod["topologySpreadConstraints"][0]["topologyKey"],
                r.pod["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"]),
     ("zone", {key: "narthex" for key in chart.NAME_LABELS}))
case("affinity", {"nodeAffinity": {}}, pod("affinity"))
case("nodeSelector", {"disk": "ssd"}, pod("nodeSelector"))
case("tolerations", [{"operator": "Exists"}], pod("tolerations"))
case("priorityClassName", "high", pod("priorityClassName"))
case("terminationGracePeriodSeconds", 600, pod("terminationGracePeriodSeconds"))
for key, part in (("podAnnotations", "annotations"), ("podLabels", "labels")):
    case(key, {"k": "v"}, lambda r, part=part:
         r.statefulset["spec"]["template"]["metadata"][part].get("k"), "v")

# Security.
case("openshift", True, lambda r: "runAsUser" in r.pod["securityContext"], False, alone=True)
case("podSecurityContext", {"fsGroup": 7}, lambda r: r.pod["securityContext"]["fsGroup"], 7,
     alone=True)
case("securityContext", {"privileged": False},
     lambda r: r.container["securityContext"].get("privileged"), False)

# Monitoring.
def endpoint(r):
    return r.find("ServiceMonitor")["spec"]["endpoints"][0]


for key, kind in (("serviceMonitor", "ServiceMonitor"), ("prometheusRule", "PrometheusRule")):
    case(f"{key}.enabled", True, lambda r, kind=kind: r.find(kind)["kind"], kind)
    case(f"{key}.labels", {"l": "m"}, includes(metadata(kind, "narthex", "labels"), "l"), "m",
         base=MONITORS)
    case(f"{key}.annotations", {"n": "o"}, metadata(kind, "narthex", "annotations"),
         base=MONITORS)
case("serviceMonitor.interval", "31s", in_spec(endpoint, "interval"), base=MONITORS)
case("serviceMonitor.scrapeTimeout", "11s", in_spec(endpoint, "scrapeTimeout"), base=MONITORS)
case("serviceMonitor.tlsConfig", {"serverName": "x"}, in_spec(endpoint, "tlsConfig"),
     base=MONITORS)
case("serviceMonitor.basicAuth", {"username": {"name": "s", "key": "u"}},
     in_spec(endpoint, "basicAuth"), base=MONITORS)
for key in ("relabelings", "metricRelabelings"):
    case(f"serviceMonitor.{key}", [{"action": "labeldrop", "regex": key}], in_spec(endpoint, key),
         base=MONITORS)
case("prometheusRule.alertLabels", {"team": "x"}, lambda r: alert(r)["labels"].get("team"), "x",
     base=MONITORS)
case("prometheusRule.runbookUrl", "https://r.example.com/n",
     lambda r: alert(r)["annotations"].get("runbook_url"),
     "https://r.example.com/n#narthexingeststopped", base=MONITORS)
case("prometheusRule.disabled", ["NarthexReadOnly"],
     lambda r: "NarthexReadOnly" in alerts(r), False, base=MONITORS)
BOARD = "narthex-dashboard"
case("dashboard.enabled", True,
     lambda r: json.loads(r.find("ConfigMap", BOARD)["data"]["narthex.json"])["title"], "narthex")
case("dashboard.labels", {"folder": "f"},
     includes(metadata("ConfigMap", BOARD, "labels"), "folder"), "f", base=MONITORS)
case("dashboard.annotations", {"a": "b"}, metadata("ConfigMap", BOARD, "annotations"),
     base=MONITORS)
case("test.enabled", False, lambda r: len(r.all("Pod")), 0, alone=True)
case("test.timeout", "33s", has_arg(lambda r: test_pod(r)["spec"]["containers"][0]["args"],
                                    "--timeout=33s"), True)

# Extensions.
case("extraObjects", [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
    "name": "extra", "namespace": "monitoring"}, "data": {"r": "{{ .Release.Name }}"}},
    "apiVersion: v1\nkind: Secret\nmetadata: {name: extra, namespace: monitoring}"],
     lambda r: (r.find("ConfigMap", "extra")["data"]["r"], r.find("Secret", "extra")["kind"]),
     ("narthex", "Secret"))
case("extraArgs", ["--log.level=debug"], flag("--log.level"), "debug")
ENV = {"name": "A", "value": "b"}
case("extraEnv", [ENV], has_arg(lambda r: r.container["env"], ENV), True)
VOLUME = {"name": "v", "emptyDir": {}}
case("extraVolumes", [VOLUME], has_arg(lambda r: r.pod["volumes"], VOLUME), True)
MOUNT = {"name": "v", "mountPath": "/v"}
case("extraVolumeMounts", [MOUNT], has_arg(lambda r: r.container["volumeMounts"], MOUNT), True)
BOX = {"name": "box", "image": "box:1"}
case("extraContainers", [BOX], has_arg(lambda r: r.pod["containers"], BOX), True)
case("initContainers", [BOX], pod("initContainers"))

# Thanos.
case("thanos.enabled", True, lambda r: len(r.all("Deployment")), 2,
     base=chart.merged(THANOS, {"thanos": {"enabled": False}}))
case("thanos.image.registry", "t.example.com", thanos_container("router", "image"),
     "t.example.com/thanosio/thanos:v0.42.4", base=THANOS, alone=True)
case("thanos.image.repository", "x/thanos", thanos_container("query", "image"),
     "x/thanos:v0.42.4", base=THANOS, alone=True)
case("thanos.image.tag", "v1", thanos_container("query", "image"), "thanosio/thanos:v1",
     base=THANOS, alone=True)
case("thanos.image.digest", DIGEST, thanos_container("query", "image"),
     f"thanosio/thanos@{DIGEST}", base=THANOS, alone=True)
case("thanos.image.pullPolicy", "Never", sidecar("imagePullPolicy"), base=THANOS)
case("thanos.tenantLabel", "tenant", flag("--thanos.tenant-label-name"), base=THANOS)
QUERY_ARGS, ROUTER_ARGS = thanos_container("query", "args"), thanos_container("router", "args")
case("thanos.clientTls.existingSecret", "tls2",
     lambda r: thanos("query")(r)["template"]["spec"]["volumes"][1]["secret"]["secretName"],
     base=TLS_THANOS)
for key, value, name in (
    ("caKey", "root.crt", "tls-ca=/etc/thanos/tls/root.crt"),
    ("certKey", "c.crt", "tls-cert=/etc/thanos/tls/c.crt"),
    ("keyKey", "c.key", "tls-key=/etc/thanos/tls/c.key"),
    ("serverName", "store", "server-name=store"),
):
    case(f"thanos.clientTls.{key}", value,
         lambda r, name=name: (f"--remote-write.client-{name}" in ROUTER_ARGS(r),
                               f"--grpc-client-{name}" in QUERY_ARGS(r)),
         (True, True), base=TLS_THANOS)
case("thanos.sidecar.enabled", False, lambda r: len(r.pod["containers"]), 1, base=THANOS,
     alone=True)
for path, name in (("objectStore", "objstore"), ("httpClient", "http-client")):
    case(f"thanos.sidecar.{path}.existingSecret", f"{path}-secret".lower(),
         lambda r, name=name: r.container_volume(name)["secret"]["secretName"], base=THANOS)
    case(f"thanos.sidecar.{path}.key", "k.yml",
         has_arg(sidecar("args"), {
             "objectStore": "--objstore.config-file=/etc/thanos/objstore/k.yml",
             "httpClient":
                 "--prometheus.http-client-file=/etc/thanos/http-client/k.yml"}[path]), True,
         base=chart.merged(THANOS, {"thanos": {"sidecar": {"httpClient": {
             "existingSecret": "x"}}}}))
LIMITS = {"limits": {"memory": "3Gi"}}
for name, get in (
    ("sidecar", sidecar),
    ("router", lambda key: thanos_container("router", key)),
    ("query", lambda key: thanos_container("query", key)),
):
    case(f"thanos.{name}.resources", LIMITS,
         lambda r, get=get: get("resources")(r)["limits"]["memory"], "3Gi", base=THANOS)
    case(f"thanos.{name}.extraArgs", ["--log.level=debug"],
         has_arg(get("args"), "--log.level=debug"), True, base=THANOS)
for name in ("router", "query"):
    case(f"thanos.{name}.replicas", 5, in_spec(thanos(name), "replicas"), base=THANOS)
case("thanos.router.replicationFactor", 3,
     has_arg(ROUTER_ARGS, "--receive.replication-factor=3"), True, base=THANOS)
case("thanos.query.replicaLabels", ["copy"], has_arg(QUERY_ARGS, "--query.replica-label=copy"),
     True, base=THANOS)


def load_generate():
    """Imports helm/generate, which has no suffix."""
    path = str(chart.ROOT / "helm" / "generate")
    loader = importlib.machinery.SourceFileLoader("generate", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("generate", loader))
    loader.exec_module(module)
    return module


def all_values():
    """Returns path and default of each value."""
    generate = load_generate()
    text = (chart.CHART / "values.yaml").read_text()
    return dict(generate.leaves(yaml.safe_load(text), generate.comments(text)))


def overlaps(path, paths):
    return any(
        path == other or path.startswith(other + ".") or other.startswith(path + ".")
        for other in paths
    )


class Values(unittest.TestCase):
    maxDiff = None

    def test_each_value_has_a_case(self):
        paths = {path for path, *_ in CASES}
        values = set(all_values())
        self.assertEqual(values - paths, set(), "values without a case")
        self.assertEqual(paths - values, set(), "cases of unknown values")

    def test_each_value_is_rendered(self):
        batches = []
        for item in CASES:
            path, _, _, _, base, alone = item
            for batch in batches:
                first = batch[0]
                fits = not alone and not first[5] and base == first[4]
                if fits and not overlaps(path, [other[0] for other in batch]):
                    batch.append(item)
                    break
            else:
                batches.append([item])
        renders = []
        for batch in batches:
            values = batch[0][4]
            for path, value, *_ in batch:
                values = chart.merged(values, chart.nested(path, value))
            renders.append((batch, values))
        chart.prepare([values for _, values in renders], helms=["3"])
        for batch, values in renders:
            before, after = chart.render(batch[0][4]), chart.render(values)
            for path, _, place, wanted, *_ in batch:
                with self.subTest(path=path):
                    self.assertEqual(place(after), wanted)
                    try:
                        self.assertNotEqual(place(before), wanted, "shown without the value")
                    except (LookupError, AttributeError, TypeError):
                        pass

    def test_defaults_are_valid(self):
        self.assertEqual(chart.render().text, chart.render(all_nested()).text)


def all_nested():
    """Returns the defaults as values that a user sets."""
    return yaml.safe_load((chart.CHART / "values.yaml").read_text())
