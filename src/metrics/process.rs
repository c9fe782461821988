//! Process metrics from `/proc`, named as in Prometheus's client libraries.
//!
//! They are absent on systems without `/proc`.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::fmt;
use std::fs;

/// Clock ticks per second in `/proc/self/stat`: `USER_HZ`, which is 100 on every Linux platform
/// that Rust supports.
const TICKS_PER_SECOND: f64 = 100.0;

/// Collector that reads the metrics at each scrape.
#[derive(Debug)]
pub struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        if let Some(stat) =
            fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(ProcStat::parse)
        {
            counter(
                &mut encoder,
                "process_cpu_seconds",
                "Total user and system CPU time spent in seconds.",
                stat.cpu,
            )?;
            gauge(
                &mut encoder,
                "process_virtual_memory_bytes",
                "Virtual memory size in bytes.",
                stat.virtual_bytes,
            )?;
            gauge(&mut encoder, "process_threads", "Number of threads.", stat.threads)?;
            if let Some(boot) = boot_time() {
                let help = "Start time of the process since unix epoch in seconds.";
                gauge(&mut encoder, "process_start_time_seconds", help, boot + stat.start)?;
            }
        }
        if let Some(resident) = resident_bytes() {
            gauge(
                &mut encoder,
                "process_resident_memory_bytes",
                "Resident memory size in bytes.",
                resident,
            )?;
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            // Listing the directory opens one descriptor itself.
            let open = open.count().saturating_sub(1);
            gauge(
                &mut encoder,
                "process_open_fds",
                "Number of open file descriptors.",
                open as f64,
            )?;
        }
        if let Some(max) = max_open_files() {
            gauge(
                &mut encoder,
                "process_max_fds",
                "Maximum number of open file descriptors.",
                max,
            )?;
        }
        Ok(())
    }
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> fmt::Result {
    ConstCounter::new(value).encode(encoder.encode_descriptor(
        name,
        help,
        None,
        MetricType::Counter,
    )?)
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> fmt::Result {
    ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

/// Fields of `/proc/self/stat`. Times are in seconds, `start` is relative to boot.
#[derive(Debug, PartialEq)]
struct ProcStat {
    cpu: f64,
    threads: f64,
    start: f64,
    virtual_bytes: f64,
}

impl ProcStat {
    /// Parses the line. Source: proc_pid_stat(5). Only the second field, the command, may contain
    /// blanks and parentheses.
    fn parse(line: &str) -> Option<Self> {
        let (_, after_command) = line.rsplit_once(')')?;
        let fields: Vec<&str> = after_command.split_ascii_whitespace().collect();
        // Fields are numbered as in the manual; the first one after the command is 3.
        let number = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
        Some(Self {
            cpu: (number(14)? + number(15)?) / TICKS_PER_SECOND,
            threads: number(20)?,
            start: number(22)? / TICKS_PER_SECOND,
            virtual_bytes: number(23)?,
        })
    }
}

/// Boot time, seconds since the Unix epoch.
fn boot_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// Resident memory, bytes. `/proc/self/stat` has it in pages, whose size depends on the machine.
fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024.0)
}

fn max_open_files() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let soft = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?
        .split_ascii_whitespace()
        .next()?;
    soft.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::ProcStat;

    #[test]
    fn command_with_blanks_does_not_shift_fields() {
        let line = "42 (a) b) c) S 1 2 3 4 5 6 7 8 9 10 250 150 0 0 20 0 7 0 12345 4096000 100 \
                    18446744073709551615";
        let stat = ProcStat { cpu: 4.0, threads: 7.0, start: 123.45, virtual_bytes: 4_096_000.0 };
        assert_eq!(ProcStat::parse(line), Some(stat));
        assert_eq!(ProcStat::parse("42 (a) S 1"), None);
    }
}
