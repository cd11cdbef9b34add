//! An engine over disks in memory, and devices on real sockets, for the benches beside it.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use carillon_actors::clock::Clock;
use carillon_actors::engine::{Engine, Push, To};
use carillon_actors::limits::Limits;
use carillon_actors::link::{Arrival, Framing, Protocol, Transport};
use carillon_actors::model::{App, Device};
use carillon_actors::store::disk::Disk;
use carillon_actors::store::memory::Memory;
use carillon_actors::store::{Parts, Store};
use carillon_sdk::api::{CreateApp, RegisterDevice};
use carillon_sdk::wire::{Hello, Lane};
use carillon_sdk::{AppId, Ttl, WorkspaceId};

pub(crate) struct Node {
    pub(crate) engine: Engine,
    pub(crate) app: App,
    _dir: tempfile::TempDir,
}

impl Node {
    pub(crate) async fn start(shards: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let limits = Limits { broadcasts_max: 1 << 20, ..Limits::default() };
        let parts = |hints| Parts {
            disks: vec![Box::new(Memory::default()) as Box<dyn Disk>],
            dir: dir.path().to_owned(),
            master: [7; 32],
            limits: limits.clone(),
            clock: clock.clone(),
            hints,
            on_death: Arc::new(|| std::process::exit(70)),
        };
        let exit = Arc::new(|status| std::process::exit(status));
        let engine = Engine::assemble(limits.clone(), shards, clock.clone(), exit, |hints| {
            Store::open_with(parts(hints))
        });
        let engine = engine.unwrap();
        let app = CreateApp {
            app_id: AppId::parse("bench").unwrap(),
            workspace_id: WorkspaceId::parse("default").unwrap(),
            name: None,
        };
        let app = engine.store().create_app(app, None).await.unwrap().app;
        Self { engine, app, _dir: dir }
    }

    pub(crate) async fn register(&self) -> Device {
        self.engine.store().register(self.app, RegisterDevice::default(), None).await.unwrap().device
    }

    /// A device that has been welcomed; its end blocks.
    pub(crate) async fn connect(&self) -> UnixStream {
        let device = self.register().await;
        let (mut near, far) = UnixStream::pair().unwrap();
        far.set_nonblocking(true).unwrap();
        let arrival = Arrival {
            device,
            hello: Hello { version: 1, ..Hello::default() },
            framing: Framing::Native,
            protocol: Protocol::Tcp,
            rest: Bytes::new(),
            attach: Box::new(move || {
                Ok(Box::new(Socket(tokio::net::UnixStream::from_std(far)?)) as Box<dyn Transport>)
            }),
        };
        assert!(self.engine.arrive(arrival).is_ok());
        receive(&mut near);
        near
    }

    pub(crate) fn message(&self, to: To, ttl: Ttl) -> Push {
        Push {
            app: self.app,
            to,
            title: Some("a title of usual length".to_owned()),
            body: Some(
                "and a body that says what happened, which is about as long as this one is".to_owned(),
            ),
            data: None,
            uri: None,
            look: None,
            options: None,
            ttl,
            lane: Lane::Normal,
            collapse_key: None,
            silent: false,
            from_template: false,
            idempotency: None,
            nonce: None,
        }
    }
}

/// One frame, length and body.
pub(crate) fn receive(socket: &mut UnixStream) -> Vec<u8> {
    let mut length = [0; 4];
    socket.read_exact(&mut length).unwrap();
    let mut frame = vec![0; 4 + u32::from_be_bytes(length) as usize];
    frame[..4].copy_from_slice(&length);
    socket.read_exact(&mut frame[4..]).unwrap();
    frame
}

pub(crate) fn send(socket: &mut UnixStream, bytes: &[u8]) {
    socket.write_all(bytes).unwrap();
}

struct Socket(tokio::net::UnixStream);

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

    fn close(&mut self) {}
}
