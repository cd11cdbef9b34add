//! A store under test, with the verbs of its users.

use std::sync::Arc;
use std::time::Duration;

use carillon_sdk::api::{CreateApp, Platform, RegisterDevice};
use carillon_sdk::wire::Lane;
use carillon_sdk::{AppId, DeviceId, MessageId, Timestamp, Ttl, UserId, WorkspaceId};
use parking_lot::Mutex;
use roaring::RoaringBitmap;
use tempfile::TempDir;

use super::super::faults::Faults;
use super::super::memory::Memory;
use super::super::{Acked, Cursor, DueHint, Enqueued, Error, Hints, LogEntry, Page, Parts, Store};
use crate::clock::Clock;
use crate::limits::Limits;
use crate::model::{App, Device, Due, Message, Owner, PushType, Seq, ShardNo, User};

pub(super) const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
pub(super) const HOUR: Ttl = Ttl::from_secs(3600);

/// On what a store under test stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    Sled,
    Memory,
}

pub(super) const BOTH: [On; 2] = [On::Sled, On::Memory];

/// Hints as they came.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) due: Mutex<Vec<(ShardNo, DueHint)>>,
    pub(super) broadcasts: Mutex<Vec<Arc<LogEntry>>>,
    pub(super) withdrawn: Mutex<Vec<(App, Seq)>>,
}

impl Hints for Heard {
    fn due(&self, shard: ShardNo, hints: Vec<DueHint>) {
        self.due.lock().extend(hints.into_iter().map(|hint| (shard, hint)));
    }

    fn withdrawn(&self, app: App, seq: Seq, _: Option<Arc<RoaringBitmap>>) {
        self.withdrawn.lock().push((app, seq));
    }

    fn broadcast(&self, entry: Arc<LogEntry>, _: Arc<RoaringBitmap>) {
        self.broadcasts.lock().push(entry);
    }
}

pub(super) struct Bench {
    on: On,
    dir: TempDir,
    memory: Vec<Memory>,
    pub(super) limits: Limits,
    pub(super) clock: Clock,
    pub(super) heard: Arc<Heard>,
    pub(super) faults: Faults,
    store: Option<Store>,
}

pub(super) const PARTITIONS: usize = 2;

/// Waits for a store's answer on the test's own thread: its futures need no runtime.
pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

impl Bench {
    pub(super) fn new(on: On) -> Self {
        Self::with(on, Limits::default())
    }

    pub(super) fn with(on: On, limits: Limits) -> Self {
        let mut bench = Self {
            on,
            dir: TempDir::new().unwrap(),
            memory: (0..PARTITIONS).map(|_| Memory::default()).collect(),
            limits,
            clock: Clock::manual(START),
            heard: Arc::default(),
            faults: Faults::default(),
            store: None,
        };
        bench.open();
        bench
    }

    pub(super) fn open(&mut self) {
        self.reopen_with(Arc::new(|| {}));
    }

    pub(super) fn reopen_with(&mut self, on_death: Arc<dyn Fn() + Send + Sync>) {
        self.store = None;
        let hints: Arc<dyn Hints> = Arc::<Heard>::clone(&self.heard);
        let disks = match self.on {
            On::Memory => self.memory.iter().map(|memory| self.faults.over(memory.clone())).collect(),
            On::Sled => (0..PARTITIONS)
                .map(|no| {
                    let dir = self.dir.path().join("pending").join(no.to_string());
                    self.faults.over(super::super::sled::Sled::open(&dir, 8 << 20, &self.clock).unwrap())
                })
                .collect(),
        };
        let parts = Parts {
            disks,
            dir: self.dir.path().to_owned(),
            master: [9; 32],
            limits: self.limits.clone(),
            clock: self.clock.clone(),
            hints,
            on_death,
        };
        self.store = Some(Store::open_with(parts).unwrap());
    }

    pub(super) fn disks(&self) -> &[Memory] {
        &self.memory
    }

    /// Opens over other disks, with a history that knows nothing of them.
    pub(super) fn replace_disks(&mut self, memory: Vec<Memory>) {
        self.store = None;
        self.dir = TempDir::new().unwrap();
        self.memory = memory;
        self.open();
    }

    /// As a kill: nothing is closed.
    pub(super) fn kill_and_reopen(&mut self) {
        self.open();
    }

    pub(super) fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    pub(super) fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    pub(super) fn app(&self, name: &str) -> App {
        let body = CreateApp {
            app_id: AppId::parse(name).unwrap(),
            workspace_id: WorkspaceId::parse("test").unwrap(),
            name: None,
        };
        wait(self.store().create_app(body, None)).unwrap().app
    }

    pub(super) fn device(&self, app: App, name: &str) -> Device {
        self.register(app, name).device
    }

    pub(super) fn register(&self, app: App, name: &str) -> super::super::Registered {
        let body = RegisterDevice {
            device_id: Some(DeviceId::parse(name).unwrap()),
            platform: Platform::Android,
            app_version: Some("1.0".to_owned()),
            ..RegisterDevice::default()
        };
        wait(self.store().register(app, body, None)).unwrap()
    }

    pub(super) fn user(&self, app: App, name: &str) -> User {
        self.store().user(app, &UserId::parse(name).unwrap())
    }

    pub(super) fn bind(&self, device: Device, user: Option<User>) -> Option<User> {
        wait(self.store().bind(device, user, None)).unwrap()
    }

    pub(super) fn message(&self, app: App) -> Message {
        Message {
            id: MessageId::fresh(),
            app,
            push_type: PushType::Single,
            title: Some("hi".to_owned()),
            body: None,
            data: None,
            lane: Lane::Normal,
            silent: false,
            collapse_key: None,
            accepted_at: self.clock.now(),
            expires_at: self.clock.now() + HOUR,
            uri: None,
            look: None,
            task: None,
            options: None,
            repeat_until: None,
            revokes: None,
            key: None,
        }
    }

    pub(super) fn enqueue(&self, message: Message, targets: &[Owner]) -> Result<Vec<Enqueued>, Error> {
        wait(self.store().enqueue(Arc::new(message), targets.to_vec(), None))
    }

    /// One message for one owner: its id and place.
    pub(super) fn push(&self, owner: Owner) -> (MessageId, Seq) {
        let message = self.message(owner.app());
        let id = message.id;
        match self.enqueue(message, &[owner]).unwrap()[..] {
            [Enqueued::Stored(seq)] => (id, seq),
            ref other => panic!("not stored: {other:?}"),
        }
    }

    pub(super) fn page(&self, device: Device) -> Page {
        self.page_after(device, Cursor::default(), 64)
    }

    pub(super) fn page_after(&self, device: Device, cursor: Cursor, limit: usize) -> Page {
        let user = self.store().device_info(device).and_then(|info| info.user);
        wait(self.store().page(device, user, cursor, limit)).unwrap()
    }

    pub(super) fn due(&self, device: Device) -> Vec<MessageId> {
        ids(&self.page(device).due)
    }

    /// Acks what a page gave, and waits until it is taken in.
    pub(super) fn ack(&self, device: Device, due: &[Due]) {
        let acked = due.iter().map(|due| Acked { owner: due.owner, seq: due.seq, id: due.id }).collect();
        self.store().ack(device, acked).unwrap();
        self.settle(device.app);
    }

    /// Acks everything due to a device.
    pub(super) fn ack_all(&self, device: Device) {
        let due = self.page(device).due;
        self.ack(device, &due);
    }

    /// Waits until what was told before is taken in.
    pub(super) fn settle(&self, app: App) {
        wait(self.store().message(app, MessageId::fresh(), None, 1)).unwrap();
    }

    pub(super) fn advance(&self, span: Ttl) {
        self.clock.advance(Duration::from_millis(span.as_millis()));
    }

    /// Sweeps until nothing is left to do.
    pub(super) fn sweep(&self) {
        while wait(self.store().sweep(self.clock.now())).unwrap() {}
    }

    /// The state of a message at a device, from its story.
    pub(super) fn state(&self, device: Device, id: MessageId) -> Option<String> {
        let view = wait(self.store().message(device.app, id, None, 10_000)).unwrap()?;
        let device_id = self.store().device_info(device).map(|info| info.device_id);
        view.targets.into_iter().find(|target| target.device_id == device_id).map(|target| target.state)
    }

    /// How many targets of a message are in each state.
    pub(super) fn counts(&self, app: App, id: MessageId) -> Vec<(String, u64)> {
        let view = wait(self.store().message(app, id, None, 1)).unwrap().unwrap();
        view.counts.into_iter().collect()
    }
}

pub(super) fn ids(due: &[Due]) -> Vec<MessageId> {
    due.iter().map(|due| due.id).collect()
}
