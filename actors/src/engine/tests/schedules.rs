//! Pushes ordered for later, over days that the clock is moved by.

use carillon_sdk::wire::Lane;
use carillon_sdk::{Timestamp, Ttl};

use super::world::{HOUR, World, name, soon};
use crate::audience::Audience;
use crate::engine::{Kind, To};
use crate::limits::Limits;
use crate::model::PushType;
use crate::order::{Content, Named, Order, Recipient, Recipients};
use crate::schedule::calendar::{Cycle, Every, Strategy, Zone, time};
use crate::schedule::object::{Face, Id, Missed, Reason, Run, RunState, State};
use crate::schedule::{By, Cancelled, Denied, NewSchedule, RunsQuery, Scheduled, Which};
use crate::store::{self, Change, Expect};

const DAY: Ttl = Ttl::from_secs(24 * 3600);

fn by() -> By {
    By { who: "ck_test".to_owned(), from: None }
}

/// A push to one user, who may have a key for it.
fn to_user(user: &str, title: &str, key: Option<&str>) -> Order {
    let recipient = Recipient {
        to: Named::User(name(user)),
        key: key.map(str::to_owned),
        values: [("who".to_owned(), user.to_owned())].into(),
        data: None,
    };
    Order {
        name: None,
        push_type: PushType::Single,
        template: None,
        content: Content { title: Some(title.to_owned()), ..Content::default() },
        values: Default::default(),
        to: Recipients::Each(vec![recipient]),
        ttl: DAY,
        lane: Lane::Normal,
        collapse_key: None,
        keys_keep: Ttl::ZERO,
    }
}

impl World {
    fn ahead(&self, by: Ttl) -> Timestamp {
        self.clock.now() + by
    }

    fn new_schedule(order: Order, strategy: Strategy) -> NewSchedule {
        NewSchedule {
            order,
            audience: None,
            strategy,
            missed: Missed::LateOnce,
            late_max: None,
            face: Face::Api,
            delivery_type: None,
            request: None,
        }
    }

    async fn once(&self, order: Order, at: Timestamp) -> Scheduled {
        self.engine
            .schedule(self.app, Self::new_schedule(order, Strategy::Once(at)), by(), None)
            .await
            .unwrap()
    }

    /// Every day at noon in UTC, from tomorrow on.
    fn noons(&self, days: u64) -> Strategy {
        let zone = Zone::parse("UTC").unwrap();
        let (from, to) = (zone.date(self.ahead(DAY)), zone.date(self.ahead(Ttl::from_secs(days * 86_400))));
        Strategy::Cyclic(Cycle { every: Every::Day, time: time("12:00").unwrap(), from, to, zone })
    }

    async fn daily(&self, order: Order, days: u64) -> Scheduled {
        let new = Self::new_schedule(order, self.noons(days));
        self.engine.schedule(self.app, new, by(), None).await.unwrap()
    }

    fn runs(&self, id: Id) -> Vec<(Id, Run)> {
        let query = RunsQuery { of: Some(id), limit: 1_000, ..RunsQuery::default() };
        let page = self.engine.runs(self.app, &query);
        page.runs.into_iter().map(|listed| (listed.id, listed.run)).collect()
    }

    /// Moves the clock to a moment.
    fn move_to(&self, at: Timestamp) {
        self.clock.advance(std::time::Duration::from_millis(at.since(self.clock.now()).as_millis()));
    }

    async fn expect_run(&self, run: Id, state: RunState) -> Run {
        soon(&format!("the run {state:?}"), async {
            loop {
                if let Some((_, found)) = self.runs(run).into_iter().find(|(id, _)| *id == run)
                    && found.state == state
                {
                    return found;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }

    /// The same while time goes on, since what is tried again waits for its time.
    async fn expect_run_in_time(&self, run: Id, state: RunState) -> Run {
        soon(&format!("the run {state:?}"), async {
            loop {
                let found = self.runs(run).into_iter().find(|(_, found)| found.state == state);
                if let Some((_, found)) = found {
                    return found;
                }
                self.clock.advance(std::time::Duration::from_secs(1));
                // The clock is ours and the Scheduler's timer is not: a second must not pass in no time.
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        })
        .await
    }

    async fn cancel(&self, id: Id, which: Which) -> Cancelled {
        self.engine.cancel_schedules(self.app, &[id], which, &by(), None).await.unwrap()[0]
    }
}

#[actix_rt::test]
async fn a_push_scheduled_for_next_week_arrives_then_and_its_run_says_how_late() {
    let world = World::new().await;
    let mut phone = world.phone("phone").await;
    world.bind(phone.device, Some("ann")).await;
    let at = world.ahead(Ttl::from_secs(7 * 86_400));
    let scheduled = world.once(to_user("ann", "hello #who#", None), at).await;
    assert_eq!(world.runs(scheduled.id)[0].1.state, RunState::Planned);
    world.move_to(at - Ttl::from_secs(1));
    phone.expect_nothing().await;
    world.move_to(at);
    phone.take("hello ann").await;
    let run = world.expect_run(scheduled.id, RunState::Fired).await;
    assert_eq!((run.planned_at, run.accepted, run.lag()), (at, 1, Some(Ttl::ZERO)));
    assert_eq!(world.engine.schedule_head(world.app, scheduled.id).unwrap().state, State::Done);
}

#[actix_rt::test]
async fn a_cyclic_push_comes_every_day_though_its_recipient_has_one_key_for_all() {
    let world = World::new().await;
    let mut phone = world.phone("phone").await;
    world.bind(phone.device, Some("ann")).await;
    let scheduled = world.daily(to_user("ann", "noon", Some("order-1")), 3).await;
    let runs = world.runs(scheduled.id);
    assert_eq!(runs.len(), 3);
    for (id, run) in &runs {
        world.move_to(run.planned_at);
        phone.take("noon").await;
        world.expect_run(*id, RunState::Fired).await;
    }
    assert_eq!(world.engine.schedule_head(world.app, scheduled.id).unwrap().state, State::Done);
}

#[actix_rt::test]
async fn a_cancelled_run_is_left_out_and_the_others_come() {
    let world = World::new().await;
    let mut phone = world.phone("phone").await;
    world.bind(phone.device, Some("ann")).await;
    let scheduled = world.daily(to_user("ann", "noon", None), 3).await;
    let runs = world.runs(scheduled.id);
    assert_eq!(world.cancel(runs[1].0, Which::Runs).await, Cancelled::Done);
    assert_eq!(world.cancel(runs[1].0, Which::Runs).await, Cancelled::Already);
    for at in [0, 2] {
        world.move_to(runs[at].1.planned_at);
        phone.take("noon").await;
        world.expect_run(runs[at].0, RunState::Fired).await;
    }
    let states: Vec<_> = world.runs(scheduled.id).into_iter().map(|(_, run)| run.state).collect();
    assert_eq!(states, [RunState::Fired, RunState::Cancelled, RunState::Fired]);
    assert_eq!(world.cancel(runs[0].0, Which::Runs).await, Cancelled::Over);
    phone.expect_nothing().await;
}

#[actix_rt::test]
async fn a_cancelled_schedule_never_fires() {
    let world = World::new().await;
    let mut phone = world.phone("phone").await;
    world.bind(phone.device, Some("ann")).await;
    let at = world.ahead(HOUR);
    let cancelled = world.once(to_user("ann", "never", None), at).await;
    let daily = world.daily(to_user("ann", "never", None), 3).await;
    assert_eq!(world.cancel(cancelled.id, Which::Runs).await, Cancelled::Done);
    assert_eq!(world.cancel(daily.id, Which::Schedules).await, Cancelled::Done);
    assert_eq!(world.cancel(daily.id, Which::Schedules).await, Cancelled::Already);
    let marker = world.once(to_user("ann", "marker", None), world.ahead(Ttl::from_secs(5 * 86_400))).await;
    world.move_to(marker.head.next().unwrap());
    phone.take("marker").await;
    assert_eq!(world.cancel(marker.id, Which::Schedules).await, Cancelled::Over);
    phone.expect_nothing().await;
}

#[actix_rt::test]
async fn days_that_were_missed_fire_once() {
    let world = World::new().await;
    let mut phone = world.phone("phone").await;
    world.bind(phone.device, Some("ann")).await;
    let scheduled = world.daily(to_user("ann", "noon", None), 4).await;
    let runs = world.runs(scheduled.id);
    world.move_to(runs[2].1.planned_at + HOUR);
    phone.take("noon").await;
    let fired = world.expect_run(runs[2].0, RunState::Fired).await;
    assert_eq!(fired.lag(), Some(HOUR));
    let skipped = world.expect_run(runs[0].0, RunState::Skipped).await;
    assert_eq!(skipped.reason, Some(Reason::Superseded));
    phone.expect_nothing().await;
}

#[actix_rt::test]
async fn nothing_fires_on_the_word_of_a_clock_that_jumped() {
    let world = World::new().await;
    let mut phone = world.phone("phone").await;
    world.bind(phone.device, Some("ann")).await;
    let scheduled = world.once(to_user("ann", "tomorrow", None), world.ahead(DAY)).await;
    let before = world.clock.now();
    let jump = i64::try_from(DAY.as_millis()).unwrap();
    // The Scheduler looks five times a second; here it need not be waited for.
    let step = |by_ms| {
        world.clock.step_wall(by_ms);
        world.clock.watch();
    };
    step(jump);
    assert!(!world.clock.settled() && world.clock.now() >= before + DAY);
    // It is taken back: five minutes later nothing fires, though the clock that never goes back stands there.
    step(-jump);
    world.clock.advance(std::time::Duration::from_secs(301));
    assert!(world.clock.settled() && world.clock.now() >= before + DAY);
    world.push(super::world::users(&["ann"]), "now").await;
    phone.take("now").await;
    phone.expect_nothing().await;
    assert_eq!(world.runs(scheduled.id)[0].1.state, RunState::Planned);
    // A jump that holds is believed in the end.
    step(jump);
    assert!(!world.clock.settled());
    phone.expect_nothing().await;
    world.clock.advance(std::time::Duration::from_secs(301));
    phone.take("tomorrow").await;
}

#[actix_rt::test]
async fn a_scheduler_that_dies_leaves_schedules_to_its_successor() {
    let world = World::new().await;
    let mut phone = world.phone("phone").await;
    world.bind(phone.device, Some("ann")).await;
    let at = world.ahead(HOUR);
    world.once(to_user("ann", "hello", None), at).await;
    world.engine.crash(Kind::Scheduler);
    world.move_to(at);
    phone.take("hello").await;
    phone.expect_nothing().await;
}

#[actix_rt::test]
async fn a_schedule_that_cannot_be_is_refused_whole() {
    let world = World::new().await;
    let make =
        |order, strategy| world.engine.schedule(world.app, World::new_schedule(order, strategy), by(), None);
    let hello = || to_user("ann", "hello", None);
    let past = Strategy::Once(world.clock.now());
    assert_eq!(make(hello(), past).await, Err(Denied::Past));
    let far = Strategy::Once(world.ahead(Ttl::from_secs(181 * 86_400)));
    assert_eq!(make(hello(), far).await, Err(Denied::TooFar));
    let Strategy::Cyclic(cycle) = world.noons(3) else { panic!("it is cyclic") };
    let backwards = Cycle { to: cycle.from.yesterday().unwrap(), ..cycle.clone() };
    assert_eq!(make(hello(), Strategy::Cyclic(backwards)).await, Err(Denied::EndsBeforeItBegins));
    let weekday = i64::from(cycle.from.weekday().to_monday_one_offset());
    let never = Cycle { every: Every::week([weekday % 7 + 1]).unwrap(), to: cycle.from, ..cycle };
    assert_eq!(make(hello(), Strategy::Cyclic(never)).await, Err(Denied::Never));
    let missing = make(to_user("ann", "#nobody#", None), Strategy::Once(world.ahead(HOUR))).await;
    assert!(matches!(missing, Err(Denied::Missing(0, _))), "{missing:?}");
    assert!(world.engine.schedules(world.app, None, 10).is_empty());
}

#[actix_rt::test]
async fn a_schedule_that_ended_long_ago_is_forgotten_with_its_runs() {
    let world = World::new().await;
    let scheduled = world.daily(to_user("ann", "noon", None), 1).await;
    let run = world.runs(scheduled.id)[0].clone();
    world.move_to(run.1.planned_at);
    world.expect_run(run.0, RunState::Fired).await;
    world.clock.advance(std::time::Duration::from_secs(29 * 86_400));
    crate::schedule::tidy(world.engine.shared()).await.unwrap();
    assert_eq!(world.runs(scheduled.id).len(), 1);
    world.clock.advance(std::time::Duration::from_secs(2 * 86_400));
    crate::schedule::tidy(world.engine.shared()).await.unwrap();
    assert!(world.runs(scheduled.id).is_empty());
    assert!(world.engine.schedules(world.app, None, 10).is_empty());
}

/// A schedule's rows as they were before its run ended: what a kill in between leaves.
async fn forget_the_end(world: &World, id: Id, before: bytes::Bytes) {
    let run = world.engine.store().object(world.app, store::Kind::Run, &id.to_string()).unwrap();
    let mut run: serde_json::Value = serde_json::from_slice(&run.bytes).unwrap();
    run["state"] = "firing".into();
    run["messages"] = serde_json::json!([]);
    run["accepted"] = 0.into();
    let row = |kind, value| Change { kind, id: id.to_string(), expect: Expect::Anything, value: Some(value) };
    let changes = vec![
        row(store::Kind::Schedule, before),
        row(store::Kind::Run, serde_json::to_vec(&run).unwrap().into()),
    ];
    world.engine.store().change(world.app, changes, None, None).await.unwrap();
}

#[actix_rt::test]
async fn a_run_whose_end_was_not_written_down_is_completed_and_sends_nothing_twice() {
    for to in [
        Recipients::Audience(Audience::Everybody),
        Recipients::Each(["ann", "bob"].map(|user| to_user(user, "", None)).map(recipient).to_vec()),
    ] {
        let world = World::new().await;
        let mut phone = world.phone("phone").await;
        world.bind(phone.device, Some("ann")).await;
        let push_type = match &to {
            Recipients::Audience(_) => PushType::Broadcast,
            Recipients::Each(_) => PushType::Multiple,
        };
        let order = Order { to, push_type, ..to_user("ann", "hello", None) };
        let scheduled = world.once(order, world.ahead(HOUR)).await;
        let id = scheduled.id.to_string();
        let before = world.engine.store().object(world.app, store::Kind::Schedule, &id).unwrap().bytes;
        world.move_to(scheduled.head.next().unwrap());
        phone.take("hello").await;
        let first = world.expect_run(scheduled.id, RunState::Fired).await;
        assert!(first.task.is_some());
        forget_the_end(&world, scheduled.id, before).await;
        world.engine.crash(Kind::Scheduler);
        let second = world.expect_run(scheduled.id, RunState::Fired).await;
        assert_eq!((second.task, second.messages), (first.task, first.messages));
        assert_eq!(second.accepted, first.accepted);
        phone.expect_nothing().await;
    }
}

fn recipient(order: Order) -> Recipient {
    match order.to {
        Recipients::Each(mut recipients) => recipients.remove(0),
        Recipients::Audience(_) => panic!("it has one recipient"),
    }
}

#[actix_rt::test]
async fn a_push_that_finds_no_room_is_tried_again_for_as_long_as_it_may_be_late() {
    let limits = Limits { broadcasts_max: 1, ..Limits::default() };
    let world = World::with(limits, |hints| hints).await;
    let mut phone = world.phone("phone").await;
    let everybody = |title| Order {
        to: Recipients::Audience(Audience::Everybody),
        push_type: PushType::Broadcast,
        ..to_user("ann", title, None)
    };
    let at = world.ahead(DAY);
    let soon = NewSchedule {
        late_max: Some(Ttl::from_secs(60)),
        ..World::new_schedule(everybody("soon"), Strategy::Once(at))
    };
    let soon = world.engine.schedule(world.app, soon, by(), None).await.unwrap();
    let late = world.once(everybody("late"), at).await;
    world.move_to(at - Ttl::from_secs(1));
    world.push(To::All, "in the way").await;
    phone.take("in the way").await;
    world.move_to(at);
    world.expect_run(soon.id, RunState::Firing).await;
    world.expect_run(late.id, RunState::Firing).await;
    world.move_to(at + Ttl::from_secs(61));
    let failed = world.expect_run_in_time(soon.id, RunState::Failed).await;
    assert_eq!(failed.reason, Some(Reason::OutcomeUnknown));
    world.pass(HOUR).await;
    let fired = world.expect_run_in_time(late.id, RunState::Fired).await;
    assert!(fired.lag().unwrap() >= HOUR, "{fired:?}");
    phone.take("late").await;
    phone.expect_nothing().await;
}

#[actix_rt::test]
async fn as_many_schedules_as_an_app_may_have_fire_together() {
    let limits = Limits { schedules_max: 200, ..Limits::default() };
    let world = World::with(limits, |hints| hints).await;
    let at = world.ahead(HOUR);
    for n in 0..200 {
        world.once(to_user("ann", &n.to_string(), None), at).await;
    }
    let one_more = World::new_schedule(to_user("ann", "", None), Strategy::Once(at));
    assert_eq!(world.engine.schedule(world.app, one_more.clone(), by(), None).await, Err(Denied::Full));
    world.move_to(at);
    soon("all of them to fire", async {
        let query = RunsQuery { limit: 1_000, ..RunsQuery::default() };
        while world.engine.runs(world.app, &query).runs.iter().any(|listed| !listed.run.is_over()) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(world.engine.schedule(world.app, one_more, by(), None).await, Err(Denied::Past));
}

#[actix_rt::test]
async fn runs_of_all_schedules_are_listed_in_the_order_of_their_times() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for days in [3, 5] {
        ids.push(world.daily(to_user("ann", "noon", None), days).await.id);
    }
    let broadcast = Order {
        to: Recipients::Audience(Audience::Everybody),
        push_type: PushType::Broadcast,
        ..to_user("ann", "all", None)
    };
    let all = world.once(broadcast, world.ahead(Ttl::from_secs(2 * 86_400))).await;
    let runs = |query: RunsQuery| {
        let page = world.engine.runs(world.app, &query);
        let runs: Vec<_> =
            page.runs.into_iter().map(|listed| (listed.run.planned_at, listed.run.schedule)).collect();
        (page.total, runs)
    };
    let whole = RunsQuery { limit: 100, ..RunsQuery::default() };
    let (total, everything) = runs(whole.clone());
    assert_eq!((total, everything.len()), (9, 9));
    assert!(everything.is_sorted_by_key(|(planned, _)| *planned));
    let second = RunsQuery { skip: 4, limit: 3, ..whole };
    assert_eq!(runs(second), (9, everything[4..7].to_vec()));
    let (from, to) = (everything[2].0, everything[6].0);
    let window = RunsQuery { from: Some(from), to: Some(to), ..whole };
    let expected: Vec<_> = everything.iter().filter(|(at, _)| (from..to).contains(at)).copied().collect();
    assert_eq!(runs(window).1, expected);
    let broadcasts = RunsQuery { push_type: Some(PushType::Broadcast), ..whole };
    assert_eq!(runs(broadcasts).1, [(all.head.next().unwrap(), all.id)]);
    let one = world.runs(ids[1])[2].0;
    let one = runs(RunsQuery { of: Some(one), ..whole });
    assert_eq!(one, (1, vec![(world.runs(ids[1])[2].1.planned_at, ids[1])]));
}
