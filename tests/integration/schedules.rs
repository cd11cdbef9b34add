//! Pushes ordered now for later, on the real binary. Days ahead are in the engine's own tests, which
//! move the clock; here what is due is due within seconds.

use carillon_sdk::Timestamp;
use carillon_sdk::Ttl;
use carillon_sdk::api::batch::{BatchEntry, PushBatch};
use carillon_sdk::api::schedules::{CreateSchedule, Every, Missed, Moment, RunView, ScheduleView};
use carillon_sdk::api::{PushRequest, Target};

use crate::harness::{App, Call, Phone, Server, call, eventually, now, run, to_all, to_user};

fn ahead(millis: u64) -> Timestamp {
    now() + Ttl::from_millis(millis)
}

fn once(to: Target, title: &str, at: Timestamp) -> CreateSchedule {
    CreateSchedule {
        push: Some(PushRequest { to, title: Some(title.to_owned()), ..PushRequest::default() }),
        at: Some(Moment::Millis(at.as_millis())),
        ..CreateSchedule::default()
    }
}

/// Every day in UTC for ten days from tomorrow on.
fn daily(to: Target, title: &str) -> CreateSchedule {
    let day = |days: u64| {
        let at = jiff_date(ahead(days * 86_400_000));
        Some(at)
    };
    CreateSchedule {
        push: Some(PushRequest { to, title: Some(title.to_owned()), ..PushRequest::default() }),
        every: Some(Every::Day),
        time: Some("12:00".to_owned()),
        zone: Some("UTC".to_owned()),
        from: day(1),
        to: day(10),
        ..CreateSchedule::default()
    }
}

fn jiff_date(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(i64::try_from(at.as_millis()).unwrap()).unwrap();
    at.to_string()[..10].to_owned()
}

impl App {
    async fn schedule(&self, schedule: &CreateSchedule) -> ScheduleView {
        self.api.create_schedule(schedule, None).await.unwrap()
    }

    async fn runs_of(&self, schedule: &ScheduleView) -> Vec<RunView> {
        self.api.schedule(&schedule.schedule_id).await.unwrap().runs
    }

    /// The first run of a schedule, once it is in this state.
    async fn await_run(&self, schedule: &ScheduleView, state: &str) -> RunView {
        eventually(&format!("the run {state}"), async || {
            self.runs_of(schedule).await.into_iter().next().filter(|run| run.state == state)
        })
        .await
    }
}

/// Until that moment has come by the clock, which tells nobody.
async fn passed(at: Timestamp) {
    eventually("a moment to pass", async || (now() > at).then_some(())).await;
}

#[tokio::test]
async fn a_push_for_later_is_listed_and_arrives_at_its_time() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    app.bind(phone.id(), "ann").await;
    let at = ahead(1_500);
    let made = app.schedule(&once(to_user("ann"), "#1 later", at)).await;
    assert_eq!((made.state.as_str(), made.next_at), ("active", Some(at)));
    let listed = app.api.runs(Some(now()), None, None).await.unwrap();
    assert_eq!((listed.total, listed.runs[0].state.as_str()), (1, "planned"));
    phone.expect_nothing().await;
    let push = phone.receive("#1 later").await;
    assert!(push.sent_at >= at, "{:?} before {at:?}", push.sent_at);
    let run = app.await_run(&made, "fired").await;
    assert_eq!((run.message_ids, run.accepted), (vec![push.message_id], 1));
    assert!(run.lag_ms.unwrap() < 1_000, "{:?}", run.lag_ms);
    assert_eq!(app.api.schedules(None).await.unwrap().schedules[0].state, "done");
}

#[tokio::test]
async fn a_cancelled_push_never_arrives_and_one_that_fired_cannot_be_cancelled() {
    let server = Server::start().await;
    let app = server.app();
    let mut phone = Phone::new(&server, &app, "d").await;
    let at = ahead(1_000);
    let cancelled = app.schedule(&once(to_all(), "never", at)).await;
    let marker = app.schedule(&once(to_all(), "marker", at + Ttl::from_millis(1))).await;
    app.api.cancel_schedule(&cancelled.schedule_id).await.unwrap();
    app.api.cancel_schedule(&cancelled.schedule_id).await.unwrap();
    phone.receive("marker").await;
    app.await_run(&marker, "fired").await;
    phone.expect_nothing().await;
    assert_eq!(app.runs_of(&cancelled).await[0].state, "cancelled");
    let refused = app.api.cancel_schedule(&marker.schedule_id).await.unwrap_err();
    assert_eq!(refused.code(), Some("schedule_over"));
}

#[tokio::test]
async fn what_was_missed_while_the_server_was_down_fires_late_once_or_not_at_all() {
    let mut server = Server::start_with(&[("CARILLON_LIMITS_SCHEDULE_SKIP_AFTER", "1s")]).await;
    let app = server.app();
    let phone = app.register("d").await;
    let at = ahead(1_000);
    let late = app.schedule(&once(to_all(), "late", at)).await;
    let skip = CreateSchedule { missed: Some(Missed::Skip), ..once(to_all(), "never", at) };
    let skip = app.schedule(&skip).await;
    server.kill();
    passed(at + Ttl::from_millis(1_200)).await;
    server.start_again().await;
    let app = server.app();
    let mut phone = Phone::connect(&server, phone).await;
    phone.receive("late").await;
    let run = app.await_run(&late, "fired").await;
    assert!(run.lag_ms.unwrap() > 1_000, "{:?}", run.lag_ms);
    let run = app.await_run(&skip, "skipped").await;
    assert_eq!(run.reason.as_deref(), Some("missed"));
    phone.expect_nothing().await;
}

#[tokio::test]
async fn a_kill_in_the_middle_of_firing_leaves_exactly_one_message() {
    let mut server = Server::start().await;
    let device = server.app().register("d").await;
    let mut expected = Vec::new();
    for round in 0..4_u64 {
        let app = server.app();
        let at = ahead(1_500);
        let titles: Vec<_> = (0..10).map(|n| format!("{round}-{n}")).collect();
        let made = titles.iter().map(|title| async { app.schedule(&once(to_all(), title, at)).await });
        futures_util::future::join_all(made).await;
        expected.extend(titles);
        // The scheduler looks every 200 ms: each round is cut off elsewhere.
        passed(at + Ttl::from_millis(40 + 50 * round)).await;
        server.crash().await;
    }
    let app = server.app();
    let mut phone = Phone::connect(&server, device).await;
    let mut titles = Vec::new();
    while titles.len() < expected.len() {
        let Some(carillon_sdk::wire::Frame::Push(push)) = phone.next().await else { continue };
        phone.ack(&push).await;
        titles.push(push.title.unwrap());
    }
    phone.expect_nothing().await;
    titles.sort_unstable();
    assert_eq!(titles, expected);
    for schedule in app.api.schedules(None).await.unwrap().schedules {
        app.await_run(&schedule, "fired").await;
    }
}

#[tokio::test]
async fn a_cyclic_push_shows_its_runs_and_one_of_them_can_be_cancelled() {
    let mut server = Server::start().await;
    let app = server.app();
    let made = app.schedule(&daily(to_all(), "noon")).await;
    let runs = app.runs_of(&made).await;
    assert_eq!(runs.len(), 10);
    assert!(runs.iter().all(|run| run.state == "planned" && run.schedule_id == made.schedule_id));
    app.api.cancel_run(&made.schedule_id, &runs[3].run_id).await.unwrap();
    server.crash().await;
    let app = server.app();
    let after: Vec<_> = app.runs_of(&made).await.into_iter().map(|run| (run.run_id, run.state)).collect();
    let expected =
        |(at, run): (usize, RunView)| (run.run_id, if at == 3 { "cancelled" } else { "planned" }.to_owned());
    assert_eq!(after, runs.into_iter().enumerate().map(expected).collect::<Vec<_>>());
    let other = app.schedule(&daily(to_all(), "noon")).await;
    let foreign = app.runs_of(&other).await[0].run_id.clone();
    let refused = app.api.cancel_run(&made.schedule_id, &foreign).await.unwrap_err();
    assert_eq!(refused.code(), Some("run_unknown"));
}

#[tokio::test]
async fn a_repeated_request_makes_one_schedule() {
    let server = Server::start().await;
    let app = server.app();
    let schedule = once(to_all(), "hello", ahead(3_600_000));
    let first = app.api.create_schedule(&schedule, Some("k")).await.unwrap();
    let again = app.api.create_schedule(&schedule, Some("k")).await.unwrap();
    assert_eq!(first, again);
    let other = once(to_all(), "other", ahead(3_600_000));
    let refused = app.api.create_schedule(&other, Some("k")).await.unwrap_err();
    assert_eq!(refused.code(), Some("idempotency_mismatch"));
    assert_eq!(app.api.schedules(None).await.unwrap().schedules.len(), 1);
}

#[tokio::test]
async fn another_apps_schedule_does_not_exist() {
    let server = Server::start().await;
    let (ours, theirs) = (server.app(), server.another_app("theirs").await);
    let made = theirs.schedule(&daily(to_all(), "theirs")).await;
    let run = theirs.runs_of(&made).await[0].run_id.clone();
    let path = format!("/v1/schedules/{}", made.schedule_id);
    for (method, path) in
        [("GET", path.clone()), ("DELETE", path.clone()), ("DELETE", format!("{path}/runs/{run}"))]
    {
        let answer = call(server.http(), &Call::new(method, &path, "").signed(&ours)).await;
        answer.expect_problem(404, "schedule_unknown");
    }
    assert!(ours.api.schedules(None).await.unwrap().schedules.is_empty());
    assert_eq!(ours.api.runs(None, None, None).await.unwrap().total, 0);
    assert_eq!(theirs.runs_of(&made).await[0].state, "planned");
}

#[tokio::test]
async fn a_schedule_that_is_none_is_refused_and_nothing_is_kept() {
    let server = Server::start().await;
    let app = server.app();
    let push = r#""push":{"to":{"all":true},"title":"x"}"#;
    for (when, code) in [
        (r#""at":1000"#, "schedule_past"),
        (r#""at":"soon""#, "schedule_invalid"),
        (r#""at":"2200-01-01T00:00:00Z""#, "schedule_invalid"),
        (r#""every":"week","on":[8],"time":"09:00","to":"2199-01-01""#, "schedule_invalid"),
        (r#""every":"day","time":"25:00","to":"2199-01-01""#, "schedule_invalid"),
        (r#""every":"day","time":"09:00","zone":"Moon","to":"2199-01-01""#, "schedule_invalid"),
        (r#""every":"day","time":"09:00","from":"2020-01-02","to":"2020-01-01""#, "schedule_invalid"),
        (r#""every":"day","time":"09:00","from":"2020-01-01","to":"2020-01-02""#, "schedule_past"),
        (r#""every":"*/5 * * * *","time":"09:00","to":"2199-01-01""#, "body_invalid"),
    ] {
        let body = format!("{{{push},{when}}}");
        let answer = call(server.http(), &Call::new("POST", "/v1/schedules", &body).signed(&app)).await;
        answer.expect_problem(400, code);
    }
    let online_only = format!(
        r#"{{"push":{{"to":{{"users":["a"]}},"title":"x","ttl_s":0}},"at":{}}}"#,
        ahead(60_000).as_millis()
    );
    let answer = call(server.http(), &Call::new("POST", "/v1/schedules", &online_only).signed(&app)).await;
    let problem = answer.expect_problem(400, "ttl_out_of_range");
    assert_eq!(problem.errors[0].pointer, "/push/ttl_s");
    assert!(app.api.schedules(None).await.unwrap().schedules.is_empty());
}

#[tokio::test]
async fn the_command_line_makes_shows_and_cancels_schedules() {
    let server = Server::start().await;
    let at = ahead(3_600_000).as_millis().to_string();
    let made = run(&server, &["schedule", "create", "--all", "--title", "t", "--at", &at, "--json"]).await;
    let id = made.json()[0]["schedule_id"].as_str().unwrap().to_owned();
    let shown = run(&server, &["schedule", "show", &id, "--json"]).await.json();
    assert_eq!(shown[0]["runs"][0]["state"], "planned");
    assert_eq!(run(&server, &["schedule", "runs", "--json"]).await.json()[0]["total"], 1);
    run(&server, &["schedule", "cancel", &id]).await;
    let listed = run(&server, &["schedule", "list", "--json"]).await.json();
    assert_eq!(listed[0]["schedules"][0]["state"], "cancelled");
    let log = server.app().api.audit_log(None).await.unwrap().entries;
    let what: Vec<_> = log.iter().map(|entry| entry.what.as_str()).collect();
    assert_eq!(what[..2], ["schedule.cancel", "schedule.create"]);
}

#[tokio::test]
async fn a_batch_and_an_audience_fire_for_whom_they_are_then() {
    let server = Server::start().await;
    let app = server.app();
    let mut ann = Phone::new(&server, &app, "ann").await;
    app.bind(ann.id(), "ann").await;
    let entry = |user: &str| BatchEntry {
        user: Some(user.parse().unwrap()),
        values: [("who".to_owned(), user.to_owned())].into(),
        ..BatchEntry::default()
    };
    let batch = PushBatch {
        title: Some("hello #who#".to_owned()),
        entries: vec![entry("ann"), entry("bob")],
        ..PushBatch::default()
    };
    let at = ahead(1_500);
    let batch = CreateSchedule { push: None, batch: Some(batch), ..once(to_all(), "", at) };
    let batch = app.schedule(&batch).await;
    let audience =
        CreateSchedule { audience: Some("bound".to_owned()), ..once(to_all(), "to the bound", at) };
    let audience = app.schedule(&audience).await;
    // Bound after the order, and before its time.
    let mut bob = Phone::new(&server, &app, "bob").await;
    app.bind(bob.id(), "bob").await;
    let mut nobody = Phone::new(&server, &app, "nobody").await;
    for (phone, title) in [(&mut ann, "hello ann"), (&mut bob, "hello bob")] {
        let mut titles = vec![phone.next().await, phone.next().await];
        titles.sort_by_key(|frame| format!("{frame:?}").contains("to the bound"));
        let titles = titles.into_iter().map(|frame| match frame {
            Some(carillon_sdk::wire::Frame::Push(push)) => push.title.unwrap(),
            other => panic!("{other:?} instead of a push"),
        });
        assert_eq!(titles.collect::<Vec<_>>(), [title, "to the bound"]);
    }
    assert_eq!(app.await_run(&batch, "fired").await.accepted, 2);
    assert_eq!(app.await_run(&audience, "fired").await.accepted, 2);
    nobody.expect_nothing().await;
}
