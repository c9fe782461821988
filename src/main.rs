//! The narthex binary: reads the command line and hands over to [`narthex::app`].

use narthex::app::serve;
use narthex::config::flags::Command;
use narthex::config::{foreign, shown};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let sifted = match foreign::sift(std::env::args_os()) {
        Ok(sifted) => sifted,
        Err(error) => {
            // The exit code says it, too, if nobody reads this.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            // The exit code of a wrong command line.
            return ExitCode::from(2);
        }
    };
    let cli = shown::parse(sifted.own).unwrap_or_else(|error| error.exit());
    match cli.command {
        Command::Serve(flags) => serve::run(&flags, &sifted.meaningless),
    }
}
