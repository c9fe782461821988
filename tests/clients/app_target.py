"""Scrape target made with prometheus_client: a metric of each type, with constant values.

Arguments: the port, and a generation, 1 or 2. The second one lacks one metric of the first and has a new one.
"""

import sys
import threading

from prometheus_client import Counter, Enum, Gauge, Histogram, Info, Summary, start_http_server
from talk import tell

PORT, GENERATION = int(sys.argv[1]), sys.argv[2]

requests = Counter("app_requests", "Requests by method.", ["method", "path"])
requests.labels("GET", "/").inc(5, exemplar={"trace_id": "abc"})
requests.labels("POST", 'a"b\\c\nd').inc(0.25)
Gauge("app_temperature_celsius", "A negative value.").set(-1.5)
sizes = Histogram("app_size_bytes", "Sizes.", buckets=[1, 2.5, 1000, 1e6, 1e9])
for size in [0.5, 2, 2000, 5e9]:
    sizes.observe(size)
Summary("app_latency_seconds", "A summary.").observe(0.125)
Info("app_build", "Build.").info({"version": GENERATION, "commit": "é"})
Enum("app_state", "State.", states=["starting", "running"]).state("running")
Gauge(f"app_only_in_{GENERATION}", "A metric of one generation.").set(float("inf"))

start_http_server(PORT, "127.0.0.1")
tell("listening")
threading.Event().wait()
