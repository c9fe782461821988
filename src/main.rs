//! The narthex binary: reads the command line and hands over to [`narthex::app`].

use narthex::app::serve;
use narthex::config::flags::Command;
use narthex::config::{flag_values, prometheus_flags};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let sifted = match prometheus_flags::split_args(std::env::args_os()) {
        Ok(sifted) => sifted,
        Err(error) => {
            // The exit code says it, too, if nobody reads this.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            // The exit code of a wrong command line.
            return ExitCode::from(2);
        }
    };
    let cli = flag_values::parse(sifted.narthex_args).unwrap_or_else(|error| error.exit());
    match cli.command {
        Command::Serve(flags) => serve::run(&flags, &sifted.ignored),
    }
}
