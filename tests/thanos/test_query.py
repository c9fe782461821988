"""Query over two narthex that are replicas of each other: lists, samples, deduplication, shards.
"""

import json
import unittest

import command_lines
import golden
from http_calls import get
from programs import Narthex, Query, SharedProgramsTest, series_key, workspace

REPLICAS = ["r1", "r2"]
CLUSTER = {"cluster": "golden"}
MAX_TIME = (1 << 63) - 1
NUM_SHARDS = 3


class QueryTest(SharedProgramsTest):
    @classmethod
    def setUpClass(cls):
        cls.directory = cls.enterClassContext(workspace())
        cls.narthexes = [
            Narthex(cls.directory, replica, CLUSTER, values=golden.KEEP_ALL) for replica in REPLICAS
        ]
        for narthex in cls.narthexes:
            golden.unpack(narthex)
            cls.enterClassContext(narthex)
        arguments = command_lines.thanos("query", "Read with Thanos Query")
        addresses = [narthex.address for narthex in cls.narthexes]
        cls.query = cls.enterClassContext(Query(cls.directory, arguments, addresses))

    def get(self, path, **parameters):
        return get(self.query.http_port, path, **golden.SECONDS, **parameters)

    def get_from_narthex(self, path, **parameters):
        return get(self.narthexes[0].port, path, **golden.SECONDS, **parameters)

    def test_stores_have_replica_labels_and_open_end(self):
        stores = self.query.stores()
        label_sets = [label_set for store in stores for label_set in store["labelSets"]]
        self.assertCountEqual(label_sets, [{**CLUSTER, "replica": name} for name in REPLICAS])
        self.assertEqual({store["maxTime"] for store in stores}, {MAX_TIME})

    def test_label_lists_include_external_labels(self):
        names = self.get_from_narthex("/api/v1/labels")
        self.assertEqual(self.get("/api/v1/labels"), sorted({*names, *CLUSTER, "replica"}))
        metrics = self.get_from_narthex("/api/v1/label/__name__/values")
        self.assertEqual(self.get("/api/v1/label/__name__/values"), metrics)
        self.assertEqual(self.get("/api/v1/label/cluster/values"), ["golden"])

    def test_series_are_listed_per_replica_or_once(self):
        selector = {"match[]": golden.SELECTOR}
        series = self.get_from_narthex("/api/v1/series", **selector)
        self.assertTrue(series)
        for dedup, copies in [("false", [{"replica": name} for name in REPLICAS]), ("true", [{}])]:
            listed = self.get("/api/v1/series", dedup=dedup, **selector)
            expected = [{**labels, **CLUSTER, **copy} for labels in series for copy in copies]
            self.assertCountEqual(map(series_key, listed), map(series_key, expected), dedup)

    def test_samples_of_both_replicas_are_exact(self):
        view = self.query.samples(golden.SELECTOR, golden.BEGIN, golden.END, dedup=False)
        expected = {}
        for name in REPLICAS:
            expected |= golden.samples(**CLUSTER, replica=name)
        self.assertEqual(golden.printed(view), expected)

    def test_deduplicated_samples_are_exact(self):
        view = self.query.samples(golden.SELECTOR, golden.BEGIN, golden.END)
        self.assertEqual(golden.printed(view), golden.samples(**CLUSTER))

    def test_each_series_is_in_one_shard(self):
        parameters = {"query": f"count by (__name__) ({golden.SELECTOR})", "step": 60}
        complete = self.get("/api/v1/query_range", **parameters)["result"]
        shards = [
            self.get("/api/v1/query_range", shard_info=shard_info(index), **parameters)["result"]
            for index in range(NUM_SHARDS)
        ]
        sharded = [json.dumps(series) for shard in shards for series in shard]
        self.assertCountEqual(sharded, map(json.dumps, complete))
        self.assertGreater(sum(bool(shard) for shard in shards), 1)

    def test_exemplars_and_metadata_are_empty(self):
        self.assertEqual(self.get("/api/v1/query_exemplars", query=golden.SELECTOR), [])
        self.assertEqual(self.get("/api/v1/metadata"), {})


def shard_info(index):
    labels = ["__name__"]
    return json.dumps(
        {"shard_index": index, "total_shards": NUM_SHARDS, "by": True, "labels": labels}
    )


if __name__ == "__main__":
    unittest.main()
