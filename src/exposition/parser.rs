//! Interface of the parsers, and their options.

use crate::exposition::entry::{EntryKind, ExemplarEntry, MetadataEntry, SeriesEntry};
use crate::exposition::label_buffer::LabelBuffer;
use crate::exposition::parse_error::ParseError;

/// Parser over a whole decompressed body. Reads entries in the order of the body.
///
/// The accessors describe the latest entry. They return empty content after an entry of the other
/// kind. Reading entries and series allocates nothing once the buffers of the parser have grown.
pub trait Parser {
    /// Advances to the next entry. Returns `None` at the end of a complete body.
    ///
    /// # Errors
    /// [`ParseError`] if the body is malformed. The parser must not be used after that.
    fn next_entry(&mut self) -> Result<Option<EntryKind>, ParseError>;

    /// Returns the metadata of the latest entry.
    fn metadata(&self) -> MetadataEntry<'_>;

    /// Returns the sample of the latest entry.
    fn series(&self) -> SeriesEntry<'_>;

    /// Replaces the content of `labels` with the labels of the latest series, sorted by name, with
    /// canonical `le` and `quantile`. They are not validated; names can repeat.
    fn labels(&self, labels: &mut LabelBuffer);

    /// Replaces `exemplar` with an exemplar of the latest series, counted from 0. Returns `false`
    /// if the series has no such exemplar.
    fn exemplar(&self, index: usize, exemplar: &mut ExemplarEntry) -> bool;
}

/// Options of parsers, from the configuration of a job and from features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParserOptions {
    /// Whether start timestamps are read. In OpenMetrics, `_created` samples then become start
    /// timestamps; otherwise they are ordinary samples.
    pub start_timestamps: bool,
    /// Whether native histograms are skipped (protobuf only).
    pub ignore_native_histograms: bool,
    /// Whether classic histograms become native histograms with custom buckets.
    pub convert_classic_histograms: bool,
    /// Whether classic histograms are kept in addition to the native ones.
    pub keep_classic_histograms: bool,
}
