//! The desk between a store and a vendor that answer at once.

use std::collections::VecDeque;

use super::super::{BreakerView, Class, Errand, Pause, Scope, fake};
use super::*;
use crate::model::Message;

/// Noon in Shanghai.
const NOON: Timestamp = Timestamp::from_millis(1_795_622_400_000 - 43_200_000);

struct Bench {
    desk: Desk,
    now: Now,
    due: [VecDeque<Errand>; 3],
    ended: Vec<(ErrandId, End)>,
    calls: Vec<(CallId, Access, Parcel)>,
    claims: Vec<usize>,
    authorized: usize,
    keeps: usize,
    /// The store refuses conclusions, and the ledger.
    refuses: bool,
    /// Access is given by hand.
    silent: bool,
    kept: Option<Vec<u8>>,
    /// Errands whose device has another user by now.
    left: Vec<ErrandId>,
}

const LANE: ErrandLane = ErrandLane::Normal;

fn manners(batch_max: usize) -> Manners {
    Manners { batch_max, in_flight_max: 100, rate: (10_000, 1_000, 10_000) }
}

fn bench(vendor: Vendor, manners: Manners) -> Bench {
    let now = Now { at: NOON, ms: 1_000 };
    Bench {
        desk: Desk::new(vendor, manners, Legacy::default(), now, 7),
        now,
        due: Default::default(),
        ended: Vec::new(),
        calls: Vec::new(),
        claims: Vec::new(),
        authorized: 0,
        keeps: 0,
        refuses: false,
        silent: false,
        kept: None,
        left: Vec::new(),
    }
}

impl Bench {
    fn step(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for effect in self.desk.step(event, self.now, &|id| !self.left.contains(&id)) {
                match effect {
                    Effect::Claim { lane, most } => {
                        self.claims.push(most);
                        let due = &mut self.due[lane as usize];
                        let errands = due.drain(..most.min(due.len())).collect();
                        let claimed = Some(Claimed { errands, next_due: None });
                        events.push_back(Event::Claimed { lane, asked: most, claimed });
                    }
                    Effect::Conclude(ends) => {
                        let done = !self.refuses;
                        if done {
                            self.ended.extend(ends);
                        }
                        events.push_back(Event::Concluded { done });
                    }
                    Effect::Authorize => {
                        self.authorized += 1;
                        if !self.silent {
                            let access = Access::new(format!("access-{}", self.authorized));
                            events.push_back(Event::Authorized(Ok(access)));
                        }
                    }
                    Effect::KeepAccess(_) => {}
                    Effect::KeepQuota(bytes) => {
                        self.kept = Some(bytes);
                        self.keeps += 1;
                        assert!(self.keeps < 100, "again and again");
                        events.push_back(Event::QuotaKept { done: !self.refuses });
                    }
                    Effect::Call { call, access, parcel } => self.calls.push((call, access, parcel)),
                }
            }
        }
    }

    fn add(&mut self, lane: ErrandLane, errands: impl IntoIterator<Item = Errand>) {
        self.due[lane as usize].extend(errands);
        self.step(Event::News);
    }

    /// So many of one message, to devices numbered from `from`.
    fn send(&mut self, from: u32, count: u32) -> Arc<Message> {
        let message = fake::message("a", self.now.at);
        self.add(LANE, (from..from + count).map(|number| fake::errand(number, &message, NOON)));
        self.pass_ms(25);
        message
    }

    fn pass_ms(&mut self, ms: u64) {
        self.now = Now { at: self.now.at + Ttl::from_millis(ms), ms: self.now.ms + ms };
        self.step(Event::Tick);
    }

    /// Every open call gets its answer, by token.
    fn answer(&mut self, answer: impl Fn(&str) -> Outcome) {
        for (call, _, parcel) in std::mem::take(&mut self.calls) {
            let outcomes = parcel.to.iter().map(|to| answer(&to.token)).collect();
            self.step(Event::Answered { call, outcomes });
        }
    }

    fn accept(&mut self) {
        self.answer(|_| Outcome::accepted(None));
    }

    /// The sizes of the open calls.
    fn sizes(&self) -> Vec<usize> {
        self.calls.iter().map(|(_, _, parcel)| parcel.to.len()).collect()
    }

    fn tokens(&self) -> Vec<String> {
        self.calls.iter().flat_map(|(_, _, parcel)| parcel.to.iter().map(|to| to.token.clone())).collect()
    }

    fn end(&self, number: u64) -> Option<&End> {
        self.ended.iter().rev().find(|(id, _)| *id == ErrandId(number)).map(|(_, end)| end)
    }

    fn is_open(&mut self) -> bool {
        self.desk.state(None, self.now).breaker != BreakerView::Closed
    }
}

fn refuse(class: Class, scope: Scope) -> Outcome {
    Refused::new(class, scope, "code").into()
}

fn is_again(end: Option<&End>) -> bool {
    matches!(end, Some(End::Again { .. }))
}

#[test]
fn after_a_partial_success_only_those_go_again_whose_own_outcome_says_so() {
    let mut bench = bench(Vendor::Huawei, manners(100));
    bench.send(0, 6);
    assert_eq!(bench.sizes(), [6]);
    bench.answer(|token| match token {
        "token-0" | "token-1" => Outcome::accepted(Some("v".to_owned())),
        "token-2" => refuse(Class::Retry, Scope::Message),
        "token-3" => refuse(Class::Unbind, Scope::Device),
        "token-4" => refuse(Class::Perm, Scope::Device),
        _ => refuse(Class::Throttle, Scope::Device),
    });
    let over = End::HandedOver { vendor_id: Some("v".to_owned()) };
    assert_eq!((bench.end(0), bench.end(1)), (Some(&over), Some(&over)));
    assert!(is_again(bench.end(2)) && is_again(bench.end(5)));
    assert_eq!(bench.end(3), Some(&End::Dead { code: "code".to_owned(), dead_since: None }));
    assert_eq!(bench.end(4), Some(&End::Refused { code: "code".to_owned() }));
    assert_eq!(bench.ended.len(), 6);
}

#[test]
fn who_had_trouble_in_a_batch_goes_alone_at_once() {
    let mut bench = bench(Vendor::Huawei, manners(100));
    bench.send(0, 3);
    let trouble = |token: &str| match token {
        "token-1" => refuse(Class::Retry, Scope::Device),
        _ => Outcome::accepted(None),
    };
    bench.answer(trouble);
    assert_eq!((bench.sizes(), bench.tokens()), (vec![1], vec!["token-1".to_owned()]));
    bench.answer(trouble);
    assert!(is_again(bench.end(1)), "alone it waits as others do");
}

#[test]
fn whom_a_gateway_forgets_may_have_been_sent_to() {
    let mut bench = bench(Vendor::Huawei, manners(100));
    bench.send(0, 2);
    let (call, ..) = bench.calls.remove(0);
    bench.step(Event::Answered { call, outcomes: vec![Outcome::accepted(None)] });
    assert!(matches!(bench.end(0), Some(End::HandedOver { .. })));
    assert!(is_again(bench.end(1)));
}

#[test]
fn a_rejected_access_is_replaced_once_and_the_call_made_once_more() {
    let mut bench = bench(Vendor::Fcm, manners(1));
    bench.send(0, 3);
    let first = Access::new("access-1");
    assert!(bench.calls.iter().all(|(_, access, _)| *access == first));
    bench.answer(|_| refuse(Class::Reauth, Scope::App));
    assert_eq!((bench.authorized, bench.sizes()), (2, vec![1, 1, 1]));
    assert!(bench.calls.iter().all(|(_, access, _)| *access == Access::new("access-2")));
    bench.accept();
    assert_eq!(bench.ended.len(), 3);
    assert!(bench.ended.iter().all(|(_, end)| matches!(end, End::HandedOver { .. })));
}

#[test]
fn twice_rejected_in_a_row_is_the_setups_fault_and_no_message_is_lost() {
    let mut bench = bench(Vendor::Fcm, manners(1));
    bench.send(0, 2);
    bench.answer(|_| refuse(Class::Reauth, Scope::App));
    bench.answer(|_| refuse(Class::Reauth, Scope::App));
    assert!(bench.is_open() && bench.calls.is_empty());
    assert!(is_again(bench.end(0)) && is_again(bench.end(1)));
}

#[test]
fn a_vendor_that_gives_no_access_is_asked_once_and_what_waits_is_given_back() {
    let mut bench = bench(Vendor::Fcm, manners(1));
    bench.silent = true;
    bench.send(0, 20);
    assert_eq!((bench.authorized, bench.calls.len()), (1, 0));
    bench.step(Event::Authorized(Err(Refused::new(Class::Retry, Scope::Connection, "connect"))));
    assert!(bench.ended.len() == 20 && bench.ended.iter().all(|(_, end)| *end == End::Unclaim));
    bench.send(20, 1);
    assert_eq!(bench.authorized, 1);
    let claims = bench.claims.len();
    bench.pass_ms(10_000);
    assert_eq!((bench.claims.len(), bench.authorized), (claims, 1));
    bench.pass_ms(25_000);
    assert_eq!(bench.authorized, 2);
}

#[test]
fn a_wrong_setup_stops_all_but_one_call_now_and_then_until_it_is_right() {
    let mut bench = bench(Vendor::Apns, manners(1));
    bench.send(0, 1);
    bench.answer(|_| refuse(Class::Config, Scope::App));
    assert!(bench.is_open());
    bench.send(1, 50);
    assert_eq!(bench.sizes(), [0; 0], "nothing goes");
    bench.pass_ms(34_000);
    assert_eq!((bench.sizes(), bench.claims.last()), (vec![1], Some(&1)), "one looks");
    bench.answer(|_| refuse(Class::Config, Scope::App));
    bench.pass_ms(34_000);
    assert_eq!(bench.sizes(), [0; 0], "twice as long");
    bench.pass_ms(34_000);
    bench.accept();
    assert!(!bench.is_open());
    assert_eq!(bench.calls.len(), 48);
}

#[test]
fn a_vendor_that_is_down_costs_few_calls_and_all_go_when_it_is_back() {
    let mut bench = bench(Vendor::Fcm, Manners { in_flight_max: 4, ..manners(1) });
    bench.send(0, 100);
    let mut calls = 0;
    for _ in 0..60 {
        calls += bench.calls.len();
        bench.answer(|_| refuse(Class::Retry, Scope::Connection));
        bench.pass_ms(1_000);
    }
    assert!((10..=20).contains(&calls), "{calls} calls in a minute");
    let lost = bench.ended.iter().filter(|(_, end)| !matches!(end, End::Again { .. } | End::Unclaim)).count();
    assert_eq!(lost, 0);
    bench.send(100, 10);
    bench.pass_ms(120_000);
    bench.accept();
    assert!(!bench.is_open());
}

#[test]
fn what_fails_again_when_all_others_are_through_keeps_nobody_waiting() {
    let mut bench = bench(Vendor::Fcm, manners(1));
    let message = fake::message("a", bench.now.at);
    bench.add(LANE, (0..50).map(|number| Errand { attempts: 1, ..fake::errand(number, &message, NOON) }));
    bench.answer(|_| refuse(Class::Retry, Scope::Platform));
    assert!(!bench.is_open() && bench.ended.len() == 50);
    bench.send(50, 1);
    assert_eq!(bench.sizes(), [1], "who comes new is sent to at once");
    bench.accept();

    bench.add(LANE, (60..80).map(|number| Errand { attempts: 1, ..fake::errand(number, &message, NOON) }));
    bench.answer(|_| refuse(Class::Retry, Scope::Connection));
    assert!(bench.is_open(), "that the way fails tells of all, whoever was to go it");
}

#[test]
fn an_operators_trial_sets_a_stopped_channel_going() {
    let mut bench = bench(Vendor::Apns, manners(1));
    bench.send(0, 1);
    bench.answer(|_| refuse(Class::Config, Scope::App));
    bench.send(1, 2);
    assert!(bench.is_open() && bench.calls.is_empty());
    bench.step(Event::Mended { access: Access::new("trial"), sent: true });
    assert!(!bench.is_open());
    assert!(bench.calls.len() == 2 && bench.calls.iter().all(|(_, access, _)| access.token() == "trial"));
}

#[test]
fn a_batch_that_is_dead_as_a_whole_unbinds_nobody() {
    let mut bench = bench(Vendor::Huawei, manners(100));
    bench.send(0, 100);
    bench.accept();
    bench.send(100, 100);
    bench.answer(|_| refuse(Class::Unbind, Scope::Device));
    assert!(bench.is_open());
    assert!(!bench.ended.iter().any(|(_, end)| matches!(end, End::Dead { .. })));
    for _ in 0..30 {
        bench.send(300, 1);
        bench.pass_ms(30_000);
        bench.answer(|_| refuse(Class::Unbind, Scope::Device));
    }
    assert!(!bench.ended.iter().any(|(_, end)| matches!(end, End::Dead { .. })), "nor do the looks");
    bench.send(400, 1);
    bench.pass_ms(1_000_000);
    bench.pass_ms(25);
    bench.accept();
    assert!(!bench.is_open());
}

#[test]
fn a_days_share_of_a_device_parks_what_is_beyond_it_or_ends_what_cannot_wait() {
    let mut bench = bench(Vendor::Huawei, manners(100));
    let long = |bench: &Bench| {
        let mut message = Message::clone(&fake::message("a", bench.now.at));
        message.expires_at = bench.now.at + Ttl::from_secs(86_400);
        Arc::new(message)
    };
    for number in 0..4 {
        let message = if number == 3 { fake::message("a", bench.now.at) } else { long(&bench) };
        let errand = Errand { id: ErrandId(number), ..fake::errand(9, &message, NOON) };
        bench.add(LANE, [errand]);
        bench.pass_ms(25);
        bench.accept();
    }
    assert!(matches!(bench.end(1), Some(End::HandedOver { .. })));
    let midnight = NOON + Ttl::from_secs(43_200);
    let Some(End::Again { at }) = bench.end(2) else { panic!("{:?}", bench.end(2)) };
    assert!(*at >= midnight && at.since(midnight) < Ttl::from_secs(600));
    assert_eq!(bench.end(3), Some(&End::Refused { code: "quota_spent".to_owned() }));
    let kept = String::from_utf8(bench.kept.unwrap()).unwrap();
    assert!(kept.contains("marketing"), "{kept}");
}

#[test]
fn a_refusal_gives_the_share_back_and_silence_does_not() {
    let mut bench = bench(Vendor::Honor, manners(1));
    let taken = |bench: &mut Bench| {
        let quotas = bench.desk.state(None, bench.now).quotas;
        quotas.into_iter().find(|quota| quota.name == "test").unwrap().taken
    };
    let mut message = Message::clone(&fake::message("a", NOON));
    message.options = Some(r#"{"is_test":true}"#.to_owned());
    let message = Arc::new(message);
    bench.add(LANE, (0..2).map(|number| fake::errand(number, &message, NOON)));
    assert_eq!(taken(&mut bench), 2);
    bench.answer(|token| match token {
        "token-0" => refuse(Class::Perm, Scope::Message),
        _ => Refused::silent().into(),
    });
    assert_eq!(taken(&mut bench), 1);
}

#[test]
fn nothing_is_sent_after_its_time() {
    let mut bench = bench(Vendor::Fcm, manners(1));
    let message = fake::message("a", NOON - Ttl::from_secs(3_600));
    bench.add(LANE, [fake::errand(0, &message, NOON)]);
    assert_eq!(bench.calls.len(), 0);
    assert_eq!(bench.end(0), Some(&End::Again { at: message.expires_at }));
}

#[test]
fn too_much_halves_the_rate_and_holds_what_the_vendor_says() {
    let mut bench = bench(Vendor::Fcm, manners(1));
    bench.send(0, 1);
    let pause = Some(Pause::For(Ttl::from_secs(60)));
    bench.answer(|_| Refused::new(Class::Throttle, Scope::App, "429").pausing(pause).into());
    assert_eq!(bench.desk.state(None, bench.now).rate_per_s, 5_000);
    bench.send(1, 3);
    bench.pass_ms(59_000);
    assert_eq!(bench.calls.len(), 0);
    assert!(!bench.is_open(), "too much is no fault");
    bench.pass_ms(1_000);
    assert_eq!(bench.calls.len(), 3);
}

#[test]
fn one_push_service_that_is_busy_holds_no_other_up() {
    let mut bench = bench(Vendor::WebPush, manners(1));
    let message = fake::message("a", NOON);
    let to = |number: u32, host: &str| Errand {
        token: format!(r#"{{"endpoint":"https://{host}/x/{number}"}}"#),
        ..fake::errand(number, &message, NOON)
    };
    bench.add(LANE, [to(0, "busy.example")]);
    let pause = Some(Pause::For(Ttl::from_secs(60)));
    bench.answer(|_| Refused::new(Class::Throttle, Scope::Endpoint, "429").pausing(pause).into());
    bench.add(LANE, [to(1, "busy.example"), to(2, "other.example")]);
    assert_eq!(bench.calls.len(), 1);
    assert_eq!(bench.end(1), Some(&End::Again { at: NOON + Ttl::from_secs(60) }));
}

#[test]
fn a_campaign_holds_no_code_up_and_does_not_stand_still() {
    let slow = Manners { in_flight_max: 1, ..manners(1) };
    let mut bench = bench(Vendor::Fcm, slow);
    let message = fake::message("a", NOON);
    bench.add(ErrandLane::Bulk, (0..500).map(|number| fake::errand(number, &message, NOON)));
    bench.accept();
    bench.add(ErrandLane::Urgent, (1_000..1_100).map(|number| fake::errand(number, &message, NOON)));
    let mut order = Vec::new();
    for _ in 0..41 {
        order.extend(bench.tokens());
        bench.accept();
    }
    let urgent = order[1..].iter().filter(|token| token.len() == "token-1000".len()).count();
    assert!((29..=31).contains(&urgent), "{urgent} of 40");
}

#[test]
fn fault_9_what_waits_here_is_bounded_whatever_is_due() {
    let mut bench = bench(Vendor::Fcm, Manners { in_flight_max: 2, ..manners(1) });
    let message = fake::message("a", NOON);
    for lane in ErrandLane::ALL {
        bench.add(lane, (0..10_000).map(|number| fake::errand(number, &message, NOON)));
    }
    let state = bench.desk.state(None, bench.now);
    assert!(state.waiting <= 3 * HELD_MAX && state.in_flight == 2, "{}", state.waiting);
    bench.accept();
    assert!(bench.desk.state(None, bench.now).waiting <= 3 * HELD_MAX);
}

#[test]
fn what_becomes_due_while_a_claim_is_under_way_is_asked_for_after_it() {
    let mut bench = bench(Vendor::Fcm, manners(1));
    let claims = |effects: Vec<Effect>| {
        effects.iter().filter(|effect| matches!(effect, Effect::Claim { lane: LANE, .. })).count()
    };
    assert_eq!(claims(bench.desk.step(Event::News, bench.now, &|_| true)), 1);
    assert_eq!(claims(bench.desk.step(Event::News, bench.now, &|_| true)), 0, "one at a time");
    let none = || Event::Claimed { lane: LANE, asked: 10, claimed: Some(Claimed::default()) };
    assert_eq!(claims(bench.desk.step(none(), bench.now, &|_| true)), 1, "that claim may have looked before");
    assert_eq!(claims(bench.desk.step(none(), bench.now, &|_| true)), 0);
}

#[test]
fn a_store_that_takes_no_conclusion_is_told_again_and_gives_nothing_out_meanwhile() {
    let mut bench = bench(Vendor::Fcm, manners(1));
    bench.send(0, 2);
    bench.refuses = true;
    bench.accept();
    let claims = bench.claims.len();
    bench.send(2, 2);
    assert_eq!((bench.claims.len(), bench.ended.len()), (claims, 0));
    bench.refuses = false;
    bench.pass_ms(2_000);
    assert_eq!(bench.ended.iter().map(|(id, _)| id.0).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(bench.calls.len(), 2);
}

#[test]
fn a_channel_that_ends_gives_back_what_waits_and_hears_what_is_under_way() {
    let mut bench = bench(Vendor::Fcm, Manners { in_flight_max: 1, ..manners(1) });
    bench.send(0, 3);
    bench.step(Event::Finish);
    assert!(!bench.desk.is_finished());
    assert_eq!((bench.end(1), bench.end(2)), (Some(&End::Unclaim), Some(&End::Unclaim)));
    bench.accept();
    assert!(matches!(bench.end(0), Some(End::HandedOver { .. })));
    assert!(bench.desk.is_finished() && bench.ended.len() == 3);
}

#[test]
fn an_idle_channel_waits_for_nothing() {
    let mut bench = bench(Vendor::Fcm, manners(1));
    bench.step(Event::News);
    assert_eq!(bench.desk.wait(bench.now), None);
    bench.send(0, 1);
    bench.accept();
    bench.pass_ms(5_000);
    assert_eq!(bench.desk.wait(bench.now), None);
}

#[test]
fn an_errand_whose_device_has_another_user_by_now_is_given_back_unsent() {
    let mut bench = bench(Vendor::Huawei, manners(100));
    let message = fake::message("a", NOON);
    bench.left.push(ErrandId(1));
    bench.add(LANE, (0..3).map(|number| fake::errand(number, &message, NOON)));
    bench.pass_ms(25);
    assert_eq!(bench.tokens(), ["token-0", "token-2"]);
    assert_eq!(bench.end(1), Some(&End::Unclaim));
    assert!(bench.desk.state(None, bench.now).quotas.iter().all(|quota| quota.taken <= 2));
}

#[test]
fn a_channel_that_ends_does_not_wait_for_a_store_that_takes_no_ledger() {
    let mut bench = bench(Vendor::Huawei, manners(100));
    bench.send(0, 1);
    bench.accept();
    bench.refuses = true;
    bench.send(1, 1);
    bench.answer(|_| refuse(Class::Perm, Scope::Message));
    bench.step(Event::Finish);
    assert!(!bench.desk.is_finished(), "an end is not with the store");
    bench.pass_ms(2_000);
    bench.refuses = false;
    bench.pass_ms(2_000);
    assert!(bench.desk.is_finished());
}

#[test]
fn a_vendor_that_counts_no_days_has_no_ledger_to_write() {
    let mut bench = bench(Vendor::Fcm, manners(1));
    bench.send(0, 1);
    bench.accept();
    bench.pass_ms(2_000);
    assert_eq!(bench.keeps, 0);
}
