//! The task behind a `DeviceClient`: opens sessions one after another and lives in each.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::session::Session;
use super::{Acks, Command, Counters, Error, Event, Options, Status, count};
use crate::client::connection::Connection;
use crate::client::inbox::{Inbox, Verdict};
use crate::client::random_below;
use crate::ids::MessageId;
use crate::wire::{self, ErrorCode, Frame, Goodbye, GoodbyeReason, Hello, Push, Report, ReportKind, Revoke};

/// A session that lived this long was a good one: the next failure is a first one again.
const GOOD_SESSION: Duration = Duration::from_secs(10);

/// A session of this age that met a push for another user is opened anew at once.
const RESYNC_AGE: Duration = Duration::from_secs(1);

pub(super) struct Driver {
    options: Options,
    commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<Event>,
    status: watch::Sender<Status>,
    counters: Arc<Counters>,
    inbox: Inbox,
    /// The last session's number, for Hello.
    resume: u64,
    /// Commands that came while there was no session.
    waiting: VecDeque<Command>,
    /// Connections in a row that came to nothing.
    failures: u32,
}

/// How a session ended.
enum End {
    /// The app wants no more of it.
    Closed,
    /// Come back, at once or after a wait of one's own making.
    Again { wait: Option<Duration>, why: String },
    /// Coming back is of no use.
    Final(String),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        match error {
            Error::Goodbye { reason, retry_after } => goodbye(reason, retry_after),
            Error::Refused(ErrorCode::CredentialInvalid) => Self::Final(error.to_string()),
            other => Self::Again { wait: None, why: chain(&other) },
        }
    }
}

fn goodbye(reason: GoodbyeReason, retry_after: Duration) -> End {
    let why = format!("the server said goodbye: {reason:?}");
    match reason {
        // A newer session has taken over: to come back would be to fight it.
        GoodbyeReason::Credential | GoodbyeReason::Revoked | GoodbyeReason::Replaced => End::Final(why),
        _ => End::Again { wait: (!retry_after.is_zero()).then_some(retry_after), why },
    }
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}

impl Driver {
    pub(super) fn new(
        options: Options,
        commands: mpsc::Receiver<Command>,
        events: mpsc::Sender<Event>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            options,
            commands,
            events,
            status: watch::Sender::new(Status::Ended("not connected yet".to_owned())),
            counters,
            inbox: Inbox::default(),
            resume: 0,
            waiting: VecDeque::new(),
            failures: 0,
        }
    }

    /// Where the client stands, from its first session on.
    pub(super) fn watch(&self, first: &Session) -> watch::Receiver<Status> {
        self.status.send_replace(Status::Connected(first.welcome.clone()));
        self.status.subscribe()
    }

    pub(super) async fn run(mut self, first: Session) {
        let mut next = Ok(first);
        let why = loop {
            let end = match next {
                Ok(session) => self.live(session).await,
                Err(error) => {
                    self.failures = self.failures.saturating_add(1);
                    End::from(error)
                }
            };
            let (wait, why) = match end {
                End::Closed => break "it was closed".to_owned(),
                End::Final(why) => break why,
                End::Again { why, .. } if !self.options.reconnect => break why,
                End::Again { wait, why } => (wait, why),
            };
            let wait = wait.unwrap_or_else(|| self.options.backoff.wait(self.failures, random_below));
            self.status.send_replace(Status::Waiting { wait, why });
            if !self.wait(wait).await {
                break "it was closed".to_owned();
            }
            next = self.open().await;
            if let Ok(session) = &next {
                self.status.send_replace(Status::Connected(session.welcome.clone()));
            }
        };
        self.status.send_replace(Status::Ended(why));
    }

    /// False when the app went away meanwhile.
    async fn wait(&mut self, wait: Duration) -> bool {
        let until = tokio::time::Instant::now() + wait;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return true,
                command = self.commands.recv() => match command {
                    None | Some(Command::Close(_)) => return false,
                    Some(command) => self.put_off(command),
                },
            }
        }
    }

    /// Keeps a command for the next session; an ack goes out with its Hello. Bounded by the sender,
    /// who waits for answers, and by the pushes there are to ack and report.
    fn put_off(&mut self, command: Command) {
        match command {
            Command::Ack { seq, message_id } => self.inbox.ack(message_id, seq),
            Command::Brought(message, reply) => {
                if let Some(report) = self.brought(message, reply) {
                    self.put_off(Command::Report(report));
                }
            }
            other if self.waiting.len() < super::COMMANDS_MAX => self.waiting.push_back(other),
            Command::Ask(_, reply) => {
                let _ = reply.send(Err(Error::Lost));
            }
            // A report too many of a device long offline: statistics miss it.
            Command::Report(_) | Command::Close(_) => {}
        }
    }

    /// Connects and says Hello, until Welcome.
    pub(super) async fn open(&mut self) -> Result<Session, Error> {
        let hello = Hello {
            version: wire::VERSION,
            credential: self.options.credential.clone(),
            heartbeat_s: self.options.heartbeat_s,
            resume: self.resume,
            holding: self.inbox.holding(),
            app_version: self.options.app_version.clone(),
        };
        let opening = async {
            let mut connection = Connection::open(&self.options.address, &self.options.trust).await?;
            connection.send(&Frame::Hello(hello)).await?;
            let mut refused = None;
            loop {
                match connection.next().await? {
                    Some(Frame::Welcome(welcome)) => return Ok(Session::new(connection, welcome)),
                    Some(Frame::Error(error)) => refused = Some(error.code),
                    Some(Frame::Goodbye(Goodbye { reason, retry_after_ms })) => {
                        let retry_after = Duration::from_millis(retry_after_ms);
                        return Err(Error::Goodbye { reason, retry_after });
                    }
                    Some(Frame::Ping) => connection.send(&Frame::Pong).await?,
                    Some(_) => {}
                    None => return Err(refused.map_or(Error::Unwelcome, Error::Refused)),
                }
            }
        };
        let session: Session = tokio::time::timeout(self.options.connect_timeout, opening)
            .await
            .map_err(|_| Error::Timeout)??;
        self.resume = session.welcome.session;
        self.inbox.welcomed();
        count(&self.counters.sessions);
        Ok(session)
    }

    async fn live(&mut self, mut session: Session) -> End {
        let unknown_before = self.counters.unknown.load(Ordering::Relaxed);
        let end = loop {
            if let Err(end) = self.turn(&mut session).await {
                break end;
            }
            self.counters.unknown.store(unknown_before + session.connection.unknown(), Ordering::Relaxed);
        };
        self.failures = if session.age() >= GOOD_SESSION { 0 } else { self.failures.saturating_add(1) };
        session.lose();
        end
    }

    /// One event of a session, and all that is owed for it.
    async fn turn(&mut self, session: &mut Session) -> Result<(), End> {
        while let Some(command) = self.waiting.pop_front() {
            self.command(session, command).await?;
        }
        session.flush().await?;
        let due = session.due();
        tokio::select! {
            frame = session.connection.next() => {
                let mut next = frame.map_err(Error::from)?;
                if next.is_none() {
                    return Err(End::Again { wait: None, why: "the server closed the connection".to_owned() });
                }
                while let Some(frame) = next {
                    if let Err(end) = self.obey(session, frame) {
                        // What is owed for the frames before is written if it still can be.
                        let _ = session.flush().await;
                        return Err(end);
                    }
                    next = session.connection.next_ready().map_err(Error::from)?;
                }
            }
            command = self.commands.recv() => match command {
                Some(command) => self.command(session, command).await?,
                None => return Err(End::Closed),
            },
            () = tokio::time::sleep_until(due) => {
                if !session.beat() {
                    return Err(End::Again { wait: None, why: "the server did not answer a ping".to_owned() });
                }
            }
        }
        Ok(session.flush().await?)
    }

    async fn command(&mut self, session: &mut Session, command: Command) -> Result<(), End> {
        match command {
            Command::Ack { seq, message_id } => self.ack(session, message_id, seq),
            Command::Report(report) => session.owe(Frame::Report(report)),
            Command::Brought(message, reply) => {
                let report = self.brought(message, reply).map(Frame::Report);
                report.into_iter().for_each(|report| session.owe(report));
            }
            Command::Ask(ask, reply) => session.ask(ask, reply),
            Command::Close(done) => {
                session.flush().await?;
                session.connection.close().await;
                // Dropping our end would tell the app as well.
                let _ = done.send(());
                return Err(End::Closed);
            }
        }
        Ok(())
    }

    /// What is to be said of a message that the vendor's channel brought, when it is news.
    fn brought(&mut self, message_id: MessageId, reply: oneshot::Sender<bool>) -> Option<Report> {
        let is_news = self.inbox.brought(message_id);
        // Whoever asked may have stopped waiting.
        let _ = reply.send(is_news);
        is_news.then_some(Report { message_id, kind: ReportKind::Shown })
    }

    fn ack(&mut self, session: &mut Session, message: MessageId, seq: u64) {
        self.inbox.ack(message, seq);
        session.ack(seq);
    }

    fn obey(&mut self, session: &mut Session, frame: Frame) -> Result<(), End> {
        session.heard();
        match frame {
            Frame::Push(push) => return self.push(session, push),
            Frame::Revoke(revoke) => self.revoke(session, &revoke),
            Frame::Error(error) => self.tell(Event::Error(error)),
            Frame::Answer(answer) => {
                session.answered(answer);
                for push in session.decided() {
                    self.decide(session, push);
                }
            }
            Frame::Ping => session.owe(Frame::Pong),
            Frame::Goodbye(Goodbye { reason, retry_after_ms }) => {
                return Err(goodbye(reason, Duration::from_millis(retry_after_ms)));
            }
            // Pong is heard, which is all it is for; the others are a device's own to send.
            _ => {}
        }
        Ok(())
    }

    fn push(&mut self, session: &mut Session, push: Push) -> Result<(), End> {
        if session.is_binding() && push.user_id.is_some() {
            session.hold(push);
            return Ok(());
        }
        if self.decide(session, push) {
            return Ok(());
        }
        // The app server may have bound another user behind the device's back. The next Welcome
        // says who it is, and the push, unacked, comes again.
        let wait = (session.age() >= RESYNC_AGE).then_some(Duration::ZERO);
        Err(End::Again { wait, why: "a push for a user unknown here".to_owned() })
    }

    /// False when the push is for a user who is not the one bound here.
    fn decide(&mut self, session: &mut Session, push: Push) -> bool {
        match self.inbox.judge(&push, session.taker(), session.now()) {
            Verdict::New => self.give(session, push),
            Verdict::RepeatAcked => {
                count(&self.counters.repeats);
                self.ack(session, push.message_id, push.seq);
            }
            Verdict::RepeatHeld => count(&self.counters.repeats),
            Verdict::Expired => count(&self.counters.expired),
            // The server withdraws it: an ack would say that it was shown.
            Verdict::Revoked => count(&self.counters.revoked),
            Verdict::OtherUser => {
                count(&self.counters.other_user);
                return false;
            }
        }
        true
    }

    /// A push to the app, if it has room; else the server keeps it and will send it again.
    fn give(&mut self, session: &mut Session, push: Push) {
        let (message, seq) = (push.message_id, push.seq);
        if self.events.try_send(Event::Push(push)).is_err() {
            return count(&self.counters.overflowed);
        }
        self.inbox.take(message);
        if self.options.acks == Acks::Automatic {
            self.ack(session, message, seq);
        }
    }

    /// The app is told once, and the server when the app was: else it says so again.
    fn revoke(&mut self, session: &mut Session, revoke: &Revoke) {
        if !self.inbox.is_revoked(revoke.message_id) {
            if self.events.try_send(Event::Revoke(revoke.message_id)).is_err() {
                return count(&self.counters.overflowed);
            }
            self.inbox.revoke(revoke.message_id);
        }
        if revoke.seq != 0 {
            self.inbox.hold(revoke.seq);
            session.ack(revoke.seq);
        }
    }

    /// An event the app may miss when it takes none.
    fn tell(&self, event: Event) {
        if self.events.try_send(event).is_err() {
            count(&self.counters.overflowed);
        }
    }
}
