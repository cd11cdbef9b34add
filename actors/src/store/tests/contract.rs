use carillon_sdk::api::{CreateKey, Scope};
use carillon_sdk::{DeviceId, KeyId, Vendor};

use super::super::{Begun, By, Error, Idempotency, Nonce, NonceVerdict};
use super::harness::{BOTH, Bench, HOUR, wait};
use crate::model::{Epoch, Owner, ShardNo};

#[test]
fn an_app_is_made_once_and_found_by_its_client_key() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let info = bench.store().app(app).unwrap();
        assert!(info.client_key.starts_with("cp_"));
        assert_eq!(bench.store().app_by_client_key(&info.client_key), Some(app));
        let again = carillon_sdk::api::CreateApp {
            app_id: info.app_id.clone(),
            workspace_id: info.workspace_id.clone(),
            name: None,
        };
        assert_eq!(wait(bench.store().create_app(again, None)).err(), Some(Error::Exists));
        let other = bench.app("bank");
        bench.kill_and_reopen();
        assert_eq!(bench.store().app_by_client_key(&info.client_key), Some(app));
        assert_eq!(bench.store().apps().len(), 2);
        assert!(bench.app("third").0 > other.0);
    }
}

#[test]
fn an_app_has_two_live_keys_at_most_and_a_revoked_one_allows_nothing() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let key = || wait(bench.store().create_key(app, CreateKey::default(), None));
        let first = key().unwrap();
        assert!(first.allows(Scope::Push) && !first.allows(Scope::Operator));
        assert!(first.secret.starts_with("cs_"));
        let second = key().unwrap();
        assert_ne!(first.secret, second.secret);
        assert_eq!(key().err(), Some(Error::Exists));
        let stranger = bench.app("bank");
        assert_eq!(wait(bench.store().revoke_key(stranger, &first.view.key_id, None, None)), Ok(false));
        assert_eq!(wait(bench.store().revoke_key(app, &first.view.key_id, None, None)), Ok(true));
        assert!(key().is_ok());
        bench.kill_and_reopen();
        let revoked = bench.store().key(&first.view.key_id).unwrap();
        assert!(!revoked.allows(Scope::Push));
        assert_eq!(bench.store().key(&second.view.key_id).unwrap().secret, second.secret);
        assert_eq!(bench.store().keys(app).len(), 3);
        let operator = bench.store().key(&KeyId::parse("operator").unwrap()).unwrap();
        assert!(operator.allows(Scope::Operator) && operator.app.is_none());
    }
}

#[test]
fn registering_again_makes_the_old_credential_worthless() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let first = bench.register(app, "phone");
        assert!(first.created);
        assert_eq!(bench.store().verify_credential(&first.credential), Some(first.device));
        let second = bench.register(app, "phone");
        assert!(!second.created);
        assert_eq!(second.device, first.device);
        bench.kill_and_reopen();
        assert_eq!(bench.store().verify_credential(&first.credential), None);
        assert_eq!(bench.store().verify_credential(&second.credential), Some(first.device));
        let named = bench.store().device(app, &DeviceId::parse("phone").unwrap());
        assert_eq!(named, Some(first.device));
    }
}

#[test]
fn registrations_of_one_new_id_at_the_same_time_make_one_device() {
    for on in BOTH {
        let bench = Bench::new(on);
        let app = bench.app("shop");
        let registered: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| bench.register(app, "phone"))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(registered.iter().filter(|one| one.created).count(), 1);
        assert!(registered.iter().all(|one| one.device == registered[0].device));
        let valid =
            registered.iter().filter(|one| bench.store().verify_credential(&one.credential).is_some());
        assert_eq!(valid.count(), 1, "the last one's");
        assert_eq!(bench.store().totals().devices, 1);
    }
}

#[test]
fn a_deleted_device_is_gone_and_its_ordinal_never_comes_again() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let phone = bench.register(app, "phone");
        let (id, _) = bench.push(Owner::Device(phone.device));
        wait(bench.store().delete_device(phone.device, None)).unwrap();
        assert_eq!(wait(bench.store().delete_device(phone.device, None)), Err(Error::DeviceUnknown));
        assert_eq!(bench.store().verify_credential(&phone.credential), None);
        assert_eq!(bench.counts(app, id), [("rejected".to_owned(), 1)]);
        assert!(bench.store().connect(phone.device, Epoch(1), ShardNo(0)).is_none());
        bench.kill_and_reopen();
        let again = bench.register(app, "phone");
        assert!(again.created && again.device.ordinal > phone.device.ordinal);
        assert_eq!(bench.store().verify_credential(&phone.credential), None);
        assert!(bench.due(again.device).is_empty());
    }
}

#[test]
fn a_binding_is_durable_and_a_device_has_one_user() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let phone = bench.device(app, "phone");
        let (anna, ben) = (bench.user(app, "anna"), bench.user(app, "ben"));
        assert_eq!(bench.bind(phone, Some(anna)), None);
        assert_eq!(bench.bind(phone, Some(ben)), Some(anna));
        bench.kill_and_reopen();
        let info = bench.store().device_info(phone).unwrap();
        assert_eq!(info.user_id.unwrap().as_str(), "ben");
        let ben = bench.user(app, "ben");
        assert_eq!(bench.store().user_devices(ben), [phone]);
        assert!(bench.store().user_devices(bench.user(app, "anna")).is_empty());
        assert_eq!(bench.bind(phone, None), Some(ben));
        assert!(bench.store().user_devices(ben).is_empty());
    }
}

#[test]
fn vendor_tokens_and_last_seen_survive() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let phone = bench.device(app, "phone");
        for (vendor, token) in [(Vendor::Fcm, "abc"), (Vendor::Apns, "x"), (Vendor::Apns, "")] {
            wait(bench.store().vendor_token(phone, vendor, token, By::Device)).unwrap();
        }
        bench.store().connect(phone, Epoch(1), ShardNo(0)).unwrap();
        bench.store().note_app_version(phone, "2.0");
        bench.sweep();
        bench.kill_and_reopen();
        let info = bench.store().device_info(phone).unwrap();
        assert_eq!(info.vendors, [Vendor::Fcm]);
        assert_eq!(info.app_version.as_deref(), Some("2.0"));
        assert_eq!(info.last_seen_at, Some(super::harness::START));
        assert!(!info.online);
    }
}

#[test]
fn devices_are_listed_page_by_page_in_order_of_registration() {
    let bench = Bench::new(super::harness::On::Memory);
    let app = bench.app("shop");
    let all: Vec<_> = (0..5).map(|n| bench.device(app, &format!("d{n}"))).collect();
    let first = bench.store().devices(app, None, 3);
    assert_eq!(first.iter().map(|info| info.device).collect::<Vec<_>>(), all[..3]);
    let rest = bench.store().devices(app, Some(all[2].ordinal), 3);
    assert_eq!(rest.iter().map(|info| info.device).collect::<Vec<_>>(), all[3..]);
}

#[test]
fn a_nonce_committed_with_its_request_is_known_after_a_kill() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let phone = bench.device(app, "phone");
        let nonce = |hash| Nonce { key: KeyId::parse("k").unwrap(), hash: [hash; 16], at: bench.clock.now() };
        let (ridden, lost) = (nonce(1), nonce(2));
        assert_eq!(bench.store().nonce(&ridden), NonceVerdict::New);
        assert_eq!(bench.store().nonce(&lost), NonceVerdict::New);
        assert_eq!(bench.store().nonce(&lost), NonceVerdict::Replayed);
        let message = std::sync::Arc::new(bench.message(app));
        let enqueued = bench.store().enqueue(message, vec![Owner::Device(phone)], Some(ridden.clone()));
        wait(enqueued).unwrap();
        bench.kill_and_reopen();
        assert_eq!(bench.store().nonce(&ridden), NonceVerdict::Replayed);
        bench.advance(HOUR);
        bench.sweep();
        bench.kill_and_reopen();
        assert_eq!(bench.store().nonce(&ridden), NonceVerdict::New, "dropped with its bucket");
    }
}

#[test]
fn an_idempotent_answer_is_replayed_after_a_kill_until_its_time_is_over() {
    for on in BOTH {
        let mut bench = Bench::new(on);
        let app = bench.app("shop");
        let key = Idempotency { key: [1; 16], body: [2; 32] };
        let Begun::New(guard) = bench.store().idempotency_begin(app, &key) else { panic!("new") };
        assert!(matches!(bench.store().idempotency_begin(app, &key), Begun::InFlight));
        let until = bench.clock.now() + HOUR;
        wait(bench.store().idempotency_finish(guard, b"answer".to_vec(), until)).unwrap();
        bench.kill_and_reopen();
        let replay = bench.store().idempotency_begin(app, &key);
        assert!(matches!(replay, Begun::Replay(answer) if answer == b"answer"));
        let other = Idempotency { body: [3; 32], ..key.clone() };
        assert!(matches!(bench.store().idempotency_begin(app, &other), Begun::Mismatch));
        bench.advance(HOUR);
        bench.sweep();
        bench.kill_and_reopen();
        assert!(matches!(bench.store().idempotency_begin(app, &other), Begun::New(_)));
    }
}

#[test]
fn a_later_session_fences_the_earlier_one() {
    let bench = Bench::new(super::harness::On::Memory);
    let app = bench.app("shop");
    let phone = bench.device(app, "phone");
    let (one, two) = (bench.store().next_epoch(), bench.store().next_epoch());
    assert!(two > one);
    let found = bench.store().connect(phone, one, ShardNo(0)).unwrap();
    assert_eq!((found.previous, found.last_epoch, found.pending), (None, Epoch(0), false));
    let found = bench.store().connect(phone, two, ShardNo(1)).unwrap();
    assert_eq!((found.previous, found.last_epoch), (Some((ShardNo(0), one)), one));
    bench.store().disconnect(phone, one);
    assert_eq!(bench.store().session(phone), Some((ShardNo(1), two)));
    assert!(bench.store().device_info(phone).unwrap().online);
}
