"""Runs the containers of a rendered pod as the kubelet does: volumes, environment, probes, end."""

import functools
import http.client
import json
import os
import pathlib
import re
import signal
import ssl
import subprocess
import sys
import time

from pod import network, volumes

BINARY = pathlib.Path(os.environ["NARTHEX"])
SCRIPT = pathlib.Path(__file__).resolve().parent / "container.py"
# Namespaces of a container; its network is that of the pod.
NAMESPACES = ("--mount", "--pid", "--ipc", "--uts")
POD_ADDRESS = "10.244.0.7"
API_SERVER = "10.96.0.1"
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
# User and group that OpenShift assigns to a pod without them.
ASSIGNED = {"runAsUser": 1000650000, "runAsGroup": 0, "fsGroup": 1000650000}
# Time between two checks of a condition, seconds. The kubelet's periods are longer.
POLL = 0.05


def wait_until(what, condition, timeout):
    """Returns the first true result of `condition`. The time limit is in seconds."""
    end = time.monotonic() + timeout
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(POLL)
    return found


@functools.cache
def image_files():
    """Returns the files of the image: narthex, and the libraries of a binary that is not static."""
    done = subprocess.run(["ldd", BINARY], capture_output=True, text=True)
    libraries = re.findall(r"(/\S+) \(0x", done.stdout)
    return {"/bin/narthex": str(BINARY)} | {path: os.path.realpath(path) for path in libraries}


class Container:
    """A process with a read-only root, which has the files of the image and the mounts.

    | key of `spec` | value |
    |---|---|
    | `command` | path and arguments |
    | `environment` | variables |
    | `uid`, `gid`, `groups` | user, group, further groups |
    | `hostname` | name of the machine |
    | `files` | texts of files in the root, by path |
    | `mounts` | objects with `target`, and `source` and `read_only` or the size `memory` |
    | `read_only_root` | whether the root is read-only |
    """

    def __init__(self, spec, root, log):
        """Starts the command. `root` is an empty directory, and the output goes to `log`."""
        self.spec = spec
        script = [sys.executable, "-I", str(SCRIPT), json.dumps({**spec, "root": str(root)})]
        # Everything ends with this process.
        parent = ["setpriv", "--pdeathsig=KILL", "unshare", *NAMESPACES, "--fork", "--kill-child"]
        self.process = subprocess.Popen(
            [*parent, *script], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )

    @functools.cached_property
    def pid(self):
        """Number of the command outside of its namespace."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")

        def started():
            assert self.process.poll() is None, "the container ended at its start"
            pid = children.read_text().strip()
            # Before the command, the script has this number.
            runs = pid and pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "narthex"
            return int(pid) if runs else None

        return wait_until("the command runs", started, 20)

    def run(self, command, timeout):
        """Runs another command in the container, and kills it after the timeout, seconds."""
        names = (*NAMESPACES, "--root", "--wd")
        ids = (f"--setgid={self.spec['gid']}", f"--setuid={self.spec['uid']}")
        enter = ["setpriv", "--no-new-privs", "nsenter", f"--target={self.pid}", *names, *ids]
        environment = {**self.spec["environment"], "PATH": os.environ["PATH"]}
        return subprocess.run(
            [*enter, *command], env=environment, capture_output=True, text=True, timeout=timeout
        )

    def wait(self):
        """Waits for the end. Returns the exit code, and the peak of the memory, bytes."""
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return self.process.returncode, usage.ru_maxrss * 1024

    def stop(self, grace):
        """Sends SIGTERM. Returns the exit code; an error after the grace period, seconds."""
        os.kill(self.pid, signal.SIGTERM)
        return self.process.wait(timeout=grace)

    def kill(self):
        """Kills the container, if it runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def status(self):
        """Returns the fields of /proc/PID/status."""
        lines = pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return {name: value.split() for name, value in (line.split(":", 1) for line in lines)}

    def path(self, path):
        """Returns the path of a file of the container for this process."""
        return pathlib.Path(f"/proc/{self.pid}/root") / path.lstrip("/")


class Pod:
    """A pod of the StatefulSet, in the network of the thread that creates it.

    Volumes are kept when its container is started again.
    """

    def __init__(self, folder, rendered, secrets):
        """Creates the pod.

        `secrets` has the files of the Secrets that an operator creates, by name. Set `account` to
        the files of the service account if the pod has its token.
        """
        self.folder = folder
        self.rendered = rendered
        self.secrets = secrets
        self.account = None
        self.name = f"{rendered.statefulset['metadata']['name']}-0"
        self.namespace = rendered.statefulset["metadata"]["namespace"]
        self.volumes = {}
        self.container = None
        self.log = open(folder / "log", "ab")
        network.enter_new([POD_ADDRESS, API_SERVER])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.container:
            self.container.kill()
        self.log.close()

    def start(self, rendered=None):
        """Starts narthex, with another render of the same release if one is passed."""
        self.rendered = rendered or self.rendered
        spec = self.spec(self.rendered.pod, self.rendered.container)
        self.container = Container(spec, self.empty_folder(), self.log)

    def stop(self):
        """Stops narthex within the grace period, and returns its exit code."""
        code = self.container.stop(self.rendered.pod["terminationGracePeriodSeconds"])
        self.container = None
        return code

    def run_helm_test(self):
        """Runs the container of the pod of `helm test` that tests this pod, in its network.

        Returns exit code, output, peak of its memory and the limit of it, bytes.
        """
        pod = self.rendered.find("Pod", f"{self.rendered.statefulset['metadata']['name']}-test")
        container, *_ = pod["spec"]["containers"]
        with open(self.folder / "test", "w+b") as log:
            spec = self.spec(pod["spec"], container)
            code, peak = Container(spec, self.empty_folder(), log).wait()
            log.seek(0)
            output = log.read().decode()
        limit = container["resources"]["limits"]["memory"]
        return code, output, peak, int(limit.removesuffix("Mi")) << 20

    def empty_folder(self):
        folder = self.folder / f"root-{time.monotonic_ns()}"
        folder.mkdir()
        return folder

    def spec(self, pod, container):
        """Returns the settings of a container, see `Container`."""
        user = {**ASSIGNED, **pod["securityContext"]}
        confined = container["securityContext"]
        assert confined["capabilities"] == {"drop": ["ALL"]}, confined
        assert confined["allowPrivilegeEscalation"] is False, confined
        return {
            "command": container["command"] + container["args"],
            "environment": self.environment(container),
            "uid": user["runAsUser"],
            "gid": user["runAsGroup"],
            "groups": [user["fsGroup"]],
            "hostname": self.name,
            "files": {"/etc/hosts": self.hosts(), "/etc/resolv.conf": ""},
            "mounts": self.mounts(pod, container, user["fsGroup"]),
            "read_only_root": confined["readOnlyRootFilesystem"],
        }

    def environment(self, container):
        """Returns the variables of the render, and those that every container has."""
        fields = {"metadata.name": self.name, "metadata.namespace": self.namespace}
        own = {
            item["name"]: item["value"]
            if "value" in item
            else fields[item["valueFrom"]["fieldRef"]["fieldPath"]]
            for item in container.get("env", [])
        }
        cluster = {"KUBERNETES_SERVICE_HOST": API_SERVER, "KUBERNETES_SERVICE_PORT": "443"}
        return {"PATH": "/bin", "HOSTNAME": self.name} | cluster | own

    def hosts(self):
        """Returns the names of this machine, and those that the DNS of the cluster has."""
        services = [item["metadata"]["name"] for item in self.rendered.all("Service")]
        names = [f"{name}.{self.namespace}.svc" for name in services]
        headless = self.rendered.statefulset["spec"]["serviceName"]
        names.append(f"{self.name}.{headless}.{self.namespace}.svc")
        return f"127.0.0.1 localhost\n::1 localhost\n{POD_ADDRESS} {self.name} {' '.join(names)}\n"

    def mounts(self, pod, container, group):
        found = [
            {"source": source, "target": target, "read_only": True}
            for target, source in image_files().items()
        ]
        if pod.get("automountServiceAccountToken", True):
            source = self.volume("account", lambda path: volumes.AtomicVolume(
                path, self.account, 0o600, group))
            found.append({"source": source, "target": ACCOUNT, "read_only": True})
        for mount in container.get("volumeMounts", []):
            target = {"target": mount["mountPath"], "read_only": mount.get("readOnly", False)}
            found.append(target | self.source(pod, mount, group))
        return found

    def source(self, pod, mount, group):
        """Returns the source of a mount, see `Container`."""
        name = mount["name"]
        volume = next((item for item in pod.get("volumes", []) if item["name"] == name), None)
        if volume and volume.get("emptyDir", {}).get("medium") == "Memory":
            return {"memory": volume["emptyDir"]["sizeLimit"].removesuffix("i")}
        create = functools.partial(volumes.data_volume, group=group)
        if volume and ("configMap" in volume or "secret" in volume):
            kind = volume.get("configMap") or volume["secret"]
            create = functools.partial(
                volumes.AtomicVolume,
                files=self.files(volume),
                mode=kind.get("defaultMode", 0o644),
                group=group,
            )
        # A path in the volume is resolved once, so a later change of the volume is not seen.
        return {"source": f"{self.volume(name, create)}/{mount.get('subPath', '')}"}

    def files(self, volume):
        """Returns the files of a ConfigMap of the render, or of a Secret of the operator."""
        if "configMap" in volume:
            return self.rendered.find("ConfigMap", volume["configMap"]["name"])["data"]
        return self.secrets[volume["secret"]["secretName"]]

    def add_volume(self, name, group):
        """Returns the directory of a data volume that exists before the pod."""
        return pathlib.Path(self.volume(name, functools.partial(volumes.data_volume, group=group)))

    def volume(self, name, create):
        """Returns the directory of a volume. The first use creates it."""
        path = self.folder / "volumes" / name
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            self.volumes[name] = create(path)
        return str(path)

    def probe(self, name):
        """Returns `True` if a probe of narthex succeeds."""
        probe = self.rendered.container[name]
        timeout = probe["timeoutSeconds"]
        if "exec" not in probe:
            return self.http_probe(probe["httpGet"], timeout)
        try:
            return self.container.run(probe["exec"]["command"], timeout).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def http_probe(self, get, timeout):
        """Sends the request of a probe. Certificates are not verified."""
        ports = {item["name"]: item["containerPort"] for item in self.rendered.container["ports"]}
        options = {"host": POD_ADDRESS, "port": ports[get["port"]], "timeout": timeout}
        if get.get("scheme", "HTTP") == "HTTPS":
            context = ssl._create_unverified_context()
            connection = http.client.HTTPSConnection(**options, context=context)
        else:
            connection = http.client.HTTPConnection(**options)
        try:
            connection.request("GET", get["path"], headers={"Connection": "close"})
            return 200 <= connection.getresponse().status < 400
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def wait_started(self):
        """Waits for the startup probe as long as the kubelet would, at most a minute."""
        probe = self.rendered.container["startupProbe"]
        seconds = min(60, probe["periodSeconds"] * probe["failureThreshold"])
        wait_until("the startup probe succeeds", lambda: self.probe("startupProbe"), seconds)
