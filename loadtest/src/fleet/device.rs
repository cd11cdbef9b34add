//! One device of a fleet: connect, Hello, read, ack. It holds no buffer while nothing comes.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use carillon_sdk::wire::{self, Ack, Frame, Hello};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::child::Shared;
use super::tag::{self, Read, Seen};
use crate::clock::now_ns;

/// Bytes one read takes at most.
const SCRATCH_BYTES: usize = 64 * 1024;
/// The server agrees to at most about ten minutes; no run is longer, so no device need ping.
const HEARTBEAT_S: u32 = 590;

/// Devices that come from one loopback address. It has 28,000 ports, of which the kernel looks
/// through one half first; near 14,000 that search costs more than the connection.
pub(super) const PER_SOURCE_MAX: usize = 4_000;

/// The loopback address the device of this index comes from.
pub(crate) fn source(first: Ipv4Addr, index: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(first.to_bits() + u32::try_from(index / PER_SOURCE_MAX).unwrap_or(0))
}

thread_local! {
    /// The devices of a fleet share one thread and one buffer, and read in turns.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_BYTES]);
}

/// Where and how to connect.
pub(crate) struct Way {
    pub(crate) server: SocketAddr,
    /// None: whatever routing picks.
    pub(crate) first_source: Option<Ipv4Addr>,
    pub(crate) tls: Option<(Arc<rustls::ClientConfig>, ServerName<'static>)>,
}

enum Stream {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, into),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, into),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }
}

/// What one read brought, gathered so that it is answered with one write.
#[derive(Default)]
struct Brought {
    acks: Vec<u64>,
    pings: usize,
    welcomed: bool,
    goodbye: Option<Duration>,
}

pub(crate) struct Device {
    stream: Stream,
    /// The beginning of a frame whose end has not come.
    partial: Vec<u8>,
    index: usize,
    started_ns: u64,
    pub(crate) welcomed: bool,
}

impl Device {
    /// Connects and says Hello; the Welcome comes to `live`.
    pub(crate) async fn connect(way: &Way, index: usize, credential: &str) -> Result<Self> {
        let started_ns = now_ns();
        let socket = TcpSocket::new_v4()?;
        if let Some(first) = way.first_source {
            socket.bind((source(first, index), 0).into()).context("bind the source address")?;
        }
        let tcp = socket.connect(way.server).await.context("connect")?;
        tcp.set_nodelay(true)?;
        let mut stream = match &way.tls {
            None => Stream::Tcp(tcp),
            Some((config, name)) => {
                let connector = TlsConnector::from(Arc::clone(config));
                Stream::Tls(Box::new(connector.connect(name.clone(), tcp).await.context("TLS handshake")?))
            }
        };
        let hello = Hello {
            version: wire::VERSION,
            credential: credential.to_owned(),
            heartbeat_s: HEARTBEAT_S,
            ..Hello::default()
        };
        stream.write(&wire::encode(&Frame::Hello(hello))).await.context("say hello")?;
        Ok(Self { stream, partial: Vec::new(), index, started_ns, welcomed: false })
    }

    /// Reads until the server says Goodbye, and answers after what time to come back. The permit,
    /// which bounds how many devices are opening at once, is given back at the Welcome.
    pub(crate) async fn live<P>(&mut self, shared: &Shared, permit: P) -> Result<Duration> {
        let mut permit = Some(permit);
        loop {
            let brought = match self.read(shared).await? {
                None => {
                    shared.resumed.notified().await;
                    continue;
                }
                Some(Brought { goodbye: Some(after), .. }) => return Ok(after),
                Some(brought) => brought,
            };
            if brought.welcomed {
                self.welcomed = true;
                shared.note_welcome(self.started_ns);
                permit.take();
            }
            if !brought.acks.is_empty() && shared.acks() {
                self.stream.write(&wire::encode(&Frame::Ack(Ack { seqs: brought.acks }))).await?;
            }
            for _ in 0..brought.pings {
                self.stream.write(&wire::encode(&Frame::Pong)).await?;
            }
        }
    }

    /// What came; None when this device has been told not to read.
    async fn read(&mut self, shared: &Shared) -> Result<Option<Brought>> {
        poll_fn(|cx| {
            if shared.stalls(self.index) {
                return Poll::Ready(Ok(None));
            }
            SCRATCH.with_borrow_mut(|scratch| {
                let mut into = ReadBuf::new(scratch);
                match self.stream.poll_read(cx, &mut into) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
                    Poll::Ready(Ok(())) if into.filled().is_empty() => {
                        Poll::Ready(Err(anyhow::anyhow!("closed by the server")))
                    }
                    Poll::Ready(Ok(())) => {
                        Poll::Ready(take(&mut self.partial, into.filled(), shared).map(Some))
                    }
                }
            })
        })
        .await
    }
}

/// Takes whole frames from what was left and what came; keeps the rest.
fn take(partial: &mut Vec<u8>, came: &[u8], shared: &Shared) -> Result<Brought> {
    let mut brought = Brought::default();
    if partial.is_empty() {
        let rest = frames(came, shared, &mut brought)?;
        partial.extend_from_slice(rest);
    } else {
        partial.extend_from_slice(came);
        let whole = std::mem::take(partial);
        partial.extend_from_slice(frames(&whole, shared, &mut brought)?);
    }
    Ok(brought)
}

fn frames<'a>(mut bytes: &'a [u8], shared: &Shared, brought: &mut Brought) -> Result<&'a [u8]> {
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        if length > wire::FRAME_BYTES_MAX {
            bail!("the server sent a frame of {length} bytes");
        }
        let Some((body, rest)) = rest.split_at_checked(length) else { break };
        frame(body, shared, brought)?;
        bytes = rest;
    }
    Ok(bytes)
}

fn frame(body: &[u8], shared: &Shared, brought: &mut Brought) -> Result<()> {
    match tag::read(body)? {
        Read::Push(Seen { seq, tag }) => {
            shared.note_push(tag);
            brought.acks.push(seq);
        }
        Read::Other(Some(Frame::Welcome(_))) => brought.welcomed = true,
        Read::Other(Some(Frame::Ping)) => brought.pings += 1,
        Read::Other(Some(Frame::Goodbye(goodbye))) => {
            brought.goodbye = Some(Duration::from_millis(goodbye.retry_after_ms));
        }
        Read::Other(Some(Frame::Error(error))) => {
            bail!("the server answered {:?}: {}", error.code, error.detail)
        }
        Read::Other(_) => {}
    }
    Ok(())
}
