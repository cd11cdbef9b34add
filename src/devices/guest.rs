//! A socket that has not yet said who it is, and how it leaves: to its shard, or away.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use carillon_actors::link::Transport;
use tokio::net::TcpStream;

use super::tcp::PlainTcp;
use super::tls::Tls;

/// Plaintext read at once.
const SCRATCH_BYTES: usize = 16 * 1024;

/// How long the last words to a guest may take to be written, and then to be read.
const FAREWELL: Duration = Duration::from_secs(2);

thread_local! {
    /// What guests send, shared by every guest of the arbiter.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_BYTES]);
}

pub(super) enum Guest {
    Plain(PlainTcp),
    /// Boxed: plain guests are many and small.
    Tls(Box<Tls>),
    /// Given back by the engine, which had no room.
    Returned(Box<dyn Transport>),
}

/// Registers a socket on the arbiter that calls it.
pub(super) type Attach = Box<dyn FnOnce() -> io::Result<Box<dyn Transport>> + Send>;

impl Guest {
    /// Reads once and hands over what came. False at the end.
    pub(super) async fn read(&mut self, mut take: impl FnMut(&[u8])) -> io::Result<bool> {
        poll_fn(|cx| {
            SCRATCH.with_borrow_mut(|scratch| {
                let read = ready!(self.poll_read(cx, scratch))?;
                take(&scratch[..read]);
                Poll::Ready(Ok(read > 0))
            })
        })
        .await
    }

    pub(super) async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.try_write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    poll_fn(|cx| self.poll_flush(cx)).await?;
                }
                Err(error) => return Err(error),
            }
        }
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Writes the last words, and waits a little for the guest to hang up: closed at once, a
    /// socket with unread bytes in it is reset, and the words are lost. Errors do not matter any
    /// more.
    pub(super) async fn dismiss(mut self, last_words: &[u8]) {
        let _ = tokio::time::timeout(FAREWELL, async {
            self.write_all(last_words).await?;
            self.end_writing();
            while self.read(|_| ()).await? {}
            io::Result::Ok(())
        })
        .await;
        self.close();
    }

    /// Takes the socket off this arbiter, to be registered on another.
    pub(super) fn into_attach(self) -> io::Result<Attach> {
        Ok(match self {
            Self::Plain(plain) => {
                let socket = plain.into_std()?;
                Box::new(move || {
                    Ok(Box::new(PlainTcp::new(TcpStream::from_std(socket)?)) as Box<dyn Transport>)
                })
            }
            Self::Tls(tls) => {
                let moving = tls.into_moving()?;
                Box::new(move || Ok(Box::new(moving.attach()?) as Box<dyn Transport>))
            }
            Self::Returned(_) => return Err(io::ErrorKind::Unsupported.into()),
        })
    }

    fn end_writing(&mut self) {
        match self {
            Self::Plain(plain) => plain.end_writing(),
            Self::Tls(tls) => tls.end_writing(),
            Self::Returned(transport) => transport.close(),
        }
    }
}

impl Transport for Guest {
    fn poll_read(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(plain) => plain.poll_read(cx, scratch),
            Self::Tls(tls) => tls.poll_read(cx, scratch),
            Self::Returned(transport) => transport.poll_read(cx, scratch),
        }
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(plain) => plain.try_write(bytes),
            Self::Tls(tls) => tls.try_write(bytes),
            Self::Returned(transport) => transport.try_write(bytes),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(plain) => plain.poll_flush(cx),
            Self::Tls(tls) => tls.poll_flush(cx),
            Self::Returned(transport) => transport.poll_flush(cx),
        }
    }

    fn close(&mut self) {
        match self {
            Self::Plain(plain) => plain.close(),
            Self::Tls(tls) => tls.close(),
            Self::Returned(transport) => transport.close(),
        }
    }
}
