//! Blocks become larger blocks, and old ones go: what to do (pure functions of facts), and doing it.
//!
//! | file            | what                                                                       |
//! |-----------------|----------------------------------------------------------------------------|
//! | [`block_summary`]       | what planning knows of a block                                             |
//! | [`ranges`]      | the lengths of time that blocks grow through                               |
//! | [`plan`]        | which blocks to merge next, pure                                           |
//! | [`groups`]      | runs of blocks: those that overlap, those of one aligned range             |
//! | [`retention`]   | which blocks are too old or too many, pure                                 |
//! | [`lineage`]     | what a merged block says of its descent, pure                              |
//! | [`merge`]       | several sources as one stream of series, chunks taken over or encoded anew |
//! | [`mod@write`]   | that stream as a new block                                                 |
//! | [`execute`]      | blocks merged, or written anew                                             |
//! | [`stats`]       | counters of what was written                                               |

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
