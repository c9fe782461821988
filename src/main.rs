//! The narthex binary: reads the command line and hands over to [`narthex::app`].

use clap::Parser;
use narthex::app::serve;
use narthex::config::flags::{Cli, Command};
use narthex::config::foreign;
use std::process::ExitCode;

fn main() -> ExitCode {
    let sifted = match foreign::sift(std::env::args_os()) {
        Ok(sifted) => sifted,
        Err(error) => {
            eprintln!("error: {error}");
            // The exit code of a wrong command line.
            return ExitCode::from(2);
        }
    };
    match Cli::parse_from(sifted.own).command {
        Command::Serve(flags) => serve::run(&flags, &sifted.meaningless),
    }
}
