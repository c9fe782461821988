//! Blocks of the directory at startup.

use crate::tsdb::block::error::BlockError;
use crate::tsdb::block::ulid::BlockUlid;
use crate::tsdb::block::verify::verify;
use crate::tsdb::db::blocks::BlockSet;
use crate::tsdb::db::blocks::load::LoadBlocksError;
use crate::tsdb::db::options::DbOptions;
use crate::tsdb::db::recovery::error::RecoveryError;
use std::path::Path;
use std::sync::Arc;

/// Size up to which the newest block is verified at startup, bytes.
const MAX_STARTUP_VERIFY_BYTES: u64 = 64 << 20;

/// Open blocks of the directory.
pub(super) struct LoadedBlocks {
    pub(super) blocks: BlockSet,
    /// Block that was verified.
    pub(super) verified: Option<BlockUlid>,
}

impl LoadedBlocks {
    /// Loads the blocks of the data directory. Corrupted ones are quarantined.
    pub(super) fn load(options: &DbOptions, quarantine: &Path) -> Result<Self, RecoveryError> {
        let blocks = BlockSet::new(Arc::clone(&options.disk), &options.dir, quarantine);
        blocks.load()?;
        let verified = verify_newest_block(&blocks)?;
        Ok(Self { blocks, verified })
    }
}

/// Verifies the block that determines the minimum time of the head, unless it is large, and returns
/// its ULID.
///
/// A corrupted block is quarantined before replay drops WAL samples that it claims to contain. Then
/// the previous block is verified.
fn verify_newest_block(blocks: &BlockSet) -> Result<Option<BlockUlid>, RecoveryError> {
    loop {
        let Some(block) =
            blocks.newest_in_order().filter(|block| block.size_bytes() <= MAX_STARTUP_VERIFY_BYTES)
        else {
            return Ok(None);
        };
        let ulid = block.meta().ulid;
        match verify(&block) {
            Ok(_) => return Ok(Some(ulid)),
            Err(BlockError::Corrupted(corruption)) => {
                blocks.quarantine(ulid, &corruption).map_err(LoadBlocksError::from)?;
            }
            Err(error) => {
                tracing::warn!(block = %ulid, %error, "cannot verify newest block");
                return Ok(None);
            }
        }
    }
}
