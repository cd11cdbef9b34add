//! What becomes of errands when something is taken away meanwhile: a setup, a token, a user, a life of
//! the channel.

use std::sync::Arc;

use carillon_sdk::wire::{Lane, ReportKind};
use carillon_sdk::{Ttl, Vendor};

use super::super::RevokeOutcome;
use super::errands::{TAKEN, claim, end, one};
use super::harness::{BOTH, Bench, wait};
use crate::audience::Audience;
use crate::channel::{End, ErrandLane};
use crate::model::{Device, Message, Owner, PushType, ShardNo};

#[test]
fn a_setup_that_is_taken_away_leaves_what_waits_to_our_own_road_and_a_session_is_told() {
    for on in BOTH {
        let (bench, app, phone) = Bench::shop(on);
        let alice = bench.user(app, "alice");
        bench.bind(phone, Some(alice));
        let epoch = bench.store().next_epoch();
        bench.store().connect(phone, epoch, ShardNo(0)).unwrap();
        let channel = bench.channel(app, Vendor::Fcm);
        let (waits, _) = bench.push(Owner::Device(phone));
        let parked = one(&channel);
        end(&channel, parked.id, End::Again { at: bench.clock.now() + Ttl::from_secs(1_800) });
        let (users, _) = bench.push(Owner::User(alice));
        assert!(bench.due(phone).is_empty());
        bench.forget_setup(app, Vendor::Fcm);
        bench.sweep();
        let mut due = bench.due(phone);
        due.sort_unstable();
        assert_eq!(due, [waits, users]);
        let told: Vec<_> = bench.heard.due.lock().iter().map(|(_, hint)| hint.due.id).collect();
        assert!(told.contains(&waits) && told.contains(&users));
        assert_eq!(bench.steps(phone, waits).last().unwrap().2.as_deref(), Some("token_gone"));
        bench.ack_all(phone);
        assert_eq!(bench.counts(app, users), [("delivered".to_owned(), 1)]);
    }
}

#[test]
fn what_a_channel_has_out_when_its_setup_goes_is_its_to_conclude_and_what_it_leaves_is_freed() {
    for on in BOTH {
        let (bench, app, phone) = Bench::shop(on);
        let channel = bench.channel(app, Vendor::Fcm);
        let (taken, _) = bench.push(Owner::Device(phone));
        let (left, _) = bench.push(Owner::Device(phone));
        let errands = claim(&channel).errands;
        bench.forget_setup(app, Vendor::Fcm);
        bench.sweep();
        assert!(bench.due(phone).is_empty(), "the vendor may be taking them just now");
        let first = errands.iter().find(|errand| errand.message.id == taken).unwrap();
        end(&channel, first.id, TAKEN);
        drop(channel);
        bench.sweep();
        assert_eq!(bench.due(phone), [left], "the channel died with this in hand");
        assert_eq!(bench.counts(app, taken), [("handed_over".to_owned(), 1)]);
    }
}

#[test]
fn a_broadcast_whose_setup_goes_is_freed_but_for_whom_a_vendor_has_it_just_now() {
    for on in BOTH {
        let (bench, app, phone) = Bench::shop(on);
        let other = bench.device(app, "other");
        bench.token(other, Vendor::Fcm, "token-3");
        let message = Message { push_type: PushType::Broadcast, lane: Lane::Bulk, ..bench.message(app) };
        wait(bench.store().broadcast(Arc::new(message), Audience::Everybody, None)).unwrap();
        let channel = bench.channel(app, Vendor::Fcm);
        let out = wait(channel.claim(ErrandLane::Bulk, 1)).unwrap().errands.remove(0);
        bench.forget_setup(app, Vendor::Fcm);
        bench.sweep();
        let (entry, now) = (bench.store().log(app)[0].clone(), bench.clock.now());
        let rest = if out.device == phone { other } else { phone };
        assert_eq!((entry.is_due(out.device, now), entry.is_due(rest, now)), (false, true));
        drop(channel);
        bench.sweep();
        assert!(entry.is_due(out.device, now), "the channel died with it in hand");
    }
}

#[test]
fn a_broadcast_that_waits_for_one_vendor_goes_by_another_when_that_one_carries() {
    for on in BOTH {
        let (bench, app, phone) = Bench::shop(on);
        bench.set_up(app, Vendor::Xiaomi);
        let message = Message { push_type: PushType::Broadcast, lane: Lane::Bulk, ..bench.message(app) };
        wait(bench.store().broadcast(Arc::new(message), Audience::Everybody, None)).unwrap();
        let channel = bench.channel(app, Vendor::Fcm);
        let out = wait(channel.claim(ErrandLane::Bulk, 9)).unwrap().errands.remove(0);
        end(&channel, out.id, End::Again { at: bench.clock.now() + Ttl::from_secs(1_800) });
        bench.token(phone, Vendor::Xiaomi, "mi-1");
        let other = bench.channel(app, Vendor::Xiaomi);
        let given = wait(other.claim(ErrandLane::Bulk, 9)).unwrap().errands;
        assert_eq!(given.len(), 1);
        assert_eq!(given[0].token, "mi-1");
    }
}

#[test]
fn what_is_parked_with_a_vendor_takes_another_road_when_the_token_goes() {
    for on in BOTH {
        let (bench, app, phone) = Bench::shop(on);
        bench.set_up(app, Vendor::Xiaomi);
        let alice = bench.user(app, "alice");
        bench.bind(phone, Some(alice));
        let channel = bench.channel(app, Vendor::Fcm);
        let (first, _) = bench.push(Owner::Device(phone));
        let (second, _) = bench.push(Owner::User(alice));
        let at = bench.clock.now() + Ttl::from_secs(1_800);
        for errand in claim(&channel).errands {
            end(&channel, errand.id, End::Again { at });
        }
        bench.token(phone, Vendor::Xiaomi, "mi-1");
        let other = bench.channel(app, Vendor::Xiaomi);
        bench.settle(app);
        let mut given: Vec<_> = claim(&other).errands;
        given.sort_by_key(|errand| errand.message.id);
        assert_eq!(given.iter().map(|errand| errand.message.id).collect::<Vec<_>>(), [first, second]);
        bench.clock.advance(std::time::Duration::from_secs(1_800));
        assert!(claim(&channel).errands.is_empty(), "what was parked is not carried twice");
        assert!(claim(&other).errands.is_empty());
        end(&other, given[0].id, End::Again { at: bench.clock.now() + Ttl::from_secs(60) });
        end(&other, given[1].id, TAKEN);
        bench.token(phone, Vendor::Xiaomi, "");
        bench.token(phone, Vendor::Fcm, "");
        bench.settle(app);
        assert_eq!(bench.due(phone), [first], "and by our own road when there is none");
        assert_eq!(bench.counts(app, second), [("handed_over".to_owned(), 1)]);
    }
}

#[test]
fn a_token_that_a_connected_device_reports_takes_nothing_from_its_session_at_once() {
    for on in BOTH {
        let (bench, app, _) = Bench::shop(on);
        let tablet = bench.device(app, "tablet");
        let epoch = bench.store().next_epoch();
        bench.store().connect(tablet, epoch, ShardNo(0)).unwrap();
        let (id, _) = bench.push(Owner::Device(tablet));
        bench.token(tablet, Vendor::Fcm, "token-2");
        let channel = bench.channel(app, Vendor::Fcm);
        assert!(claim(&channel).errands.is_empty(), "the session may have it by now");
        assert_eq!(bench.due(tablet), [id]);
        bench.clock.advance(std::time::Duration::from_secs(30));
        assert_eq!(one(&channel).message.id, id);
    }
}

#[test]
fn what_expired_or_ended_otherwise_holds_up_nothing_behind_it() {
    for on in BOTH {
        let (bench, app, phone) = Bench::shop(on);
        let epoch = bench.store().next_epoch();
        // A session is open, so what expired waits for its ack before its verdict.
        bench.store().connect(phone, epoch, ShardNo(0)).unwrap();
        for _ in 0..5 {
            let expires_at = bench.clock.now() + Ttl::from_secs(1);
            bench.enqueue(Message { expires_at, ..bench.message(app) }, &[Owner::Device(phone)]).unwrap();
        }
        bench.clock.advance(std::time::Duration::from_secs(2));
        let (id, _) = bench.push(Owner::Device(phone));
        let channel = bench.channel(app, Vendor::Fcm);
        let claimed = wait(channel.claim(ErrandLane::Normal, 1)).unwrap();
        assert_eq!(claimed.errands.iter().map(|errand| errand.message.id).collect::<Vec<_>>(), [id]);
        assert_eq!(claim(&channel).next_due, None, "they are not looked at again");
    }
}

#[test]
fn one_partitions_many_keep_no_others_errands_waiting() {
    for on in BOTH {
        let (bench, app, _) = Bench::shop(on);
        let phones: Vec<Device> = (0..20).map(|number| bench.device(app, &format!("p-{number}"))).collect();
        for (number, phone) in phones.iter().enumerate() {
            bench.token(*phone, Vendor::Fcm, &format!("t-{number}"));
        }
        let of = |device: &Device| bench.store().0.shared.partition_of_device(*device);
        let (many, few): (Vec<Device>, Vec<Device>) = phones.iter().partition(|phone| of(phone) == 0);
        for _ in 0..10 {
            for phone in &many {
                bench.push(Owner::Device(*phone));
            }
        }
        bench.push(Owner::Device(few[0]));
        let channel = bench.channel(app, Vendor::Fcm);
        let mut devices = Vec::new();
        for _ in 0..2 {
            devices.extend(
                wait(channel.claim(ErrandLane::Normal, 4)).unwrap().errands.into_iter().map(|e| e.device),
            );
        }
        assert!(devices.contains(&few[0]), "{devices:?}");
    }
}

#[test]
fn a_former_life_of_a_channel_is_given_nothing_and_leaves_nothing_claimed() {
    for on in BOTH {
        let (bench, app, phone) = Bench::shop(on);
        let former = bench.channel(app, Vendor::Fcm);
        let (id, _) = bench.push(Owner::Device(phone));
        one(&former);
        let next = bench.channel(app, Vendor::Fcm);
        assert_eq!(one(&next).message.id, id);
        bench.push(Owner::Device(phone));
        assert!(claim(&former).errands.is_empty(), "it would be nobody's to conclude");
        drop(former);
        bench.settle(app);
        let rest = claim(&next).errands;
        assert!(rest.len() == 1 && rest[0].message.id != id, "what the next has out is its own");
    }
}

#[test]
fn a_claimed_errand_is_owed_until_user_or_token_change() {
    for on in BOTH {
        let (bench, app, phone) = Bench::shop(on);
        let (alice, bob) = (bench.user(app, "alice"), bench.user(app, "bob"));
        bench.bind(phone, Some(alice));
        let channel = bench.channel(app, Vendor::Fcm);
        bench.push(Owner::User(alice));
        let errand = one(&channel);
        assert!(channel.is_owed(errand.id));
        bench.bind(phone, Some(bob));
        assert!(!channel.is_owed(errand.id), "never to the next person on the phone");
        bench.bind(phone, Some(alice));
        assert!(channel.is_owed(errand.id));
        bench.token(phone, Vendor::Fcm, "token-2");
        assert!(!channel.is_owed(errand.id));
        end(&channel, errand.id, End::Unclaim);
        assert_eq!(one(&channel).token, "token-2");
    }
}

#[test]
fn a_revoke_tells_the_device_for_which_a_vendor_has_the_message_just_now() {
    for on in BOTH {
        let (bench, app, phone) = Bench::shop(on);
        let channel = bench.channel(app, Vendor::Fcm);
        let (id, _) = bench.push(Owner::Device(phone));
        let errand = one(&channel);
        let outcome = wait(bench.store().revoke_message(app, id, None)).unwrap();
        let RevokeOutcome::Done(revoked) = outcome else { panic!("{outcome:?}") };
        assert_eq!((revoked.withdrawn, revoked.told), (1, 1));
        end(&channel, errand.id, TAKEN);
        assert_eq!(bench.counts(app, id), [("revoked".to_owned(), 1)], "one verdict");
    }
}

#[test]
fn on_a_full_disk_what_vendors_take_still_gets_its_verdict() {
    for on in BOTH {
        let (bench, app, phone) = Bench::shop(on);
        let channel = bench.channel(app, Vendor::Fcm);
        let (id, _) = bench.push(Owner::Device(phone));
        bench.faults.fill(true);
        end(&channel, one(&channel).id, TAKEN);
        assert_eq!(bench.counts(app, id), [("handed_over".to_owned(), 1)]);
    }
}

#[test]
fn a_device_may_say_that_it_was_shown_before_its_vendors_word_is_on_disk() {
    for on in BOTH {
        let (bench, app, phone) = Bench::shop(on);
        let (id, _) = bench.push(Owner::Device(phone));
        let other = bench.device(app, "other");
        let report = |device| wait(bench.store().report(device, id, ReportKind::Shown)).unwrap();
        assert!(report(phone));
        assert!(!report(other), "it was never for this one");
    }
}
