//! Decoder of `prometheus.Label`, in a series or an exemplar.

use crate::remote::wire::protobuf::{MAX_DEPTH, MessageCursor};
use crate::remote::wire::schema::FIELD_LEVEL;

/// Field numbers of `prometheus.Label`.
const NAME: u32 = 1;
const VALUE: u32 = 2;

/// Returns name and value of a checked label; the last value of each field wins.
pub(crate) fn decode_label(mut message: MessageCursor<'_>) -> (&str, &str) {
    let (mut name, mut value) = ("", "");
    while !message.is_at_end() {
        let Ok(key) = message.key() else { break };
        let string = match key.field {
            NAME => &mut name,
            VALUE => &mut value,
            _ => match message.skip_value(key, MAX_DEPTH - FIELD_LEVEL) {
                Ok(()) => continue,
                Err(_) => break,
            },
        };
        let Ok(decoded) = message.string() else { break };
        *string = decoded;
    }
    (name, value)
}
