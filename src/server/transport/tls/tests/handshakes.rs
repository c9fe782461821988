//! Handshakes, their failures and reloads.

use super::client::{EchoServer, cert_file, client, client_of_versions, context, section};
use crate::config::web::contents::{CipherSuite, ClientAuthPolicy, Curve, TlsVersion};
use crate::server::transport::client_cert::ClientCertSlot;
use crate::server::transport::client_limit::PeerAddress;
use crate::server::transport::connection::{ConnectionTimeouts, IdleTimeoutStream};
use crate::server::transport::lingering::UnreadStream;
use crate::server::transport::listener::HttpVersions;
use crate::server::transport::tls::context::TlsContext;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{AlertDescription, CipherSuite as SuiteName, HandshakeKind, ProtocolVersion, version};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

const REFUSED: Duration = Duration::from_secs(30);

#[tokio::test]
async fn policies_accept_and_reject_certificates() {
    use AlertDescription::{
        CertificateExpired, CertificateRequired, UnknownCA, UnsupportedCertificate,
    };
    use ClientAuthPolicy::{None as NoCert, Request, RequireAndVerify, RequireAny, VerifyIfGiven};
    // No certificate, then those of the CA, of another CA, expired, and for servers.
    let required = Some((CertificateRequired, "certificate_missing"));
    let unknown = Some((UnknownCA, "unknown_ca"));
    let expired = Some((CertificateExpired, "certificate_expired"));
    let usage = Some((UnsupportedCertificate, "bad_certificate"));
    let clients = [None, Some("client"), Some("client-other"), Some("client-expired")]
        .into_iter()
        .chain([Some("client-serverusage")]);
    for (policy, expected) in [
        (NoCert, [None; 5]),
        (Request, [None; 5]),
        (RequireAny, [required, None, None, None, None]),
        (VerifyIfGiven, [None, None, unknown, expired, usage]),
        (RequireAndVerify, [required, None, unknown, expired, usage]),
    ] {
        for tls_version in [&version::TLS12, &version::TLS13] {
            let server = EchoServer::new(&section(policy));
            for (certificate, expected) in clients.clone().zip(expected) {
                let what = format!("{policy:?}, {certificate:?}, {tls_version:?}");
                let client = client_of_versions(certificate, &[tls_version]);
                match expected {
                    Some((alert, reason)) => {
                        let before = server.failures(reason);
                        assert_eq!(server.alert(&client).await, Some(alert), "{what}");
                        assert_eq!(server.failures(reason), before + 1, "{what}");
                    }
                    None => {
                        let echo = server.echo(&client).await.expect(&what);
                        let is_verified = policy.verifies() && certificate.is_some();
                        assert_eq!(echo.client_cert.get().is_some(), is_verified, "{what}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn allowed_san_of_every_kind_is_compared_exactly() {
    let all = ["client.test", "me@client.test", "10.1.2.3", "spiffe://client.test/a"];
    let none = ["CLIENT.TEST", "*.test", "client", "test", "10.1.2.3/32", "spiffe://client.test/"];
    let allowed = all.map(|name| (name, true)).into_iter();
    for (name, is_allowed) in allowed.chain(none.map(|name| (name, false))) {
        let mut section = section(ClientAuthPolicy::RequireAndVerify);
        section.client_allowed_sans = Some(vec!["never.test".to_owned(), name.to_owned()]);
        let server = EchoServer::new(&section);
        let denied = Some(AlertDescription::AccessDenied);
        let expected = if is_allowed { None } else { denied };
        assert_eq!(server.alert(&client(Some("client"))).await, expected, "{name}");
        assert_eq!(server.alert(&client(Some("client-nosan"))).await, denied, "{name}");
        assert_eq!(server.failures("san_not_allowed"), if is_allowed { 1 } else { 2 });
    }
}

#[tokio::test]
async fn allowed_sans_apply_to_every_given_certificate() {
    let allowed = |policy, names: &[&str]| {
        let mut section = section(policy);
        section.client_allowed_sans = Some(names.iter().map(ToString::to_string).collect());
        EchoServer::new(&section)
    };
    let denied = Some(AlertDescription::AccessDenied);
    let server = allowed(ClientAuthPolicy::RequireAny, &["client.test"]);
    assert_eq!(server.alert(&client(Some("client-other"))).await, None);
    assert_eq!(server.alert(&client(Some("client-nosan"))).await, denied);
    let server = allowed(ClientAuthPolicy::VerifyIfGiven, &["client.test"]);
    assert_eq!(server.alert(&client(None)).await, None);
    assert_eq!(server.alert(&client(Some("client-nosan"))).await, denied);
    let server = allowed(ClientAuthPolicy::RequireAndVerify, &[]);
    assert_eq!(server.alert(&client(Some("client"))).await, denied);
    let server = allowed(ClientAuthPolicy::None, &["other.test"]);
    assert_eq!(server.alert(&client(Some("client"))).await, None);
}

#[tokio::test]
async fn versions_suites_and_curves_are_those_of_the_section() {
    let any = client(None);
    let tls12 = client_of_versions(None, &[&version::TLS12]);
    let mut section = section(ClientAuthPolicy::None);
    let echo = EchoServer::new(&section).echo(&any).await.unwrap();
    let connection = echo.stream.get_ref().1;
    assert_eq!(connection.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    let suite = connection.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(suite, SuiteName::TLS13_AES_128_GCM_SHA256, "the order of the server");

    section.min_version = TlsVersion::Tls13;
    let server = EchoServer::new(&section);
    assert_eq!(server.alert(&tls12).await, Some(AlertDescription::ProtocolVersion));
    assert_eq!(server.failures("tls_version"), 1);

    section.min_version = TlsVersion::Tls12;
    section.max_version = TlsVersion::Tls12;
    section.cipher_suites = vec![CipherSuite::EcdsaAes256Gcm, CipherSuite::EcdsaAes128Gcm];
    section.curves = vec![Curve::P384];
    let echo = EchoServer::new(&section).echo(&any).await.unwrap();
    let connection = echo.stream.get_ref().1;
    assert_eq!(connection.protocol_version(), Some(ProtocolVersion::TLSv1_2));
    let suite = connection.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(suite, SuiteName::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384);
    let group = connection.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, rustls::NamedGroup::secp384r1);

    // The server's key is ECDSA.
    section.cipher_suites = vec![CipherSuite::RsaAes128Gcm];
    let server = EchoServer::new(&section);
    assert_eq!(server.alert(&any).await, Some(AlertDescription::HandshakeFailure));
    assert_eq!(server.failures("no_common_parameters"), 1);
}

#[tokio::test]
async fn protocol_is_http_2_unless_it_is_off() {
    let section = section(ClientAuthPolicy::None);
    for (versions, offered, expected) in [
        (HttpVersions::All, &["http/1.1", "h2"][..], Ok(Some("h2"))),
        (HttpVersions::All, &["http/1.1"], Ok(Some("http/1.1"))),
        (HttpVersions::All, &[], Ok(None)),
        (HttpVersions::Http1, &["h2", "http/1.1"], Ok(Some("http/1.1"))),
        (HttpVersions::Http1, &["h2"], Err(AlertDescription::NoApplicationProtocol)),
    ] {
        let server = EchoServer::new(&section);
        server.server.replace(TlsContext::build(&section, versions).unwrap());
        let mut client = Arc::unwrap_or_clone(client(None));
        client.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
        let client = Arc::new(client);
        match expected {
            Err(alert) => assert_eq!(server.alert(&client).await, Some(alert)),
            Ok(protocol) => {
                let echo = server.echo(&client).await.unwrap();
                let selected = echo.stream.get_ref().1.alpn_protocol();
                assert_eq!(selected, protocol.map(str::as_bytes), "{versions:?}, {offered:?}");
            }
        }
    }
}

#[tokio::test]
async fn plain_http_gets_a_response_and_garbage_none() {
    let server = EchoServer::new(&section(ClientAuthPolicy::None));
    let (mut stream, _) = server.connect();
    let request = [b"POST /api/v1/write HTTP/1.1\r\n\r\n".as_slice(), &[b'x'; 50_000]].concat();
    stream.write_all(&request).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.0 400 Bad Request\r\n"), "{response}");
    assert!(response.ends_with("Client sent an HTTP request to an HTTPS server.\n"), "{response}");
    assert_eq!(server.failures("plain_http"), 1);

    let (mut stream, _) = server.connect();
    stream.write_all(b"\0garbage").await.unwrap();
    stream.read_to_string(&mut response).await.unwrap();
    assert_eq!(server.failures("not_tls"), 1);
}

#[tokio::test]
async fn connection_that_ends_early_is_incomplete() {
    let server = EchoServer::new(&section(ClientAuthPolicy::None));
    let (probe, _) = server.connect();
    drop(probe);
    let (mut stream, _) = server.connect();
    stream.write_all(&[22, 3, 1]).await.unwrap();
    drop(stream);
    let counted = async {
        while server.failures("incomplete") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(REFUSED, counted).await.unwrap();
    assert_eq!(server.failures("incomplete"), 1, "the probe sent no byte");
    // A stream that is dropped by a timeout.
    let (mut client, stream) = tokio::io::duplex(1024);
    let peer = PeerAddress([192, 0, 2, 1].into());
    let mut stream = server.server.accept(stream, peer, ClientCertSlot::default());
    client.write_all(&[22, 3, 1]).await.unwrap();
    let waited = tokio::time::timeout(Duration::from_millis(20), stream.read_u8()).await;
    assert!(waited.is_err());
    drop(stream);
    assert_eq!(server.failures("incomplete"), 2);
}

#[tokio::test]
async fn untrusted_server_is_rejected_by_the_client() {
    let mut section = section(ClientAuthPolicy::None);
    section.certificate = cert_file("client-other.crt");
    section.key = cert_file("client-other.key");
    let server = EchoServer::new(&section);
    assert!(server.echo(&client(None)).await.is_err());
    let counted = async {
        while server.failures("rejected_by_client") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(REFUSED, counted).await.unwrap();
}

#[tokio::test]
async fn replaced_context_serves_handshakes_that_start_later() {
    let mut section = section(ClientAuthPolicy::None);
    let server = EchoServer::new(&section);
    let mut open = server.echo(&client(None)).await.unwrap();
    let leaf = |stream: &tokio_rustls::client::TlsStream<_>| {
        stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    };
    let of_file = |name| CertificateDer::from_pem_file(super::client::cert_path(name)).unwrap();
    assert_eq!(leaf(&open.stream), of_file("server.crt"));
    section.certificate = cert_file("server2.crt");
    section.key = cert_file("server2.key");
    let (accepted, _) = server.connect();
    // The server waits for the first byte.
    tokio::task::yield_now().await;
    server.server.replace(context(&section));
    let name = ServerName::try_from("localhost").unwrap();
    let accepted = TlsConnector::from(client(None)).connect(name, accepted).await.unwrap();
    assert_eq!(leaf(&accepted), of_file("server2.crt"), "the connection without a handshake");
    let new = server.echo(&client(None)).await.unwrap();
    assert_eq!(leaf(&new.stream), of_file("server2.crt"));
    open.stream.write_all(b"more").await.unwrap();
    open.stream.flush().await.unwrap();
    let mut echo = [0; 4];
    open.stream.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"more", "the open connection continues");
}

#[tokio::test]
async fn session_is_resumed_within_a_context_without_client_certs() {
    for tls_version in [&version::TLS12, &version::TLS13] {
        let kind_of = async |server: &EchoServer, client| {
            server.echo(client).await.unwrap().stream.get_ref().1.handshake_kind()
        };
        let anonymous = client_of_versions(None, &[tls_version]);
        let server = EchoServer::new(&section(ClientAuthPolicy::None));
        assert_eq!(kind_of(&server, &anonymous).await, Some(HandshakeKind::Full));
        assert_eq!(kind_of(&server, &anonymous).await, Some(HandshakeKind::Resumed));
        server.server.replace(context(&section(ClientAuthPolicy::None)));
        assert_eq!(kind_of(&server, &anonymous).await, Some(HandshakeKind::Full));

        let certified = client_of_versions(Some("client"), &[tls_version]);
        let server = EchoServer::new(&section(ClientAuthPolicy::RequireAndVerify));
        for _ in 0..2 {
            assert_eq!(kind_of(&server, &certified).await, Some(HandshakeKind::Full));
        }
    }
}

#[tokio::test]
async fn client_that_reads_nothing_times_out_at_the_flush() {
    let server = EchoServer::new(&section(ClientAuthPolicy::None));
    let (client_stream, stream) = tokio::io::duplex(1024);
    let peer = PeerAddress([192, 0, 2, 1].into());
    let stream = server.server.accept(stream, peer, ClientCertSlot::default());
    let timeouts =
        ConnectionTimeouts { idle: Duration::from_millis(200), head: Duration::from_secs(60) };
    let mut stream =
        IdleTimeoutStream::new(stream, timeouts, Arc::default(), UnreadStream::default());
    let handshake = async {
        let name = ServerName::try_from("localhost").unwrap();
        let mut client =
            TlsConnector::from(client(None)).connect(name, client_stream).await.unwrap();
        client.write_all(b"x").await.unwrap();
        client.flush().await.unwrap();
        client
    };
    let (_client, read) = tokio::join!(handshake, stream.read_u8());
    assert_eq!(read.unwrap(), b'x');
    // The TLS layer buffers all of it, although the client takes nothing.
    stream.write_all(&[0; 30_000]).await.unwrap();
    let error = stream.flush().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}
