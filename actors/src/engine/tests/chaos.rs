//! A test router that loses hints, delays them, repeats them and hands them over out of order, as
//! the port allows. Every message still arrives, in order.

use std::sync::Arc;

use parking_lot::Mutex;
use roaring::RoaringBitmap;

use super::world::{World, users};
use crate::engine::To;
use crate::limits::Limits;
use crate::model::{App, Seq, ShardNo};
use crate::store::{DueHint, Hints, LogEntry};

struct Chaos {
    to: Arc<dyn Hints>,
    state: Mutex<State>,
}

struct State {
    /// A xorshift generator: the same history each time.
    dice: u64,
    held: Vec<(ShardNo, DueHint)>,
}

impl State {
    fn throw(&mut self, sides: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice % sides
    }
}

impl Hints for Chaos {
    fn due(&self, shard: ShardNo, hints: Vec<DueHint>) {
        let mut state = self.state.lock();
        let mut going = Vec::new();
        for hint in hints {
            match state.throw(5) {
                0 => {}
                1 => state.held.push((shard, hint)),
                2 => {
                    going.push((shard, hint.clone()));
                    going.push((shard, hint));
                }
                _ => going.push((shard, hint)),
            }
        }
        if state.throw(3) == 0 {
            going.append(&mut state.held);
        }
        for at in (1..going.len()).rev() {
            let other = usize::try_from(state.throw(at as u64 + 1)).unwrap();
            going.swap(at, other);
        }
        drop(state);
        for (shard, hint) in going {
            self.to.due(shard, vec![hint]);
        }
    }

    fn withdrawn(&self, app: App, seq: Seq, devices: Option<Arc<RoaringBitmap>>) {
        self.to.withdrawn(app, seq, devices);
    }

    fn broadcast(&self, entry: Arc<LogEntry>, devices: Arc<RoaringBitmap>) {
        if self.state.lock().throw(2) == 0 {
            self.to.broadcast(entry, devices);
        }
    }
}

#[actix::test]
async fn hints_lost_late_repeated_and_out_of_order_cost_time_and_no_message() {
    let chaos = |to| {
        Arc::new(Chaos { to, state: Mutex::new(State { dice: 0x2545_F491, held: Vec::new() }) })
            as Arc<dyn Hints>
    };
    let world = World::with(Limits { in_flight_max: 8, ..Limits::default() }, chaos).await;
    let mut phones = Vec::new();
    for n in 0..4 {
        let phone = world.phone(&format!("phone {n}")).await;
        world.bind(phone.device, Some(&format!("user {n}"))).await;
        phones.push(phone);
    }
    for n in 0..40 {
        for (at, phone) in phones.iter().enumerate() {
            world.push(To::Devices(vec![phone.device]), &format!("own {n}")).await;
            world.push(users(&[&format!("user {at}")]), &format!("user {n}")).await;
        }
        if n % 10 == 0 {
            world.push(To::All, &format!("all {n}")).await;
        }
    }
    for phone in &mut phones {
        let mut next =
            std::collections::BTreeMap::from([("own", (0, 1)), ("user", (0, 1)), ("all", (0, 10))]);
        let mut seen = std::collections::BTreeSet::new();
        while next["own"].0 < 40 || next["user"].0 < 40 || next["all"].0 < 40 {
            let push = phone.expect_push().await;
            phone.ack(&[push.seq]).await;
            if !seen.insert(push.message_id) {
                continue;
            }
            let title = push.title.unwrap();
            let (kind, number) = title.split_once(' ').unwrap();
            let (expected, step) = next.get_mut(kind).unwrap();
            assert_eq!(number.parse::<i32>().unwrap(), *expected, "of {kind}");
            *expected += *step;
        }
    }
}
