"""Senders that write without pause through a router and retry as Prometheus does.

The samples of a request are a function of the sender and of the number of the request. A sender
has one request at a time, so a count of acknowledged requests names all acknowledged samples.
"""

import collections
import http.client
import threading
import time

import remote_write
from http_calls import TIMEOUT, wait_until
from programs import series_key

NUM_SENDERS = 6
SERIES_PER_SENDER = 20
SAMPLES_PER_REQUEST = 5
INTERVAL_MS = 100
RETRY_SECONDS = 0.03
# Statuses of a router after which a sender retries.
RETRIED_STATUSES = {500, 503}
METRIC = "load"
TENANT = "blue"


class Sender(threading.Thread):
    """Sender with its own series and connection."""

    def __init__(self, port, number, begin):
        """`begin` is the first timestamp, in ms."""
        super().__init__(name=f"sender {number}")
        self.number = number
        self.begin = begin
        self.num_acknowledged = 0
        self.is_waiting = False
        self.must_stop = False
        self.statuses = collections.Counter()
        self.error = None
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)

    def series(self):
        """Returns the labels of all series."""
        common = {"__name__": METRIC, "sender": str(self.number)}
        return [{**common, "series": str(index)} for index in range(SERIES_PER_SENDER)]

    def samples(self, series_index, request_number):
        """Returns the samples of a series in a request, (t, value)."""
        first = request_number * SAMPLES_PER_REQUEST
        for index in range(first, first + SAMPLES_PER_REQUEST):
            yield self.begin + index * INTERVAL_MS, index + series_index / 64 + self.number / 4096

    def acknowledged_samples(self, num_requests):
        """Returns the samples of the first requests, {label pairs: {t: value}}, with the tenant."""
        return {
            series_key({**labels, "tenant_id": TENANT}): {
                t: value
                for request_number in range(num_requests)
                for t, value in self.samples(index, request_number)
            }
            for index, labels in enumerate(self.series())
        }

    def run(self):
        try:
            while not self.must_stop:
                self._write(self.num_acknowledged)
                self.num_acknowledged += 1
        except Exception as error:
            self.error = error
        finally:
            self.connection.close()

    def _write(self, request_number):
        """Sends a request until it is acknowledged."""
        series = [
            remote_write.encode_series(labels, self.samples(index, request_number))
            for index, labels in enumerate(self.series())
        ]
        body = remote_write.compress(b"".join(series))
        deadline = time.monotonic() + TIMEOUT
        while True:
            status, text = self._post(body)
            self.statuses[status] += 1
            if status == 200:
                return
            assert status in RETRIED_STATUSES, f"{self.name}: {status} {text}"
            assert time.monotonic() < deadline, f"{self.name}: still {status} {text}"
            time.sleep(RETRY_SECONDS)

    def _post(self, body):
        headers = {**remote_write.HEADERS, "THANOS-TENANT": TENANT}
        self.is_waiting = True
        try:
            self.connection.request("POST", "/api/v1/receive", body, headers)
            response = self.connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        finally:
            self.is_waiting = False


class Load:
    """Several senders, which run while the context is active."""

    def __init__(self, router, begin):
        self.begin = begin
        self.senders = [Sender(router.port, number, begin) for number in range(NUM_SENDERS)]

    def __enter__(self):
        for sender in self.senders:
            sender.start()
        return self

    def __exit__(self, error_type, *_):
        for sender in self.senders:
            sender.must_stop = True
        for sender in self.senders:
            sender.join()
        if error_type is None:
            self._raise_errors()

    def _raise_errors(self):
        for sender in self.senders:
            if sender.error is not None:
                raise sender.error

    def _wait_until(self, description, condition):
        def checked():
            self._raise_errors()
            return condition()

        wait_until(description, checked)

    def counts(self):
        """Returns the number of acknowledged requests of each sender."""
        return [sender.num_acknowledged for sender in self.senders]

    def statuses(self):
        """Returns the number of responses by status."""
        return sum((sender.statuses for sender in self.senders), collections.Counter())

    def wait_for_acknowledgements(self, num_more):
        """Waits until each sender has this many more acknowledged requests."""
        targets = [count + num_more for count in self.counts()]

        def is_reached():
            return all(count >= target for count, target in zip(self.counts(), targets))

        self._wait_until(f"{num_more} more acknowledged requests per sender", is_reached)

    def wait_for_rejections(self):
        """Waits until each sender has got another status that it retries after."""

        def num_rejections(sender):
            return sum(sender.statuses[status] for status in RETRIED_STATUSES)

        before = {sender: num_rejections(sender) for sender in self.senders}
        self._wait_until(
            "rejections of all senders",
            lambda: all(num_rejections(sender) > count for sender, count in before.items()),
        )

    def kill(self, program):
        """Kills a program while most senders wait for a response."""
        self._wait_until(
            "requests in flight",
            lambda: sum(sender.is_waiting for sender in self.senders) > NUM_SENDERS / 2,
        )
        program.kill()

    def acknowledged_samples(self, counts=None):
        """Returns the samples of this many requests of each sender, without `counts` of all that
        are acknowledged, as {label pairs: {t: value}}.
        """
        counts = counts or self.counts()
        samples = {}
        for sender, count in zip(self.senders, counts):
            samples |= sender.acknowledged_samples(count)
        return samples

    def end(self):
        """Returns a timestamp after all samples."""
        return self.begin + (max(self.counts()) + 1) * SAMPLES_PER_REQUEST * INTERVAL_MS
