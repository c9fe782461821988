//! A label of a write request, seen in place: the message `prometheus.Label`, of a series or of an exemplar.

use crate::remote::protobuf::{MAX_DEPTH, MessageCursor};
use crate::remote::schema::FIELD_LEVEL;

/// Field numbers of `prometheus.Label`.
const NAME: u32 = 1;
const VALUE: u32 = 2;

/// The name and value of a checked label; the last of each wins.
pub(crate) fn decode_label(mut message: MessageCursor<'_>) -> (&str, &str) {
    let (mut name, mut value) = ("", "");
    while !message.is_at_end() {
        let Ok(key) = message.key() else { break };
        let text = match key.field {
            NAME => &mut name,
            VALUE => &mut value,
            _ => match message.skip_value(key, MAX_DEPTH - FIELD_LEVEL) {
                Ok(()) => continue,
                Err(_) => break,
            },
        };
        let Ok(found) = message.string() else { break };
        *text = found;
    }
    (name, value)
}
