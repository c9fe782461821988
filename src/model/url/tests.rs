//! Tests of URLs.

use crate::model::url::Url;
use crate::model::url::syntax::ParseUrlError;

#[test]
fn parts_of_url() {
    for (text, shown, address, path) in [
        ("http://h", "http://h", "h:80", "/"),
        ("HTTPS://h/", "https://h/", "h:443", "/"),
        (
            "http://h:9090/metrics?a=b&c=%20#x",
            "http://h:9090/metrics?a=b&c=%20",
            "h:9090",
            "/metrics?a=b&c=%20",
        ),
        ("http://[::1]:1/x", "http://[::1]:1/x", "[::1]:1", "/x"),
        ("http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/", "[fe80::1%eth0]:80", "/"),
        ("http://h:?", "http://h?", "h:80", "/?"),
        ("socks5://p", "socks5://p", "p:1080", "/"),
        (
            "http://my_host.:80/a b\u{fc}{}",
            "http://my_host.:80/a%20b%C3%BC%7B%7D",
            "my_host.:80",
            "/a%20b%C3%BC%7B%7D",
        ),
        (
            "http://h/?q=a b\"\u{fc}%zz",
            "http://h/?q=a%20b%22%C3%BC%zz",
            "h:80",
            "/?q=a%20b%22%C3%BC%zz",
        ),
    ] {
        let url = Url::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(
            (url.to_string().as_str(), url.address().as_str(), url.path_and_query().as_str()),
            (shown, address, path),
            "{text}"
        );
    }
}

#[test]
fn password_of_url_is_hidden() {
    for (text, shown, user, password) in [
        ("http://u:p@h/", "http://u:xxxxx@h/", "u", Some("p")),
        ("http://u@h/", "http://u@h/", "u", None),
        ("http://u:@h/", "http://u:xxxxx@h/", "u", Some("")),
        ("http://:p@h/", "http://:xxxxx@h/", "", Some("p")),
        ("http://a%40b:p%3Aq@r@h/", "http://a%40b:xxxxx@h/", "a@b", Some("p:q@r")),
    ] {
        let url = Url::parse(text).unwrap();
        assert_eq!(url.to_string(), shown);
        assert_eq!(format!("{url:?}"), shown);
        assert_eq!(serde_json::to_string(&url).unwrap(), format!("\"{shown}\""));
        let info = url.user().unwrap();
        assert_eq!(
            (info.name.as_str(), info.password.as_ref().map(|p| p.expose())),
            (user, password)
        );
        assert_eq!(url.without_user().to_string(), "http://h/");
    }
}

#[test]
fn invalid_url_is_an_error() {
    for (text, error) in [
        ("", ParseUrlError::NoScheme),
        ("/sd", ParseUrlError::NoScheme),
        ("h/sd", ParseUrlError::NoScheme),
        ("1h://x", ParseUrlError::NoScheme),
        ("http://", ParseUrlError::NoHost),
        ("http:/x", ParseUrlError::NoHost),
        ("http://:80/", ParseUrlError::NoHost),
        ("localhost:8080", ParseUrlError::NoHost),
        ("http://p:port", ParseUrlError::Port),
        ("http://h:x/", ParseUrlError::Port),
        ("http://h:65536/", ParseUrlError::Port),
        ("http://h:+1/", ParseUrlError::Port),
        ("http://[::1]x/", ParseUrlError::Port),
        ("http://[::1/", ParseUrlError::Host),
        ("http://[h]/", ParseUrlError::Host),
        ("http://a b/", ParseUrlError::Host),
        ("http://h\u{fc}/", ParseUrlError::Host),
        ("http://::1/", ParseUrlError::Port),
        ("http://u:\u{fc}@h/", ParseUrlError::UserInfo),
        ("http://u:%zz@h/", ParseUrlError::Escape),
        ("http://u:%ff@h/", ParseUrlError::Escape),
        ("http://h/%2", ParseUrlError::Escape),
        ("http://h/\n", ParseUrlError::ControlCharacter),
    ] {
        assert_eq!(Url::parse(text), Err(error), "{text}");
    }
}

#[test]
fn references_are_resolved_as_in_rfc_3986() {
    let base = Url::parse("http://u:p@a/b/c/d;p?q").unwrap();
    for (reference, expected) in [
        ("g", "http://u:xxxxx@a/b/c/g"),
        ("./g", "http://u:xxxxx@a/b/c/g"),
        ("g/", "http://u:xxxxx@a/b/c/g/"),
        ("/g", "http://u:xxxxx@a/g"),
        ("//g", "http://g"),
        ("//v:w@g:1/x", "http://v:xxxxx@g:1/x"),
        ("?y", "http://u:xxxxx@a/b/c/d;p?y"),
        ("g?y", "http://u:xxxxx@a/b/c/g?y"),
        ("#s", "http://u:xxxxx@a/b/c/d;p?q"),
        ("", "http://u:xxxxx@a/b/c/d;p?q"),
        (".", "http://u:xxxxx@a/b/c/"),
        ("..", "http://u:xxxxx@a/b/"),
        ("../g", "http://u:xxxxx@a/b/g"),
        ("../../../g", "http://u:xxxxx@a/g"),
        ("/./g/../h", "http://u:xxxxx@a/h"),
        ("https://other/x/../y", "https://other/y"),
        ("ftp://other", "ftp://other"),
    ] {
        assert_eq!(base.join(reference).unwrap().to_string(), expected, "{reference}");
    }
    assert_eq!(Url::parse("http://a").unwrap().join("x").unwrap().to_string(), "http://a/x");
    assert_eq!(base.join("g:h"), Err(ParseUrlError::NoHost));
    assert_eq!(base.join("a b:c"), Err(ParseUrlError::NoScheme));
    assert_eq!(base.join("/%"), Err(ParseUrlError::Escape));
}
