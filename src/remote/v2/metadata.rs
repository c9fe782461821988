//! What a remote write 2.0 request says of a series' metric: the message `Metadata`, seen in place.
//!
//! As with every message that stands in another once, repeated ones are one: of each field the last value counts.

use crate::model::metadata::MetadataRef;
use crate::remote::metadata::metric_type;
use crate::remote::protobuf::{MAX_DEPTH, MessageCursor};
use crate::remote::schema::FIELD_LEVEL;
use crate::remote::symbol_ref_error::SymbolRefError;
use crate::remote::v2::symbols::SymbolIndex;

/// Field numbers.
const TYPE: u32 = 1;
const HELP_REF: u32 = 3;
const UNIT_REF: u32 = 4;

/// The fields of the message.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MetadataFields {
    metric_type: u64,
    help: u32,
    unit: u32,
}

impl MetadataFields {
    /// Takes in a checked message.
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

    /// Bytes of its texts.
    pub(crate) fn string_bytes(&self, symbols: &SymbolIndex) -> usize {
        symbols.len_of(self.help) + symbols.len_of(self.unit)
    }

    /// What it says.
    ///
    /// # Errors
    /// [`SymbolRefError`] where a text is not there.
    pub(crate) fn resolve<'a>(
        &self,
        body: &'a [u8],
        symbols: &SymbolIndex,
    ) -> Result<MetadataRef<'a>, SymbolRefError> {
        let (unit, help) = (symbols.get(body, self.unit)?, symbols.get(body, self.help)?);
        Ok(MetadataRef { metric_type: metric_type(self.metric_type), unit, help })
    }
}
