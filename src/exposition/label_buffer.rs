//! Label pairs as a body has them, in buffers that the caller reuses.

/// Label pairs that are not validated: names can repeat, names and values can be empty.
///
/// The text of all pairs is one string, so a cleared buffer takes the next series without
/// allocating.
#[derive(Clone, Debug, Default)]
pub struct LabelBuffer {
    text: String,
    pairs: Vec<Pair>,
}

/// Offsets of a pair in the text. The name ends where the value starts.
#[derive(Clone, Copy, Debug)]
struct Pair {
    start: usize,
    value: usize,
    end: usize,
}

impl LabelBuffer {
    /// Returns an empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Removes all pairs and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.pairs.clear();
    }

    /// Adds a pair.
    pub fn push(&mut self, name: &str, value: &str) {
        self.push_with(|text| text.push_str(name), |text| text.push_str(value));
    }

    /// Adds a pair whose name and value the functions append to the text.
    pub fn push_with(&mut self, name: impl FnOnce(&mut String), value: impl FnOnce(&mut String)) {
        let start = self.text.len();
        name(&mut self.text);
        let value_start = self.text.len();
        value(&mut self.text);
        self.pairs.push(Pair { start, value: value_start, end: self.text.len() });
    }

    /// Sorts the pairs by name; pairs of equal names keep their order.
    pub fn sort(&mut self) {
        let text = &self.text;
        let name = |pair: &Pair| text.get(pair.start..pair.value).unwrap_or_default();
        if !self.pairs.is_sorted_by_key(name) {
            self.pairs.sort_by(|a, b| name(a).cmp(name(b)));
        }
    }

    /// Iterates over pairs of name and value.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.pairs.iter().map(|pair| {
            let name = self.text.get(pair.start..pair.value).unwrap_or_default();
            (name, self.text.get(pair.value..pair.end).unwrap_or_default())
        })
    }

    /// Returns the value of the first pair with the name, or `None` if there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(candidate, _)| *candidate == name).map(|(_, value)| value)
    }

    /// Number of pairs.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Returns `true` if there is no pair.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

/// Buffers are equal if their pairs and the order of these are.
impl PartialEq for LabelBuffer {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for LabelBuffer {
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a str)>>(pairs: T) -> Self {
        let mut buffer = Self::new();
        pairs.into_iter().for_each(|(name, value)| buffer.push(name, value));
        buffer
    }
}

#[cfg(test)]
mod tests {
    use super::LabelBuffer;

    #[test]
    fn pairs_are_sorted_by_name_in_stable_order() {
        let mut buffer: LabelBuffer =
            [("b", "2"), ("a", "1"), ("b", "1"), ("", "x"), ("c", "")].into_iter().collect();
        buffer.sort();
        let pairs: Vec<_> = buffer.iter().collect();
        assert_eq!(pairs, [("", "x"), ("a", "1"), ("b", "2"), ("b", "1"), ("c", "")]);
        assert_eq!(buffer.get("b"), Some("2"));
        assert_eq!(buffer.get("d"), None);
    }

    #[test]
    fn cleared_buffer_is_empty() {
        let mut buffer: LabelBuffer = [("a", "1")].into_iter().collect();
        assert_eq!(buffer.len(), 1);
        buffer.clear();
        assert!(buffer.is_empty());
        buffer.push("b", "2");
        assert_eq!(buffer.iter().collect::<Vec<_>>(), [("b", "2")]);
    }
}
