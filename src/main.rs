//! Binary `narthex`: parses the command line and runs [`narthex::app`].

use narthex::app::serve;
use narthex::config::flags::Command;
use narthex::config::{flag_values, prometheus_flags};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(feature = "testing")]
    narthex::testing::fail_points::arm_from_env().expect("valid fail points");
    let split = match prometheus_flags::split_args(std::env::args_os()) {
        Ok(split) => split,
        Err(error) => {
            // A failed write is ignored: the exit code reports the error, too.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            // Exit code of an invalid command line, as clap has it.
            return ExitCode::from(2);
        }
    };
    let cli = flag_values::parse(split.narthex_args).unwrap_or_else(|error| error.exit());
    match cli.command {
        Command::Serve(flags) => serve::run(&flags, &split.ignored),
    }
}
