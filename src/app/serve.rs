//! `narthex serve`: sets up the process (signals, log, runtime) and runs the application.

use crate::app::application::App;
use crate::app::config::AppConfig;
use crate::app::error::ServeError;
use crate::app::{config, logging, signals};
use crate::config::flags::{ServeFlags, VERSION};
use std::io::Write;
use std::process::ExitCode;
use tokio::runtime::Runtime;

/// Runs the server until a signal or a request stops it.
///
/// The exit code is 0 only after a clean shutdown. `ignored_flags` are flags of Prometheus without
/// effect; they are logged.
pub(crate) fn run(flags: &ServeFlags, ignored_flags: &[&str]) -> ExitCode {
    // Before the first log line: a write beyond a file size limit raises SIGXFSZ.
    let runtime = runtime(flags).and_then(|runtime| {
        let entered = runtime.enter();
        signals::survive_others()?;
        drop(entered);
        Ok(runtime)
    });
    // Dropped last, so that all log lines are flushed.
    let _logging = match logging::start(&flags.log) {
        Ok(logging) => logging,
        Err(error) => {
            // A failed write is ignored: the exit code reports the error, too.
            let _ = writeln!(std::io::stderr(), "error: cannot start the log: {error}");
            return ExitCode::FAILURE;
        }
    };
    if !ignored_flags.is_empty() {
        let given: Vec<String> = ignored_flags.iter().map(|flag| format!("--{flag}")).collect();
        tracing::warn!(flags = given.join(" "), "ignored flags of Prometheus without effect");
    }
    let served = runtime.map_err(ServeError::System).and_then(|runtime| {
        let served = runtime.block_on(serve(flags));
        // Does not wait for an abandoned replay or for requests that exceed the shutdown timeout.
        runtime.shutdown_background();
        served
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "narthex failed");
            ExitCode::FAILURE
        }
    }
}

async fn serve(flags: &ServeFlags) -> Result<(), ServeError> {
    tracing::info!(version = VERSION, "starting narthex");
    let config = AppConfig::load(flags)?;
    let events = signals::events()?;
    App::build(config).await?.run(events).await
}

fn runtime(flags: &ServeFlags) -> std::io::Result<Runtime> {
    let threads = config::server::blocking_threads(flags);
    tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(threads).build()
}
