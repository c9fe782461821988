//! Checks of targets on loopback.

use super::check;
use crate::app::check::target::error::CheckTargetError;
use crate::app::check::target::verdict::Verdict;
use crate::config::flags::check::{CheckCommand, CheckTargetFlags};
use crate::config::flags::{Cli, Command};
use clap::Parser;
use std::net::SocketAddr;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const BODY: &str = "# TYPE a counter\na{job=\"x\"} 1\nb 2 1000\nb 3 1000\nc 1e-9\n";

fn flags(arguments: &[&str]) -> CheckTargetFlags {
    let line = ["narthex", "check", "target"].iter().chain(arguments);
    let Command::Check(flags) = Cli::try_parse_from(line).unwrap().command else { unreachable!() };
    let CheckCommand::Target(flags) = flags.command else { unreachable!() };
    flags
}

/// Serves the body at every path but `/missing`, until the runtime ends.
async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            let is_missing = request.starts_with(b"GET /missing ");
            let status = if is_missing { "404 Not Found" } else { "200 OK" };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n",
                BODY.len()
            );
            stream.write_all((head + BODY).as_bytes()).await.unwrap();
        }
    });
    address
}

/// Runs a check. The duration of scrapes is replaced.
async fn run(arguments: &[&str]) -> (Result<Verdict, CheckTargetError>, Vec<String>) {
    let mut out = Vec::new();
    let result = check(&flags(arguments), &mut out).await;
    let out = String::from_utf8(out).unwrap();
    let masked = |line: &str| match line.split_once("scrape_duration_seconds") {
        Some((before, _)) => format!("{before}scrape_duration_seconds"),
        None if line.starts_with("duration: ") => "duration".to_owned(),
        None => line.to_owned(),
    };
    (result, out.lines().map(masked).collect())
}

fn write_config(dir: &Path, address: SocketAddr) -> String {
    let path = dir.join("narthex.yml");
    let text = format!(
        "scrape_configs:\n- job_name: j\n  sample_limit: 5\n  label_limit: 10\n  \
         body_size_limit: 1KB\n  honor_labels: true\n  \
         relabel_configs:\n  \
         - {{source_labels: [__address__], regex: 'gone.*', action: drop}}\n  \
         - {{source_labels: [__address__], regex: 'bad', target_label: __scrape_interval__, \
         replacement: x}}\n  \
         - {{target_label: zone, replacement: z}}\n  \
         metric_relabel_configs: [{{source_labels: [__name__], regex: c, action: drop}}]\n  \
         static_configs: [{{targets: ['{address}', 'gone:1', 'bad']}}]\n\
         - {{job_name: empty}}\n\
         - job_name: many\n  target_limit: 1\n  static_configs: [{{targets: ['a:1', 'b:1']}}]\n"
    );
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn url_is_scraped_with_the_defaults_of_a_job() {
    let address = serve().await;
    let (result, lines) = run(&[&format!("http://user:secret@{address}/m")]).await;
    assert_eq!(result.unwrap(), Verdict::Healthy);
    let report =
        |name: &str| format!("store: gauge {name}{{instance=\"{address}\", job=\"check\"}}");
    assert_eq!(
        lines,
        [
            format!("target: http://user:xxxxx@{address}/m"),
            format!("labels: {{instance=\"{address}\", job=\"check\"}}"),
            "health: up".to_owned(),
            "duration".to_owned(),
            "format: text/plain".to_owned(),
            "rename: a{job=\"x\"}: job to exported_job".to_owned(),
            format!(
                "store: counter a{{exported_job=\"x\", instance=\"{address}\", job=\"check\"}} 1"
            ),
            format!("store: unknown b{{instance=\"{address}\", job=\"check\"}} 2 @1000"),
            format!("store: unknown b{{instance=\"{address}\", job=\"check\"}} 3 @1000"),
            format!("store: unknown c{{instance=\"{address}\", job=\"check\"}} 1e-9"),
            report("up") + " 1",
            "store: gauge scrape_duration_seconds".to_owned(),
            report("scrape_samples_scraped") + " 4",
            report("scrape_samples_post_metric_relabeling") + " 4",
            report("scrape_series_added") + " 3",
            "samples: 4 exposed, 4 after metric relabeling".to_owned(),
            format!("limit: --scrape.max-body-size {} of 268435456 (0%)", BODY.len()),
            "limit: sample_limit 4, unlimited".to_owned(),
            "limit: label_limit 4, unlimited".to_owned(),
            "limit: label_name_length_limit 12, unlimited".to_owned(),
            format!("limit: label_value_length_limit {}, unlimited", address.to_string().len()),
            "limit: native_histogram_bucket_limit 0, unlimited".to_owned(),
        ]
    );
}

#[tokio::test]
async fn failed_scrape_shows_the_error_of_the_targets_api() {
    let address = serve().await;
    let (result, lines) = run(&[&format!("http://{address}/missing")]).await;
    assert_eq!(result.unwrap(), Verdict::Failed);
    assert_eq!(lines[2..4], ["health: down", "error: server returned HTTP status 404 Not Found"]);
    let up = format!("store: gauge up{{instance=\"{address}\", job=\"check\"}} 0");
    assert!(lines.contains(&up), "{lines:?}");
}

#[tokio::test]
async fn targets_of_a_job_are_scraped_with_its_settings() {
    let (dir, address) = (tempfile::tempdir().unwrap(), serve().await);
    let config = write_config(dir.path(), address);
    let (result, lines) = run(&["--job=j", "--config.file", &config]).await;
    assert_eq!(result.unwrap(), Verdict::Failed, "a target is invalid");
    let starts = |prefix: &str| lines.iter().filter(|line| line.starts_with(prefix)).count();
    assert_eq!((starts("discovered: "), starts("target: ")), (3, 1), "{lines:#?}");
    assert_eq!(
        (starts("target-drop: relabel_configs[0] (drop)"), starts("target-error: ")),
        (1, 1)
    );
    for expected in [
        format!("target: http://{address}/metrics"),
        format!("labels: {{instance=\"{address}\", job=\"j\", zone=\"z\"}}"),
        "health: up".to_owned(),
        "hide: a{job=\"x\"}: label job of the target".to_owned(),
        "drop: c: metric_relabel_configs[0] (drop)".to_owned(),
        format!("store: counter a{{instance=\"{address}\", job=\"x\", zone=\"z\"}} 1"),
        "samples: 4 exposed, 3 after metric relabeling".to_owned(),
        format!("limit: body_size_limit {} of 1024 (5%)", BODY.len()),
        "limit: sample_limit 3 of 5 (60%)".to_owned(),
        "limit: label_limit 4 of 10 (40%)".to_owned(),
    ] {
        assert!(lines.contains(&expected), "{expected}: {lines:#?}");
    }
    let relabeled = "target-relabel: relabel_configs[2] (replace): zone=\"z\"".to_owned();
    assert_eq!(lines.iter().filter(|line| **line == relabeled).count(), 2, "not if dropped");
}

#[tokio::test]
async fn one_target_of_a_job_is_selected_by_its_names() {
    let (dir, address) = (tempfile::tempdir().unwrap(), serve().await);
    let config = write_config(dir.path(), address);
    let select =
        async |name: &str| run(&["--job=j", "--config.file", &config, "--target", name]).await;
    for name in [format!("http://{address}/metrics"), address.to_string()] {
        let (result, lines) = select(&name).await;
        assert_eq!(result.unwrap(), Verdict::Healthy, "{lines:#?}");
    }
    assert_eq!(select("gone:1").await.0.unwrap(), Verdict::Healthy, "dropped as configured");
    let error = select("other:1").await.0.unwrap_err();
    assert!(matches!(error, CheckTargetError::UnknownTarget(name) if name == "other:1"));
}

#[tokio::test]
async fn job_without_targets_or_with_too_many_fails() {
    let (dir, address) = (tempfile::tempdir().unwrap(), serve().await);
    let config = write_config(dir.path(), address);
    let check = async |job: &str| run(&["--config.file", &config, "--job", job]).await;
    assert!(matches!(check("empty").await.0, Err(CheckTargetError::NoTarget)));
    let error = check("other").await.0.unwrap_err();
    assert_eq!(error.to_string(), "the configuration file has no job \"other\"");
    let (result, lines) = check("many").await;
    assert_eq!(result.unwrap(), Verdict::Failed);
    let error = "error: target_limit exceeded (number of targets: 2, limit: 1)".to_owned();
    assert_eq!(lines.iter().filter(|line| **line == error).count(), 2, "{lines:#?}");
}

#[test]
fn command_line_needs_a_url_or_a_job_with_its_file() {
    let parse = |arguments: &[&str]| {
        let line = ["narthex", "check", "target"].iter().chain(arguments);
        Cli::try_parse_from(line).map(drop).map_err(|error| error.kind())
    };
    use clap::error::ErrorKind::{ArgumentConflict, MissingRequiredArgument};
    assert_eq!(parse(&[]), Err(MissingRequiredArgument));
    assert_eq!(parse(&["--job=j"]), Err(MissingRequiredArgument));
    assert_eq!(parse(&["http://a", "--target=b"]), Err(MissingRequiredArgument));
    assert_eq!(parse(&["http://a", "--job=j", "--config.file=f"]), Err(ArgumentConflict));
    assert_eq!(parse(&["http://a"]), Ok(()));
}
