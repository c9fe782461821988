//! Decoder of the 2.0 message `Metadata` of a series.
//!
//! Repeated messages are merged, as protobuf requires: the last value of each field wins.

use crate::model::metadata::MetadataRef;
use crate::remote::wire::protobuf::{MAX_DEPTH, MessageCursor};
use crate::remote::wire::schema::FIELD_LEVEL;
use crate::remote::wire::symbol_ref_error::SymbolRefError;
use crate::remote::write::v1::metadata::metric_type;
use crate::remote::write::v2::symbols::SymbolIndex;

/// Field numbers of `Metadata`.
const TYPE: u32 = 1;
const HELP_REF: u32 = 3;
const UNIT_REF: u32 = 4;

/// Fields of the message, with unresolved symbols.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MetadataFields {
    metric_type: u64,
    help: u32,
    unit: u32,
}

impl MetadataFields {
    /// Merges a checked message.
    pub(crate) fn merge(&mut self, mut message: MessageCursor<'_>) {
        while !message.is_at_end() {
            if self.merge_field(&mut message).is_none() {
                break;
            }
        }
    }

    fn merge_field(&mut self, message: &mut MessageCursor<'_>) -> Option<()> {
        let key = message.key().ok()?;
        match key.field {
            TYPE => self.metric_type = message.varint().ok()?,
            HELP_REF => self.help = message.varint().ok()? as u32,
            UNIT_REF => self.unit = message.varint().ok()? as u32,
            _ => message.skip_value(key, MAX_DEPTH - FIELD_LEVEL).ok()?,
        }
        Some(())
    }

    /// Returns the size of help text and unit, bytes.
    pub(crate) fn string_bytes(&self, symbols: &SymbolIndex) -> usize {
        symbols.len_of(self.help) + symbols.len_of(self.unit)
    }

    /// Resolves the symbols.
    ///
    /// # Errors
    /// [`SymbolRefError`] if a reference is invalid.
    pub(crate) fn resolve<'a>(
        &self,
        body: &'a [u8],
        symbols: &SymbolIndex,
    ) -> Result<MetadataRef<'a>, SymbolRefError> {
        let (unit, help) = (symbols.get(body, self.unit)?, symbols.get(body, self.help)?);
        Ok(MetadataRef { metric_type: metric_type(self.metric_type), unit, help })
    }
}
