//! Devices that come in turns: more than may be connected at once, each for a while, again and
//! again, as phones do. In this process, so that what each acked is in one ledger.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::BytesMut;
use carillon_sdk::MessageId;
use carillon_sdk::wire::{self, Ack, Frame, Hello};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A device goes when nothing came for so long.
const SILENCE: Duration = Duration::from_secs(4);
/// A device that was refused or cut off comes back no sooner.
const RECONNECT_MIN: Duration = Duration::from_millis(200);
/// Seats that come from one loopback address, and addresses that a seat uses in turn: a port that
/// was closed is not to be had for a minute.
const SEATS_PER_SOURCE: usize = 2_000;
const SOURCES_IN_TURN: usize = 64;

/// What a device acked, in its own memory.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// How often it saw the broadcast, and its line.
    pub(crate) broadcast: AtomicU32,
    pub(crate) line: AtomicU32,
    broadcast_message: OnceLock<MessageId>,
    line_message: OnceLock<MessageId>,
}

pub(crate) struct Turns {
    /// Where the server listens; another place after each restart.
    pub(crate) address: watch::Receiver<String>,
    pub(crate) credentials: Vec<String>,
    pub(crate) ledgers: Arc<[Ledger]>,
    /// Everybody may go home.
    pub(crate) over: AtomicBool,
    pub(crate) visits: AtomicU64,
    pub(crate) first_source: Ipv4Addr,
}

/// The devices on their way.
pub(crate) struct Comers(JoinSet<Result<()>>);

impl Ledger {
    pub(crate) fn broadcast_message(&self) -> Option<MessageId> {
        self.broadcast_message.get().copied()
    }

    pub(crate) fn line_message(&self) -> Option<MessageId> {
        self.line_message.get().copied()
    }

    fn note(&self, at: usize, push: &wire::Push) -> Result<()> {
        let (count, message) = match push.title.as_deref() {
            Some("broadcast") => (&self.broadcast, &self.broadcast_message),
            Some(title) if title == format!("line {at}") => (&self.line, &self.line_message),
            other => bail!("device {at} got {other:?}, which is not for it"),
        };
        if *message.get_or_init(|| push.message_id) != push.message_id {
            bail!("device {at} got two messages of one campaign");
        }
        count.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

impl Turns {
    /// Puts the devices on `seats` seats, each of which they take in turns.
    pub(crate) fn start(self: &Arc<Self>, seats: usize) -> Comers {
        let mut comers = JoinSet::new();
        for seat in 0..seats {
            let turns = Arc::clone(self);
            comers.spawn(async move { turns.take_turns(seat, seats).await });
        }
        Comers(comers)
    }

    async fn take_turns(&self, seat: usize, seats: usize) -> Result<()> {
        let mut round = 0;
        loop {
            for at in (seat..self.credentials.len()).step_by(seats) {
                if self.over.load(Ordering::Relaxed) {
                    return Ok(());
                }
                round += 1;
                let address = self.address.borrow().clone();
                // A server that is killed ends a visit, and refuses the next until it is back.
                if let Err(error) = self.visit(at, seat, round, &address).await {
                    if error.is::<Wrong>() {
                        return Err(error);
                    }
                    tokio::time::sleep(RECONNECT_MIN).await;
                }
            }
        }
    }

    async fn visit(&self, at: usize, seat: usize, round: usize, address: &str) -> Result<()> {
        self.visits.fetch_add(1, Ordering::Relaxed);
        let mut stream = self.dial(seat, round, address.parse().context("the device address")?).await?;
        let credential = self.credentials.get(at).context("a credential")?.clone();
        let hello = Hello { version: wire::VERSION, credential, heartbeat_s: 590, ..Hello::default() };
        say(&mut stream, &Frame::Hello(hello)).await?;
        let mut bytes = BytesMut::with_capacity(1_024);
        let mut leaving = false;
        loop {
            while let Some(decoded) = wire::decode(&mut bytes, wire::FRAME_BYTES_MAX)? {
                match decoded.frame {
                    Some(Frame::Push(push)) => {
                        let ledger = self.ledgers.get(at).context("a ledger")?;
                        ledger.note(at, &push).map_err(|error| Wrong(error.to_string()))?;
                        say(&mut stream, &Frame::Ack(Ack { seqs: vec![push.seq] })).await?;
                    }
                    Some(Frame::Ping) => say(&mut stream, &Frame::Pong).await?,
                    // The last ack was read.
                    Some(Frame::Pong) if leaving => return Ok(()),
                    Some(Frame::Goodbye(goodbye)) => bail!("goodbye {:?}", goodbye.reason),
                    _ => {}
                }
            }
            match tokio::time::timeout(SILENCE, stream.read_buf(&mut bytes)).await {
                Ok(Ok(0)) => bail!("closed by the server"),
                Ok(read) => drop(read?),
                Err(_) if leaving => bail!("no answer to a probe"),
                Err(_) => {
                    leaving = true;
                    say(&mut stream, &Frame::Ping).await?;
                }
            }
        }
    }

    async fn dial(&self, seat: usize, round: usize, server: SocketAddr) -> Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        let source = seat / SEATS_PER_SOURCE * SOURCES_IN_TURN + round % SOURCES_IN_TURN;
        let source = Ipv4Addr::from_bits(self.first_source.to_bits() + u32::try_from(source)?);
        socket.bind((source, 0).into()).context("bind the source address")?;
        let stream = socket.connect(server).await.context("connect")?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// A device got what is not for it: the run has failed.
#[derive(Debug)]
struct Wrong(String);

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

impl Comers {
    /// Waits until everybody has gone home.
    pub(crate) async fn join(mut self) -> Result<()> {
        while let Some(gone) = self.0.join_next().await {
            gone??;
        }
        Ok(())
    }
}

async fn say(stream: &mut TcpStream, frame: &Frame) -> Result<()> {
    Ok(stream.write_all(&wire::encode(frame)).await?)
}
