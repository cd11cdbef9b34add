//! Over real sockets, against rustls's own client.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::*;
use crate::devices::Certificate;

struct Client(StreamOwned<ClientConnection, std::net::TcpStream>);

/// A certificate for localhost and a client that trusts it.
fn settings(
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let server = Certificate::load(&cert, &key).unwrap().server_config().unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

/// A blocking client on a thread of its own.
fn client<T: Send + 'static>(
    address: std::net::SocketAddr,
    config: Arc<ClientConfig>,
    run: impl FnOnce(Client) -> T + Send + 'static,
) -> JoinHandle<T> {
    std::thread::spawn(move || {
        let session = ClientConnection::new(config, ServerName::try_from("localhost").unwrap()).unwrap();
        let socket = std::net::TcpStream::connect(address).unwrap();
        run(Client(StreamOwned::new(session, socket)))
    })
}

fn listener() -> (tokio::net::TcpListener, std::net::SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    (tokio::net::TcpListener::from_std(listener).unwrap(), address)
}

async fn read(tls: &mut Tls, scratch: &mut [u8]) -> io::Result<usize> {
    poll_fn(|cx| tls.poll_read(cx, scratch)).await
}

async fn write_all(tls: &mut Tls, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match tls.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                poll_fn(|cx| tls.poll_flush(cx)).await.unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    }
    poll_fn(|cx| tls.poll_flush(cx)).await.unwrap();
}

async fn check_a_megabyte_each_way(version: &'static rustls::SupportedProtocolVersion) {
    let (server, config) = settings(&[version]);
    let (listener, address) = listener();
    let sent: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let expected = sent.clone();
    let client = client(address, config, move |mut client| {
        client.0.write_all(&sent).unwrap();
        client.0.flush().unwrap();
        let mut back = vec![0; sent.len()];
        client.0.read_exact(&mut back).unwrap();
        client.0.conn.send_close_notify();
        client.0.flush().unwrap();
        back
    });
    let (socket, _) = listener.accept().await.unwrap();
    let turns = Semaphore::new(1);
    let tls = Tls::accept(socket, server, &turns).await.unwrap();
    // The session moves as it would to its shard.
    let mut tls = tls.into_moving().unwrap().attach().unwrap();
    let mut received = Vec::new();
    // Smaller than a record, so that plaintext spills.
    let mut scratch = vec![0; 5_000];
    while received.len() < expected.len() {
        let n = read(&mut tls, &mut scratch).await.unwrap();
        assert_ne!(n, 0, "ended after {} bytes", received.len());
        received.extend_from_slice(&scratch[..n]);
    }
    assert_eq!(received, expected);
    write_all(&mut tls, &received).await;
    assert_eq!(read(&mut tls, &mut scratch).await.unwrap(), 0, "close_notify is the end");
    assert_eq!(client.join().unwrap(), expected);
}

#[actix_rt::test]
async fn a_megabyte_crosses_both_ways_over_tls_1_3() {
    check_a_megabyte_each_way(&rustls::version::TLS13).await;
}

#[actix_rt::test]
async fn a_megabyte_crosses_both_ways_over_tls_1_2() {
    check_a_megabyte_each_way(&rustls::version::TLS12).await;
}

#[actix_rt::test]
async fn an_idle_session_holds_no_buffer() {
    let (server, config) = settings(rustls::ALL_VERSIONS);
    let (listener, address) = listener();
    let client = client(address, config, |mut client| {
        client.0.write_all(b"hello").unwrap();
        let mut back = [0; 5];
        client.0.read_exact(&mut back).unwrap();
    });
    let (socket, _) = listener.accept().await.unwrap();
    let mut tls = Tls::accept(socket, server, &Semaphore::new(1)).await.unwrap();
    let mut scratch = [0; 64];
    assert_eq!(read(&mut tls, &mut scratch).await.unwrap(), 5);
    write_all(&mut tls, b"hello").await;
    let State { machine, partial, spilled, .. } = &tls.state;
    assert_eq!((machine.sealed().len(), partial.capacity(), spilled.capacity()), (0, 0, 0));
    client.join().unwrap();
}

#[actix_rt::test]
async fn a_socket_that_does_not_speak_tls_is_told_by_an_alert() {
    let (server, _) = settings(rustls::ALL_VERSIONS);
    let (listener, address) = listener();
    let client = std::thread::spawn(move || {
        let mut socket = std::net::TcpStream::connect(address).unwrap();
        socket.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        // A reset after the alert is as good as an end.
        let _ = socket.read_to_end(&mut answer);
        answer
    });
    let (socket, _) = listener.accept().await.unwrap();
    let error = Tls::accept(socket, server, &Semaphore::new(1)).await.err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert_eq!(client.join().unwrap().first(), Some(&21), "a TLS alert record");
}

#[actix_rt::test]
async fn a_second_connection_resumes_by_ticket() {
    let (server, config) = settings(rustls::ALL_VERSIONS);
    let (listener, address) = listener();
    for expected in [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed] {
        let client = client(address, Arc::clone(&config), |mut client| {
            client.0.write_all(b"x").unwrap();
            client.0.read_exact(&mut [0]).unwrap();
            client.0.conn.handshake_kind().unwrap()
        });
        let (socket, _) = listener.accept().await.unwrap();
        let mut tls = Tls::accept(socket, Arc::clone(&server), &Semaphore::new(1)).await.unwrap();
        assert_eq!(read(&mut tls, &mut [0; 8]).await.unwrap(), 1);
        write_all(&mut tls, b"x").await;
        assert_eq!(client.join().unwrap(), expected);
    }
}

#[actix_rt::test]
async fn a_reloaded_certificate_is_shown_to_the_next_connection() {
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    let write = || {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        made.cert.der().clone()
    };
    let first = write();
    let certificate = Certificate::load(&cert, &key).unwrap();
    assert_eq!(certificate.chain(), vec![first.clone()]);
    let second = write();
    certificate.reload(&cert, &key).unwrap();
    assert_eq!(certificate.chain(), vec![second.clone()]);
    std::fs::write(&cert, "nonsense").unwrap();
    assert!(certificate.reload(&cert, &key).is_err());
    assert_eq!(certificate.chain(), vec![second], "what is in use stays");
}
