//! Compiles the `.proto` files with protox, which needs no `protoc`, and sets the commit for
//! `narthex --version`.

use prost::Message;
use std::path::Path;
use std::process::Command;

const PROTOS: [&str; 10] = [
    "prometheus/types.proto",
    "prometheus/remote.proto",
    "io/prometheus/write/v2/types.proto",
    "narthex/v1/write.proto",
    "narthex/v1/read.proto",
    "thanos/write.proto",
    "thanos/store.proto",
    "thanos/info.proto",
    "thanos/exemplars.proto",
    "thanos/metadata.proto",
];

/// Generated in `OUT_DIR`: the modules of all packages, and the descriptors for gRPC reflection.
const MODULES: &str = "messages.rs";
const DESCRIPTORS: &str = "descriptors.bin";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    compile_protos()?;
    set_commit();
    Ok(())
}

fn compile_protos() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    let output = std::env::var_os("OUT_DIR").ok_or("no OUT_DIR")?;
    std::fs::write(Path::new(&output).join(DESCRIPTORS), descriptors.encode_to_vec())?;
    prost_build::Config::new().include_file(MODULES).compile_fds(descriptors)?;
    Ok(())
}

/// Sets `NARTHEX_COMMIT` to the commit that is checked out, or to `unknown` without git or
/// repository (a source archive). `NARTHEX_COMMIT` in the environment of the build has priority.
fn set_commit() {
    println!("cargo::rerun-if-env-changed=NARTHEX_COMMIT");
    let commit = std::env::var("NARTHEX_COMMIT").ok().or_else(|| {
        // The reflog of HEAD grows with every commit and checkout, also in a linked worktree.
        for file in ["HEAD", "logs/HEAD"] {
            if let Some(path) = git(&["rev-parse", "--git-path", file])
                && Path::new(&path).exists()
            {
                println!("cargo::rerun-if-changed={path}");
            }
        }
        git(&["rev-parse", "--short=12", "HEAD"])
    });
    println!("cargo::rustc-env=NARTHEX_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
}

/// Returns the trimmed output of a git command, or `None` if it fails or prints nothing.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
