//! Listeners: bound once, registered on every shard's arbiter.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use carillon_actors::engine::Engine;
use carillon_actors::link::Protocol;
use rustls::ServerConfig;
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};
use tokio::sync::{Semaphore, watch};

use super::counts::{self, Why};
use super::porch::Porch;

/// Connections the kernel keeps for us between two accepts; a storm fills it.
const BACKLOG: i32 = 4096;

/// A backstop only: longer than any heartbeat with its grace, so that it never wakes a phone.
const KEEPALIVE: Duration = Duration::from_secs(15 * 60);

/// What was written and not acknowledged by the peer's kernel for so long ends the connection.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// After a failed accept (out of file descriptors, most often) the listener rests this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where devices may connect. A door without an address is not opened.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub tcp: Option<SocketAddr>,
    pub tls: Option<SocketAddr>,
    pub ws: Option<SocketAddr>,
    pub wss: Option<SocketAddr>,
    /// For `tls` and `wss`.
    pub tls_config: Option<Arc<ServerConfig>>,
    /// Sockets that may wait for their Hello at one time; beyond, the kernel's backlog holds them.
    pub guests_max: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("listen for devices on {address}: {source}")]
    Bind { address: SocketAddr, source: io::Error },
    #[error("a TLS listener for devices needs a certificate")]
    Certificate,
}

/// The listeners, bound and not yet accepting.
#[derive(Debug)]
pub struct Doors {
    doors: Vec<Door>,
    tls: Option<Arc<ServerConfig>>,
    guests_max: usize,
}

#[derive(Debug)]
struct Door {
    protocol: Protocol,
    listener: TcpListener,
    address: SocketAddr,
}

/// Accepting listeners; they stop when this is dropped or told to.
#[derive(Debug)]
pub struct OpenDoors {
    stop: watch::Sender<bool>,
}

impl Doors {
    /// Binds every listener; nothing is accepted before `open`.
    pub fn bind(settings: &Settings) -> Result<Self, Error> {
        let wanted = [
            (Protocol::Tcp, settings.tcp),
            (Protocol::Tls, settings.tls),
            (Protocol::Ws, settings.ws),
            (Protocol::Wss, settings.wss),
        ];
        let mut doors = Vec::new();
        for (protocol, address) in wanted {
            let Some(address) = address else { continue };
            if matches!(protocol, Protocol::Tls | Protocol::Wss) && settings.tls_config.is_none() {
                return Err(Error::Certificate);
            }
            let (listener, address) = bind(address).map_err(|source| Error::Bind { address, source })?;
            doors.push(Door { protocol, listener, address });
        }
        Ok(Self { doors, tls: settings.tls_config.clone(), guests_max: settings.guests_max })
    }

    /// Where a door really is: port 0 has become a number.
    #[must_use]
    pub fn address(&self, protocol: Protocol) -> Option<SocketAddr> {
        self.doors.iter().find(|door| door.protocol == protocol).map(|door| door.address)
    }

    /// Accepts on every shard's arbiter.
    pub fn open(self, engine: &Engine) -> io::Result<OpenDoors> {
        counts::describe();
        let (stop, stopped) = watch::channel(false);
        let places = Arc::new(Semaphore::new(self.guests_max.min(Semaphore::MAX_PERMITS)));
        for arbiter in engine.arbiters() {
            let listeners = self
                .doors
                .iter()
                .map(|door| Ok((door.protocol, door.listener.try_clone()?)))
                .collect::<io::Result<Vec<_>>>()?;
            let (engine, tls, places, stopped) =
                (engine.clone(), self.tls.clone(), Arc::clone(&places), stopped.clone());
            arbiter.spawn_fn(move || {
                let porch = Rc::new(Porch::new(engine, tls, places));
                for (protocol, listener) in listeners {
                    actix_rt::spawn(accept(listener, protocol, Rc::clone(&porch), stopped.clone()));
                }
            });
        }
        Ok(OpenDoors { stop })
    }
}

impl OpenDoors {
    /// Takes in nobody any more. Guests on the porch are let in or sent away as before.
    pub fn close(&self) {
        self.stop.send_replace(true);
    }
}

/// Options set here are inherited by every accepted socket, which saves five system calls each.
fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE))?;
    SockRef::from(&socket).set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from(socket);
    let address = listener.local_addr()?;
    Ok((listener, address))
}

async fn accept(
    listener: TcpListener,
    protocol: Protocol,
    porch: Rc<Porch>,
    mut stopped: watch::Receiver<bool>,
) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(?protocol, %error, "device listener cannot be registered");
            return;
        }
    };
    loop {
        let place = porch.place();
        let accepted = tokio::select! {
            biased;
            // An error here is the sender gone: the same as being told.
            _ = stopped.wait_for(|stopped| *stopped) => return,
            accepted = async {
                let place = place.await;
                listener.accept().await.map(|(socket, _)| (socket, place))
            } => accepted,
        };
        match accepted {
            Ok((socket, place)) => {
                actix_rt::spawn(Rc::clone(&porch).receive(socket, protocol, place));
            }
            Err(error) => {
                tracing::warn!(?protocol, %error, "accept failed");
                counts::refused(Why::AcceptFailed);
                // Not a wait for an event: the cure (a descriptor freed) tells nobody.
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accepted_socket_has_the_options_of_its_listener() {
        let (listener, address) = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        listener.set_nonblocking(false).unwrap();
        let _client = std::net::TcpStream::connect(address).unwrap();
        let (socket, _) = listener.accept().unwrap();
        let socket = SockRef::from(&socket);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(USER_TIMEOUT));
    }

    #[test]
    fn a_tls_door_without_a_certificate_is_refused() {
        let settings = Settings { tls: Some("127.0.0.1:0".parse().unwrap()), ..Settings::default() };
        assert!(matches!(Doors::bind(&settings), Err(Error::Certificate)));
    }
}
