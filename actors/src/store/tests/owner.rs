//! What owners change, and the log of it.

use carillon_sdk::api::{CreateKey, UpdateKey};
use carillon_sdk::{Timestamp, Ttl};

use super::super::{Audit, Change, Changed, Error, Expect, Kind, Unusable};
use super::harness::{Bench, HOUR, On, START, wait};
use crate::model::App;

const YEAR: Ttl = Ttl::from_secs(366 * 86_400);

fn audit(what: &str) -> Audit {
    Audit {
        who: "ck_1".to_owned(),
        from: Some("192.0.2.7".to_owned()),
        what: what.to_owned(),
        object: String::new(),
        detail: None,
    }
}

fn written(bench: &Bench, app: App) -> Vec<String> {
    let log = wait(bench.store().audit_log(app, None, 100)).unwrap();
    log.into_iter().map(|entry| entry.audit.what).collect()
}

fn put(id: &str, expect: Expect) -> Change {
    Change { kind: Kind::Template, id: id.to_owned(), expect, value: Some(b"value".as_slice().into()) }
}

#[test]
fn changes_of_keys_and_of_objects_stand_in_one_log_in_order_and_by_pages() {
    let mut bench = Bench::new(On::Memory);
    // Two apps, so that one of them is not of the partition that has the keys.
    for name in ["shop", "bank"] {
        let app = bench.app(name);
        let store = bench.store();
        let key = wait(store.make_key(app, CreateKey::default(), Some(audit("one")), None)).unwrap();
        wait(store.change(app, vec![put("a", Expect::Absent)], Some(audit("two")), None)).unwrap();
        wait(store.revoke_key(app, &key.view.key_id, Some(audit("three")), None)).unwrap();
        let refused = store.change(app, vec![put("a", Expect::Absent)], Some(audit("never")), None);
        assert_eq!(wait(refused), Ok(Changed::Unexpected(0)));
        assert_eq!(written(&bench, app), ["three", "two", "one"]);
        bench.kill_and_reopen();
        assert_eq!(written(&bench, app), ["three", "two", "one"]);
        let newest = wait(bench.store().audit_log(app, None, 1)).unwrap();
        assert_eq!(newest[0].audit.object, key.view.key_id.as_str());
        let older = wait(bench.store().audit_log(app, Some(newest[0].seq), 1)).unwrap();
        assert_eq!(older[0].audit.what, "two");
    }
}

#[test]
fn an_entry_of_the_audit_log_is_kept_a_year() {
    let bench = Bench::new(On::Memory);
    let app = bench.app("shop");
    wait(bench.store().change(app, vec![put("a", Expect::Absent)], Some(audit("old")), None)).unwrap();
    wait(bench.store().make_key(app, CreateKey::default(), Some(audit("old key")), None)).unwrap();
    bench.advance(HOUR);
    wait(bench.store().change(app, vec![put("b", Expect::Absent)], Some(audit("new")), None)).unwrap();
    bench.advance(Ttl::from_millis(YEAR.as_millis() - HOUR.as_millis()));
    bench.sweep();
    assert_eq!(written(&bench, app).len(), 3, "a year is not over");
    bench.advance(HOUR);
    bench.sweep();
    assert_eq!(written(&bench, app), ["new"]);
}

#[test]
fn there_is_room_for_so_many_objects_of_a_kind() {
    let bench = Bench::new(On::Memory);
    let app = bench.app("shop");
    let make =
        |id: &str| wait(bench.store().change(app, vec![put(id, Expect::Room(2))], None, None)).unwrap();
    assert!(matches!(make("a"), Changed::Done(_)));
    assert_eq!(make("a"), Changed::Unexpected(0), "it is there");
    assert!(matches!(make("b"), Changed::Done(_)));
    assert_eq!(make("c"), Changed::Unexpected(0), "two are enough");
}

#[test]
fn a_key_is_usable_until_it_ends_from_where_it_may_be_used_while_its_app_is_open() {
    let mut bench = Bench::new(On::Memory);
    let app = bench.app("shop");
    let asked = CreateKey {
        expires_at: Some(START + HOUR),
        allow: vec!["10.0.0.0/8".to_owned(), "2001:db8::/32".to_owned()],
        ..CreateKey::default()
    };
    let id = wait(bench.store().create_key(app, asked, None)).unwrap().view.key_id;
    bench.kill_and_reopen();
    let usable = |bench: &Bench, now: Timestamp, from: &str| {
        bench.store().key(&id).unwrap().usable(now, from.parse().unwrap())
    };
    let soon = START + Ttl::from_millis(HOUR.as_millis() - 1);
    for from in ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::7"] {
        assert_eq!(usable(&bench, soon, from), Ok(()), "{from}");
    }
    assert_eq!(usable(&bench, soon, "192.0.2.7"), Err(Unusable::Address));
    assert_eq!(usable(&bench, START + HOUR, "10.1.2.3"), Err(Unusable::Unknown));
    let shut = carillon_sdk::api::UpdateApp { enabled: Some(false), ..Default::default() };
    wait(bench.store().update_app(app, shut, None, None)).unwrap();
    assert_eq!(usable(&bench, soon, "10.1.2.3"), Err(Unusable::AppDisabled));
    bench.advance(HOUR);
    let update = UpdateKey { name: Some("late".to_owned()), ..UpdateKey::default() };
    assert!(wait(bench.store().update_key(app, &id, update, None, None)).unwrap().is_none());
}

#[test]
fn a_rotated_key_and_its_successor_are_two_live_keys() {
    let bench = Bench::new(On::Memory);
    let app = bench.app("shop");
    let first = wait(bench.store().create_key(app, CreateKey::default(), None)).unwrap().view;
    let rotate = |id, overlap| wait(bench.store().rotate_key(app, id, overlap, None, None));
    let second = rotate(&first.key_id, HOUR).unwrap().unwrap().view;
    assert_eq!(second.scopes, first.scopes);
    assert_eq!(rotate(&second.key_id, HOUR).err(), Some(Error::Exists), "three would live");
    bench.advance(HOUR);
    assert!(rotate(&first.key_id, HOUR).unwrap().is_none(), "it has ended");
    assert!(rotate(&second.key_id, HOUR).unwrap().is_some());
}
