//! A channel between a store in memory and a vendor that is the test's, on a clock that stands until
//! everybody waits.

use std::sync::atomic::Ordering;

use actix::Recipient;
use parking_lot::Mutex;

use super::super::fake::{self, Book, FakeGateway, FakeVendor};
use super::super::{BreakerView, Class, End, Errand, ErrandLane, Manners, Scope, Works};
use super::*;
use crate::channel::Board;
use crate::supervise::{Life, Mourn, Notices};

const NOON: Timestamp = Timestamp::from_millis(1_795_622_400_000 - 43_200_000);

const KEY: Key = (App(1), Vendor::Huawei);

#[derive(Default)]
struct Home_ {
    state: Mutex<Option<State>>,
    accesses: Mutex<Vec<Access>>,
    ledgers: Mutex<Vec<Vec<u8>>>,
}

impl Home for Arc<Home_> {
    fn keep_access(&self, access: Access) -> BoxFuture<'static, Result<(), store::Error>> {
        self.accesses.lock().push(access);
        Box::pin(std::future::ready(Ok(())))
    }

    fn keep_quota(&self, ledger: Vec<u8>) -> BoxFuture<'static, Result<(), store::Error>> {
        self.ledgers.lock().push(ledger);
        Box::pin(std::future::ready(Ok(())))
    }

    fn publish(&self, state: State) {
        *self.state.lock() = Some(state);
    }
}

/// A parent that hears of the channel's death, and tells the test.
struct Parent(Arc<tokio::sync::Notify>);

impl Actor for Parent {
    type Context = Context<Self>;
}

impl Handler<Mourn> for Parent {
    type Result = ();

    fn handle(&mut self, _: Mourn, _: &mut Context<Self>) {
        self.0.notify_one();
    }
}

struct World {
    vendor: Arc<FakeVendor>,
    book: Book,
    home: Arc<Home_>,
    clock: Clock,
    board: Board,
    notices: Arc<Notices<Key>>,
    died: Arc<tokio::sync::Notify>,
}

impl World {
    fn new(manners: Manners) -> Self {
        tokio::time::pause();
        let clock = Clock::with_tokio(NOON);
        let vendor = Arc::new(FakeVendor::default());
        *vendor.manners.lock() = manners;
        let died = Arc::new(tokio::sync::Notify::new());
        let parent: Recipient<Mourn> = Parent(Arc::clone(&died)).start().recipient();
        Self {
            vendor,
            book: Book::new(clock.clone()),
            home: Arc::default(),
            clock,
            board: Board::default(),
            notices: Notices::new(parent),
            died,
        }
    }

    /// Starts a channel with what a former one left.
    fn start(&self, legacy: Legacy) -> Addr<Channel> {
        let parts = Parts {
            app: KEY.0,
            vendor: KEY.1,
            gateway: Arc::new(FakeGateway(Arc::clone(&self.vendor))),
            errands: self.book.errands(KEY.0, KEY.1),
            home: Arc::new(Arc::clone(&self.home)),
            legacy,
            clock: self.clock.clone(),
            dice: 7,
            seat: self.board.seat(KEY).expect("one channel at a time"),
        };
        Channel::start(parts, Obituary::new(KEY, Life(1), Arc::clone(&self.notices)))
    }

    fn errands(&self, from: u32, count: u32) -> Vec<Errand> {
        let message = fake::message("a", self.clock.now());
        (from..from + count).map(|number| fake::errand(number, &message, NOON)).collect()
    }

    fn state(&self) -> State {
        self.home.state.lock().clone().expect("it said how it fares")
    }

    /// How long something took, on the clock that only goes when everybody waits.
    async fn time(&self, waited: impl Future<Output = ()>) -> Duration {
        let from = tokio::time::Instant::now();
        waited.await;
        from.elapsed()
    }
}

fn manners(batch_max: usize) -> Manners {
    Manners { batch_max, in_flight_max: 4, rate: (1_000, 100, 1_000) }
}

fn refused(class: Class, scope: Scope) -> Outcome {
    Refused::new(class, scope, "code").into()
}

#[actix::test]
async fn what_is_due_goes_at_the_vendors_pace_and_no_more_at_a_time_than_it_wants() {
    let world = World::new(manners(1));
    let channel = world.start(Legacy::default());
    let took = world
        .time(async {
            world.book.add(ErrandLane::Normal, world.errands(0, 2_200));
            world.book.until_handed_over(2_200).await;
        })
        .await;
    assert!((Duration::from_millis(1_900)..Duration::from_millis(2_200)).contains(&took), "{took:?}");
    assert!(world.vendor.in_flight_most.load(Ordering::SeqCst) <= 4);
    assert!(world.book.claims_most() <= 3 * 2_000 + 4);
    assert_eq!(world.vendor.authorized.load(Ordering::SeqCst), 1);
    assert_eq!(world.home.accesses.lock().len(), 1);
    assert!(channel.connected());
}

#[actix::test]
async fn what_came_in_a_burst_goes_in_batches_and_only_the_rest_waits() {
    let world = World::new(manners(100));
    world.start(Legacy::default());
    world.book.add(ErrandLane::Bulk, world.errands(0, 150));
    let took = world.time(world.book.until_handed_over(150)).await;
    let sizes: Vec<_> = world.vendor.tokens().iter().map(Vec::len).collect();
    assert_eq!(sizes, [100, 50]);
    assert!(took <= Duration::from_millis(50), "{took:?}");
}

#[actix::test]
async fn what_failed_comes_again_by_the_store_and_not_before_its_time() {
    let world = World::new(manners(1));
    world.start(Legacy::default());
    let failing = Arc::new(Mutex::new(3));
    let left = Arc::clone(&failing);
    world.vendor.answer(move |_| {
        let mut left = left.lock();
        if *left == 0 {
            return vec![Outcome::accepted(None)];
        }
        *left -= 1;
        vec![refused(Class::Retry, Scope::Message)]
    });
    world.book.add(ErrandLane::Urgent, world.errands(0, 1));
    let took = world.time(world.book.until_handed_over(1)).await;
    assert!(took <= Duration::from_secs(1 + 2 + 4 + 1), "{took:?}");
    let agains: Vec<_> = world.book.ends().into_iter().map(|(_, end)| end).collect();
    assert!(matches!(
        agains[..],
        [End::Again { .. }, End::Again { .. }, End::Again { .. }, End::HandedOver { .. }]
    ));
}

#[actix::test]
async fn a_vendor_that_is_down_for_a_minute_is_called_little_and_loses_nothing() {
    let world = World::new(manners(1));
    world.start(Legacy::default());
    let (clock, up_at) = (world.clock.clone(), NOON + Ttl::from_secs(60));
    world.vendor.answer(move |_| match clock.now() >= up_at {
        true => vec![Outcome::accepted(None)],
        false => vec![refused(Class::Retry, Scope::Connection)],
    });
    world.book.add(ErrandLane::Normal, world.errands(0, 500));
    let took = world.time(world.book.until_handed_over(500)).await;
    assert!(took < Duration::from_secs(150), "{took:?}");
    let failed = world.vendor.calls.lock().len() - 500;
    assert!(failed <= 20, "{failed} calls to a dead vendor");
    assert_eq!(world.state().breaker, BreakerView::Closed);
}

#[actix::test]
async fn a_gateway_that_panics_takes_no_other_message_along() {
    let world = World::new(manners(1));
    world.start(Legacy::default());
    world.vendor.answer(|parcel| match &*parcel.to[0].token {
        "token-1" => panic!("a vendor said something odd"),
        _ => vec![Outcome::accepted(None)],
    });
    world.book.add(ErrandLane::Normal, world.errands(0, 3));
    let ends = world.book.until(|ends| ends.len() == 3).await;
    let refused = End::Refused { code: "panicked".to_owned() };
    assert_eq!(ends.iter().filter(|(_, end)| *end == refused).count(), 1);
    world.book.until_handed_over(2).await;
}

#[actix::test]
async fn a_gateway_that_never_answers_is_not_waited_for_forever() {
    let world = World::new(manners(1));
    world.start(Legacy::default());
    world.vendor.gate.forget_permits(usize::MAX);
    world.book.add(ErrandLane::Normal, world.errands(0, 1));
    let took = world.time(async { drop(world.book.until(|ends| !ends.is_empty()).await) }).await;
    assert!(matches!(world.book.ends()[0].1, End::Again { .. }));
    assert!(took >= CALL_MAX, "{took:?}");
}

#[actix::test]
async fn a_channel_that_panicked_is_followed_by_one_that_sends_what_it_had_claimed() {
    let world = World::new(manners(1));
    let channel = world.start(Legacy::default());
    world.vendor.gate.forget_permits(usize::MAX);
    let mut came = std::pin::pin!(world.vendor.came.notified());
    came.as_mut().enable();
    world.book.add(ErrandLane::Normal, world.errands(0, 2));
    came.await;
    channel.try_send(Crash).unwrap();
    world.died.notified().await;
    assert!(world.notices.take()[0].panicked);

    world.vendor.gate.add_permits(1_000);
    let kept = world.home.accesses.lock().last().cloned();
    world.start(Legacy { access: kept, ..Legacy::default() });
    world.book.until_handed_over(2).await;
    assert_eq!(world.vendor.authorized.load(Ordering::SeqCst), 1, "the access was kept");
}

#[actix::test]
async fn a_channel_that_ends_hears_what_is_under_way_and_gives_back_the_rest() {
    let world = World::new(Manners { in_flight_max: 1, ..manners(1) });
    let channel = world.start(Legacy::default());
    world.vendor.gate.forget_permits(usize::MAX);
    world.book.add(ErrandLane::Normal, world.errands(0, 3));
    while world.vendor.calls.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    channel.try_send(Finish).unwrap();
    world.book.until(|ends| ends.iter().filter(|(_, end)| *end == End::Unclaim).count() == 2).await;
    assert!(channel.connected());
    world.vendor.gate.add_permits(1);
    world.died.notified().await;
    assert!(!world.notices.take()[0].panicked);
    world.book.until_handed_over(1).await;
    assert!(world.board.seat(KEY).is_some(), "its seat is free");
}

#[actix::test]
async fn the_days_ledger_is_written_once_a_second_however_much_is_sent() {
    let world = World::new(manners(1));
    world.start(Legacy::default());
    world.book.add(ErrandLane::Normal, world.errands(0, 3_000));
    world.book.until_handed_over(3_000).await;
    let writes = world.home.ledgers.lock().len();
    assert!((2..=4).contains(&writes), "{writes}");
}

#[actix::test]
async fn a_store_that_fails_for_a_while_loses_no_conclusion() {
    let world = World::new(manners(1));
    world.start(Legacy::default());
    world.book.fail_conclusions(2);
    world.book.add(ErrandLane::Normal, world.errands(0, 5));
    world.book.until_handed_over(5).await;
    assert_eq!(world.vendor.calls.lock().len(), 5, "nobody is sent to twice over it");
}

#[actix::test]
async fn how_a_channel_fares_says_what_is_wrong_and_when_its_certificate_ends() {
    let world = World::new(manners(1));
    *world.vendor.ends_at.lock() = Some(NOON + Ttl::from_secs(86_400));
    world.start(Legacy::default());
    world.vendor.answer(|_| vec![refused(Class::Config, Scope::App)]);
    world.book.add(ErrandLane::Normal, world.errands(0, 1));
    world.book.until(|ends| !ends.is_empty()).await;
    let state = world.state();
    assert!(matches!(state.breaker, BreakerView::Open { code, .. } if code == "code"));
    assert_eq!(state.ends_at, Some(NOON + Ttl::from_secs(86_400)));
    assert_eq!(state.last_error.unwrap().refused.code, "code");
}
