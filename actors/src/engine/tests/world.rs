//! The verbs of the tests beside this file.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use carillon_sdk::api::{CreateApp, Platform, RegisterDevice};
use carillon_sdk::wire::{self, Ack, Frame, Goodbye, Hello, Lane, Push as PushFrame, Welcome};
use carillon_sdk::{AppId, DeviceId, Ttl, UserId, WorkspaceId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::clock::Clock;
use crate::engine::{Engine, Exit, Outcome, Push, Pushed, To};
use crate::limits::Limits;
use crate::link::{Arrival, Framing, Protocol, Transport};
use crate::model::{App, Device};
use crate::store::disk::Disk;
use crate::store::memory::Memory;
use crate::store::{Hints, Parts, Store};

/// Whatever a test waits for comes within this, or the test fails.
const DEADLINE: Duration = Duration::from_secs(20);

pub(super) const HOUR: Ttl = Ttl::from_secs(3600);

/// Waits with the deadline.
pub(super) async fn soon<T>(what: &str, waited: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, waited).await.unwrap_or_else(|_| panic!("{what} did not come"))
}

pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) clock: Clock,
    pub(super) app: App,
    /// What the engine and its store ended the process with, were it theirs to end.
    pub(super) exits: UnboundedReceiver<i32>,
    _dir: tempfile::TempDir,
}

pub(super) type Wrap = fn(Arc<dyn Hints>) -> Arc<dyn Hints>;

impl World {
    pub(super) async fn new() -> Self {
        Self::with(Limits::default(), |hints| hints).await
    }

    pub(super) async fn with(limits: Limits, wrap: Wrap) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual(Clock::system().now());
        let (exited, exits) = unbounded_channel();
        let store_died = exited.clone();
        // A test that has ended listens no more.
        let exit: Exit = Arc::new(move |status| {
            let _ = exited.send(status);
        });
        let disks = (0..2).map(|_| Box::new(Memory::default()) as Box<dyn Disk>).collect();
        let (store_dir, store_limits, store_clock) = (dir.path().to_owned(), limits.clone(), clock.clone());
        let engine = Engine::assemble(limits, 2, clock.clone(), exit, move |hints| {
            Store::open_with(Parts {
                disks,
                dir: store_dir,
                master: [7; 32],
                limits: store_limits,
                clock: store_clock,
                hints: wrap(hints),
                on_death: Arc::new(move || {
                    let _ = store_died.send(70);
                }),
            })
        });
        let engine = engine.unwrap();
        let app = CreateApp {
            app_id: AppId::parse("shop").unwrap(),
            workspace_id: WorkspaceId::parse("default").unwrap(),
            name: None,
        };
        let app = engine.store().create_app(app, None).await.unwrap().app;
        Self { engine, clock, app, exits, _dir: dir }
    }

    pub(super) async fn register(&self, name: &str) -> Device {
        let body = RegisterDevice {
            device_id: Some(DeviceId::parse(name).unwrap()),
            platform: Platform::Android,
            app_version: None,
            maker: None,
            locale: None,
            time_zone: None,
        };
        self.engine.store().register(self.app, body, None).await.unwrap().device
    }

    /// Registers a device and connects it.
    pub(super) async fn phone(&self, name: &str) -> Phone {
        let device = self.register(name).await;
        self.connect(device).await
    }

    pub(super) async fn connect(&self, device: Device) -> Phone {
        self.connect_with(device, Hello { version: 1, ..Hello::default() }).await
    }

    pub(super) async fn connect_with(&self, device: Device, hello: Hello) -> Phone {
        let (near, far) = UnixStream::pair().unwrap();
        let far = far.into_std().unwrap();
        let arrival = Arrival {
            device,
            hello,
            framing: Framing::Native,
            protocol: Protocol::Tcp,
            rest: Bytes::new(),
            attach: Box::new(move || Ok(Box::new(Socket(UnixStream::from_std(far)?)) as Box<dyn Transport>)),
        };
        // A shard being made anew takes nobody; a device comes again.
        let mut arrival = Some(arrival);
        soon("room for an arrival", async {
            while let Some(again) = arrival.take().and_then(|arrival| self.engine.arrive(arrival).err()) {
                arrival = Some(again);
                tokio::task::yield_now().await;
            }
        })
        .await;
        let mut phone = Phone {
            device,
            stream: near,
            bytes: BytesMut::new(),
            told: Vec::new(),
            welcome: Welcome::default(),
        };
        match phone.next().await {
            Some(Frame::Welcome(welcome)) => phone.welcome = welcome,
            other => panic!("{other:?} instead of a welcome"),
        }
        phone
    }

    pub(super) fn message(&self, to: To, title: &str) -> Push {
        Push {
            app: self.app,
            to,
            title: Some(title.to_owned()),
            body: None,
            data: None,
            uri: None,
            look: None,
            options: None,
            ttl: HOUR,
            lane: Lane::Normal,
            collapse_key: None,
            silent: false,
            from_template: false,
            idempotency: None,
            nonce: None,
        }
    }

    /// A push that is accepted for every target.
    pub(super) async fn push(&self, to: To, title: &str) -> Pushed {
        let pushed = self.engine.push(self.message(to, title)).await.unwrap();
        assert!(pushed.outcomes.iter().all(|outcome| *outcome == Outcome::Accepted), "{pushed:?}");
        pushed
    }

    pub(super) async fn bind(&self, device: Device, user: Option<&str>) {
        self.engine.bind(device, user.map(name), None).await.unwrap();
    }

    /// Moves the clock and lets the store expire what is due.
    pub(super) async fn pass(&self, span: Ttl) {
        self.clock.advance(Duration::from_millis(span.as_millis()));
        while self.engine.store().sweep(self.clock.now()).await.unwrap() {}
    }

    /// The counts by state of a message, once they are as expected.
    pub(super) async fn expect_state(&self, pushed: &Pushed, state: &str, count: u64) {
        soon(&format!("{count} targets {state}"), async {
            loop {
                let view = self.engine.store().message(self.app, pushed.id, None, 10).await.unwrap();
                if view.is_some_and(|view| view.counts.get(state).copied().unwrap_or(0) == count) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

pub(super) fn name(user: &str) -> UserId {
    UserId::parse(user).unwrap()
}

pub(super) fn users(names: &[&str]) -> To {
    To::Users(names.iter().map(|user| name(user)).collect())
}

/// A device that speaks the protocol and decides nothing.
pub(super) struct Phone {
    pub(super) device: Device,
    pub(super) welcome: Welcome,
    /// Users it was told of without asking.
    pub(super) told: Vec<Option<UserId>>,
    stream: UnixStream,
    bytes: BytesMut,
}

impl Phone {
    /// The next frame, None when the server has hung up.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        soon("a frame", async {
            loop {
                if let Some(decoded) = wire::decode(&mut self.bytes, wire::FRAME_BYTES_MAX).unwrap() {
                    match decoded.frame {
                        // The test itself bound it.
                        Some(Frame::Answer(answer)) if answer.request == 0 => {
                            self.told.push(answer.user_id);
                            continue;
                        }
                        frame => return frame,
                    }
                }
                if self.stream.read_buf(&mut self.bytes).await.unwrap_or(0) == 0 {
                    return None;
                }
            }
        })
        .await
    }

    pub(super) async fn send(&mut self, frame: Frame) {
        // The server may have hung up: what comes back says so.
        let _ = self.stream.write_all(&wire::encode(&frame)).await;
    }

    /// False once the server has hung up.
    pub(super) async fn try_send_raw(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    pub(super) async fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(super) async fn expect_push(&mut self) -> PushFrame {
        match self.next().await {
            Some(Frame::Push(push)) => push,
            other => panic!("{other:?} instead of a push"),
        }
    }

    /// The next push has this title, and is acked.
    pub(super) async fn take(&mut self, title: &str) -> PushFrame {
        let push = self.expect_push().await;
        assert_eq!(push.title.as_deref(), Some(title));
        self.ack(&[push.seq]).await;
        push
    }

    pub(super) async fn ack(&mut self, seqs: &[u64]) {
        self.send(Frame::Ack(Ack { seqs: seqs.to_vec() })).await;
    }

    /// Nothing has been written to this device before the answer to a Ping.
    pub(super) async fn expect_nothing(&mut self) {
        self.send(Frame::Ping).await;
        assert_eq!(self.next().await, Some(Frame::Pong));
    }

    pub(super) async fn expect_goodbye(&mut self) -> Goodbye {
        match self.next().await {
            Some(Frame::Goodbye(goodbye)) => goodbye,
            other => panic!("{other:?} instead of a goodbye"),
        }
    }
}

/// A real socket, as the edge's plain one.
struct Socket(UnixStream);

impl Transport for Socket {
    fn poll_read(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            match self.0.try_read(scratch) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_write_ready(cx)
    }

    fn close(&mut self) {
        // Dropped with the link; the far end then reads the end.
    }
}
