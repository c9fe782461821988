"""The HTTP API with a stock client of Prometheus: labels, series, metadata, the lists of targets, and the response to PromQL.

Argument: the port. The test has written `up` of two jobs and `http_requests_total` of one of them.
"""

import datetime
import sys

from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from talk import equal, tell

# 2025-11-05T00:00:00Z, the time of the samples.
TIME = datetime.datetime(2025, 11, 5, tzinfo=datetime.timezone.utc)
MINUTE = datetime.timedelta(minutes=1)


def error_of(call):
    """The text of the exception that a call must raise."""
    try:
        found = call()
    except PrometheusApiClientException as error:
        return str(error)
    raise AssertionError(f"{found!r} instead of an error")


def main():
    client = PrometheusConnect(url=f"http://127.0.0.1:{int(sys.argv[1])}")
    equal(client.check_prometheus_connection(), True, "connection")

    equal(client.all_metrics(), ["http_requests_total", "up"], "metrics")
    equal(client.get_label_names(), ["__name__", "job"], "label names")
    equal(client.get_label_values("job"), ["api", "node"], "values")
    of_requests = {"match[]": "http_requests_total"}
    equal(client.get_label_values("job", params=of_requests), ["api"], "values with a matcher")
    node = {"__name__": "up", "job": "node"}
    series = client.get_series(TIME - MINUTE, TIME + MINUTE, params={"match[]": '{job="node"}'})
    equal(series, [node], "series")
    equal(client.get_series(TIME + MINUTE, TIME + MINUTE, params={"match[]": "up"}), [], "no series")

    metadata = client.get_metric_metadata("up")
    equal([(entry["metric_name"], entry["type"]) for entry in metadata], [("up", "gauge")], "metadata")
    targets = client.get_targets()
    equal((targets["activeTargets"], targets["droppedTargets"]), ([], []), "targets")
    equal(client.get_scrape_pools(), [], "scrape pools")
    equal(client.get_target_metadata({"job": "node"}), [], "metadata of targets")

    invalid = error_of(lambda: client.get_label_values("job", params={"match[]": "{"}))
    if "400" not in invalid or "bad_data" not in invalid or "parse error" not in invalid:
        raise AssertionError(invalid)
    for promql in (
        lambda: client.custom_query("up"),
        lambda: client.custom_query_range("up", TIME, TIME + MINUTE, "15s"),
        lambda: client.get_current_metric_value("up"),
    ):
        text = error_of(promql)
        if "404" not in text or "PromQL is not supported" not in text:
            raise AssertionError(text)
    tell("done")


main()
