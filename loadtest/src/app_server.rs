//! An app server: registers the fleet's devices and sends pushes, at a fixed rate or as fast as
//! they are answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use carillon_sdk::DeviceId;
use carillon_sdk::api::{DeviceRegistered, Platform, PushRequest, RegisterDevice, Target};
use hdrhistogram::Histogram;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::clock::now_ns;
use crate::fleet::tag::{self, Kind};
use crate::http::{Answer, Connection, Signer};
use crate::progress::Progress;
use crate::report::histogram;
use crate::server::Server;

/// Connections on which devices are registered.
const REGISTERING: usize = 128;

/// Where an app server calls, and as whom.
#[derive(Debug, Clone)]
pub(crate) struct AppServer {
    http: String,
    signer: Signer,
    pub(crate) ca_pem: Option<String>,
    is_floor: bool,
}

/// Devices as the server knows them.
#[derive(Debug, Default)]
pub(crate) struct Registered {
    pub(crate) ids: Vec<DeviceId>,
    pub(crate) credentials: Vec<String>,
}

/// What pushes look like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) payload_bytes: usize,
    pub(crate) ttl_s: Option<u64>,
}

/// What a run of pushes came to.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    /// Of the last refusal.
    pub(crate) trouble: Option<String>,
    /// From when each was due to be sent until its 202.
    pub(crate) accepted_after: Histogram<u64>,
}

impl AppServer {
    pub(crate) fn of(server: &Server) -> Self {
        Self {
            http: server.http().to_owned(),
            signer: server.signer(),
            ca_pem: None,
            is_floor: server.is_floor,
        }
    }

    pub(crate) async fn connection(&self) -> Result<Connection> {
        Connection::open(&self.http, self.signer.clone()).await
    }

    /// Registers `count` devices named `prefix-0`, `prefix-1`, …
    pub(crate) async fn register(&mut self, prefix: &str, count: usize) -> Result<Registered> {
        let ids: Vec<DeviceId> =
            (0..count).map(|n| DeviceId::parse(&format!("{prefix}-{n}"))).collect::<Result<_, _>>()?;
        if self.is_floor {
            // The floor knows a device by its credential and keeps no register.
            let credentials = ids.iter().map(ToString::to_string).collect();
            return Ok(Registered { ids, credentials });
        }
        let progress = Progress::new("registered", count as u64);
        let done = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        for (first, ids) in ids.chunks(count.div_ceil(REGISTERING).max(1)).enumerate() {
            let (ids, done, app) = (ids.to_vec(), Arc::clone(&done), self.clone());
            tasks.spawn(async move { app.register_some(&ids, &done).await.map(|them| (first, them)) });
        }
        let mut chunks = Vec::new();
        while let Some(chunk) = tasks.join_next().await {
            chunks.push(chunk??);
            progress.set(done.load(Ordering::Relaxed));
        }
        chunks.sort_by_key(|(first, _)| *first);
        let mut credentials = Vec::with_capacity(count);
        for device in chunks.into_iter().flat_map(|(_, devices)| devices) {
            self.ca_pem = self.ca_pem.take().or(device.ca_pem);
            credentials.push(device.credential);
        }
        Ok(Registered { ids, credentials })
    }

    async fn register_some(&self, ids: &[DeviceId], done: &AtomicU64) -> Result<Vec<DeviceRegistered>> {
        let mut connection = self.connection().await?;
        let mut devices = Vec::with_capacity(ids.len());
        for id in ids {
            let device = RegisterDevice {
                device_id: Some(id.clone()),
                platform: Platform::Android,
                app_version: Some("1.0.0".to_owned()),
                ..RegisterDevice::default()
            };
            let answer = connection.post("/v1/devices", &serde_json::to_vec(&device)?).await?;
            if !(200..300).contains(&answer.status) {
                bail!("register a device: {}", text(&answer));
            }
            devices.push(serde_json::from_slice(&answer.body).context("read a registration")?);
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(devices)
    }

    /// Sends one push to everybody.
    pub(crate) async fn broadcast(&self, connection: &mut Connection, shape: Shape) -> Result<()> {
        let body = body(Target { all: true, ..Target::default() }, Kind::Broadcast, now_ns(), shape)?;
        let answer = connection.post("/v1/pushes", &body).await?;
        if answer.status != 202 {
            bail!("broadcast: {}", text(&answer));
        }
        Ok(())
    }

    /// Open loop: one push to one device at each tick of `rate_per_s`, for `span`, whatever the
    /// answers take. Latencies count from the tick.
    pub(crate) async fn at_rate(
        &self,
        ids: &[DeviceId],
        rate_per_s: u32,
        span: Duration,
        connections: usize,
        shape: Shape,
    ) -> Result<Sent> {
        let (ticks, due) = mpsc::unbounded_channel();
        let due = Arc::new(Mutex::new(due));
        let ids: Arc<[DeviceId]> = ids.into();
        let mut senders = JoinSet::new();
        for _ in 0..connections {
            let (app, due, ids) = (self.clone(), Arc::clone(&due), Arc::clone(&ids));
            let mut connection = app.connection().await?;
            senders.spawn(async move {
                let mut sent = Sent::none();
                loop {
                    let Some((due_ns, number)) = due.lock().await.recv().await else { return Ok(sent) };
                    let id = ids[scattered(number) % ids.len()].clone();
                    send(&mut connection, vec![id], due_ns, shape, &mut sent).await?;
                }
            });
        }
        // A thread of its own: the runtime's timers tick in milliseconds.
        std::thread::spawn(move || tick(rate_per_s, span, &ticks));
        gather(senders).await
    }

    /// Closed loop, for capacity alone: each of `connections` sends the next push when the last
    /// was answered, until `pushes` are sent; each names `targets` devices in turn.
    pub(crate) async fn flat_out(
        &self,
        ids: &[DeviceId],
        pushes: u64,
        targets: usize,
        connections: usize,
        shape: Shape,
    ) -> Result<Sent> {
        let next = Arc::new(AtomicU64::new(0));
        let ids: Arc<[DeviceId]> = ids.into();
        let mut senders = JoinSet::new();
        for _ in 0..connections {
            let (app, next, ids) = (self.clone(), Arc::clone(&next), Arc::clone(&ids));
            senders.spawn(async move {
                let mut connection = app.connection().await?;
                let mut sent = Sent::none();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= pushes {
                        return Ok(sent);
                    }
                    let first = usize::try_from(number)? * targets;
                    let to = (first..first + targets).map(|at| ids[at % ids.len()].clone()).collect();
                    send(&mut connection, to, now_ns(), shape, &mut sent).await?;
                }
            });
        }
        gather(senders).await
    }
}

impl Sent {
    fn none() -> Self {
        Self { accepted: 0, refused: 0, trouble: None, accepted_after: histogram() }
    }
}

async fn send(
    connection: &mut Connection,
    devices: Vec<DeviceId>,
    due_ns: u64,
    shape: Shape,
    sent: &mut Sent,
) -> Result<()> {
    let targets = devices.len() as u64;
    let body = body(Target { devices, ..Target::default() }, Kind::Single, due_ns, shape)?;
    let answer = connection.post("/v1/pushes", &body).await?;
    if answer.status == 202 {
        sent.accepted += targets;
        sent.accepted_after.saturating_record(now_ns().saturating_sub(due_ns).max(1));
    } else {
        sent.refused += targets;
        sent.trouble = Some(text(&answer));
    }
    Ok(())
}

async fn gather(mut senders: JoinSet<Result<Sent>>) -> Result<Sent> {
    let mut all = Sent::none();
    while let Some(sent) = senders.join_next().await {
        let sent = sent??;
        all.accepted += sent.accepted;
        all.refused += sent.refused;
        all.trouble = all.trouble.or(sent.trouble);
        all.accepted_after.add(&sent.accepted_after).map_err(|error| anyhow!("add histograms: {error:?}"))?;
    }
    Ok(all)
}

/// Says when each push is due. Ends early when nobody sends any more.
fn tick(rate_per_s: u32, span: Duration, ticks: &mpsc::UnboundedSender<(u64, u64)>) {
    let start = now_ns();
    let count = u64::from(rate_per_s) * span.as_secs();
    for number in 0..count {
        let due = start + number * 1_000_000_000 / u64::from(rate_per_s);
        let now = now_ns();
        if due > now {
            std::thread::sleep(Duration::from_nanos(due - now));
        }
        if ticks.send((due, number)).is_err() {
            return;
        }
    }
}

fn body(to: Target, kind: Kind, due_ns: u64, shape: Shape) -> Result<Vec<u8>> {
    let title = tag::title(kind, due_ns);
    let body = "x".repeat(shape.payload_bytes.saturating_sub(title.len()));
    let push = PushRequest {
        to,
        title: Some(title),
        body: Some(body),
        ttl_s: shape.ttl_s,
        ..PushRequest::default()
    };
    Ok(serde_json::to_vec(&push)?)
}

/// Numbers in no visible order, the same in every run (a round of splitmix64).
fn scattered(number: u64) -> usize {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((mixed ^ (mixed >> 31)) >> 1).unwrap_or(0)
}

fn text(answer: &Answer) -> String {
    let body: String = String::from_utf8_lossy(&answer.body).chars().take(300).collect();
    format!("{} {body}", answer.status)
}
