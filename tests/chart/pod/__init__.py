"""Runs a pod of the render on this machine, without a cluster. Needs root.

| module | part of Kubernetes that it stands for |
|---|---|
| `container` | container runtime: namespaces, root file system, user, capabilities |
| `volumes` | files of ConfigMaps and Secrets as the kubelet writes them |
| `network` | network of a pod |
| `kubelet` | starts and stops containers, mounts volumes, probes |
| `credentials` | Secrets with certificates, keys and users |
| `cluster` | API server, and a pod to scrape |
| `stories` | the scenarios of ci/, from the start of a pod to its end |
"""
