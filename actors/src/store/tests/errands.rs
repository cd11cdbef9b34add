//! What vendors' channels are given, and what becomes of it.

use std::sync::Arc;

use carillon_sdk::wire::Lane;
use carillon_sdk::{MessageId, Ttl, Vendor};

use super::super::{Audit, By, Change, Expect, Kind};
use super::harness::{BOTH, Bench, On, wait};
use crate::audience::Audience;
use crate::channel::{Claimed, End, ErrandLane, Errands, Works as _};
use crate::model::{App, Device, Message, Owner, PushType, ShardNo};

impl Bench {
    /// The app has a setup for the vendor.
    pub(super) fn set_up(&self, app: App, vendor: Vendor) {
        let row = serde_json::json!({
            "sealed": "", "generation": "g", "enabled": true, "quotas": {}, "receipts_sealed": "", "receipts_digest": "",
            "created_at": 0, "updated_at": 0, "credential_at": 0,
        });
        self.put(app, Kind::Channel, vendor.as_str(), &row);
    }

    pub(super) fn forget_setup(&self, app: App, vendor: Vendor) {
        let id = vendor.as_str().to_owned();
        let change = Change { kind: Kind::Channel, id, expect: Expect::Anything, value: None };
        wait(self.store().change(app, vec![change], None::<Audit>, None)).unwrap();
    }

    pub(super) fn route(&self, app: App, routing: &serde_json::Value) {
        self.put(app, Kind::Settings, "app", &serde_json::json!({ "routing": routing }));
    }

    fn put(&self, app: App, kind: Kind, id: &str, value: &serde_json::Value) {
        let value = Some(value.to_string().into());
        let change = Change { kind, id: id.to_owned(), expect: Expect::Anything, value };
        wait(self.store().change(app, vec![change], None::<Audit>, None)).unwrap();
    }

    pub(super) fn token(&self, device: Device, vendor: Vendor, token: &str) {
        wait(self.store().vendor_token(device, vendor, token, By::Device)).unwrap();
    }

    pub(super) fn channel(&self, app: App, vendor: Vendor) -> Arc<dyn Errands> {
        self.store().errands(app, vendor)
    }

    pub(super) fn shop(on: On) -> (Self, App, Device) {
        let bench = Self::new(on);
        let app = bench.app("shop");
        bench.set_up(app, Vendor::Fcm);
        let phone = bench.device(app, "phone");
        bench.token(phone, Vendor::Fcm, "token-1");
        (bench, app, phone)
    }

    pub(super) fn steps(
        &self,
        device: Device,
        id: MessageId,
    ) -> Vec<(String, Option<String>, Option<String>)> {
        let view = wait(self.store().message(device.app, id, None, 100)).unwrap().unwrap();
        let name = self.store().device_info(device).unwrap().device_id;
        let target =
            view.targets.into_iter().find(|target| target.device_id.as_ref() == Some(&name)).unwrap();
        let text = |step| serde_json::to_value(step).unwrap().as_str().unwrap().to_owned();
        target.steps.into_iter().map(|step| (text(step.step), step.channel, step.reason)).collect()
    }
}

pub(super) fn claim(channel: &Arc<dyn Errands>) -> Claimed {
    wait(channel.claim(ErrandLane::Normal, 100)).unwrap()
}

pub(super) fn one(channel: &Arc<dyn Errands>) -> crate::channel::Errand {
    let claimed = claim(channel);
    assert_eq!(claimed.errands.len(), 1);
    claimed.errands.into_iter().next().unwrap()
}

pub(super) fn end(channel: &Arc<dyn Errands>, id: crate::channel::ErrandId, end: End) {
    wait(channel.conclude(vec![(id, end)])).unwrap();
}

pub(super) const TAKEN: End = End::HandedOver { vendor_id: None };

#[test]
fn a_device_with_a_token_gets_it_by_its_vendor_and_by_no_socket() {
    for on in BOTH {
        let (bench, app, phone) = Bench::shop(on);
        let channel = bench.channel(app, Vendor::Fcm);
        let (id, _) = bench.push(Owner::Device(phone));
        assert!(bench.due(phone).is_empty(), "a session is not given it");
        let errand = one(&channel);
        assert_eq!((errand.token.as_str(), errand.message.id, errand.attempts), ("token-1", id, 0));
        assert!(claim(&channel).errands.is_empty(), "it is out");
        end(&channel, errand.id, End::HandedOver { vendor_id: Some("v1".to_owned()) });
        assert_eq!(bench.counts(app, id), [("handed_over".to_owned(), 1)]);
        let steps: Vec<_> =
            bench.steps(phone, id).into_iter().map(|(step, channel, _)| (step, channel)).collect();
        let fcm = Some("fcm".to_owned());
        assert_eq!(steps[0], ("accepted".to_owned(), None));
        assert_eq!(steps[1], ("routed".to_owned(), fcm.clone()));
        assert_eq!(steps[2], ("handed_over".to_owned(), fcm));
        assert_eq!(bench.store().pending_count(Owner::Device(phone)), 0);
    }
}

#[test]
fn fault_5_what_was_out_when_the_process_died_is_out_again_and_what_was_taken_is_not() {
    for on in BOTH {
        let (mut bench, app, phone) = Bench::shop(on);
        let channel = bench.channel(app, Vendor::Fcm);
        let (first, _) = bench.push(Owner::Device(phone));
        let errand = one(&channel);
        let (second, _) = bench.push(Owner::Device(phone));
        let open = one(&channel);
        end(&channel, errand.id, TAKEN);
        drop(channel);
        bench.kill_and_reopen();
        let channel = bench.channel(app, Vendor::Fcm);
        let again = one(&channel);
        assert_eq!((again.message.id, open.message.id), (second, second));
        assert_eq!(bench.counts(app, first), [("handed_over".to_owned(), 1)]);
        assert!(bench.due(phone).is_empty());
        end(&channel, again.id, TAKEN);
        assert_eq!(bench.counts(app, second), [("handed_over".to_owned(), 1)]);
    }
}

#[test]
fn what_is_to_be_tried_again_is_due_then_and_counts_its_attempts() {
    for on in BOTH {
        let (mut bench, app, phone) = Bench::shop(on);
        let channel = bench.channel(app, Vendor::Fcm);
        bench.push(Owner::Device(phone));
        let at = bench.clock.now() + Ttl::from_secs(60);
        end(&channel, one(&channel).id, End::Again { at });
        let claimed = claim(&channel);
        assert_eq!((claimed.errands.len(), claimed.next_due), (0, Some(at)));
        drop(channel);
        bench.kill_and_reopen();
        let channel = bench.channel(app, Vendor::Fcm);
        assert!(claim(&channel).errands.is_empty());
        bench.clock.advance(std::time::Duration::from_secs(60));
        assert_eq!(one(&channel).attempts, 1);
    }
}

#[test]
fn what_a_vendor_refuses_falls_back_to_our_own_road_and_a_session_is_told() {
    for on in BOTH {
        let (bench, app, phone) = Bench::shop(on);
        let channel = bench.channel(app, Vendor::Fcm);
        let epoch = bench.store().next_epoch();
        bench.store().connect(phone, epoch, ShardNo(0)).unwrap();
        let (id, _) = bench.push(Owner::Device(phone));
        assert!(bench.heard.due.lock().is_empty());
        end(&channel, one(&channel).id, End::Refused { code: "title_too_long".to_owned() });
        assert_eq!(bench.due(phone), [id]);
        let hints = bench.heard.due.lock();
        assert!(hints.len() == 1 && hints[0].1.is_again && hints[0].1.due.id == id);
        drop(hints);
        bench.ack(phone, &bench.page(phone).due);
        assert_eq!(bench.counts(app, id), [("delivered".to_owned(), 1)]);
    }
}

#[test]
fn without_a_fallback_a_refusal_is_the_verdict() {
    for on in BOTH {
        let (bench, app, phone) = Bench::shop(on);
        bench.route(app, &serde_json::json!({ "fallback": "none" }));
        let channel = bench.channel(app, Vendor::Fcm);
        let (id, _) = bench.push(Owner::Device(phone));
        end(&channel, one(&channel).id, End::Refused { code: "BadTopic".to_owned() });
        assert_eq!(bench.counts(app, id), [("rejected".to_owned(), 1)]);
        assert_eq!(bench.steps(phone, id).last().unwrap().2.as_deref(), Some("vendor_refused"));
        assert!(bench.due(phone).is_empty());
    }
}

#[test]
fn a_dead_token_goes_and_the_next_push_takes_our_own_road() {
    for on in BOTH {
        let (bench, app, phone) = Bench::shop(on);
        let channel = bench.channel(app, Vendor::Fcm);
        let (id, _) = bench.push(Owner::Device(phone));
        end(&channel, one(&channel).id, End::Dead { code: "UNREGISTERED".to_owned(), dead_since: None });
        assert_eq!(bench.store().carrier(phone), None);
        let (next, _) = bench.push(Owner::Device(phone));
        assert_eq!(bench.due(phone), [id, next]);
    }
}

#[test]
fn a_users_push_goes_to_each_device_by_its_own_road() {
    for on in BOTH {
        let (bench, app, phone) = Bench::shop(on);
        let tablet = bench.device(app, "tablet");
        let alice = bench.user(app, "alice");
        bench.bind(phone, Some(alice));
        bench.bind(tablet, Some(alice));
        let channel = bench.channel(app, Vendor::Fcm);
        let (id, _) = bench.push(Owner::User(alice));
        assert!(bench.due(phone).is_empty());
        assert_eq!(bench.due(tablet), [id]);
        let errand = one(&channel);
        assert_eq!(errand.device, phone);
        end(&channel, errand.id, TAKEN);
        bench.ack(tablet, &bench.page(tablet).due);
        let counts = bench.counts(app, id);
        assert_eq!(counts, [("delivered".to_owned(), 1), ("handed_over".to_owned(), 1)]);
    }
}

#[test]
fn a_device_that_is_bound_to_another_user_meanwhile_is_not_sent_it() {
    for on in BOTH {
        let (bench, app, phone) = Bench::shop(on);
        let (alice, bob) = (bench.user(app, "alice"), bench.user(app, "bob"));
        bench.bind(phone, Some(alice));
        let channel = bench.channel(app, Vendor::Fcm);
        let (id, _) = bench.push(Owner::User(alice));
        bench.bind(phone, Some(bob));
        assert!(claim(&channel).errands.is_empty());
        bench.bind(phone, Some(alice));
        assert_eq!(one(&channel).message.id, id, "it waited for alice");
    }
}

#[test]
fn what_waits_for_a_user_goes_out_by_the_vendor_when_the_user_binds() {
    for on in BOTH {
        let (bench, app, phone) = Bench::shop(on);
        let alice = bench.user(app, "alice");
        let (id, _) = bench.push(Owner::User(alice));
        let channel = bench.channel(app, Vendor::Fcm);
        assert!(claim(&channel).errands.is_empty());
        bench.bind(phone, Some(alice));
        assert_eq!(one(&channel).message.id, id);
    }
}

#[test]
fn what_waits_for_a_device_goes_out_by_the_vendor_when_it_gets_a_token() {
    for on in BOTH {
        let (bench, app, _) = Bench::shop(on);
        let tablet = bench.device(app, "tablet");
        let (id, _) = bench.push(Owner::Device(tablet));
        bench.token(tablet, Vendor::Fcm, "token-2");
        let channel = bench.channel(app, Vendor::Fcm);
        assert_eq!(one(&channel).message.id, id);
    }
}

#[test]
fn after_its_patience_a_message_nobody_acked_goes_to_the_vendor_unless_a_session_is_open() {
    for on in BOTH {
        let (bench, app, phone) = Bench::shop(on);
        bench.route(app, &serde_json::json!({ "route": "vendor_after", "vendor_after_s": 5 }));
        let channel = bench.channel(app, Vendor::Fcm);
        let epoch = bench.store().next_epoch();
        bench.store().connect(phone, epoch, ShardNo(0)).unwrap();
        let (id, _) = bench.push(Owner::Device(phone));
        assert_eq!(bench.due(phone), [id], "our own road first");
        bench.clock.advance(std::time::Duration::from_secs(5));
        assert!(claim(&channel).errands.is_empty(), "a session is open");
        bench.store().disconnect(phone, epoch);
        bench.clock.advance(std::time::Duration::from_secs(5));
        let errand = one(&channel);
        assert!(bench.due(phone).is_empty(), "one road at a time");
        end(&channel, errand.id, TAKEN);
        assert_eq!(bench.counts(app, id), [("handed_over".to_owned(), 1)]);
    }
}

#[test]
fn a_push_that_wishes_it_takes_our_own_road_alone() {
    for on in BOTH {
        let (bench, app, phone) = Bench::shop(on);
        let options = Some(r#"{"route":"own_only"}"#.to_owned());
        let message = Message { options, ..bench.message(app) };
        let id = message.id;
        bench.enqueue(message, &[Owner::Device(phone)]).unwrap();
        assert!(claim(&bench.channel(app, Vendor::Fcm)).errands.is_empty());
        assert_eq!(bench.due(phone), [id]);
        assert_eq!(bench.steps(phone, id)[1].2.as_deref(), Some("own_only"));
    }
}

#[test]
fn urgent_errands_have_a_lane_of_their_own() {
    for on in BOTH {
        let (bench, app, phone) = Bench::shop(on);
        let message = Message { lane: Lane::High, ..bench.message(app) };
        bench.enqueue(message, &[Owner::Device(phone)]).unwrap();
        let channel = bench.channel(app, Vendor::Fcm);
        assert!(claim(&channel).errands.is_empty());
        assert_eq!(wait(channel.claim(ErrandLane::Urgent, 9)).unwrap().errands.len(), 1);
    }
}

#[test]
fn a_broadcast_goes_to_each_device_by_its_own_road_and_every_one_has_a_verdict() {
    for on in BOTH {
        let (mut bench, app, phone) = Bench::shop(on);
        let tablet = bench.device(app, "tablet");
        let other = bench.device(app, "other");
        bench.token(other, Vendor::Fcm, "token-3");
        let message = Message { push_type: PushType::Broadcast, lane: Lane::Bulk, ..bench.message(app) };
        let id = message.id;
        wait(bench.store().broadcast(Arc::new(message), Audience::Everybody, None)).unwrap();
        let entry = bench.store().log(app)[0].clone();
        let now = bench.clock.now();
        let due = |device| entry.is_due(device, now);
        assert_eq!([due(phone), due(tablet), due(other)], [false, true, false]);
        let channel = bench.channel(app, Vendor::Fcm);
        let claimed = wait(channel.claim(ErrandLane::Bulk, 9)).unwrap();
        assert_eq!(claimed.errands.len(), 2);
        end(&channel, claimed.errands[0].id, TAKEN);
        drop(channel);
        bench.kill_and_reopen();
        let channel = bench.channel(app, Vendor::Fcm);
        let again = wait(channel.claim(ErrandLane::Bulk, 9)).unwrap();
        assert_eq!(again.errands.len(), 1);
        assert_eq!(again.errands[0].device, claimed.errands[1].device);
        end(&channel, again.errands[0].id, End::Refused { code: "x".to_owned() });
        let entry = bench.store().log(app)[0].clone();
        assert!(entry.is_due(claimed.errands[1].device, now), "it falls back");
        let counts = bench.counts(app, id);
        assert_eq!(counts, [("handed_over".to_owned(), 1), ("pending".to_owned(), 2)]);
    }
}

#[test]
fn a_receipt_confirms_what_was_handed_over_once_after_a_restart_too() {
    for on in BOTH {
        let (mut bench, app, phone) = Bench::shop(on);
        let channel = bench.channel(app, Vendor::Fcm);
        let (id, _) = bench.push(Owner::Device(phone));
        end(&channel, one(&channel).id, End::HandedOver { vendor_id: Some("v1".to_owned()) });
        assert_eq!(bench.store().named_or_wait(phone, Vendor::Fcm, "v1"), Some(id));
        assert_eq!(bench.store().holder_of(app, Vendor::Fcm, "token-1"), Some(phone));
        drop(channel);
        bench.kill_and_reopen();
        let confirm = |vendor| wait(bench.store().confirm(phone, id, vendor)).unwrap();
        assert!(!confirm(Vendor::Apns), "another's");
        assert!(confirm(Vendor::Fcm));
        assert!(!confirm(Vendor::Fcm));
        assert_eq!(bench.counts(app, id), [("delivered".to_owned(), 1)]);
        let (from, to) = (super::harness::START, bench.clock.now() + super::harness::HOUR);
        let rows =
            wait(bench.store().stats(app, from, to, carillon_sdk::api::Granularity::Minute, Vec::new()));
        let row = &rows.unwrap()[0];
        assert_eq!((row.accepted, row.arrived, row.handed_over), (1, 1, 0));
    }
}

#[test]
fn what_a_vendor_took_and_the_device_acks_over_our_own_road_has_arrived() {
    for on in BOTH {
        let (bench, app, phone) = Bench::shop(on);
        let alice = bench.user(app, "alice");
        bench.bind(phone, Some(alice));
        bench.bind(bench.device(app, "tablet"), Some(alice));
        bench.route(app, &serde_json::json!({ "route": "vendor_after", "vendor_after_s": 5 }));
        let channel = bench.channel(app, Vendor::Fcm);
        let (devices, _) = bench.push(Owner::Device(phone));
        let (users, _) = bench.push(Owner::User(alice));
        let sent = bench.page(phone).due;
        bench.clock.advance(std::time::Duration::from_secs(5));
        for errand in claim(&channel).errands {
            end(&channel, errand.id, TAKEN);
        }
        assert_eq!(bench.state(phone, devices).as_deref(), Some("handed_over"));
        bench.ack(phone, &sent);
        bench.ack(phone, &sent);
        for id in [devices, users] {
            assert_eq!(bench.state(phone, id).as_deref(), Some("delivered"));
            let confirmed = |(step, ..): &(String, _, _)| step == "confirmed";
            assert_eq!(bench.steps(phone, id).iter().filter(|step| confirmed(step)).count(), 1);
            assert!(!wait(bench.store().confirm(phone, id, Vendor::Fcm)).unwrap(), "its receipt is no news");
        }
    }
}

#[test]
fn a_broadcast_that_a_vendor_took_and_the_device_acks_over_our_own_road_has_arrived() {
    for on in BOTH {
        let (bench, app, phone) = Bench::shop(on);
        let message = Message { push_type: PushType::Broadcast, lane: Lane::Bulk, ..bench.message(app) };
        let id = message.id;
        wait(bench.store().broadcast(Arc::new(message), Audience::Everybody, None)).unwrap();
        let channel = bench.channel(app, Vendor::Fcm);
        let errand = wait(channel.claim(ErrandLane::Bulk, 9)).unwrap().errands.remove(0);
        end(&channel, errand.id, TAKEN);
        let due = Arc::clone(&bench.store().log(app)[0].due);
        bench.ack(phone, &[Arc::clone(&due)]);
        bench.ack(phone, &[due]);
        assert_eq!(bench.counts(app, id), [("delivered".to_owned(), 1)]);
        assert!(!wait(bench.store().confirm(phone, id, Vendor::Fcm)).unwrap(), "its receipt is no news");
    }
}

#[test]
fn a_broadcast_that_waits_for_a_connected_device_goes_to_its_vendor_after_a_restart_too() {
    for on in BOTH {
        let (mut bench, app, phone) = Bench::shop(on);
        bench.route(app, &serde_json::json!({ "route": "online_first" }));
        let epoch = bench.store().next_epoch();
        bench.store().connect(phone, epoch, ShardNo(0)).unwrap();
        let message = Message { push_type: PushType::Broadcast, lane: Lane::Bulk, ..bench.message(app) };
        wait(bench.store().broadcast(Arc::new(message), Audience::Everybody, None)).unwrap();
        bench.kill_and_reopen();
        let channel = bench.channel(app, Vendor::Fcm);
        let claimed = || wait(channel.claim(ErrandLane::Bulk, 9)).unwrap().errands.len();
        bench.sweep();
        bench.clock.advance(std::time::Duration::from_secs(29));
        bench.sweep();
        assert_eq!(claimed(), 0, "it may come back");
        bench.clock.advance(std::time::Duration::from_secs(1));
        bench.sweep();
        assert_eq!(claimed(), 1);
        assert!(!bench.store().log(app)[0].is_due(phone, bench.clock.now()), "one road at a time");
    }
}

#[test]
fn a_receipt_that_it_will_not_be_shown_stands_in_the_story_and_changes_no_verdict() {
    for on in BOTH {
        let (mut bench, app, phone) = Bench::shop(on);
        let channel = bench.channel(app, Vendor::Fcm);
        let (id, _) = bench.push(Owner::Device(phone));
        let refuse = |bench: &Bench, vendor, code: &str| {
            wait(bench.store().refuse(phone, id, vendor, code.to_owned())).unwrap()
        };
        assert!(!refuse(&bench, Vendor::Fcm, "15"), "nobody took it yet");
        end(&channel, one(&channel).id, TAKEN);
        assert!(!refuse(&bench, Vendor::Apns, "15"), "another's");
        assert!(refuse(&bench, Vendor::Fcm, "15"));
        drop(channel);
        bench.kill_and_reopen();
        assert!(refuse(&bench, Vendor::Fcm, "15"), "what a start forgets is told again, and shown once");
        assert_eq!(bench.state(phone, id).as_deref(), Some("handed_over"));
        let refused = ("refused".to_owned(), Some("fcm".to_owned()), Some("by_receipt".to_owned()));
        assert_eq!(bench.steps(phone, id).iter().filter(|step| **step == refused).count(), 1);
        assert!(wait(bench.store().confirm(phone, id, Vendor::Fcm)).unwrap(), "it was shown after all");
        assert!(!refuse(&bench, Vendor::Fcm, "16"));
        assert_eq!(bench.counts(app, id), [("delivered".to_owned(), 1)]);
    }
}

#[test]
fn a_receipt_that_is_quicker_than_the_commit_of_what_it_is_about_is_not_lost() {
    for on in BOTH {
        let (bench, app, phone) = Bench::shop(on);
        let channel = bench.channel(app, Vendor::Fcm);
        let (named, _) = bench.push(Owner::Device(phone));
        let (unnamed, _) = bench.push(Owner::Device(phone));
        let errands = claim(&channel).errands;
        assert!(!wait(bench.store().confirm(phone, named, Vendor::Fcm)).unwrap(), "nobody took it yet");
        assert_eq!(bench.store().named_or_wait(phone, Vendor::Fcm, "v2"), None);
        for (errand, name) in errands.iter().zip(["v1", "v2"]) {
            end(&channel, errand.id, End::HandedOver { vendor_id: Some(name.to_owned()) });
        }
        for id in [named, unnamed] {
            assert_eq!(bench.counts(app, id), [("delivered".to_owned(), 1)]);
            assert!(!wait(bench.store().confirm(phone, id, Vendor::Fcm)).unwrap(), "once");
        }
    }
}

#[test]
fn a_token_that_was_replaced_meanwhile_is_not_taken_away_and_the_new_one_gets_it() {
    for on in BOTH {
        let (bench, app, phone) = Bench::shop(on);
        let channel = bench.channel(app, Vendor::Fcm);
        bench.push(Owner::Device(phone));
        let errand = one(&channel);
        bench.token(phone, Vendor::Fcm, "token-2");
        end(&channel, errand.id, End::Dead { code: "UNREGISTERED".to_owned(), dead_since: None });
        let again = one(&channel);
        assert_eq!((again.token.as_str(), again.attempts), ("token-2", 1));
    }
}

#[test]
fn what_was_put_off_is_not_given_out_by_a_claim_of_the_same_commit() {
    for on in BOTH {
        let (bench, app, phone) = Bench::shop(on);
        let channel = bench.channel(app, Vendor::Fcm);
        let at = bench.clock.now() + Ttl::from_secs(600);
        for round in 0..50 {
            bench.push(Owner::Device(phone));
            bench.push(Owner::Device(phone));
            let ids: Vec<_> = claim(&channel).errands.iter().map(|errand| errand.id).collect();
            // The first commit is under way when the other two come, which then share one.
            let put_off = |id| channel.conclude(vec![(id, End::Again { at })]);
            let claim = channel.claim(ErrandLane::Normal, 100);
            let all = futures_util::future::join3(put_off(ids[0]), put_off(ids[1]), claim);
            let (first, second, claimed) = wait(all);
            first.unwrap();
            second.unwrap();
            assert!(claimed.unwrap().errands.is_empty(), "round {round}");
        }
    }
}
