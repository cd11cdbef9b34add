//! A device: it stays connected, and yields each message once.
//!
//! ```text
//!            events             frames
//!  app ◀──────────────┐      ┌──────────▶
//!      DeviceClient   driver   Connection   server
//!  app ──────────────▶┘      └◀──────────
//!           commands
//! ```
//!
//! The driver is one task. It ends when the client is dropped, or when the server says that coming
//! back is of no use. Both queues are bounded: an app that takes no events leaves further pushes
//! unacked, and the server keeps them.

mod driver;
mod session;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot, watch};

pub use super::backoff::Backoff;
use super::{Address, Trust, connection};
use crate::ids::{MessageId, UserId};
use crate::wire::{ErrorCode, ErrorFrame, GoodbyeReason, Push, Report, ReportKind, Welcome};
use driver::Driver;

/// Events that may wait for the app.
const EVENTS_MAX: usize = 1_024;

/// Commands of the app that may wait for the driver.
const COMMANDS_MAX: usize = 1_024;

/// When a push is acked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Acks {
    /// As soon as it waits for the app.
    #[default]
    Automatic,
    /// When the app says [`DeviceClient::ack`].
    Manual,
    /// Never: to see what a server does then.
    Never,
}

/// How to connect, and as whom.
#[derive(Debug, Clone)]
pub struct Options {
    pub address: Address,
    pub trust: Trust,
    /// From registration.
    pub credential: String,
    /// The heartbeat to ask for, in seconds; 0 leaves it to the server.
    pub heartbeat_s: u32,
    pub app_version: Option<String>,
    pub acks: Acks,
    /// Whether to connect again after a connection is lost.
    pub reconnect: bool,
    pub backoff: Backoff,
    /// From the first packet to Welcome.
    pub connect_timeout: Duration,
}

impl Options {
    #[must_use]
    pub fn new(address: Address, credential: impl Into<String>) -> Self {
        Self {
            address,
            trust: Trust::default(),
            credential: credential.into(),
            heartbeat_s: 0,
            app_version: None,
            acks: Acks::default(),
            reconnect: true,
            backoff: Backoff::default(),
            connect_timeout: Duration::from_secs(10),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Connection(#[from] connection::Error),
    #[error("no welcome within the time given")]
    Timeout,
    #[error("the connection ended before it was welcome")]
    Unwelcome,
    /// The server said Goodbye, and for good unless `retry_after` says otherwise.
    #[error("the server said goodbye: {reason:?}")]
    Goodbye { reason: GoodbyeReason, retry_after: Duration },
    /// The driver has ended; the text says why.
    #[error("the client has ended: {0}")]
    Ended(String),
    /// The server would not do what it was asked.
    #[error("refused: {0:?}")]
    Refused(ErrorCode),
    /// The connection was lost before the answer; it may have been done.
    #[error("the connection was lost before the answer came")]
    Lost,
}

/// What a device learns.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Push(Push),
    /// What was shown of this message is to be withdrawn.
    Revoke(MessageId),
    /// The server did not obey a frame.
    Error(ErrorFrame),
}

/// Where the client stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Status {
    Connected(Welcome),
    /// Not connected; it will try again after this span.
    Waiting {
        wait: Duration,
        why: String,
    },
    Ended(String),
}

/// What was not yielded, and why; and what else there is to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Pushes that came again.
    pub repeats: u64,
    /// Pushes that came when they had expired.
    pub expired: u64,
    /// Pushes that came after their Revoke.
    pub revoked: u64,
    /// Pushes for a user who is not the one bound here.
    pub other_user: u64,
    /// Pushes left unacked because the app takes no events.
    pub overflowed: u64,
    /// Frames and fields this build does not know.
    pub unknown: u64,
    /// Sessions opened, the first included.
    pub sessions: u64,
}

#[derive(Debug, Default)]
struct Counters {
    repeats: AtomicU64,
    expired: AtomicU64,
    revoked: AtomicU64,
    other_user: AtomicU64,
    overflowed: AtomicU64,
    unknown: AtomicU64,
    sessions: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// What the app asks of the driver.
enum Command {
    Ack {
        seq: u64,
        message_id: MessageId,
    },
    Report(Report),
    /// Another road brought the message; whether it is news.
    Brought(MessageId, oneshot::Sender<bool>),
    Ask(Ask, oneshot::Sender<Result<Option<UserId>, Error>>),
    Close(oneshot::Sender<()>),
}

/// A request that the server answers.
enum Ask {
    Bind { token: String },
    Unbind,
    VendorToken { channel: String, token: String },
}

/// A connected device. Shared by reference; dropped, it disconnects.
pub struct DeviceClient {
    commands: mpsc::Sender<Command>,
    events: Mutex<mpsc::Receiver<Event>>,
    status: watch::Receiver<Status>,
    counters: Arc<Counters>,
}

impl DeviceClient {
    /// Opens the first session; the error says why there is none. From then on the client
    /// reconnects by itself, if the options say so.
    pub async fn connect(options: Options) -> Result<Self, Error> {
        let (to_driver, commands) = mpsc::channel(COMMANDS_MAX);
        let (events, from_driver) = mpsc::channel(EVENTS_MAX);
        let counters = Arc::new(Counters::default());
        let mut driver = Driver::new(options, commands, events, Arc::clone(&counters));
        let session = driver.open().await?;
        let status = driver.watch(&session);
        tokio::spawn(driver.run(session));
        Ok(Self { commands: to_driver, events: Mutex::new(from_driver), status, counters })
    }

    /// The next message, each once. Safe to cancel.
    pub async fn next_push(&self) -> Result<Push, Error> {
        loop {
            if let Event::Push(push) = self.next_event().await? {
                return Ok(push);
            }
        }
    }

    /// The next message, or whatever else the server says. Safe to cancel.
    pub async fn next_event(&self) -> Result<Event, Error> {
        let event = self.events.lock().await.recv().await;
        event.ok_or_else(|| self.ended())
    }

    /// Acks a push: needed with [`Acks::Manual`] alone.
    pub async fn ack(&self, push: &Push) -> Result<(), Error> {
        self.command(Command::Ack { seq: push.seq, message_id: push.message_id }).await
    }

    /// Tells what became of a message on the device.
    pub async fn report(&self, message_id: MessageId, kind: ReportKind) -> Result<(), Error> {
        self.command(Command::Report(Report { message_id, kind })).await
    }

    /// Says that the phone maker's channel brought this message: its data has the id as
    /// `carillon_id`. True when it is to be shown: the server is told that it was, and a copy that
    /// comes by this connection is acked and not yielded. False when the app has it from here already,
    /// or it was revoked. Waits for no session, but for one that is just being opened.
    pub async fn brought_by_vendor(&self, message_id: MessageId) -> Result<bool, Error> {
        let (reply, answer) = oneshot::channel();
        self.command(Command::Brought(message_id, reply)).await?;
        answer.await.map_err(|_| self.ended())
    }

    /// Says that a user is logged in here, with a token that the app server signed; returns the
    /// user now bound. Waits for a session and its answer.
    pub async fn bind(&self, token: impl Into<String>) -> Result<Option<UserId>, Error> {
        self.ask(Ask::Bind { token: token.into() }).await
    }

    /// Says that nobody is logged in here.
    pub async fn unbind(&self) -> Result<(), Error> {
        self.ask(Ask::Unbind).await.map(drop)
    }

    /// Gives a phone maker's token for this device; an empty one withdraws it.
    pub async fn vendor_token(
        &self,
        channel: impl Into<String>,
        token: impl Into<String>,
    ) -> Result<(), Error> {
        self.ask(Ask::VendorToken { channel: channel.into(), token: token.into() }).await.map(drop)
    }

    /// Where the client stands, and every change of it.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    #[must_use]
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            repeats: read(&self.counters.repeats),
            expired: read(&self.counters.expired),
            revoked: read(&self.counters.revoked),
            other_user: read(&self.counters.other_user),
            overflowed: read(&self.counters.overflowed),
            unknown: read(&self.counters.unknown),
            sessions: read(&self.counters.sessions),
        }
    }

    /// Disconnects, after what was commanded and acked so far has been written.
    pub async fn close(self) {
        let (done, closed) = oneshot::channel();
        if self.commands.send(Command::Close(done)).await.is_ok() {
            // An error means that the driver has ended, which is what is waited for.
            let _ = closed.await;
        }
    }

    async fn ask(&self, ask: Ask) -> Result<Option<UserId>, Error> {
        let (reply, answer) = oneshot::channel();
        self.command(Command::Ask(ask, reply)).await?;
        answer.await.unwrap_or_else(|_| Err(self.ended()))
    }

    async fn command(&self, command: Command) -> Result<(), Error> {
        self.commands.send(command).await.map_err(|_| self.ended())
    }

    fn ended(&self) -> Error {
        match &*self.status.borrow() {
            Status::Ended(why) => Error::Ended(why.clone()),
            _ => Error::Ended("its task is gone".to_owned()),
        }
    }
}
