//! A vendor and a store that are a test's.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use carillon_sdk::wire::Lane;
use carillon_sdk::{MessageId, Timestamp, Ttl, Vendor};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use super::{
    Access, Claimed, End, Errand, ErrandId, ErrandLane, Errands, Gateway, Gateways, Invalid, Manners,
    Outcome, Parcel, Refused, Setup, Works,
};
use crate::clock::Clock;
use crate::model::{App, Device, Message, PushType};
use crate::store;

type Answers = Box<dyn Fn(&Parcel) -> Vec<Outcome> + Send>;
type Accesses = Box<dyn Fn(usize) -> Result<Access, Refused> + Send>;

/// A vendor: takes everything until it is told otherwise, and notes what it is given.
pub(crate) struct FakeVendor {
    pub(crate) manners: Mutex<Manners>,
    pub(crate) answers: Mutex<Answers>,
    /// Given the number of the request, from 1.
    pub(crate) accesses: Mutex<Accesses>,
    /// Each call with what it showed.
    pub(crate) calls: Mutex<Vec<(String, Parcel)>>,
    pub(crate) authorized: AtomicUsize,
    /// A call takes one permit and answers then; there are many unless a test takes them.
    pub(crate) gate: Semaphore,
    pub(crate) in_flight_most: AtomicUsize,
    in_flight: AtomicUsize,
    pub(crate) ends_at: Mutex<Option<Timestamp>>,
    /// Told at each call, and at each answer.
    pub(crate) came: Notify,
}

impl Default for FakeVendor {
    fn default() -> Self {
        Self {
            manners: Mutex::new(Manners { batch_max: 1, in_flight_max: 4, rate: (1_000, 10, 10_000) }),
            answers: Mutex::new(Box::new(|parcel| vec![Outcome::accepted(None); parcel.to.len()])),
            accesses: Mutex::new(Box::new(|count| Ok(Access::new(format!("access-{count}"))))),
            calls: Mutex::default(),
            authorized: AtomicUsize::new(0),
            gate: Semaphore::new(1_000_000),
            in_flight_most: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            ends_at: Mutex::new(None),
            came: Notify::new(),
        }
    }
}

impl FakeVendor {
    pub(crate) fn answer(&self, answers: impl Fn(&Parcel) -> Vec<Outcome> + Send + 'static) {
        *self.answers.lock() = Box::new(answers);
    }

    pub(crate) fn give(&self, accesses: impl Fn(usize) -> Result<Access, Refused> + Send + 'static) {
        *self.accesses.lock() = Box::new(accesses);
    }

    /// The tokens of each call so far.
    pub(crate) fn tokens(&self) -> Vec<Vec<String>> {
        let calls = self.calls.lock();
        calls.iter().map(|(_, parcel)| parcel.to.iter().map(|to| to.token.clone()).collect()).collect()
    }
}

/// A message that lives an hour.
pub(crate) fn message(title: &str, now: Timestamp) -> Arc<Message> {
    Arc::new(Message {
        id: MessageId::fresh(),
        app: App(1),
        push_type: PushType::Single,
        title: Some(title.to_owned()),
        body: None,
        data: None,
        lane: Lane::Normal,
        silent: false,
        collapse_key: None,
        accepted_at: now,
        expires_at: now + Ttl::from_secs(3_600),
        uri: None,
        look: None,
        task: None,
        options: None,
        repeat_until: None,
        revokes: None,
        key: None,
    })
}

/// A message for the device of a number, whose token is `token-` and the number.
pub(crate) fn errand(number: u32, message: &Arc<Message>, registered_at: Timestamp) -> Errand {
    Errand {
        id: ErrandId(u64::from(number)),
        device: Device { app: App(1), ordinal: number },
        token: format!("token-{number}"),
        registered_at,
        message: Arc::clone(message),
        attempts: 0,
        urgent: false,
    }
}

/// As it is handed out.
pub(crate) struct FakeGateway(pub(crate) Arc<FakeVendor>);

impl Gateway for FakeGateway {
    fn manners(&self) -> Manners {
        *self.0.manners.lock()
    }

    fn authorize(&self) -> BoxFuture<'static, Result<Access, Refused>> {
        let vendor = Arc::clone(&self.0);
        Box::pin(async move {
            let count = vendor.authorized.fetch_add(1, Ordering::SeqCst) + 1;
            vendor.came.notify_waiters();
            (vendor.accesses.lock())(count)
        })
    }

    fn send(&self, access: Access, parcel: Parcel) -> BoxFuture<'static, Vec<Outcome>> {
        let vendor = Arc::clone(&self.0);
        Box::pin(async move {
            let now = vendor.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
            vendor.in_flight_most.fetch_max(now, Ordering::SeqCst);
            vendor.calls.lock().push((access.token().to_owned(), parcel.clone()));
            vendor.came.notify_waiters();
            let permit = vendor.gate.acquire().await.unwrap();
            permit.forget();
            let outcomes = (vendor.answers.lock())(&parcel);
            vendor.in_flight.fetch_sub(1, Ordering::SeqCst);
            outcomes
        })
    }

    fn ends_at(&self) -> Option<Timestamp> {
        *self.0.ends_at.lock()
    }
}

/// Opens the one vendor for every setup whose credential has a `key`.
pub(crate) struct FakeGateways(pub(crate) Arc<FakeVendor>);

impl Gateways for FakeGateways {
    fn open(&self, _: Vendor, setup: &Setup) -> Result<Arc<dyn Gateway>, Invalid> {
        if setup.credential.get("key").is_none() {
            return Err(Invalid::new("/credential/key", "a key"));
        }
        Ok(Arc::new(FakeGateway(Arc::clone(&self.0))))
    }
}

/// Errands in memory.
#[derive(Clone)]
pub(crate) struct Book(Arc<Inner>);

struct Inner {
    clock: Clock,
    pages: Mutex<Pages>,
    watch: Arc<Notify>,
    /// Told when errands were concluded.
    ended: Notify,
    claims_most: AtomicUsize,
}

#[derive(Default)]
struct Pages {
    due: BTreeMap<(ErrandLane, Timestamp, ErrandId), Errand>,
    claimed: BTreeMap<ErrandId, (ErrandLane, Errand)>,
    ends: VecDeque<(ErrandId, End)>,
    /// Conclusions that fail before the next succeeds.
    failing: usize,
}

impl Book {
    pub(crate) fn new(clock: Clock) -> Self {
        Self(Arc::new(Inner {
            clock,
            pages: Mutex::default(),
            watch: Arc::default(),
            ended: Notify::new(),
            claims_most: AtomicUsize::new(0),
        }))
    }

    pub(crate) fn add(&self, lane: ErrandLane, errands: impl IntoIterator<Item = Errand>) {
        let now = self.0.clock.now();
        let mut pages = self.0.pages.lock();
        pages.due.extend(errands.into_iter().map(|errand| ((lane, now, errand.id), errand)));
        drop(pages);
        self.0.watch.notify_one();
    }

    pub(crate) fn fail_conclusions(&self, count: usize) {
        self.0.pages.lock().failing = count;
    }

    pub(crate) fn ends(&self) -> Vec<(ErrandId, End)> {
        self.0.pages.lock().ends.iter().cloned().collect()
    }

    pub(crate) fn claims_most(&self) -> usize {
        self.0.claims_most.load(Ordering::SeqCst)
    }

    /// Waits until what ended so far is so.
    pub(crate) async fn until(&self, is_so: impl Fn(&[(ErrandId, End)]) -> bool) -> Vec<(ErrandId, End)> {
        loop {
            let mut ended = std::pin::pin!(self.0.ended.notified());
            ended.as_mut().enable();
            let ends = self.ends();
            if is_so(&ends) {
                return ends;
            }
            // Far away, and reached at once where time is paused and everybody waits.
            let deadline = std::time::Duration::from_secs(7 * 86_400);
            tokio::time::timeout(deadline, ended).await.expect("errands end");
        }
    }

    /// The same, for so many that were handed over.
    pub(crate) async fn until_handed_over(&self, count: usize) {
        let is_over = |(_, end): &&(ErrandId, End)| matches!(end, End::HandedOver { .. });
        self.until(|ends| ends.iter().filter(is_over).count() >= count).await;
    }
}

impl Errands for Book {
    fn claim(&self, lane: ErrandLane, max: usize) -> BoxFuture<'static, Result<Claimed, store::Error>> {
        let now = self.0.clock.now();
        let mut pages = self.0.pages.lock();
        let of_lane = |(of, at, _): &&(ErrandLane, Timestamp, ErrandId)| *of == lane && *at <= now;
        let due: Vec<_> = pages.due.keys().filter(of_lane).take(max).copied().collect();
        let errands: Vec<_> = due.iter().filter_map(|key| pages.due.remove(key)).collect();
        for errand in &errands {
            pages.claimed.insert(errand.id, (lane, errand.clone()));
        }
        let next_due = pages.due.keys().find(|(of, ..)| *of == lane).map(|(_, at, _)| *at);
        self.0.claims_most.fetch_max(pages.claimed.len(), Ordering::SeqCst);
        Box::pin(std::future::ready(Ok(Claimed { errands, next_due })))
    }

    fn conclude(&self, ends: Vec<(ErrandId, End)>) -> BoxFuture<'static, Result<(), store::Error>> {
        let now = self.0.clock.now();
        let mut pages = self.0.pages.lock();
        if pages.failing > 0 {
            pages.failing -= 1;
            return Box::pin(std::future::ready(Err(store::Error::Unavailable)));
        }
        for (id, end) in ends {
            let (lane, errand) = pages.claimed.remove(&id).expect("only what is claimed is concluded");
            let again = match end {
                End::Again { at } => Some((at, errand.attempts + 1)),
                End::Unclaim => Some((now, errand.attempts)),
                _ => None,
            };
            if let Some((at, attempts)) = again {
                pages.due.insert((lane, at, id), Errand { attempts, ..errand });
            }
            pages.ends.push_back((id, end));
        }
        drop(pages);
        self.0.ended.notify_waiters();
        Box::pin(std::future::ready(Ok(())))
    }

    fn is_owed(&self, id: ErrandId) -> bool {
        self.0.pages.lock().claimed.contains_key(&id)
    }

    fn watch(&self) -> Arc<Notify> {
        Arc::clone(&self.0.watch)
    }
}

impl Works for Book {
    fn errands(&self, _: App, _: Vendor) -> Arc<dyn Errands> {
        let mut pages = self.0.pages.lock();
        let now = self.0.clock.now();
        for (id, (lane, errand)) in std::mem::take(&mut pages.claimed) {
            pages.due.insert((lane, now, id), errand);
        }
        drop(pages);
        Arc::new(self.clone())
    }
}
