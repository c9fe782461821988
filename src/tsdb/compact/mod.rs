//! Compaction: planning (pure functions of block summaries) and execution; selection for retention.
//!
//! | module | contents |
//! |--------|----------|
//! | [`block_summary`] | summary of a block for planning |
//! | [`ranges`] | block ranges |
//! | [`plan`] | selection of the blocks to compact next, pure |
//! | [`groups`] | groups of blocks: overlapping, or in one aligned range, pure |
//! | [`retention`] | selection of expired blocks, pure |
//! | [`lineage`] | level, sources, parents and hints of a new block, pure |
//! | [`merge`] | several sources as one stream of series, with copied or re-encoded chunks |
//! | [`mod@write`] | writing of a block from sources |
//! | [`execute`] | execution of compaction plans |
//! | [`stats`] | counters of written data |

pub mod block_summary;
pub mod execute;
pub mod groups;
pub mod lineage;
pub mod merge;
pub mod plan;
pub mod ranges;
pub mod retention;
pub mod stats;
pub mod write;
