use serde_json::json;

use super::*;

/// 2026-11-25T15:59:59.999Z: a millisecond before midnight in Shanghai.
const LAST: Timestamp = Timestamp::from_millis(1_795_622_399_999);
const DEVICE: u32 = 7;

fn ledger(vendor: Vendor) -> Ledger {
    Ledger::new(vendor, BTreeMap::new(), None)
}

fn after(ms: u64) -> Timestamp {
    LAST + Ttl::from_millis(ms)
}

#[test]
fn a_device_gets_as_many_a_day_as_the_vendor_lets_and_the_next_when_its_day_turns() {
    let mut ledger = ledger(Vendor::Huawei);
    let midnight = after(1);
    for _ in 0..2 {
        ledger.take(Sort::Marketing, DEVICE, LAST).unwrap();
    }
    assert_eq!(ledger.take(Sort::Marketing, DEVICE, LAST), Err(Spent { until: midnight }));
    ledger.take(Sort::Marketing, DEVICE + 1, LAST).unwrap();
    ledger.take(Sort::Service, DEVICE, LAST).unwrap();
    ledger.take(Sort::Marketing, DEVICE, midnight).unwrap();
}

#[test]
fn an_apps_share_of_a_day_is_taken_to_the_last_and_no_further() {
    let mut ledger = ledger(Vendor::Huawei);
    for device in 0..500 {
        ledger.take(Sort::Test, device, LAST).unwrap();
    }
    assert!(ledger.take(Sort::Test, 500, LAST).is_err());
    assert_eq!(ledger.view(LAST)[0].left, Some(0));
    ledger.give_back(Sort::Test, 3, LAST, LAST);
    assert_eq!(ledger.view(LAST)[0].left, Some(1));
    ledger.take(Sort::Test, 500, LAST).unwrap();
}

#[test]
fn what_was_counted_yesterday_is_not_given_back_today() {
    let mut ledger = ledger(Vendor::Huawei);
    ledger.take(Sort::Test, DEVICE, LAST).unwrap();
    ledger.take(Sort::Test, DEVICE, after(1)).unwrap();
    ledger.give_back(Sort::Test, DEVICE, LAST, after(2));
    assert_eq!(ledger.view(after(2))[0].taken, 1);
}

#[test]
fn a_devices_share_given_back_is_there_again() {
    let mut ledger = ledger(Vendor::Honor);
    for _ in 0..3 {
        ledger.take(Sort::Marketing, DEVICE, LAST).unwrap();
        ledger.take(Sort::Marketing, DEVICE, LAST).unwrap();
        assert!(ledger.take(Sort::Marketing, DEVICE, LAST).is_err());
        ledger.give_back(Sort::Marketing, DEVICE, LAST, LAST);
        ledger.give_back(Sort::Marketing, DEVICE, LAST, LAST);
    }
}

#[test]
fn the_vendors_own_word_ends_a_sort_for_the_day() {
    let mut ledger = ledger(Vendor::Vivo);
    assert_eq!(ledger.spent(Sort::Marketing, LAST), after(1));
    assert!(ledger.take(Sort::Marketing, DEVICE, LAST).is_err());
    assert!(ledger.view(LAST).iter().any(|quota| quota.spent_by_vendor && quota.left == Some(0)));
    ledger.take(Sort::Service, DEVICE, LAST).unwrap();
    ledger.take(Sort::Marketing, DEVICE, after(1)).unwrap();
}

#[test]
fn a_restart_forgets_nothing_of_the_day() {
    let mut before = ledger(Vendor::Xiaomi);
    before.take(Sort::Default, DEVICE, LAST).unwrap();
    before.spent(Sort::Marketing, LAST);
    let kept = serde_json::to_vec(&before.changed().unwrap()).unwrap();
    assert!(before.changed().is_none(), "nothing changed since");
    let mut after = Ledger::new(Vendor::Xiaomi, BTreeMap::new(), serde_json::from_slice(&kept).unwrap());
    assert!(after.take(Sort::Default, DEVICE, LAST).is_err());
    assert!(after.take(Sort::Marketing, DEVICE, LAST).is_err());
    after.take(Sort::Default, DEVICE + 1, LAST).unwrap();
}

#[test]
fn an_owner_raises_and_lifts_limits_by_name() {
    let own = BTreeMap::from([("default_device".to_owned(), Some(2)), ("default".to_owned(), None)]);
    assert_eq!(check(Vendor::Xiaomi, &own), Ok(()));
    let mut ledger = Ledger::new(Vendor::Xiaomi, own, None);
    ledger.take(Sort::Default, DEVICE, LAST).unwrap();
    ledger.take(Sort::Default, DEVICE, LAST).unwrap();
    assert!(ledger.take(Sort::Default, DEVICE, LAST).is_err());
    assert_eq!(ledger.view(LAST)[0].left, None);

    let unknown = BTreeMap::from([("weekly".to_owned(), Some(2))]);
    assert_eq!(check(Vendor::Xiaomi, &unknown).unwrap_err().pointer, "/quotas/weekly");
    let high = BTreeMap::from([("default_device".to_owned(), Some(65))]);
    assert!(check(Vendor::Xiaomi, &high).is_err());
}

#[test]
fn a_message_is_of_the_sort_as_which_its_vendor_counts_it() {
    use Vendor::{HarmonyOs, Honor, Huawei, Oppo, Vivo, Xiaomi};
    let word = |vendor: &str, word: &str| json!({"third_channel_category": {vendor: word}});
    for (vendor, options, expected) in [
        (Huawei, json!({}), Sort::Marketing),
        (Huawei, word("huawei", "EXPRESS"), Sort::Service),
        (Huawei, word("hms", "8"), Sort::Service),
        (Huawei, word("hms", "14"), Sort::Marketing),
        (
            Huawei,
            json!({"third_channel_category": {"huawei": "MARKETING"}, "notify_level": {"huawei": 2}}),
            Sort::Marketing,
        ),
        (HarmonyOs, word("harmonyos", "MAIL"), Sort::Service),
        (HarmonyOs, word("vivo", "IM"), Sort::Marketing),
        (Vivo, word("vivo", "IM"), Sort::Service),
        (Vivo, word("vivo", "news"), Sort::Marketing),
        (Honor, json!({"notify_level": {"honor": "NORMAL"}}), Sort::Service),
        (Huawei, json!({"is_test": true, "category": "im"}), Sort::Test),
        (Huawei, json!({"notify_level": {"hms": "2"}}), Sort::Service),
        (Huawei, json!({"notify_level": {"hms": 2}, "category": "marketing"}), Sort::Marketing),
        (Honor, json!({"category": "im"}), Sort::Service),
        (Xiaomi, json!({}), Sort::Default),
        (Xiaomi, json!({"mi_channel_id": "101"}), Sort::Marketing),
        (Xiaomi, json!({"mi_channel_id": "101", "category": "express"}), Sort::Service),
        (Oppo, json!({"category": "marketing"}), Sort::Marketing),
        (Oppo, json!({"is_test": true, "category": "im"}), Sort::Service),
        (Vivo, json!({"classification": "1", "category": "marketing"}), Sort::Service),
        (Vivo, json!({"classification": "0", "category": "im"}), Sort::Marketing),
        (Vivo, json!({"category": "im"}), Sort::Service),
    ] {
        assert_eq!(sort(vendor, &Options::read(Some(&options.to_string()))), expected, "{vendor} {options}");
    }
}

#[test]
fn the_table_names_each_limit_once_and_says_where_it_comes_from() {
    for vendor in Vendor::ALL {
        let limits: Vec<_> = quotas::of(vendor).collect();
        for (at, limit) in limits.iter().enumerate() {
            assert!(!limit.source.is_empty() && limit.per_day > 0, "{vendor} {}", limit.name);
            let same =
                |other: &&Limit| other.name == limit.name || (other.sort, other.of) == (limit.sort, limit.of);
            assert!(!limits[at + 1..].iter().any(same), "{vendor} {}", limit.name);
            assert!(limit.of == Of::App || limit.per_day <= DEVICE_MAX);
        }
    }
}

#[test]
fn an_hour_of_the_vendors_day_is_the_next_one() {
    let seven = next_hour(Vendor::Huawei, 7, LAST);
    assert_eq!(seven.since(LAST), Ttl::from_millis(7 * HOUR_MS + 1));
    assert_eq!(next_hour(Vendor::Huawei, 0, after(1)).since(after(1)), Ttl::from_millis(DAY_MS));
}
