"""Serves the fakes of tests/golden/discovery, one step after the other.

At each step, stock clients (py-consul, dnslib, docker, kubernetes, requests) first check that the fakes show the
world of the step. Arguments: a directory for the files, the port of the DNS server.
"""

import gzip
import json
import os
import pathlib
import sys

import consul
import docker
import kubernetes
import requests
from dnslib import DNSRecord
from talk import equal, tell

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "discovery"
sys.path.insert(0, str(GOLDEN))
import fakes  # noqa: E402

DNS_ADDRESS = "127.0.0.77"
PORTS = {"http": 18401, "consul": 18402, "kubernetes": 18403}
RCODES = {"NOERROR": 0, "SERVFAIL": 2, "NXDOMAIN": 3, "REFUSED": 5}


def write_files(folder, before, files):
    """Replaces files as an operator does: by a rename."""
    for path in before.keys() - files.keys():
        os.remove(f"{folder}/{path}")
    for path, text in files.items():
        if before.get(path) != text:
            os.makedirs(os.path.dirname(f"{folder}/{path}"), exist_ok=True)
            with open(f"{folder}/{path}.new", "w") as out:
                out.write(text if isinstance(text, str) else json.dumps(text))
            os.rename(f"{folder}/{path}.new", f"{folder}/{path}")


def check_http(step):
    for path, shown in step["http"].items():
        response = requests.get(f"http://127.0.0.1:{PORTS['http']}{path}", timeout=10)
        equal(response.status_code, shown.get("status", 200), f"status of {path}")
        body = shown["body"]
        equal(response.text, body if isinstance(body, str) else json.dumps(body), f"body of {path}")


def check_consul(step):
    client = consul.Consul(host="127.0.0.1", port=PORTS["consul"])
    world = step["consul"]
    if "error" in world:
        try:
            client.catalog.services()
        except consul.ConsulException as error:
            assert str(world["error"]) in str(error), error
            return
        raise AssertionError("an ill Consul answered")
    _, services = client.catalog.services()
    equal(sorted(services), sorted(world["services"]), "the services of Consul")
    for name, entries in world["services"].items():
        index, found = client.health.service(name)
        equal(found, entries, f"the instances of {name}")
        assert int(index) > 0, index


def name_of(item):
    """Returns namespace and name of an object."""
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def check_kubernetes(before, step, number):
    """Lists all objects, and follows the pods from the version of the step before."""
    config = kubernetes.client.Configuration(host=f"http://127.0.0.1:{PORTS['kubernetes']}")
    with kubernetes.client.ApiClient(config) as api:
        core = kubernetes.client.CoreV1Api(api)
        networking = kubernetes.client.NetworkingV1Api(api)
        lists = {
            "nodes": core.list_node,
            "namespaces": core.list_namespace,
            "pods": core.list_pod_for_all_namespaces,
            "services": core.list_service_for_all_namespaces,
            "endpoints": core.list_endpoints_for_all_namespaces,
            "endpointslices": kubernetes.client.DiscoveryV1Api(api).list_endpoint_slice_for_all_namespaces,
            "ingresses": networking.list_ingress_for_all_namespaces,
            "replicasets": kubernetes.client.AppsV1Api(api).list_replica_set_for_all_namespaces,
            "jobs": kubernetes.client.BatchV1Api(api).list_job_for_all_namespaces,
        }
        world = step["kubernetes"]
        for resource, list_all in lists.items():
            if "error" in world:
                try:
                    list_all(_preload_content=False)
                except kubernetes.client.ApiException as error:
                    equal(error.status, world["error"], f"status of the list of {resource}")
                    continue
                raise AssertionError("an ill API server answered")
            # Not as models: the recorded objects lack required fields that discovery does not read.
            found = json.loads(list_all(_preload_content=False).data)
            equal(sorted(map(name_of, found["items"])), sorted(map(name_of, world[resource])), resource)
            equal(found["metadata"]["resourceVersion"], str(1000 + number), f"version of {resource}")
        if "error" in world or before is None or "error" in before["kubernetes"]:
            return
        then = {name_of(pod): pod for pod in before["kubernetes"]["pods"]}
        now = {name_of(pod): pod for pod in world["pods"]}
        expected = {("DELETED", name) for name in then.keys() - now.keys()}
        expected |= {("ADDED", name) for name in now.keys() - then.keys()}
        expected |= {("MODIFIED", name) for name in now.keys() & then.keys() if now[name] != then[name]}
        watch, found = kubernetes.watch.Watch(), set()
        if expected:
            version = str(1000 + number - 1)
            for event in watch.stream(core.list_pod_for_all_namespaces, resource_version=version, _request_timeout=20):
                found.add((event["type"], name_of(event["raw_object"])))
                if len(found) == len(expected):
                    watch.stop()
        equal(found, expected, "the events of the pods")


def check_docker(step, socket):
    world = step["docker"]
    client = docker.APIClient(base_url=f"unix://{socket}", version="1.47", timeout=10)
    if "error" in world:
        try:
            client.containers()
        except docker.errors.APIError as error:
            equal(error.response.status_code, world["error"], "status of an ill daemon")
            return
        raise AssertionError("an ill daemon answered")
    equal(client.containers(), world["containers"], "the containers")
    equal(client.networks(), world["networks"], "the networks")
    client.close()


def check_dns(step, port):
    for key, entry in step["dns"].items():
        name, kind = key.split(" ")
        if entry.get("drop"):
            continue
        for is_tcp in [False, True]:
            reply = DNSRecord.parse(DNSRecord.question(name, kind).send(DNS_ADDRESS, port, tcp=is_tcp, timeout=10))
            equal(reply.header.rcode, RCODES[entry.get("rcode", "NOERROR")], f"code of {key}")
            is_cut = entry.get("truncate", False) and not is_tcp
            equal(reply.header.tc, int(is_cut), f"truncation of {key}")
            if not is_cut:
                equal(len(reply.rr), len(entry.get("records", [])), f"records of {key}")
    absent = DNSRecord.parse(DNSRecord.question("absent.example.", "A").send(DNS_ADDRESS, port, timeout=10))
    equal(absent.header.rcode, RCODES["NXDOMAIN"], "code of an absent name")


def main(folder, dns_port):
    with gzip.open(GOLDEN / "world.json.gz", "rt") as source:
        steps = json.load(source)["steps"]
    world = fakes.World(steps)
    fakes.Fakes(world, PORTS, folder + "/docker.sock")
    fakes.Dns(world, DNS_ADDRESS, dns_port)
    before = None
    for number, step in enumerate(steps):
        world.now = number
        write_files(folder, before["files"] if before else {}, step["files"])
        check_http(step)
        check_consul(step)
        check_kubernetes(before, step, number)
        check_docker(step, folder + "/docker.sock")
        check_dns(step, dns_port)
        before = step
        tell("shown", number=number, what=step["what"])
        if not sys.stdin.readline():
            break


main(sys.argv[1], int(sys.argv[2]))
