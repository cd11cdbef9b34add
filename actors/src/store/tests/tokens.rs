//! Tokens of phone makers' channels: whose they are, and what the ledger says of them.

use carillon_sdk::api::{EventType, Platform, RegisterDevice};
use carillon_sdk::{DeviceId, Timestamp, Ttl, Vendor};

use super::super::disk::{Batch, Disk};
use super::super::keys;
use super::super::{
    By, Dropped, Error, FeedFrom, FeedQuery, LEDGER_MAX, NewToken, TokenChange, TokenInfo, TokenKept,
    token_digest,
};
use super::harness::{BOTH, Bench, On, START, wait};
use crate::model::{App, Device};

const SECOND: Ttl = Ttl::from_secs(1);

fn report(bench: &Bench, device: Device, vendor: Vendor, token: &str) -> TokenKept {
    wait(bench.store().vendor_token(device, vendor, token, By::Device)).unwrap()
}

/// The token of a vendor that a device has.
fn token(bench: &Bench, device: Device, vendor: Vendor) -> Option<String> {
    let read = wait(bench.store().vendor_tokens(vendor, vec![device])).unwrap();
    read.into_iter().next().unwrap().map(|token| token.token)
}

fn ledger(bench: &Bench, device: Device) -> Vec<TokenChange> {
    wait(bench.store().token_ledger(device)).unwrap().into_iter().map(|entry| entry.change).collect()
}

fn id(name: &str) -> DeviceId {
    DeviceId::parse(name).unwrap()
}

/// Devices of one app, so many that both partitions have some.
fn phones(bench: &Bench, app: App, count: usize) -> Vec<Device> {
    (0..count).map(|n| bench.device(app, &format!("phone-{n}"))).collect()
}

#[test]
fn a_token_named_by_another_device_moves_there_whatever_the_partition_and_over_a_kill() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let phones = phones(&bench, app, 8);
        assert_eq!(report(&bench, phones[0], Vendor::Fcm, "abc"), TokenKept::New);
        for pair in phones.windows(2) {
            bench.advance(SECOND);
            assert_eq!(report(&bench, pair[1], Vendor::Fcm, "abc"), TokenKept::Moved);
            assert_eq!(token(&bench, pair[0], Vendor::Fcm), None);
            assert_eq!(token(&bench, pair[1], Vendor::Fcm).as_deref(), Some("abc"));
        }
        bench.settle(app);
        assert_eq!(
            ledger(&bench, phones[3]),
            [TokenChange::MovedTo(id("phone-4")), TokenChange::MovedFrom(id("phone-2"))]
        );
        bench.kill_and_reopen();
        let has: Vec<_> = phones.iter().map(|phone| token(&bench, *phone, Vendor::Fcm).is_some()).collect();
        assert_eq!(has, [false, false, false, false, false, false, false, true]);
        assert_eq!(bench.store().carried_by(app, Vendor::Fcm), [phones[7].ordinal].into());
    }
}

#[test]
fn a_token_of_another_app_or_vendor_is_another_token() {
    let bench = Bench::new(On::Memory);
    let (shop, bank) = (bench.app("shop"), bench.app("bank"));
    let (phone, other) = (bench.device(shop, "phone"), bench.device(bank, "phone"));
    assert_eq!(report(&bench, phone, Vendor::Fcm, "abc"), TokenKept::New);
    assert_eq!(report(&bench, phone, Vendor::Xiaomi, "abc"), TokenKept::New);
    assert_eq!(report(&bench, other, Vendor::Fcm, "abc"), TokenKept::New);
    let tokens = wait(bench.store().tokens_of(phone)).unwrap();
    assert_eq!(tokens.iter().map(|token| token.vendor).collect::<Vec<_>>(), [Vendor::Fcm, Vendor::Xiaomi]);
}

#[test]
fn two_rows_that_a_kill_left_with_one_token_are_one_devices_again() {
    let mut bench = Bench::new(On::Memory);
    let app = bench.app("shop");
    let phones = phones(&bench, app, 6);
    for (old, new) in [(0, 5), (5, 3), (2, 1)] {
        let (old, new) = (phones[old], phones[new]);
        report(&bench, old, Vendor::Fcm, "abc");
        let key = keys::token(old, Vendor::Fcm);
        let on = bench.disks().iter().position(|disk| disk.get(&key).unwrap().is_some()).unwrap();
        let mut row = bench.disks()[on].get(&key).unwrap().unwrap();
        row.truncate(row.len() - 4);
        report(&bench, new, Vendor::Fcm, "abc");
        bench.settle(app);
        // As if the older device's partition had never heard of the move.
        let mut batch = Batch::default();
        batch.put(key.clone(), row);
        bench.disks()[on].clone().commit(&batch).unwrap();
        bench.kill_and_reopen();
        assert_eq!(token(&bench, old, Vendor::Fcm), None);
        assert_eq!(token(&bench, new, Vendor::Fcm).as_deref(), Some("abc"));
        assert_eq!(bench.disks()[on].get(&key).unwrap(), None, "the row is gone too");
    }
}

#[test]
fn a_dead_token_is_dropped_when_it_is_that_one_and_was_not_registered_since() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let phone = bench.device(app, "phone");
        let why = || Dropped { by: By::Vendor, why: Some("Unregistered".to_owned()) };
        let drop = |bench: &Bench, token: &str, dead_since: Option<Timestamp>| {
            wait(bench.store().drop_token(phone, Vendor::Apns, token, dead_since, why())).unwrap()
        };
        assert!(!drop(&bench, "abc", None), "it has none");
        report(&bench, phone, Vendor::Apns, "abc");
        bench.advance(SECOND);
        assert!(!drop(&bench, "other", None), "it has another");
        // Said to be registered anew, after the vendor saw it die.
        report(&bench, phone, Vendor::Apns, "abc");
        assert!(!drop(&bench, "abc", Some(START)));
        assert_eq!(bench.store().carrier(phone), Some(Vendor::Apns));
        assert!(drop(&bench, "abc", Some(START + SECOND)));
        assert_eq!((bench.store().carrier(phone), token(&bench, phone, Vendor::Apns)), (None, None));
        bench.kill_and_reopen();
        assert!(!drop(&bench, "abc", None), "once");
        let entries = wait(bench.store().token_ledger(phone)).unwrap();
        let newest = &entries[0];
        assert_eq!((entries.len(), &newest.change), (2, &TokenChange::Invalidated));
        assert_eq!((newest.why.as_deref(), &newest.by), (Some("Unregistered"), &By::Vendor));
        assert_eq!((newest.digest.as_str(), newest.at), (token_digest("abc").as_str(), START + SECOND));
    }
}

#[test]
fn a_dead_token_is_an_event_of_no_message_and_any_other_end_is_none() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let phone = bench.device(app, "phone");
        for n in 0..20 {
            let dead = format!("dead-{n}");
            report(&bench, phone, Vendor::Apns, &dead);
            let why = Dropped { by: By::Vendor, why: Some("Unregistered".to_owned()) };
            assert!(wait(bench.store().drop_token(phone, Vendor::Apns, &dead, None, why)).unwrap());
        }
        report(&bench, phone, Vendor::Fcm, "withdrawn");
        report(&bench, phone, Vendor::Fcm, "");
        bench.kill_and_reopen();
        let all = FeedQuery { types: Vec::new(), limit: 100, until: None };
        let page = wait(bench.store().events(app, FeedFrom::Oldest, all)).unwrap();
        assert_eq!(page.events.len(), 20);
        for (n, event) in page.events.iter().enumerate() {
            assert_eq!((event.kind, event.message_id), (EventType::TokenInvalidated, None));
            assert_eq!(event.token_digest.as_deref(), Some(token_digest(&format!("dead-{n}")).as_str()));
            assert_eq!((event.channel.as_str(), event.reason.as_deref()), ("apns", Some("Unregistered")));
            assert_eq!(event.device_id, Some(id("phone")));
        }
    }
}

#[test]
fn who_carries_follows_every_token_and_what_is_known_of_the_maker() {
    let mut bench = Bench::new(On::Sled);
    let app = bench.app("shop");
    let phone = bench.device(app, "phone");
    let carried = |bench: &Bench| -> Vec<Vendor> {
        let carries = |vendor: &Vendor| bench.store().carried_by(app, *vendor).contains(phone.ordinal);
        Vendor::ALL.into_iter().filter(carries).collect()
    };
    let check = |bench: &Bench, vendor: Option<Vendor>| {
        assert_eq!(bench.store().carrier(phone), vendor);
        assert_eq!(carried(bench), Vec::from_iter(vendor));
    };
    check(&bench, None);
    report(&bench, phone, Vendor::Fcm, "f");
    check(&bench, Some(Vendor::Fcm));
    report(&bench, phone, Vendor::Xiaomi, "x");
    check(&bench, Some(Vendor::Xiaomi));
    let body = RegisterDevice {
        device_id: Some(id("phone")),
        platform: Platform::Android,
        maker: Some("samsung".to_owned()),
        ..RegisterDevice::default()
    };
    wait(bench.store().adopt(app, body, None)).unwrap();
    check(&bench, Some(Vendor::Fcm));
    bench.kill_and_reopen();
    check(&bench, Some(Vendor::Fcm));
    report(&bench, phone, Vendor::Fcm, "");
    check(&bench, Some(Vendor::Xiaomi));
    wait(bench.store().delete_device(phone, None)).unwrap();
    check(&bench, None);
}

#[test]
fn a_token_from_the_past_replaces_none_that_was_registered_later() {
    let bench = Bench::new(On::Memory);
    let app = bench.app("shop");
    let (phone, tablet) = (bench.device(app, "phone"), bench.device(app, "tablet"));
    bench.advance(SECOND);
    report(&bench, phone, Vendor::Huawei, "now");
    let remembered = |device, token: &str, at| NewToken {
        device,
        vendor: Vendor::Huawei,
        token: token.to_owned(),
        registered_at: at,
    };
    let tokens = vec![
        remembered(phone, "then", Some(START)),
        remembered(tablet, "now", Some(START)),
        remembered(phone, "now", Some(START)),
        remembered(tablet, "then", Some(START)),
        remembered(Device { ordinal: 77, ..tablet }, "nobody's", None),
    ];
    let key = carillon_sdk::KeyId::parse("ck").unwrap();
    let kept = wait(bench.store().keep_tokens(app, tokens, &By::Import(key))).unwrap();
    let expected = [TokenKept::Stale, TokenKept::Stale, TokenKept::Same, TokenKept::New, TokenKept::Gone];
    assert_eq!(kept, expected);
    let read = wait(bench.store().vendor_tokens(Vendor::Huawei, vec![phone, tablet])).unwrap();
    let at = |token: Option<TokenInfo>| token.map(|token| (token.token, token.at));
    let read: Vec<_> = read.into_iter().map(at).collect();
    assert_eq!(read, [Some(("now".to_owned(), START + SECOND)), Some(("then".to_owned(), START))]);
}

#[test]
fn a_ledger_keeps_its_newest_entries_and_goes_with_its_device() {
    let bench = Bench::new(On::Memory);
    let app = bench.app("shop");
    let phone = bench.device(app, "phone");
    for n in 0..LEDGER_MAX + 5 {
        report(&bench, phone, Vendor::Vivo, &format!("token-{n}"));
    }
    let entries = wait(bench.store().token_ledger(phone)).unwrap();
    assert_eq!(entries.len(), LEDGER_MAX);
    assert_eq!(entries[0].digest, token_digest(&format!("token-{}", LEDGER_MAX + 4)));
    assert!(entries.iter().all(|entry| entry.change == TokenChange::Replaced));
    report(&bench, phone, Vendor::Vivo, "");
    assert_eq!(ledger(&bench, phone)[0], TokenChange::Withdrawn);
    report(&bench, phone, Vendor::Vivo, "again");
    wait(bench.store().delete_device(phone, None)).unwrap();
    let of_tokens = keys::of_kind(keys::TOKENS);
    for disk in bench.disks() {
        let mut left = 0;
        let mut count = |_: &[u8], _: &[u8]| {
            left += 1;
            std::ops::ControlFlow::Continue(())
        };
        disk.range(&of_tokens.0, &of_tokens.1, &mut count).unwrap();
        assert_eq!(left, 0);
    }
    let again = wait(bench.store().vendor_token(phone, Vendor::Vivo, "more", By::Device));
    assert_eq!(again, Err(Error::DeviceUnknown));
}

#[test]
fn a_tokens_text_shows_in_nothing_that_is_logged() {
    let bench = Bench::new(On::Memory);
    let app = bench.app("shop");
    let phone = bench.device(app, "phone");
    report(&bench, phone, Vendor::Fcm, "planted-secret");
    let read = wait(bench.store().tokens_of(phone)).unwrap();
    let new = NewToken {
        device: phone,
        vendor: Vendor::Fcm,
        token: "planted-secret".to_owned(),
        registered_at: None,
    };
    let ledger = wait(bench.store().token_ledger(phone)).unwrap();
    assert!(!format!("{read:?}{new:?}{ledger:?}").contains("planted"));
}
