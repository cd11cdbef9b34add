//! A fleet: one process, one thread, at most 18,000 devices; does what its parent's lines say.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::{AbortHandle, LocalSet, spawn_local};

use super::device::{Device, Way};
use super::protocol::{Command, Connect, Told};
use super::tag::Kind;
use crate::clock::now_ns;
use crate::process::Process;
use crate::report::histogram;

/// A device that was refused or cut off comes back no sooner.
const RECONNECT_MIN: Duration = Duration::from_millis(100);

/// What the devices of a fleet share: switches and counts.
pub(crate) struct Shared {
    acking: Cell<bool>,
    stall_every: Cell<usize>,
    pub(crate) resumed: Notify,
    told: RefCell<Told>,
    connect: RefCell<Histogram<u64>>,
    single: RefCell<Histogram<u64>>,
    broadcast: RefCell<Histogram<u64>>,
}

impl Shared {
    fn new() -> Self {
        Self {
            acking: Cell::new(true),
            stall_every: Cell::new(0),
            resumed: Notify::new(),
            told: RefCell::default(),
            connect: RefCell::new(histogram()),
            single: RefCell::new(histogram()),
            broadcast: RefCell::new(histogram()),
        }
    }

    pub(crate) fn acks(&self) -> bool {
        self.acking.get()
    }

    pub(crate) fn stalls(&self, index: usize) -> bool {
        let every = self.stall_every.get();
        every != 0 && index.is_multiple_of(every)
    }

    pub(crate) fn note_welcome(&self, started_ns: u64) {
        let now = now_ns();
        let mut told = self.told.borrow_mut();
        told.welcomed += 1;
        told.open += 1;
        told.last_welcome_ns = now;
        self.connect.borrow_mut().saturating_record(now.saturating_sub(started_ns).max(1));
    }

    pub(crate) fn note_push(&self, tag: Option<(Kind, u64)>) {
        let now = now_ns();
        let mut told = self.told.borrow_mut();
        if told.first_push_ns == 0 {
            told.first_push_ns = now;
        }
        told.last_push_ns = now;
        let Some((kind, due_ns)) = tag else { return };
        let latency = now.saturating_sub(due_ns).max(1);
        match kind {
            Kind::Single => {
                told.singles += 1;
                self.single.borrow_mut().saturating_record(latency);
            }
            Kind::Broadcast => {
                told.broadcasts += 1;
                self.broadcast.borrow_mut().saturating_record(latency);
            }
        }
    }

    /// Counts a connection's end; answers how long to stay away.
    fn note_end(&self, welcomed: bool, ended: Result<Duration>) -> Duration {
        let mut told = self.told.borrow_mut();
        if welcomed {
            told.open = told.open.saturating_sub(1);
            told.lost += 1;
        } else {
            told.refused += 1;
        }
        ended.unwrap_or_else(|error| {
            told.trouble = Some(format!("{error:#}"));
            Duration::ZERO
        })
    }

    fn reset(&self) {
        let open = self.told.borrow().open;
        *self.told.borrow_mut() = Told { open, ..Told::default() };
        self.connect.borrow_mut().reset();
        self.single.borrow_mut().reset();
        self.broadcast.borrow_mut().reset();
    }

    fn counts(&self) -> Result<Told> {
        let cpu_s = Process { pid: std::process::id() }.cpu_s()?;
        Ok(Told { cpu_s, ..self.told.borrow().clone() })
    }

    fn everything(&self) -> Result<Told> {
        let steps = |histogram: &RefCell<Histogram<u64>>| {
            histogram
                .borrow()
                .iter_recorded()
                .map(|step| (step.value_iterated_to(), step.count_at_value()))
                .collect()
        };
        Ok(Told {
            connect_latency: steps(&self.connect),
            single_latency: steps(&self.single),
            broadcast_latency: steps(&self.broadcast),
            ..self.counts()?
        })
    }
}

/// The devices of this process and how they connect.
struct Fleet {
    shared: Rc<Shared>,
    ways: Vec<(Rc<Way>, Rc<str>)>,
    opening: Rc<Semaphore>,
    tasks: Vec<AbortHandle>,
}

/// Runs as a fleet until standard input ends.
pub(crate) fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let mut fleet = Fleet {
            shared: Rc::new(Shared::new()),
            ways: Vec::new(),
            opening: Rc::new(Semaphore::new(0)),
            tasks: Vec::new(),
        };
        let (line, mut lines) = mpsc::channel(1);
        // Standard input has no readiness: a thread of its own waits for it.
        std::thread::spawn(move || {
            for heard in std::io::stdin().lines() {
                if line.blocking_send(heard).is_err() {
                    return;
                }
            }
        });
        while let Some(line) = lines.recv().await {
            let told = fleet.obey(serde_json::from_str(&line?).context("read a command")?)?;
            let mut answer = serde_json::to_vec(&told)?;
            answer.push(b'\n');
            std::io::stdout().write_all(&answer)?;
        }
        Ok(())
    })
}

impl Fleet {
    fn obey(&mut self, command: Command) -> Result<Told> {
        match command {
            Command::Connect(connect) => self.connect(connect)?,
            Command::Ack(acking) => self.shared.acking.set(acking),
            Command::Stall(every) => {
                self.shared.stall_every.set(every);
                self.shared.resumed.notify_waiters();
            }
            Command::Reset => self.shared.reset(),
            Command::Counts => {}
            Command::Everything => return self.shared.everything(),
            Command::Cut { reconnect } => self.cut(reconnect),
        }
        self.shared.counts()
    }

    fn connect(&mut self, connect: Connect) -> Result<()> {
        let way = Rc::new(Way {
            server: connect.address.parse().context("the device address")?,
            first_source: connect.first_source,
            tls: connect.ca_pem.as_deref().map(|pem| tls(pem, &connect.address)).transpose()?,
        });
        self.shared.acking.set(connect.ack);
        self.opening = Rc::new(Semaphore::new(connect.opening_max));
        let first = self.ways.len();
        self.ways.extend(
            connect.credentials.into_iter().map(|credential| (Rc::clone(&way), Rc::from(credential))),
        );
        self.spawn_from(first);
        Ok(())
    }

    fn spawn_from(&mut self, first: usize) {
        self.shared.told.borrow_mut().first_hello_ns = now_ns();
        for (index, (way, credential)) in self.ways.iter().enumerate().skip(first) {
            let device = keep_connected(
                Rc::clone(&self.shared),
                Rc::clone(&self.opening),
                Rc::clone(way),
                index,
                Rc::clone(credential),
            );
            self.tasks.push(spawn_local(device).abort_handle());
        }
    }

    fn cut(&mut self, reconnect: bool) {
        self.tasks.drain(..).for_each(|task| task.abort());
        self.shared.told.borrow_mut().open = 0;
        if reconnect {
            self.spawn_from(0);
        }
    }
}

/// A device's life: it comes back whenever its connection ends, no sooner than the server asks.
async fn keep_connected(
    shared: Rc<Shared>,
    opening: Rc<Semaphore>,
    way: Rc<Way>,
    index: usize,
    credential: Rc<str>,
) {
    loop {
        let Ok(permit) = opening.acquire().await else { return };
        let (welcomed, ended) = match Device::connect(&way, index, &credential).await {
            Ok(mut device) => {
                let ended = device.live(&shared, permit).await;
                (device.welcomed, ended)
            }
            Err(error) => (false, Err(error)),
        };
        let after = shared.note_end(welcomed, ended);
        tokio::time::sleep(after.max(RECONNECT_MIN)).await;
    }
}

fn tls(ca_pem: &str, address: &str) -> Result<(Arc<rustls::ClientConfig>, ServerName<'static>)> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots.add(certificate.context("read the authority's certificate")?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Every handshake is a full one: that is what the figure means.
    config.resumption = rustls::client::Resumption::disabled();
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    Ok((Arc::new(config), ServerName::try_from(host.to_owned())?))
}
