//! How many samples a reader may still be given.

use crate::tsdb::query::source::QueryError;

/// Counts the samples of one answer against a limit.
#[derive(Debug, Clone)]
pub struct SampleBudget {
    limit: Option<u64>,
    taken: u64,
}

impl SampleBudget {
    /// At most `limit` samples.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { limit: Some(limit), taken: 0 }
    }

    /// Any number of samples.
    #[must_use]
    pub fn unlimited() -> Self {
        Self { limit: None, taken: 0 }
    }

    /// Takes `samples` samples out of the budget.
    ///
    /// # Errors
    /// [`QueryError::TooManySamples`] where the budget has fewer left.
    pub fn take(&mut self, samples: u64) -> Result<(), QueryError> {
        self.taken = self.taken.saturating_add(samples);
        match self.limit {
            Some(limit) if self.taken > limit => Err(QueryError::TooManySamples { limit }),
            _ => Ok(()),
        }
    }

    /// How many samples were taken.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken
    }
}

#[cfg(test)]
mod tests {
    use super::SampleBudget;
    use crate::tsdb::query::source::QueryError;

    #[test]
    fn the_sample_beyond_the_limit_is_refused() {
        let mut budget = SampleBudget::new(3);
        assert!(budget.take(2).is_ok() && budget.take(1).is_ok());
        assert!(matches!(budget.take(1), Err(QueryError::TooManySamples { limit: 3 })));
        let mut budget = SampleBudget::unlimited();
        assert!(budget.take(u64::MAX).is_ok() && budget.take(1).is_ok());
        assert_eq!(budget.taken(), u64::MAX);
    }
}
