//! One session from Welcome to its end: what is owed to the server, and when.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Ask, Error};
use crate::client::connection::{self, Connection};
use crate::client::random_below;
use crate::ids::UserId;
use crate::time::{Timestamp, Ttl};
use crate::wire::{ACK_SEQS_MAX, Ack, Bind, BindAnswer, Frame, Push, Unbind, VendorToken, Welcome};

/// How long a Ping may go unanswered before the connection counts as lost, and how long a write
/// may take.
const PATIENCE: Duration = Duration::from_secs(20);

const UNDECIDED_MAX: usize = 64;

pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) welcome: Welcome,
    /// The user bound to this device, as far as it knows.
    pub(super) user: Option<UserId>,
    opened_at: Instant,
    heard_at: Instant,
    sent_at: Instant,
    /// When a Ping was sent that nothing followed yet.
    pinged_at: Option<Instant>,
    /// From a frame sent to the Ping that must follow: the heartbeat less a tenth and some jitter.
    beat: Duration,
    acks: Vec<u64>,
    frames: Vec<Frame>,
    asked: HashMap<u32, Asked>,
    /// Came while a bind was under way: its answer says whether they are for who is here now. No
    /// more than a server keeps in flight.
    undecided: Vec<Push>,
    /// Of the latest ask. 0 is never used: by it a server tells of a change nobody here asked for.
    request: u32,
}

struct Asked {
    /// True for Bind and Unbind.
    is_bind: bool,
    reply: oneshot::Sender<Result<Option<UserId>, Error>>,
}

impl Session {
    pub(super) fn new(connection: Connection, welcome: Welcome) -> Self {
        let now = Instant::now();
        let heartbeat_ms = u64::from(welcome.heartbeat_s.max(1)) * 1_000;
        let beat = heartbeat_ms * 9 / 10 - random_below(heartbeat_ms / 10);
        Self {
            connection,
            user: welcome.user_id.clone(),
            welcome,
            opened_at: now,
            heard_at: now,
            sent_at: now,
            pinged_at: None,
            beat: Duration::from_millis(beat),
            acks: Vec::new(),
            frames: Vec::new(),
            asked: HashMap::new(),
            undecided: Vec::new(),
            request: 0,
        }
    }

    /// The server's wall time.
    pub(super) fn now(&self) -> Timestamp {
        self.welcome.now + Ttl::from_millis(u64::try_from(self.age().as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn age(&self) -> Duration {
        self.opened_at.elapsed()
    }

    pub(super) fn heard(&mut self) {
        self.heard_at = Instant::now();
        self.pinged_at = None;
    }

    /// When [`Self::beat`] is to be called.
    pub(super) fn due(&self) -> Instant {
        self.pinged_at.map_or(self.sent_at + self.beat, |pinged_at| pinged_at + PATIENCE)
    }

    /// The heart beats. False when the server has not answered the last Ping.
    pub(super) fn beat(&mut self) -> bool {
        if self.pinged_at.is_some() {
            return false;
        }
        self.pinged_at = Some(Instant::now());
        self.frames.push(Frame::Ping);
        true
    }

    pub(super) fn ack(&mut self, seq: u64) {
        self.acks.push(seq);
    }

    pub(super) fn owe(&mut self, frame: Frame) {
        self.frames.push(frame);
    }

    pub(super) fn ask(&mut self, ask: Ask, reply: oneshot::Sender<Result<Option<UserId>, Error>>) {
        self.request = self.request.checked_add(1).unwrap_or(1);
        let request = self.request;
        let is_bind = !matches!(ask, Ask::VendorToken { .. });
        self.frames.push(match ask {
            Ask::Bind { token } => Frame::Bind(Bind { request, token }),
            Ask::Unbind => Frame::Unbind(Unbind { request }),
            Ask::VendorToken { channel, token } => {
                Frame::VendorToken(VendorToken { request, channel, token })
            }
        });
        self.asked.insert(request, Asked { is_bind, reply });
    }

    /// The user for whom pushes are taken now: none while a Bind or an Unbind is under way, when
    /// the app has already changed its mind and the server does not yet know.
    pub(super) fn taker(&self) -> Option<&UserId> {
        if self.is_binding() { None } else { self.user.as_ref() }
    }

    /// Keeps a push until the bind under way is answered; beyond the bound it is left to come again.
    pub(super) fn hold(&mut self, push: Push) {
        if self.undecided.len() < UNDECIDED_MAX {
            self.undecided.push(push);
        }
    }

    /// What was held, once no bind is under way any more.
    pub(super) fn decided(&mut self) -> Vec<Push> {
        if self.is_binding() { Vec::new() } else { std::mem::take(&mut self.undecided) }
    }

    pub(super) fn is_binding(&self) -> bool {
        self.asked.values().any(|asked| asked.is_bind)
    }

    pub(super) fn answered(&mut self, answer: BindAnswer) {
        let asked = self.asked.remove(&answer.request);
        let tells_user = asked.as_ref().map_or(answer.request == 0, |asked| asked.is_bind);
        if tells_user && answer.error.is_none() {
            self.user = answer.user_id.clone();
        }
        if let Some(asked) = asked {
            let result = answer.error.map_or(Ok(answer.user_id), |code| Err(Error::Refused(code)));
            // Whoever asked may have stopped waiting.
            let _ = asked.reply.send(result);
        }
    }

    /// Writes all that is owed, acks first.
    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        let acks = std::mem::take(&mut self.acks);
        for seqs in acks.chunks(ACK_SEQS_MAX) {
            self.send(&Frame::Ack(Ack { seqs: seqs.to_vec() })).await?;
        }
        for frame in std::mem::take(&mut self.frames) {
            self.send(&frame).await?;
        }
        Ok(())
    }

    async fn send(&mut self, frame: &Frame) -> Result<(), Error> {
        self.sent_at = Instant::now();
        match tokio::time::timeout(PATIENCE, self.connection.send(frame)).await {
            Ok(sent) => Ok(sent?),
            Err(_) => Err(connection::Error::Io(std::io::ErrorKind::TimedOut.into()).into()),
        }
    }

    /// The end: whoever waits for an answer is told.
    pub(super) fn lose(self) {
        for asked in self.asked.into_values() {
            let _ = asked.reply.send(Err(Error::Lost));
        }
    }
}
