"""Metrics of rules and dashboards exist in a running narthex, which the stories of pods start."""

import fnmatch
import json
import re
import unittest

import yaml

import chart
from pod import stories

# Metrics of alerts and dashboards in documentation/prometheus-mixin of Prometheus 3.14.
MIXIN = """
process_start_time_seconds
prometheus_build_info
prometheus_config_last_reload_successful
prometheus_engine_queries
prometheus_engine_queries_concurrent_max
prometheus_engine_query_duration_seconds
prometheus_engine_query_duration_seconds_count
prometheus_notifications_alertmanagers_discovered
prometheus_notifications_errors_total
prometheus_notifications_queue_capacity
prometheus_notifications_queue_length
prometheus_notifications_sent_total
prometheus_remote_storage_dropped_samples_total
prometheus_remote_storage_enqueue_retries_total
prometheus_remote_storage_failed_samples_total
prometheus_remote_storage_pending_samples
prometheus_remote_storage_queue_highest_sent_timestamp_seconds
prometheus_remote_storage_queue_highest_timestamp_seconds
prometheus_remote_storage_retried_samples_total
prometheus_remote_storage_samples_dropped_total
prometheus_remote_storage_samples_failed_total
prometheus_remote_storage_samples_in_total
prometheus_remote_storage_samples_pending
prometheus_remote_storage_samples_retried_total
prometheus_remote_storage_samples_total
prometheus_remote_storage_shard_capacity
prometheus_remote_storage_shards
prometheus_remote_storage_shards_desired
prometheus_remote_storage_shards_max
prometheus_remote_storage_shards_min
prometheus_remote_storage_succeeded_samples_total
prometheus_rule_evaluation_failures_total
prometheus_rule_group_iterations_missed_total
prometheus_rule_group_rules
prometheus_sd_discovered_targets
prometheus_sd_kubernetes_failures_total
prometheus_sd_refresh_failures_total
prometheus_target_interval_length_seconds_count
prometheus_target_interval_length_seconds_sum
prometheus_target_metadata_cache_entries
prometheus_target_scrape_pool_exceeded_label_limits_total
prometheus_target_scrape_pool_exceeded_target_limit_total
prometheus_target_scrapes_exceeded_body_size_limit_total
prometheus_target_scrapes_exceeded_sample_limit_total
prometheus_target_scrapes_sample_duplicate_timestamp_total
prometheus_target_scrapes_sample_out_of_bounds_total
prometheus_target_scrapes_sample_out_of_order_total
prometheus_target_sync_failed_total
prometheus_target_sync_length_seconds_sum
prometheus_tsdb_clean_start
prometheus_tsdb_compactions_failed_total
prometheus_tsdb_head_chunks
prometheus_tsdb_head_samples_appended_total
prometheus_tsdb_head_series
prometheus_tsdb_reloads_failures_total
prometheus_tsdb_wal_segment_current
prometheus_wal_watcher_current_segment
""".split()


def exposed(*names):
    """Returns the names of all series that the pods of these stories expose."""
    return set().union(*[stories.start_all()[name].result() for name in names])


def used(text):
    """Returns the names of metrics in an expression or a query of a variable."""
    return set(re.findall(r"\b(?:narthex|prometheus|process|net_conntrack)_[a-z0-9_]+", text))


class Metrics(unittest.TestCase):
    def test_metrics_of_alerts_exist(self):
        rules = yaml.safe_load((chart.CHART / "files/rules.yaml").read_text())
        # The expiry of the certificate exists with TLS only.
        known = exposed("default", "tls")
        for rule in [rule for group in rules["groups"] for rule in group["rules"]]:
            with self.subTest(rule=rule.get("alert", rule.get("record"))):
                names = used(rule["expr"])
                self.assertTrue(names)
                self.assertEqual(names - known, set())

    def test_metrics_of_the_dashboard_exist(self):
        board = json.loads((chart.CHART / "files/dashboard.json").read_text())
        queries = {panel["title"]: [target["expr"] for target in panel["targets"]]
                   for panel in board["panels"]}
        queries |= {item["name"]: [item["query"]["query"]]
                    for item in board["templating"]["list"] if item["type"] == "query"}
        known = exposed("default")
        for title, expressions in queries.items():
            for expression in expressions:
                with self.subTest(title=title):
                    self.assertTrue(used(expression))
                    self.assertEqual(used(expression) - known, set())

    def test_metrics_of_prometheus_mixin_exist_or_are_documented_gaps(self):
        missing = set(MIXIN) - exposed("default", "kubernetes-discovery")
        text = (chart.ROOT / "docs/chart.md").read_text()
        section = text.partition("### Use dashboards and alerts for Prometheus")[2]
        patterns = re.findall(r"`(prometheus_[a-z_]+\*)`", section.partition("\n## ")[0])
        gaps = {name: {metric for metric in MIXIN if fnmatch.fnmatch(metric, name)}
                for name in patterns}
        self.assertEqual(set().union(*gaps.values()), missing)
        self.assertNotIn(set(), gaps.values())
