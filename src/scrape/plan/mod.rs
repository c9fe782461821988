//! Times of scrapes, without a clock: the arguments are readings of clocks.
//!
//! | module | contents |
//! |---|---|
//! | [`offset`] | position of a target within its interval |
//! | [`schedule`] | ticks of a target, timestamps of its scrapes, times of delayed stale markers |

pub mod offset;
pub mod schedule;
