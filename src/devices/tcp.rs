//! A device's bytes over bare TCP.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use carillon_actors::link::Transport;
use socket2::SockRef;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;

/// Bytes thrown away at most when a socket is closed, so that what was still unread does not turn
/// the close into a reset, which would take the last words with it.
const DISCARD_BYTES_MAX: usize = 64 * 1024;

pub(super) struct PlainTcp {
    io: TcpStream,
}

impl PlainTcp {
    pub(super) fn new(io: TcpStream) -> Self {
        Self { io }
    }

    /// Says that nothing more will be written.
    pub(super) fn end_writing(&mut self) {
        end_writing(&self.io);
    }

    /// Takes the socket off this arbiter.
    pub(super) fn into_std(self) -> io::Result<std::net::TcpStream> {
        self.io.into_std()
    }
}

impl Transport for PlainTcp {
    fn poll_read(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<io::Result<usize>> {
        poll_read(&mut self.io, cx, scratch)
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.io.try_write(bytes)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_write_ready(cx)
    }

    fn close(&mut self) {
        close(&self.io);
    }
}

/// tokio's own `poll_read` rather than readiness and `try_read`: after a short read it knows that
/// the socket is empty, and spares the second system call.
pub(super) fn poll_read(
    io: &mut TcpStream,
    cx: &mut Context<'_>,
    into: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut buffer = ReadBuf::new(into);
    ready!(Pin::new(io).poll_read(cx, &mut buffer))?;
    Poll::Ready(Ok(buffer.filled().len()))
}

pub(super) fn end_writing(io: &TcpStream) {
    // A socket the peer has already reset cannot be shut down, and need not be.
    let _ = SockRef::from(io).shutdown(std::net::Shutdown::Write);
}

/// Ends both directions after what was written.
pub(super) fn close(io: &TcpStream) {
    let mut void = [0; 4096];
    let mut discarded = 0;
    while discarded < DISCARD_BYTES_MAX {
        match io.try_read(&mut void) {
            Ok(0) | Err(_) => break,
            Ok(read) => discarded += read,
        }
    }
    // A socket the peer has already reset cannot be shut down, and need not be.
    let _ = SockRef::from(io).shutdown(std::net::Shutdown::Both);
}
