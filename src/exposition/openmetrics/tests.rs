//! Tests of OpenMetrics.
