//! A vendor's listener: TLS, HTTP/1.1 and HTTP/2, and all that can go wrong with a connection.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::wire::{self, Said, Unread};
use super::{Condition, Reply, Simulator, World};

/// A caller that does not finish its handshake is no longer waited for.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Connections of one listener; more wait in the kernel.
const CONNECTIONS_MAX: usize = 4_096;

/// What all connections of a listener share.
pub(super) struct Front {
    pub(super) world: Arc<World>,
    pub(super) simulator: Arc<dyn Simulator>,
    pub(super) tls: Arc<ServerConfig>,
    /// HTTP/2's MAX_CONCURRENT_STREAMS.
    pub(super) streams_max: u32,
    /// Numbers of connections: shared by all listeners, so that each is told apart in the laboratory.
    pub(super) connections: Arc<AtomicU64>,
}

/// What becomes of a connection beside its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    On,
    /// Nothing is read or written any more, and the socket stays.
    Frozen,
    /// Answers what was asked, and nothing new.
    Leaving,
    Cut,
}

/// Takes connections until it is dropped, and drops them with it.
pub(super) async fn listen(front: Arc<Front>, listener: TcpListener) {
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        if open.len() >= CONNECTIONS_MAX {
            open.join_next().await;
        }
        match listener.accept().await {
            // Dropped at once: so it looks when nobody is there.
            Ok(_) if front.is(Condition::Unreachable) => {}
            Ok((socket, _)) => {
                open.spawn(Arc::clone(&front).connection(socket));
            }
            Err(error) => {
                tracing::warn!(vendor = %front.simulator.vendor(), %error, "the laboratory takes no connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

impl Front {
    fn is(&self, condition: Condition) -> bool {
        self.world.condition(self.simulator.vendor()) == condition
    }

    async fn connection(self: Arc<Self>, socket: TcpStream) {
        let vendor = self.simulator.vendor();
        let world = Arc::clone(&self.world);
        let served = pin!(self.serve(socket));
        tokio::select! {
            () = served => {}
            () = world.turns(vendor, |condition| condition == Condition::Unreachable) => {}
        }
    }

    async fn serve(self: Arc<Self>, socket: TcpStream) {
        // Answers are small, and latencies are measured here.
        let _ = socket.set_nodelay(true);
        let handshake = TlsAcceptor::from(Arc::clone(&self.tls)).accept(socket);
        let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, handshake).await else { return };
        let (_, session) = stream.get_ref();
        let is_http2 = session.alpn_protocol() == Some(b"h2");
        let certificate = session.peer_certificates().and_then(|chain| chain.first());
        let caller = Arc::new(Caller {
            connection: self.connections.fetch_add(1, Ordering::Relaxed),
            certificate: certificate.map(|certificate| certificate.to_vec()),
            turn: watch::Sender::new(Turn::On),
            front: self,
        });
        if is_http2 { caller.http2(stream).await } else { caller.http1(stream).await }
    }
}

/// One connection.
struct Caller {
    front: Arc<Front>,
    connection: u64,
    certificate: Option<Vec<u8>>,
    turn: watch::Sender<Turn>,
}

impl Caller {
    async fn http2(self: Arc<Self>, stream: TlsStream<TcpStream>) {
        let caller = Arc::clone(&self);
        let service = service_fn(move |request| Arc::clone(&caller).answer(request));
        let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .max_concurrent_streams(self.front.streams_max)
            .serve_connection(TokioIo::new(stream), service);
        self.steer(connection, |connection| connection.graceful_shutdown()).await;
    }

    async fn http1(self: Arc<Self>, stream: TlsStream<TcpStream>) {
        let caller = Arc::clone(&self);
        let service = service_fn(move |request| Arc::clone(&caller).answer(request));
        let connection =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        self.steer(connection, |connection| connection.graceful_shutdown()).await;
    }

    /// Drives the connection until it ends or is to end.
    async fn steer<C: Future>(&self, connection: C, leave: impl Fn(Pin<&mut C>)) {
        let mut connection = pin!(connection);
        let mut turns = self.turn.subscribe();
        loop {
            tokio::select! {
                // A turn is looked at before more is answered.
                biased;
                turned = turns.changed() => if turned.is_err() { return },
                _ = &mut connection => return,
            }
            let turn = *turns.borrow_and_update();
            match turn {
                Turn::On => {}
                Turn::Leaving => leave(connection.as_mut()),
                Turn::Frozen => {
                    // The socket is closed when the vendor is back: a caller must not wait for ever.
                    let vendor = self.front.simulator.vendor();
                    self.front.world.turns(vendor, |condition| condition != Condition::Silent).await;
                    return;
                }
                Turn::Cut => return,
            }
        }
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Said>, Infallible> {
        let mut asked = match wire::asked(request).await {
            Ok(asked) => asked,
            Err(Unread::TooLong) => return Ok(wire::response(413, &[], bytes::Bytes::new(), true)),
            Err(Unread::Broken) => return self.never(Turn::Cut).await,
        };
        asked.connection = self.connection;
        asked.certificate.clone_from(&self.certificate);
        match self.front.simulator.answer(&self.front.world, asked).await {
            Reply::Answer { status, headers, body } => Ok(wire::response(status, &headers, body, true)),
            Reply::Half { status, headers, body } => Ok(wire::response(status, &headers, body, false)),
            Reply::Goaway { status, headers, body } => {
                self.turn.send_replace(Turn::Leaving);
                Ok(wire::response(status, &headers, body, true))
            }
            // A vendor that says nothing does not answer HTTP/2's pings either.
            Reply::Silence if self.front.is(Condition::Silent) => self.never(Turn::Frozen).await,
            Reply::Silence => pending().await,
            Reply::Cut => self.never(Turn::Cut).await,
        }
    }

    async fn never(&self, turn: Turn) -> Result<Response<Said>, Infallible> {
        self.turn.send_replace(turn);
        pending().await
    }
}
