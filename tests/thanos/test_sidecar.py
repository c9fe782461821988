"""A Sidecar next to narthex, with a directory as object store: it uploads the blocks with the
external labels, and Query reads through it.
"""

import json
import unittest

import command_lines
import golden
from http_calls import get, wait_until
from programs import Narthex, Query, SharedProgramsTest, Sidecar, series_key, workspace

SECTION = "Run Thanos Sidecar"
EXTERNAL_LABELS = {"cluster": "golden", "replica": "r1"}
DELAY_COMPACT_FLAG = "--storage.tsdb.delay-compact-file.path"
# HTTP handlers of the lists.
LISTS = ["/api/v1/label/{name}/values", "/api/v1/labels", "/api/v1/series"]


class SidecarTest(SharedProgramsTest):
    @classmethod
    def setUpClass(cls):
        cls.directory = cls.enterClassContext(workspace())
        cls.shipper_file = cls.directory / "r1/data/thanos.shipper.json"
        arguments = command_lines.documented("narthex", SECTION)
        assert DELAY_COMPACT_FLAG in command_lines.flags(arguments)
        values = {**golden.KEEP_ALL, DELAY_COMPACT_FLAG: str(cls.shipper_file)}
        cls.narthex = Narthex(cls.directory, "r1", {"cluster": "golden"}, arguments, values)
        golden.unpack(cls.narthex)
        cls.enterClassContext(cls.narthex)
        # Some of the golden blocks are compacted.
        extra = {"--shipper.upload-compacted": None}
        arguments = command_lines.thanos("sidecar", SECTION)
        sidecar = Sidecar(cls.directory, arguments, cls.narthex, extra)
        cls.sidecar = cls.enterClassContext(sidecar)
        arguments = command_lines.thanos("query", "Read with Thanos Query")
        query = Query(cls.directory, arguments, [f"127.0.0.1:{sidecar.grpc_port}"])
        cls.query = cls.enterClassContext(query)

    def get(self, path, **parameters):
        return get(self.query.http_port, path, **golden.SECONDS, **parameters)

    def get_from_narthex(self, path, **parameters):
        return get(self.narthex.port, path, **golden.SECONDS, **parameters)

    def num_requests(self):
        """Returns the number of requests for each of the lists."""
        name = "prometheus_http_requests_total"
        return [self.narthex.metric(name, handler=handler) for handler in LISTS]

    def test_blocks_are_uploaded_with_external_labels(self):
        blocks = [meta.parent for meta in self.narthex.data.glob("*/meta.json")]
        self.assertTrue(blocks)
        for block in blocks:
            uploaded = self.sidecar.bucket / block.name
            # Sidecar uploads meta.json last.
            wait_until("upload", (uploaded / "meta.json").exists)
            meta, uploaded_meta = (
                json.loads((directory / "meta.json").read_text())
                for directory in (block, uploaded)
            )
            self.assertEqual(uploaded_meta["thanos"]["labels"], EXTERNAL_LABELS)
            for name in ("ulid", "minTime", "maxTime", "stats"):
                self.assertEqual(uploaded_meta[name], meta[name], name)
            for path in [block / "index", *block.glob("chunks/*")]:
                copy = uploaded / path.relative_to(block)
                self.assertEqual(copy.read_bytes(), path.read_bytes(), copy)

    def test_list_of_uploads_is_delay_compact_file(self):
        def has_all():
            uploaded = json.loads(self.shipper_file.read_text())["uploaded"]
            blocks = [meta.parent.name for meta in self.narthex.data.glob("*/meta.json")]
            return set(uploaded) >= set(blocks)

        wait_until("the list of uploads", has_all)

    def test_series_and_samples_are_exact(self):
        selector = {"match[]": golden.SELECTOR}
        series = self.get_from_narthex("/api/v1/series", **selector)
        expected = [series_key({**labels, **EXTERNAL_LABELS}) for labels in series]
        listed = self.get("/api/v1/series", dedup="false", **selector)
        self.assertCountEqual(map(series_key, listed), expected)
        view = self.query.samples(golden.SELECTOR, golden.BEGIN, golden.END, dedup=False)
        self.assertEqual(golden.printed(view), golden.samples(**EXTERNAL_LABELS))

    def test_label_lists_with_matchers_do_not_read_series(self):
        """Sidecar derives from the version in buildinfo that lists accept matchers."""
        names = self.get_from_narthex("/api/v1/labels")
        self.assertEqual(self.get("/api/v1/labels"), sorted({*names, *EXTERNAL_LABELS}))
        metrics = self.get_from_narthex("/api/v1/label/__name__/values")
        self.assertEqual(self.get("/api/v1/label/__name__/values"), metrics)
        self.assertEqual(self.get("/api/v1/label/cluster/values"), ["golden"])

        before = self.num_requests()
        selector = {"match[]": f"{{__name__={json.dumps(metrics[0])}}}"}
        self.assertEqual(self.get("/api/v1/label/__name__/values", **selector), metrics[:1])
        self.assertIn("__name__", self.get("/api/v1/labels", **selector))
        after = self.num_requests()
        values, labels, series = (end - begin for begin, end in zip(before, after))
        self.assertGreater(values, 0)
        self.assertGreater(labels, 0)
        self.assertEqual(series, 0)


if __name__ == "__main__":
    unittest.main()
