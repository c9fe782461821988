//! Output of the command `narthex check`.

use std::path::Path;
use std::process::Command;

/// Output of a check.
pub(crate) struct Checked {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Checked {
    /// Runs `narthex check` with these arguments in a directory.
    pub(crate) fn run(dir: &Path, arguments: &[&str]) -> Checked {
        let output = Command::new(env!("CARGO_BIN_EXE_narthex"))
            .arg("check")
            .args(arguments)
            .current_dir(dir)
            .output()
            .expect("narthex runs");
        let text = |bytes| String::from_utf8(bytes).expect("narthex prints UTF-8");
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        Checked { code: output.status.code(), stdout, stderr }
    }
}
