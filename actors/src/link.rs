//! A device's socket as the engine sees it. The edge makes transports (TCP, TLS); the engine
//! frames what they carry and never knows which it has.

use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use carillon_sdk::wire::Hello;

use crate::model::Device;

/// Bytes to and from one socket, on the arbiter that polls it. Holds no buffer while idle.
pub trait Transport {
    /// Reads what has arrived into `scratch` (at least 16 KiB, shared by the whole arbiter).
    /// `Ready(Ok(0))` is the end. Takes `&mut Context`, as every poll, to be woken when readable.
    fn poll_read(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes what the socket takes now; `WouldBlock` when it takes nothing. A transport that
    /// transforms bytes (TLS) may keep what it has already transformed and then reports those
    /// bytes as written; `poll_flush` gets them out.
    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Ready when the socket takes bytes again and nothing transformed is kept back.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// True while `poll_flush` has something to get out that `try_write` already reported as
    /// written. A transport that keeps nothing back leaves this alone.
    fn holds_back(&self) -> bool {
        false
    }

    /// Ends both directions after what was written; best effort.
    fn close(&mut self);
}

/// How frames lie in a transport's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Length-prefixed.
    Native,
    /// WebSocket, binary messages out.
    WebSocketBinary,
    /// WebSocket, text messages (JSON) out: the Hello came as one.
    WebSocketText,
}

/// Which door a device came in by: a label of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    Tcp,
    Tls,
    Ws,
    Wss,
}

/// A device whose Hello the edge has read and whose credential it has verified, on its way to its
/// shard. The socket moves to the shard's arbiter, where `attach` registers it anew.
pub struct Arrival {
    pub device: Device,
    pub hello: Hello,
    pub framing: Framing,
    pub protocol: Protocol,
    /// Bytes read after the Hello.
    pub rest: Bytes,
    pub attach: Box<dyn FnOnce() -> io::Result<Box<dyn Transport>> + Send>,
}
