//! Counter of consecutive maintenance runs that panicked. One mutex, held briefly.

use parking_lot::Mutex;

/// Number of consecutive panics from which maintenance counts as failed.
const MAX_PANICS: u32 = 3;

/// Panics since the last maintenance run that returned.
#[derive(Debug, Default)]
pub struct PanicWatch {
    panics: Mutex<Panics>,
}

#[derive(Debug, Default)]
struct Panics {
    in_a_row: u32,
    last: String,
}

impl PanicWatch {
    pub(crate) fn returned(&self) {
        self.panics.lock().in_a_row = 0;
    }

    pub(crate) fn panicked(&self, cause: &str) {
        let mut panics = self.panics.lock();
        panics.in_a_row = panics.in_a_row.saturating_add(1);
        cause.clone_into(&mut panics.last);
    }

    /// Error text once maintenance counts as failed, else `None`.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let panics = self.panics.lock();
        let Panics { in_a_row, last } = &*panics;
        (*in_a_row >= MAX_PANICS)
            .then(|| format!("maintenance panicked {in_a_row} times in a row: {last}"))
    }
}

#[cfg(test)]
mod tests {
    use super::PanicWatch;

    #[test]
    fn only_consecutive_panics_are_a_fault() {
        let watch = PanicWatch::default();
        for _ in 0..2 {
            watch.panicked("one");
            watch.panicked("two");
            assert_eq!(watch.fault(), None);
            watch.returned();
        }
        (0..2).for_each(|_| watch.panicked("one"));
        watch.panicked("last");
        let fault = watch.fault().unwrap();
        assert!(fault.contains("3 times in a row: last"), "{fault}");
        watch.returned();
        assert_eq!(watch.fault(), None);
    }
}
