//! A broadcast and a list campaign over 2,000 devices that come in turns, three kills in the middle:
//! every device has exactly one verdict of each, and what the devices acked is what is counted.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use carillon_sdk::MessageId;
use carillon_sdk::api::campaigns::{CampaignPace, CampaignState, CampaignTarget, CreateCampaign};
use carillon_sdk::client::server::ListForm;
use carillon_sdk::client::{Address, Connection, Trust};
use carillon_sdk::wire::{self, Ack, Frame, Hello};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::{await_released, await_state, await_state_within, run, statistics, to_all};
use crate::harness::{App, Registered, Server, within};

const DEVICES: usize = 2_000;
const AT_A_TIME: usize = 300;
/// The server is killed when so many of the broadcast's targets were let go.
const KILLS: [u64; 3] = [300, 900, 1_500];
/// How long a device stays when nothing comes; then it is another one's turn.
const TURN: Duration = Duration::from_millis(400);

/// Every device has come back within this, also on a machine that does other things.
const SETTLED_WITHIN: Duration = Duration::from_secs(120);

/// What a device acked, in its own memory.
#[derive(Default)]
struct Ledger {
    broadcast: Option<MessageId>,
    line: Option<MessageId>,
}

struct Fleet {
    address: watch::Receiver<String>,
    seats: Semaphore,
    ledgers: Vec<Mutex<Ledger>>,
    /// Both campaigns are finished.
    over: AtomicBool,
}

impl Fleet {
    /// Comes again and again, also when it has both: a kill may lose a second of acks, which costs a
    /// repeat, and the device acks that too.
    async fn live(self: Arc<Self>, at: usize, device: Registered) {
        while !self.over.load(Ordering::Relaxed) {
            let _seat = self.seats.acquire().await.unwrap();
            let address = self.address.borrow().clone();
            if self.visit(at, &device, address).await.is_none() {
                // The server is down: a device waits before it comes again.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// None when the server ended it.
    async fn visit(&self, at: usize, device: &Registered, address: String) -> Option<()> {
        let mut connection = Connection::open(&Address::Tcp(address), &Trust::Web).await.ok()?;
        let hello =
            Hello { version: wire::VERSION, credential: device.credential.clone(), ..Hello::default() };
        connection.send(&Frame::Hello(hello)).await.ok()?;
        while let Ok(frame) = tokio::time::timeout(TURN, connection.next()).await {
            match frame.ok()?? {
                Frame::Push(push) => {
                    connection.send(&Frame::Ack(Ack { seqs: vec![push.seq] })).await.ok()?;
                    self.ledgers[at].lock().note(at, &push);
                }
                Frame::Ping => connection.send(&Frame::Pong).await.ok()?,
                _ => {}
            }
            if self.over.load(Ordering::Relaxed) {
                break;
            }
        }
        // The last ack is read before the socket is closed.
        connection.send(&Frame::Ping).await.ok()?;
        while !matches!(tokio::time::timeout(TURN * 10, connection.next()).await.ok()?.ok()??, Frame::Pong) {}
        Some(())
    }
}

impl Ledger {
    fn note(&mut self, at: usize, push: &wire::Push) {
        let mine = if push.title.as_deref() == Some("to all") {
            &mut self.broadcast
        } else {
            assert_eq!(push.title, Some(format!("to {at}")), "another one's words");
            &mut self.line
        };
        let before = mine.replace(push.message_id);
        assert!(before.is_none_or(|before| before == push.message_id), "two messages of one campaign");
    }
}

async fn register_all(app: &App) -> Vec<Registered> {
    let mut registering = JoinSet::new();
    let gate = Arc::new(Semaphore::new(64));
    for at in 0..DEVICES {
        let (app, gate) = (app.clone(), Arc::clone(&gate));
        registering.spawn(async move {
            let _permit = gate.acquire().await.unwrap();
            (at, app.register(&format!("d{at}")).await)
        });
    }
    let mut devices = registering.join_all().await;
    devices.sort_by_key(|(at, _)| *at);
    devices.into_iter().map(|(_, device)| device).collect()
}

#[tokio::test]
async fn a_broadcast_and_a_list_campaign_survive_three_kills_and_reconcile_to_the_last_device() {
    let mut server = Server::start().await;
    let app = server.app();
    let devices = register_all(&app).await;
    let lines: String = (0..DEVICES)
        .map(|at| format!("{{\"device_id\":\"d{at}\",\"values\":{{\"n\":\"{at}\"}}}}\n"))
        .collect();
    let list = app.api.upload_list(ListForm::Ndjson, lines.into(), None, false).await.unwrap();
    // Slow enough that the kills come in the middle.
    let pace = Some(CampaignPace { per_second: Some(500), per_minute: None });
    let broadcast = run(&app, &CreateCampaign { pace, ..to_all("to all") }).await.campaign_id;
    let to = CampaignTarget { list: Some(list.list.list_id), ..CampaignTarget::default() };
    let each = run(&app, &CreateCampaign { pace, to, ..to_all("to #n#") }).await.campaign_id;

    let (tell, address) = watch::channel(server.ready.devices_tcp.clone());
    let fleet = Arc::new(Fleet {
        address,
        seats: Semaphore::new(AT_A_TIME),
        over: AtomicBool::new(false),
        ledgers: (0..DEVICES).map(|_| Mutex::default()).collect(),
    });
    let mut lives = JoinSet::new();
    for (at, device) in devices.into_iter().enumerate() {
        lives.spawn(Arc::clone(&fleet).live(at, device));
    }
    for share in KILLS {
        let app = server.app();
        await_released(&app, &broadcast, share).await;
        await_released(&app, &each, share / 2).await;
        server.crash().await;
        tell.send(server.ready.devices_tcp.clone()).unwrap();
    }
    let app = server.app();
    await_released(&app, &broadcast, DEVICES as u64).await;
    await_released(&app, &each, DEVICES as u64).await;
    for id in [&broadcast, &each] {
        await_state_within(SETTLED_WITHIN, &app, id, CampaignState::Finished).await;
    }
    fleet.over.store(true, Ordering::Relaxed);
    within("the fleet to go home", lives.join_all()).await;
    reconcile(&app, &fleet, &broadcast, &each).await;
}

async fn reconcile(app: &App, fleet: &Fleet, broadcast: &str, each: &str) {
    for id in [broadcast, each] {
        let over = await_state(app, id, CampaignState::Finished).await;
        let counts = over.counts;
        let all = DEVICES as u64;
        assert_eq!((counts.targets, counts.released, counts.accepted), (all, all, all), "{id}");
        assert_eq!((counts.delivered, counts.pending, counts.refused), (all, 0, 0), "{id}");
        let counted = statistics(app, id).await;
        assert_eq!((counted.accepted, counted.arrived), (all, all), "{id}");
        assert_eq!((counted.expired, counted.revoked, counted.failed), (0, 0, 0), "{id}");
    }
    // The broadcast: one message, one verdict a device.
    let ledger = |at: usize| fleet.ledgers[at].lock();
    let message = ledger(0).broadcast.unwrap();
    let mut verdicts = HashSet::new();
    let mut cursor = None;
    loop {
        let page = app.api.message(message, cursor.as_deref()).await.unwrap();
        for target in page.targets {
            assert_eq!(target.state, "delivered", "{target:?}");
            assert!(verdicts.insert(target.device_id.unwrap()), "two rows of one device");
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(verdicts.len(), DEVICES);
    // The list: a message of its own for each line.
    let mut messages = HashSet::new();
    for at in 0..DEVICES {
        assert!(messages.insert(ledger(at).line.unwrap()), "one message for two lines");
    }
    for at in (0..DEVICES).step_by(DEVICES / 50) {
        let id = ledger(at).line.unwrap();
        let view = app.message(id).await;
        assert_eq!((view.targets.len(), view.targets[0].state.as_str()), (1, "delivered"), "{view:?}");
    }
}
