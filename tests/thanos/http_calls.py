"""HTTP on the loopback interface, without proxies."""

import http.client
import json
import socket
import time
import urllib.parse

# Seconds. Longer than any response takes on a slow, busy machine; it only bounds a hanging test.
TIMEOUT = 60


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def call(port, path, method="GET", body=None, headers=None):
    """Returns status and text of the response."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    finally:
        connection.close()


def with_query(path, parameters):
    return f"{path}?{urllib.parse.urlencode(parameters, doseq=True)}"


def is_ready(port):
    return call(port, "/-/ready")[0] == 200


def get(port, path, allow_warnings=False, **parameters):
    """Returns the data of a JSON response of Prometheus's API, which must be successful. A response
    with warnings is incomplete.
    """
    status, text = call(port, with_query(path, parameters))
    assert status == 200, f"{path} {parameters}: {status} {text}"
    response = json.loads(text)
    assert response["status"] == "success", response
    assert allow_warnings or not response.get("warnings"), response["warnings"]
    return response["data"]


def wait_until(description, condition, timeout=TIMEOUT):
    """Waits until `condition()` is true; a failed connection counts as false."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.05)
    raise AssertionError(f"timed out after {timeout} s: {description}")
