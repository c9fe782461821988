//! The program: from the command line to a running server and its orderly end.

pub mod logging;
pub mod serve;
