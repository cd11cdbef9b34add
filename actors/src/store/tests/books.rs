//! Random histories of an app's log and of its devices' queues, by our own road and by a vendor's, with
//! kills in between: each device that was let go to has
//! exactly one verdict or is pending, what was accepted is the sum of both, and statistics say the
//! same.

use std::collections::BTreeMap;
use std::sync::Arc;

use carillon_sdk::api::{Dimension, Granularity};
use carillon_sdk::wire::Lane;
use carillon_sdk::{MessageId, Ttl, Vendor};
use proptest::prelude::*;
use roaring::RoaringBitmap;

use super::super::{By, Enqueued, LogEntry, Targets, TaskInfo};
use super::harness::{Bench, HOUR, On, START, wait};
use crate::audience::{Audience, Fact};
use crate::channel::{End, ErrandLane, Errands, Works as _};
use crate::model::{App, Device, Due, Message, Owner, PushType, ShardNo, Task};

#[derive(Debug, Clone, Copy)]
enum Event {
    Broadcast {
        to_bound: bool,
    },
    Plan,
    Release(usize),
    Register,
    /// To one device.
    Push(usize),
    Token(usize),
    /// A vendor's channel takes what there is, and says one thing of it.
    Carry(Lane, Said),
    Receipt(usize, usize),
    Connect(usize),
    Bind(usize),
    Send(usize),
    Ack(usize),
    Delete(usize),
    Revoke(usize),
    RevokeFrom(usize, usize),
    RevokeTask(usize),
    Sweep,
    Pass(u64),
    /// The next commit does not happen, and the process is killed.
    Fail,
    Kill,
}

#[derive(Debug, Clone, Copy)]
enum Said {
    Taken,
    Again,
    Refused,
    Dead,
    /// Nothing: it stays out.
    Nothing,
}

fn event() -> impl Strategy<Value = Event> {
    let one = any::<usize>;
    prop_oneof![
        3 => any::<bool>().prop_map(|to_bound| Event::Broadcast { to_bound }),
        2 => Just(Event::Plan),
        4 => one().prop_map(Event::Release),
        3 => Just(Event::Register),
        4 => one().prop_map(Event::Push),
        4 => one().prop_map(Event::Token),
        14 => (
            prop::sample::select(vec![Lane::Normal, Lane::Bulk]),
            prop::sample::select(vec![Said::Taken, Said::Taken, Said::Again, Said::Refused, Said::Dead, Said::Nothing]),
        )
            .prop_map(|(lane, said)| Event::Carry(lane, said)),
        2 => (one(), one()).prop_map(|(which, device)| Event::Receipt(which, device)),
        4 => one().prop_map(Event::Connect),
        2 => one().prop_map(Event::Bind),
        4 => one().prop_map(Event::Send),
        6 => one().prop_map(Event::Ack),
        1 => one().prop_map(Event::Delete),
        1 => one().prop_map(Event::Revoke),
        1 => (one(), one()).prop_map(|(which, device)| Event::RevokeFrom(which, device)),
        1 => one().prop_map(Event::RevokeTask),
        2 => Just(Event::Sweep),
        2 => (1_u64..2_400).prop_map(Event::Pass),
        1 => Just(Event::Fail),
        2 => Just(Event::Kill),
    ]
}

struct World {
    bench: Bench,
    app: App,
    devices: Vec<Device>,
    messages: Vec<MessageId>,
    tasks: Vec<Task>,
    /// The channel's errands, and tokens given out so far.
    channel: Option<Arc<dyn Errands>>,
    tokens: usize,
}

impl World {
    fn new() -> Self {
        let bench = Bench::new(On::Memory);
        let app = bench.app("shop");
        bench.set_up(app, Vendor::Fcm);
        let devices: Vec<_> = (0..3).map(|n| bench.device(app, &format!("d{n}"))).collect();
        bench.token(devices[0], Vendor::Fcm, "of d0");
        bench.token(devices[1], Vendor::Fcm, "of d1");
        Self { bench, app, devices, messages: Vec::new(), tasks: Vec::new(), channel: None, tokens: 0 }
    }

    fn message(&mut self, task: Option<Task>) -> Arc<Message> {
        let push_type = PushType::Broadcast;
        // Every other one is for the vendor alone.
        let alone = self.messages.len() % 2 == 1;
        let options = alone.then(|| r#"{"fallback":"none"}"#.to_owned());
        let message = Message { lane: Lane::Bulk, push_type, task, options, ..self.bench.message(self.app) };
        self.messages.push(message.id);
        Arc::new(message)
    }

    fn pick<T: Copy>(list: &[T], which: usize) -> Option<T> {
        (!list.is_empty()).then(|| list[which % list.len()])
    }

    /// Entries that are due to a device now, notices too.
    fn due(&self, device: Device) -> Vec<Due> {
        let (log, now) = (self.bench.store().log(self.app), self.bench.clock.now());
        let due = log.iter().filter(|entry: &&Arc<LogEntry>| entry.is_due(device, now));
        due.map(|entry| Arc::clone(&entry.due)).collect()
    }

    fn apply(&mut self, event: Event) {
        let app = self.app;
        match event {
            Event::Broadcast { to_bound } => {
                let rule = if to_bound { Audience::Is(Fact::Bound) } else { Audience::Everybody };
                let message = self.message(None);
                wait(self.bench.store().broadcast(message, rule, None)).unwrap();
            }
            Event::Plan => {
                let (push_type, expires_at) = (PushType::Broadcast, self.bench.clock.now() + HOUR);
                let info = TaskInfo { name: None, push_type, template: None, expires_at };
                let task = wait(self.bench.store().open_task(app, info, None)).unwrap();
                let message = self.message(Some(task));
                self.tasks.push(task);
                let targets = Targets::Rule(Audience::Everybody);
                wait(self.bench.store().plan_entry(message, targets, None)).unwrap();
            }
            Event::Release(which) => self.release(which),
            Event::Register => {
                let name = format!("d{}", self.devices.len());
                let device = self.bench.device(app, &name);
                self.devices.push(device);
            }
            Event::Fail => self.fail(),
            Event::Kill => {
                self.channel = None;
                self.bench.kill_and_reopen();
            }
            Event::Carry(lane, said) => self.carry(lane, said),
            Event::Receipt(which, device) => {
                if let (Some(id), Some(device)) =
                    (Self::pick(&self.messages, which), Self::pick(&self.devices, device))
                {
                    wait(self.bench.store().confirm(device, id, Vendor::Fcm)).unwrap();
                }
            }
            Event::Sweep => self.bench.sweep(),
            Event::Pass(seconds) => {
                self.bench.advance(Ttl::from_secs(seconds));
                self.bench.sweep();
            }
            Event::Revoke(which) => {
                if let Some(id) = Self::pick(&self.messages, which) {
                    wait(self.bench.store().revoke_message(app, id, None)).unwrap();
                }
            }
            Event::RevokeTask(which) => {
                if let Some(task) = Self::pick(&self.tasks, which) {
                    wait(self.bench.store().revoke_task(app, task, None, None)).unwrap();
                }
            }
            of_device => self.of_device(of_device),
        }
    }

    /// To two of three.
    fn release(&self, which: usize) {
        let Some(task) = Self::pick(&self.tasks, which) else { return };
        let ordinals = self.devices.iter().map(|device| device.ordinal);
        let some: RoaringBitmap = ordinals.filter(|n| n % 3 != which as u32 % 3).collect();
        wait(self.bench.store().release(self.app, task, some)).unwrap();
    }

    fn of_device(&mut self, event: Event) {
        let (Event::Connect(which)
        | Event::Bind(which)
        | Event::Send(which)
        | Event::Ack(which)
        | Event::Delete(which)
        | Event::Push(which)
        | Event::Token(which)
        | Event::RevokeFrom(_, which)) = event
        else {
            return;
        };
        let Some(device) = Self::pick(&self.devices, which) else { return };
        if matches!(event, Event::Push(_)) {
            let message =
                Message { lane: Lane::Normal, push_type: PushType::Single, ..(*self.message(None)).clone() };
            let id = message.id;
            let taken = self.bench.enqueue(message, &[Owner::Device(device)]).unwrap();
            if !matches!(taken[..], [Enqueued::Stored(_)]) {
                self.messages.retain(|message| *message != id);
            }
        }
        let store = self.bench.store();
        match event {
            Event::Token(_) => {
                self.tokens += 1;
                drop(wait(store.vendor_token(device, Vendor::Fcm, &format!("t{}", self.tokens), By::Device)));
            }
            Event::Connect(_) => drop(store.connect(device, store.next_epoch(), ShardNo(0))),
            Event::Bind(_) => {
                let user = (which % 2 == 0).then(|| self.bench.user(self.app, "anna"));
                drop(wait(store.bind(device, user, None)));
            }
            Event::Send(_) => store.note_sent(device, self.due(device)),
            Event::Ack(_) => self.bench.ack(device, &self.due(device)),
            Event::Delete(_) => drop(wait(store.delete_device(device, None))),
            Event::RevokeFrom(which, _) => {
                if let Some(id) = Self::pick(&self.messages, which) {
                    let only = Some(crate::model::Owner::Device(device));
                    wait(store.revoke_message(self.app, id, only)).unwrap();
                }
            }
            _ => {}
        }
    }

    fn carry(&mut self, lane: Lane, said: Said) {
        let (store, app) = (self.bench.store(), self.app);
        let channel = self.channel.get_or_insert_with(|| store.errands(app, Vendor::Fcm));
        let lane = if lane == Lane::Bulk { ErrandLane::Bulk } else { ErrandLane::Normal };
        let claimed = wait(channel.claim(lane, 3)).unwrap();
        let end = match said {
            Said::Taken => End::HandedOver { vendor_id: None },
            Said::Again => End::Again { at: self.bench.clock.now() },
            Said::Refused => End::Refused { code: "no".to_owned() },
            Said::Dead => End::Dead { code: "gone".to_owned(), dead_since: None },
            Said::Nothing => return,
        };
        let ends = claimed.errands.iter().map(|errand| (errand.id, end.clone())).collect();
        wait(channel.conclude(ends)).unwrap();
    }

    /// A broadcast whose commit fails, and a kill: nobody is to hear of it.
    fn fail(&mut self) {
        let message = self.message(None);
        let id = self.messages.pop();
        self.bench.faults.fail_write(1);
        assert!(wait(self.bench.store().broadcast(message, Audience::Everybody, None)).is_err());
        self.channel = None;
        self.bench.kill_and_reopen();
        let story = wait(self.bench.store().message(self.app, id.unwrap(), None, 1)).unwrap();
        assert!(story.is_none());
    }

    /// What the messages' stories add up to, by state; each device has one.
    fn stories(&self) -> BTreeMap<String, u64> {
        let mut states = BTreeMap::new();
        for &id in &self.messages {
            let Some(view) = wait(self.bench.store().message(self.app, id, None, 10_000)).unwrap() else {
                continue;
            };
            for target in &view.targets {
                let accepted =
                    target.steps.iter().filter(|step| step.step == carillon_sdk::api::Step::Accepted);
                assert_eq!(accepted.count(), 1, "{target:?}");
                let verdicts = target.steps.iter().filter(|step| step.step.is_verdict()).count();
                assert_eq!(verdicts, usize::from(target.state != "pending"), "{target:?}");
            }
            for (state, count) in view.counts {
                *states.entry(state).or_default() += count;
            }
        }
        states
    }

    fn check(&self) {
        self.bench.sweep();
        let states = self.stories();
        let of = |state: &str| states.get(state).copied().unwrap_or(0);
        let to = self.bench.clock.now() + HOUR;
        let rows =
            self.bench.store().stats(self.app, START, to, Granularity::Hour, vec![Dimension::Platform]);
        let rows = wait(rows).unwrap();
        let sum = |of: fn(&carillon_sdk::api::StatsRow) -> u64| rows.iter().map(of).sum::<u64>();
        let counted =
            [sum(|row| row.arrived), sum(|row| row.expired), sum(|row| row.revoked), sum(|row| row.failed)];
        assert_eq!(counted, [of("delivered"), of("expired"), of("revoked"), of("rejected")], "{states:?}");
        assert_eq!(sum(|row| row.handed_over), of("handed_over"), "{states:?}");
        assert_eq!(sum(|row| row.accepted), states.values().sum::<u64>(), "{states:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_to_the_log_its_books_hold(events in prop::collection::vec(event(), 1..40)) {
        let mut world = World::new();
        for event in events {
            world.apply(event);
        }
        world.check();
        world.channel = None;
        world.bench.kill_and_reopen();
        world.check();
        // Everything ends.
        world.bench.advance(HOUR);
        world.bench.sweep();
        world.bench.advance(HOUR);
        world.bench.sweep();
        world.check();
        let states = world.stories();
        prop_assert_eq!(states.get("pending"), None);
    }
}
