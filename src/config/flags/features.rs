//! Features that `--enable-feature` selects.

use clap::ValueEnum;

/// Features that are off by default, with Prometheus's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Feature {
    /// Write the head to disk at a clean shutdown, so that the next start does not replay the WAL
    MemorySnapshotOnShutdown,
    /// Write float chunks with encoding xor2, which is smaller than xor
    #[value(name = "xor2-encoding")]
    Xor2Encoding,
    /// No effect: exemplars are always stored, up to storage.exemplars.max_exemplars
    ExemplarStorage,
    /// Store start timestamps of samples; in float chunks this requires xor2-encoding
    StStorage,
    /// Store a zero at the start timestamps that targets expose; scrapes prefer protobuf
    CreatedTimestampZeroIngestion,
    /// Store three more series about each scrape, unless extra_scrape_metrics is set
    ExtraScrapeMetrics,
    /// Store start timestamps in native histogram chunks, too
    HistogramsStEncoding,
}
