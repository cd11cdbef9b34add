//! A device's bytes over TLS, with a socket that can move from arbiter to arbiter.
//!
//! tokio-rustls ties a session to the socket it was made around; driven directly, the session
//! moves with its keys while the socket is registered anew.

pub mod certificate;
mod machine;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use carillon_actors::link::Transport;
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use self::machine::{Machine, Stage};
use super::tcp;

/// Room for the largest record and the largest ClientHello anybody sends.
const CIPHER_BYTES: usize = 40 * 1024;

thread_local! {
    /// Ciphertext as it arrives, shared by every connection of the arbiter.
    static CIPHER: RefCell<Vec<u8>> = RefCell::new(vec![0; CIPHER_BYTES]);
}

pub(super) struct Tls {
    io: TcpStream,
    state: State,
}

/// What moves with the socket.
struct State {
    machine: Machine,
    /// Ciphertext of a record that is not whole yet. No allocation when empty.
    partial: Vec<u8>,
    /// Plaintext that did not fit where it was asked for. No allocation when empty.
    spilled: Vec<u8>,
    /// The socket or the session has ended.
    ended: bool,
}

/// A TLS session between two arbiters.
pub(super) struct Moving {
    io: std::net::TcpStream,
    state: State,
}

impl Tls {
    /// Shakes hands. Each step of it holds a place in `turns` and gives the arbiter one round
    /// before it gives the place back, so that a storm of handshakes (a tenth of a millisecond of
    /// CPU each) delays a delivery by one step and not by the storm.
    pub(super) async fn accept(
        io: TcpStream,
        config: Arc<ServerConfig>,
        turns: &Semaphore,
    ) -> io::Result<Self> {
        let machine = Machine::new(config).map_err(io::Error::other)?;
        let mut tls =
            Self { io, state: State { machine, partial: Vec::new(), spilled: Vec::new(), ended: false } };
        while tls.state.machine.stage() == Stage::Handshake {
            poll_fn(|cx| tls.io.poll_read_ready(cx)).await?;
            let turn = turns.acquire().await.map_err(io::Error::other)?;
            let step = poll_fn(|cx| Poll::Ready(tls.poll_receive(cx, &mut []))).await;
            tokio::task::yield_now().await;
            drop(turn);
            if let Poll::Ready(received) = step {
                received?;
                if tls.state.ended {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            if !tls.state.machine.sealed().is_empty() {
                poll_fn(|cx| tls.poll_flush(cx)).await?;
            }
        }
        Ok(tls)
    }

    /// Says that nothing more will be written, by close_notify and by the socket.
    pub(super) fn end_writing(&mut self) {
        let State { machine, partial, .. } = &mut self.state;
        // Best effort: a peer that is gone needs no close_notify.
        let _ = machine.seal_end(partial);
        let _ = self.send();
        tcp::end_writing(&self.io);
    }

    /// Takes the socket off this arbiter, session and all.
    pub(super) fn into_moving(self) -> io::Result<Moving> {
        Ok(Moving { io: self.io.into_std()?, state: self.state })
    }

    /// Reads once and decrypts into `into`; what does not fit is kept. `Ready(Ok(0))` says nothing
    /// about the end: `ended` does.
    fn poll_receive(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let Self { io, state } = self;
        let received = CIPHER.with_borrow_mut(|cipher| {
            let kept = state.partial.len();
            let read = ready!(tcp::poll_read(io, cx, &mut cipher[kept..]))?;
            if read == 0 {
                state.ended = true;
                return Poll::Ready(Ok(0));
            }
            cipher[..kept].copy_from_slice(&state.partial);
            Poll::Ready(state.open(&mut cipher[..kept + read], into))
        });
        // An answer of the session's own (a ticket, a key update, an alert). What the socket does
        // not take goes out before the next write.
        let sent = self.send();
        let received = ready!(received)?;
        sent?;
        Poll::Ready(Ok(received))
    }

    /// Writes what is sealed, as far as the socket takes it.
    fn send(&mut self) -> io::Result<()> {
        while !self.state.machine.sealed().is_empty() {
            match self.io.try_write(self.state.machine.sealed()) {
                Ok(sent) => self.state.machine.sent(sent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl State {
    fn open(&mut self, cipher: &mut [u8], into: &mut [u8]) -> io::Result<usize> {
        let Self { machine, partial, spilled, .. } = self;
        let mut filled = 0;
        let done = machine
            .open(cipher, &mut |plain: &[u8]| {
                let fits = if spilled.is_empty() { plain.len().min(into.len() - filled) } else { 0 };
                into[filled..filled + fits].copy_from_slice(&plain[..fits]);
                filled += fits;
                spilled.extend_from_slice(&plain[fits..]);
            })
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let rest = &cipher[done..];
        if rest.len() >= CIPHER_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a TLS message longer than any allowed"));
        }
        *partial = rest.to_vec();
        self.ended |= self.machine.stage() == Stage::Ended;
        Ok(filled)
    }

    /// Plaintext kept back earlier.
    fn take_spilled(&mut self, into: &mut [u8]) -> usize {
        let taken = self.spilled.len().min(into.len());
        into[..taken].copy_from_slice(&self.spilled[..taken]);
        self.spilled = self.spilled[taken..].to_vec();
        taken
    }
}

impl Moving {
    /// Registers the socket on the arbiter that calls this.
    pub(super) fn attach(self) -> io::Result<Tls> {
        Ok(Tls { io: TcpStream::from_std(self.io)?, state: self.state })
    }
}

impl Transport for Tls {
    fn poll_read(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            if !self.state.spilled.is_empty() {
                return Poll::Ready(Ok(self.state.take_spilled(scratch)));
            }
            if self.state.ended {
                return Poll::Ready(Ok(0));
            }
            let read = ready!(self.poll_receive(cx, scratch))?;
            if read > 0 {
                return Poll::Ready(Ok(read));
            }
        }
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send()?;
        if !self.state.machine.sealed().is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let State { machine, partial, .. } = &mut self.state;
        let taken = machine.seal(bytes, partial).map_err(io::Error::other)?;
        self.send()?;
        Ok(taken)
    }

    fn holds_back(&self) -> bool {
        !self.state.machine.sealed().is_empty()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.io.poll_write_ready(cx))?;
            if self.state.machine.sealed().is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.send()?;
        }
    }

    fn close(&mut self) {
        self.end_writing();
        tcp::close(&self.io);
    }
}
