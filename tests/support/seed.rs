//! Random generator with a printed seed, to reproduce failures.

use rand::SeedableRng;
use rand::rngs::StdRng;

/// Creates a generator with the seed in `NARTHEX_TEST_SEED` or a random one, and prints the seed.
pub(crate) fn seeded(test: &str) -> StdRng {
    let seed = match std::env::var("NARTHEX_TEST_SEED") {
        Ok(text) => text.parse().expect("NARTHEX_TEST_SEED is a number"),
        Err(_) => rand::random::<u64>(),
    };
    println!("{test}: seed {seed} (repeat with NARTHEX_TEST_SEED={seed})");
    StdRng::seed_from_u64(seed)
}
