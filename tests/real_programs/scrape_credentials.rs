//! Scrapes with credentials, end to end: certificates, CA, password, token and key that are
//! replaced while the server runs, redirects to another host, OAuth2, real proxies, and discovery
//! that needs credentials.
//!
//! No secret is in any response, page, log line or error.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

use crate::proxies::Proxy;
use crate::support::dir;
use crate::support::foreign::Foreign;
use crate::support::launch::{Launch, Server, free_port};
use crate::support::remote::{MAX_TIME, MIN_TIME};
use crate::support::scripted::{Reply, Scripted};
use crate::support::wait::wait_until;
use crate::support::wire::Matcher;

/// Secrets of the first and the second generation: password, token, key.
const SECRETS: [[&str; 3]; 2] = [
    ["Pw1qZx7first0Tm", "Tk1bVn8first1Rs", "Ky1hGf9first2Wd"],
    ["Pw2qZx7other3Tm", "Tk2bVn8other4Rs", "Ky2hGf9other5Wd"],
];
/// Secrets in the configuration file.
const INLINE: &str = "In5lKj4inline6Qe";
const WRONG: &str = "Wr6uYt3wrong7Lo";
/// User and password of the proxies: letters only, which tinyproxy requires.
const PROXY: &str = "Px7mNb2proxy8Ui";
const CONNECT: &str = "Cn8aSd1connect9O";
/// Secret of the OAuth2 client, in a file. Its second form is in the error of the server.
const OAUTH2: [&str; 2] = ["Oa9cXz6first&Pl1", "Ob9cXz6other&Pl2"];

/// Secrets of discovery: token of Consul, password of a list, bearer token of an API server.
const CONSUL: &str = "Cs6vRt4consul5Yh";
const LIST: &str = "Ls8wEq3httpsd9Uj";
const CLUSTER: &str = "Kb5tYu7cluster2I";

/// Certificate authority and what it issued.
struct Authority {
    certificate: String,
    /// Certificate and key of the server, and of the client.
    pairs: [(String, String); 2],
}

impl Authority {
    fn new(name: &str) -> Authority {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = params.self_signed(&key).expect("a CA").pem();
        let issuer = Issuer::new(params, key);
        let issue = |names: &[&str]| {
            let key = KeyPair::generate().expect("a key");
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let params = CertificateParams::new(names).expect("names");
            let certificate = params.signed_by(&key, &issuer).expect("a certificate").pem();
            (certificate, key.serialize_pem())
        };
        let pairs = [issue(&["127.0.0.1", "127.0.0.2"]), issue(&["client.test"])];
        Authority { certificate, pairs }
    }
}

fn write(dir: &Path, name: &str, text: &str) {
    // A reader sees the old or the new file.
    let new = dir.join("new");
    std::fs::write(&new, text).expect("a writable file");
    std::fs::rename(new, dir.join(name)).expect("a file can be replaced");
}

/// Installs a generation of certificates and secrets.
fn install(dir: &Path, authority: &Authority, generation: usize) {
    let [server, client] = &authority.pairs;
    let [password, token, key] = SECRETS[generation - 1];
    for (name, text) in [
        ("ca.crt", authority.certificate.as_str()),
        ("server.crt", &server.0),
        ("server.key", &server.1),
        ("client.crt", &client.0),
        ("client.key", &client.1),
        ("password", password),
        ("token", &format!("{token}\n")),
        ("key", key),
        ("generation", &generation.to_string()),
    ] {
        write(dir, name, text);
    }
}

/// Ports of all targets and proxies.
struct Ports {
    secure: u16,
    oauth2: u16,
    plain: u16,
    squid: u16,
    tinyproxy: u16,
    discovery: u16,
    /// Nothing listens there.
    closed: u16,
}

fn port_of(program: &mut Foreign) -> u16 {
    let port = program.step("port")["port"].as_u64().expect("a port");
    u16::try_from(port).expect("a port")
}

/// Jobs whose target checks a file of the directory.
const ROTATED: [&str; 3] = ["basic", "bearer", "header"];

fn config(dir: &Path, ports: &Ports) -> String {
    let (dir, secure) = (dir.display(), ports.secure);
    let tls = format!(
        "scheme: https, tls_config: {{ca_file: {dir}/ca.crt, cert_file: {dir}/client.crt, \
         key_file: {dir}/client.key}}"
    );
    let to_secure = format!("{tls}, static_configs: [{{targets: ['127.0.0.1:{secure}']}}]");
    let to_plain = format!("static_configs: [{{targets: ['127.0.0.1:{}']}}]", ports.plain);
    let by_file = format!("basic_auth: {{username: user, password_file: {dir}/password}}");
    let proxy = |port: u16, password: &str| {
        format!(
            "proxy_url: 'http://proxyuser:{password}@127.0.0.1:{port}', \
             proxy_connect_header: {{X-Connect: [{CONNECT}]}}"
        )
    };
    let (squid, tinyproxy) = (proxy(ports.squid, PROXY), proxy(ports.tinyproxy, PROXY));
    let refused = proxy(ports.squid, WRONG);
    format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 500ms, \
           scrape_failure_log_file: {dir}/failures.log}}\n\
         scrape_configs:\n\
         - {{job_name: basic, metrics_path: /basic, {by_file}, {to_secure}}}\n\
         - {{job_name: bearer, metrics_path: /bearer, \
             authorization: {{credentials_file: {dir}/token}}, {to_secure}}}\n\
         - {{job_name: header, metrics_path: /header, \
             http_headers: {{X-Key: {{secrets: [always], files: ['{dir}/key']}}, \
             X-Inline: {{secrets: [{INLINE}]}}}}, {to_secure}}}\n\
         - {{job_name: redirect, metrics_path: /redirect, {by_file}, \
             http_headers: {{X-Key: {{secrets: [{INLINE}]}}}}, {to_secure}}}\n\
         - {{job_name: wrong, metrics_path: /basic, \
             basic_auth: {{username: user, password: {WRONG}}}, {to_secure}}}\n\
         - {{job_name: wrong-bearer, metrics_path: /bearer, bearer_token: {WRONG}, {to_secure}}}\n\
         - {{job_name: oauth2, metrics_path: /page, \
             oauth2: {{client_id: id, client_secret_file: {dir}/oauth2, \
             token_url: 'http://127.0.0.1:{oauth2}/token', \
             endpoint_params: {{extra: shown}}}}, \
             static_configs: [{{targets: ['127.0.0.1:{oauth2}']}}]}}\n\
         - {{job_name: squid, {squid}, {to_plain}}}\n\
         - {{job_name: squid-tls, metrics_path: /basic, {squid}, {by_file}, {to_secure}}}\n\
         - {{job_name: tinyproxy, {tinyproxy}, {to_plain}}}\n\
         - {{job_name: tinyproxy-tls, metrics_path: /basic, {tinyproxy}, {by_file}, {to_secure}}}\n\
         - {{job_name: refused-by-proxy, {refused}, {to_plain}}}\n\
         - {{job_name: refused-by-proxy-tls, metrics_path: /basic, {refused}, {by_file}, \
             {to_secure}}}\n",
        oauth2 = ports.oauth2,
    )
}

/// Jobs whose targets are discovered with credentials.
const DISCOVERED: [&str; 5] = ["consul", "http-sd", "http-sd-url", "kubernetes", "kubeconfig"];

/// Jobs whose discovery fails, with the message of the failure.
const UNDISCOVERED: [(&str, &str); 5] = [
    ("consul-refused", "cannot query Consul"),
    ("consul-closed", "cannot query Consul"),
    ("http-sd-refused", "cannot refresh targets"),
    ("http-sd-url-refused", "cannot refresh targets"),
    ("http-sd-url-closed", "cannot refresh targets"),
];

/// Returns jobs whose discovery succeeds, and jobs whose discovery fails. Writes the files that
/// they name.
fn discovery_config(dir: &Path, ports: &Ports) -> String {
    let [server, closed] = [ports.discovery, ports.closed].map(|port| format!("127.0.0.1:{port}"));
    write(dir, "cluster-token", &format!("{CLUSTER}\n"));
    for (name, token) in [("kubeconfig", CLUSTER), ("kubeconfig-refused", WRONG)] {
        write(
            dir,
            name,
            &format!(
                "clusters: [{{name: c, cluster: {{server: 'http://{server}'}}}}]\n\
                 users: [{{name: u, user: {{token: {token}}}}}]\n\
                 contexts: [{{name: x, context: {{cluster: c, user: u}}}}]\n\
                 current-context: x\n"
            ),
        );
    }
    let dir = dir.display();
    let consul = |name: &str, server: &str, token: &str| {
        format!(
            "- {{job_name: {name}, consul_sd_configs: [{{server: '{server}', token: {token}}}]}}\n"
        )
    };
    let list = |name: &str, url: &str, keys: &str| {
        format!("- {{job_name: {name}, http_sd_configs: [{{url: 'http://{url}/list'{keys}}}]}}\n")
    };
    let cluster = |name: &str, keys: &str| {
        format!("- {{job_name: {name}, kubernetes_sd_configs: [{{role: node, {keys}}}]}}\n")
    };
    let by_password =
        |password: &str| format!(", basic_auth: {{username: user, password: {password}}}");
    let api_server = |server: &str, token: &str| {
        format!("api_server: 'http://{server}', authorization: {{{token}}}")
    };
    let wrong_token = format!("credentials: {WRONG}");
    [
        consul("consul", &server, CONSUL),
        consul("consul-refused", &server, WRONG),
        consul("consul-closed", &closed, CONSUL),
        list("http-sd", &server, &by_password(LIST)),
        list("http-sd-refused", &server, &by_password(WRONG)),
        list("http-sd-url", &format!("user:{LIST}@{server}"), ""),
        list("http-sd-url-refused", &format!("user:{WRONG}@{server}"), ""),
        list("http-sd-url-closed", &format!("user:{LIST}@{closed}"), ""),
        cluster(
            "kubernetes",
            &api_server(&server, &format!("credentials_file: {dir}/cluster-token")),
        ),
        cluster("kubernetes-refused", &api_server(&server, &wrong_token)),
        cluster("kubernetes-closed", &api_server(&closed, &format!("credentials: {CLUSTER}"))),
        cluster("kubeconfig", &format!("kubeconfig_file: {dir}/kubeconfig")),
        cluster("kubeconfig-refused", &format!("kubeconfig_file: {dir}/kubeconfig-refused")),
    ]
    .concat()
}

/// Starts a server that is Consul, a list of targets and the API server of a cluster. Each needs
/// its secret, and shows a target with this port.
fn start_discovery(port: u16) -> Scripted {
    let list = json!([{"targets": [format!("127.0.0.1:{port}")]}]);
    let agent = json!({"Config": {"Datacenter": "dc1"}});
    let instances = json!([{
        "Node": {"Node": "n", "Address": "127.0.0.1"},
        "Service": {"ID": "s1", "Service": "s", "Address": "127.0.0.1", "Port": port},
        "Checks": []
    }]);
    let nodes = json!({
        "kind": "NodeList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"},
        "items": [{
            "metadata": {"name": "n", "uid": "u", "resourceVersion": "1"},
            "status": {
                "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": port}}
            }
        }]
    });
    let password = format!("Basic {}", STANDARD.encode(format!("user:{LIST}")));
    let token = format!("Bearer {CLUSTER}");
    Scripted::start(move |asked| {
        let is_consul = asked.path.starts_with("/v1/");
        let (header, secret) = match asked.path.as_str() {
            _ if is_consul => ("x-consul-token", CONSUL),
            "/list" => ("authorization", password.as_str()),
            _ => ("authorization", token.as_str()),
        };
        if asked.header(header) != Some(secret) {
            // Some servers repeat what they got, which must not reach the log.
            let body = format!("{:?} is wrong", asked.header(header));
            let status = if is_consul { "403 Forbidden" } else { "401 Unauthorized" };
            return Reply::Whole { status, headers: Vec::new(), body: body.into_bytes() };
        }
        let has = |parameter: &str| asked.query.split('&').any(|part| part.starts_with(parameter));
        let body = match asked.path.as_str() {
            "/v1/agent/self" => &agent,
            // Nothing changes.
            _ if has("index=") => return Reply::Hang(Vec::new()),
            "/v1/catalog/services" => &json!({"s": []}),
            "/v1/health/service/s" => &instances,
            "/list" => &list,
            "/api/v1/nodes" if has("watch=") => {
                let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                            Connection: close\r\n\r\n";
                return Reply::Hang(head.as_bytes().to_vec());
            }
            "/api/v1/nodes" => &nodes,
            _ => return Reply::status("404 Not Found"),
        };
        let headers = vec![
            ("Content-Type", "application/json".to_owned()),
            ("X-Consul-Index", "1".to_owned()),
        ];
        Reply::Whole { status: "200 OK", headers, body: body.to_string().into_bytes() }
    })
}

/// Configurations with secrets at wrong places.
fn invalid_configs(files: &Path) -> Vec<String> {
    let files = files.display();
    let consul = |keys: &str| format!("consul_sd_configs: [{{server: a, {keys}}}]");
    let list = |keys: &str| format!("http_sd_configs: [{{{keys}}}]");
    let cluster = |keys: &str| format!("kubernetes_sd_configs: [{{role: node, {keys}}}]");
    [
        consul(&format!("token: [{INLINE}]")),
        consul(&format!("token: \"{INLINE}\\n\"")),
        consul(&format!("token: {INLINE}, authorization: {{credentials: {INLINE}}}")),
        consul(&format!("username: u, password: {{a: {INLINE}}}")),
        consul(&format!("username: u, password: {INLINE}, basic_auth: {{username: {INLINE}}}")),
        format!("consul_sd_configs: [{{server: 'u:{INLINE}@a'}}]"),
        format!("consul_sd_configs: [{{server: 'http://u:{INLINE}@a'}}]"),
        format!("consul_sd_configs: [{{server: 'ftp://u:{INLINE}@a'}}]"),
        list(&format!("url: 'http://u:{INLINE}@['")),
        list(&format!("url: 'ftp://u:{INLINE}@a'")),
        list(&format!("url: 'http://u:{INLINE}@'")),
        list(&format!("url: 'http://a', basic_auth: {{username: u, password: [{INLINE}]}}")),
        cluster(&format!("api_server: 'http://u:{INLINE}@['")),
        cluster(&format!("api_server: 'http://a', bearer_token: [{INLINE}]")),
        cluster(&format!("authorization: {{credentials: {INLINE}}}")),
        cluster(&format!("bearer_token: {INLINE}, kubeconfig_file: {files}/kubeconfig")),
        format!("basic_auth: {{username: u, password: [{INLINE}]}}"),
        format!("basic_auth: {{username: u, password: {INLINE}, password: {INLINE}}}"),
        format!("basic_auth: {{username: u, passwort: {INLINE}}}"),
        format!("basic_auth: {INLINE}"),
        format!("basic_auth: {{username: u, password: \"{INLINE}}}"),
        format!("basic_auth: {{username: u, password: {INLINE}, password_file: f}}"),
        format!("bearer_token: {{a: {INLINE}}}"),
        format!("bearer_token: {INLINE}, authorization: {{credentials: {INLINE}}}"),
        format!("authorization: {{type: basic, credentials: {INLINE}}}"),
        format!("authorization: {{credentials: {INLINE}, credentials_file: f}}"),
        format!("http_headers: {{X-A: {INLINE}}}"),
        format!("http_headers: {{X-A: {{secrets: {INLINE}}}}}"),
        format!("http_headers: {{Authorization: {{secrets: [{INLINE}]}}}}"),
        format!("http_headers: {{X-A: {{secrets: [\"{INLINE}\\n\"]}}}}"),
        format!("oauth2: {{client_id: x, client_secret: {INLINE}}}"),
        format!(
            "oauth2: {{client_id: x, token_url: 'http://u:{INLINE}@[', client_secret: {INLINE}}}"
        ),
        format!("oauth2: {{client_id: x, token_url: 'http://a/', client_secret: [{INLINE}]}}"),
        format!("proxy_url: 'http://u:{INLINE}@[::1'"),
        format!("proxy_url: 'ftp://u:{INLINE}@a'"),
        format!("proxy_url: 'http://u:{INLINE}@a', proxy_from_environment: true"),
        format!("proxy_url: 'http://a', proxy_connect_header: {{X-A: {INLINE}}}"),
        format!("tls_config: {{key: {INLINE}}}"),
        format!("tls_config: {{cert: {INLINE}, key: {INLINE}}}"),
    ]
    .into_iter()
    .map(|keys| format!("scrape_configs:\n- {{job_name: x, {keys}}}\n"))
    .collect()
}

/// Returns all secrets in every form in which they could appear. `tokens` are those of OAuth2.
fn secret_forms(authorities: &[Authority], tokens: Vec<String>) -> Vec<String> {
    let mut forms: Vec<String> = SECRETS.concat().into_iter().map(str::to_owned).collect();
    forms.extend(tokens);
    let others = [INLINE, WRONG, PROXY, CONNECT, CONSUL, LIST, CLUSTER];
    forms.extend(others.map(str::to_owned));
    for secret in OAUTH2 {
        // A part that is the same in every encoding.
        forms.extend(secret.split('&').map(str::to_owned).take(1));
        forms.push(STANDARD.encode(format!("id:{}", secret.replace('&', "%26"))));
    }
    for (user, password) in [
        ("user", SECRETS[0][0]),
        ("user", SECRETS[1][0]),
        ("user", WRONG),
        ("user", LIST),
        ("proxyuser", PROXY),
        ("proxyuser", WRONG),
    ] {
        let encoded = STANDARD.encode(format!("{user}:{password}"));
        forms.push(encoded.trim_end_matches('=').to_owned());
    }
    for authority in authorities {
        for (_, key) in &authority.pairs {
            let line = key.lines().nth(1).expect("a line of the key");
            forms.push(line[line.len() / 2..].to_owned());
        }
    }
    assert!(forms.iter().all(|form| form.len() >= 11), "{forms:?}");
    forms
}

/// Endpoints and pages that know targets, jobs or configuration.
const PATHS: [&str; 30] = [
    "/api/v1/targets",
    "/api/v1/targets?state=any",
    "/api/v1/targets?state=dropped",
    "/api/v1/targets/metadata",
    "/api/v1/targets/relabel_steps?scrapePool=basic&labels=%7B%22__address__%22%3A%22a%22%7D",
    "/api/v1/scrape_pools",
    "/api/v1/scrape_pools/config?scrapePool=basic",
    "/api/v1/scrape_pools/config?scrapePool=wrong",
    "/api/v1/scrape_pools/config?scrapePool=wrong-bearer",
    "/api/v1/scrape_pools/config?scrapePool=header",
    "/api/v1/scrape_pools/config?scrapePool=oauth2",
    "/api/v1/scrape_pools/config?scrapePool=squid",
    "/api/v1/scrape_pools/config?scrapePool=consul",
    "/api/v1/scrape_pools/config?scrapePool=http-sd",
    "/api/v1/scrape_pools/config?scrapePool=http-sd-url",
    "/api/v1/scrape_pools/config?scrapePool=kubernetes",
    "/api/v1/scrape_pools/config?scrapePool=kubernetes-refused",
    "/api/v1/scrape_pools/config?scrapePool=kubeconfig",
    "/api/v1/status/config",
    "/api/v1/status/flags",
    "/api/v1/status/runtimeinfo",
    "/api/v1/status/rejections",
    "/api/v1/status/tsdb",
    "/api/v1/notifications",
    "/api/v1/series?match[]=up",
    "/metrics",
    "/",
    "/targets",
    "/config",
    "/service-discovery",
];

/// Returns the last value of a series of a job that is no stale marker.
fn last_value(server: &Server, job: &str, metric: &str) -> Option<f64> {
    let matchers = [Matcher::equal("__name__", metric), Matcher::equal("job", job)];
    let samples = server.remote().read(&matchers, MIN_TIME, MAX_TIME);
    let values = samples.iter().map(|(_, _, bits)| f64::from_bits(bits));
    values.filter(|value| !value.is_nan()).last()
}

#[track_caller]
fn wait_value(server: &Server, job: &str, metric: &str, expected: f64) {
    wait_until(&format!("{metric} {expected} of {job}"), || {
        last_value(server, job, metric) == Some(expected)
    });
}

#[test]
#[ignore = "needs squid, tinyproxy and Python: run tests/run"]
fn credentials_are_replaced_and_shown_nowhere() {
    let temp_dir = dir::temp();
    let path = |name: &str| {
        let path = temp_dir.path().join(name);
        std::fs::create_dir(&path).expect("a new directory");
        path
    };
    let (files, squid_dir, tinyproxy_dir) = (path("files"), path("squid"), path("tinyproxy"));
    let authorities = [Authority::new("first"), Authority::new("second")];
    install(&files, &authorities[0], 1);
    write(&files, "oauth2", OAUTH2[0]);
    write(&files, "oauth2-client", &format!("id:{}", OAUTH2[0]));
    let files_arg = files.to_str().expect("UTF-8");
    let client_file = files.join("oauth2-client");
    let mut secure = Foreign::start("secure_target.py", &[files_arg]);
    // Tokens are valid for 2 s.
    let mut oauth2 =
        Foreign::start("token_endpoint.py", &[client_file.to_str().expect("UTF-8"), "12"]);
    let plain = Scripted::start(|_| Reply::text("plain 1\n"));
    let discovery = start_discovery(plain.port());
    let squid = Proxy::squid(&squid_dir, "proxyuser", PROXY);
    let tinyproxy = Proxy::tinyproxy(&tinyproxy_dir, "proxyuser", PROXY);
    let ports = Ports {
        secure: port_of(&mut secure),
        oauth2: port_of(&mut oauth2),
        plain: plain.port(),
        squid: squid.port,
        tinyproxy: tinyproxy.port,
        discovery: discovery.port(),
        closed: free_port(),
    };
    let data = temp_dir.path().join("data");
    let server = Launch::narthex(&data)
        .config(&data, &(config(&files, &ports) + &discovery_config(&files, &ports)))
        .flag("--scrape.discovery-reload-interval=100ms")
        .flag("--web.enable-lifecycle")
        .flag("--log.level=debug")
        .start();

    for job in ROTATED {
        wait_value(&server, job, "generation", 1.0);
    }
    for (job, metric) in [("squid", "plain"), ("tinyproxy", "plain"), ("oauth2", "a")] {
        wait_value(&server, job, metric, 1.0);
    }
    for job in ["squid-tls", "tinyproxy-tls"] {
        wait_value(&server, job, "generation", 1.0);
    }
    for job in DISCOVERED {
        wait_value(&server, job, "plain", 1.0);
    }
    for job in ["wrong", "wrong-bearer", "refused-by-proxy", "refused-by-proxy-tls"] {
        wait_value(&server, job, "up", 0.0);
        assert_eq!(last_value(&server, job, "generation"), None, "{job}");
    }
    // The redirect left the host, so nothing secret went with it.
    wait_value(&server, "redirect", "landed", 1.0);
    assert_eq!(last_value(&server, "redirect", "landed_credentials"), Some(0.0));

    // Everything is replaced, in the files only.
    install(&files, &authorities[1], 2);
    for job in ROTATED.into_iter().chain(["squid-tls", "tinyproxy-tls"]) {
        wait_value(&server, job, "generation", 2.0);
    }
    // Three tokens: they expire, and no scrape failed for it.
    let mut tokens: Vec<Value> = (0..3).map(|_| oauth2.step("token")).collect();
    let ups = server.remote().read(
        &[Matcher::equal("__name__", "up"), Matcher::equal("job", "oauth2")],
        MIN_TIME,
        MAX_TIME,
    );
    assert!(ups.count() >= 3);
    // The server quotes the secret in its error.
    write(&files, "oauth2", OAUTH2[1]);
    write(&files, "oauth2-client", "id:else");
    wait_value(&server, "oauth2", "up", 0.0);
    tokens.extend(oauth2.printed("token"));
    let tokens = tokens.iter().map(|step| step["token"].as_str().expect("a token").to_owned());
    let tokens: Vec<String> = tokens.collect();

    let mut shown = search_places(&server, &files);
    let config_file = temp_dir.path().join("data.narthex.yml");
    for text in invalid_configs(&files) {
        std::fs::write(&config_file, &text).expect("a writable file");
        let response = server.http.post("/-/reload", &[], b"");
        assert_eq!(response.status, 500, "{text}: {}", response.text());
        shown.push((format!("the error of {text}"), response.text()));
        let mut check = std::process::Command::new(env!("CARGO_BIN_EXE_narthex"));
        let output = check.args(["check", "config"]).arg(&config_file).output();
        let output = output.expect("narthex runs");
        assert!(!output.status.success(), "{text}");
        let output = [output.stdout, output.stderr].concat();
        shown.push((format!("check of {text}"), String::from_utf8_lossy(&output).into_owned()));
    }
    let log = server.stop();
    assert_discovery_failed(&log, &ports);
    shown.push(("the log".to_owned(), log));
    for secret in secret_forms(&authorities, tokens) {
        for (place, text) in &shown {
            assert!(!text.contains(&secret), "{secret} in {place}:\n{text}");
        }
    }
}

/// Asserts that the log has the failures of discovery.
fn assert_discovery_failed(log: &str, ports: &Ports) {
    let of_job = |(job, message): (&str, &str)| (message.to_owned(), format!("job={job} "));
    let mut failures: Vec<(String, String)> = UNDISCOVERED.map(of_job).to_vec();
    // Jobs share the watches of a cluster, so these failures name the server.
    for (port, cause) in [(ports.discovery, "401"), (ports.closed, "refused")] {
        failures.push(("cannot watch Kubernetes objects".to_owned(), format!(":{port} ")));
        failures.push(("cannot watch Kubernetes objects".to_owned(), cause.to_owned()));
    }
    for (message, part) in failures {
        let has_both = |line: &str| line.contains(&message) && line.contains(&part);
        assert!(log.lines().any(has_both), "no {message:?} with {part:?} in:\n{log}");
    }
}

/// Returns everything that the server shows, and asserts that it shows failures.
fn search_places(server: &Server, files: &Path) -> Vec<(String, String)> {
    let mut shown = Vec::new();
    for path in PATHS {
        let response = server.http.get(path);
        assert!([200, 404].contains(&response.status), "{path}: {}", response.status);
        let headers: Vec<String> =
            response.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        shown.push((path.to_owned(), format!("{}\n{}", headers.join("\n"), response.text())));
    }
    let find = |path: &str| {
        let (_, text) = shown.iter().find(|(found, _)| found == path).expect("a path of the list");
        text.as_str()
    };
    for part in ["401", "127.0.0.1", "invalid_client"] {
        assert!(find("/api/v1/targets").contains(part), "{part} in {}", find("/api/v1/targets"));
    }
    assert!(find("/api/v1/status/config").contains("<secret>"));
    let log = files.join("failures.log");
    let mut failures = String::new();
    wait_until("failures in their log", || {
        failures = std::fs::read_to_string(&log).unwrap_or_default();
        failures.contains("invalid_client")
    });
    assert!(failures.contains("refused-by-proxy"), "{failures}");
    shown.push(("the failure log".to_owned(), failures));
    shown
}
