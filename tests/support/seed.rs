//! Seeded randomness whose seed is printed, so that a failed run can be repeated.

use rand::SeedableRng;
use rand::rngs::StdRng;

/// A generator seeded from `NARTHEX_TEST_SEED` or afresh; the seed goes to the test's output.
pub(crate) fn seeded(test: &str) -> StdRng {
    let seed = match std::env::var("NARTHEX_TEST_SEED") {
        Ok(text) => text.parse().expect("NARTHEX_TEST_SEED is a number"),
        Err(_) => rand::random::<u64>(),
    };
    println!("{test}: seed {seed} (repeat with NARTHEX_TEST_SEED={seed})");
    StdRng::seed_from_u64(seed)
}
