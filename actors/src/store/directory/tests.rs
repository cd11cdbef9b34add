//! The index against two other ways to know the same: each device asked by itself, and the index
//! made anew from rows.

use std::collections::{BTreeMap, BTreeSet};

use carillon_sdk::api::{Platform, RegisterDevice};
use carillon_sdk::{DeviceId, Timestamp, UserId, Vendor};
use proptest::prelude::*;

use super::*;
use crate::audience::{Audience, Compare, Fact};
use crate::model::{App, Seq};
use crate::store::rows::UserRow;

const APP: App = App(3);
const START: u64 = 1_790_000_000_000;
const VERSIONS: [&str; 4] = ["1.9", "1.10", "2.0-beta", "2.0"];
const TOKENS: [&str; 2] = ["one", "two"];
const TAGS: [&str; 4] = ["vip", "gold", "silver", "beta"];

fn people() -> OfApp {
    OfApp::new(APP)
}

/// What may happen to one of a few devices and users.
#[derive(Debug, Clone)]
enum Event {
    Register {
        device: u8,
        platform: usize,
        version: Option<usize>,
        maker: Option<bool>,
        locale: Option<bool>,
    },
    Delete {
        device: u8,
    },
    Bind {
        device: u8,
        user: Option<u8>,
    },
    Token {
        device: u8,
        fcm: bool,
        withdrawn: bool,
    },
    TagDevice {
        device: u8,
        change: TagChange,
    },
    TagUser {
        user: u8,
        change: TagChange,
    },
    Session {
        device: u8,
        open: bool,
    },
    Version {
        device: u8,
        version: usize,
    },
}

fn a_change() -> impl Strategy<Value = TagChange> {
    let some = || prop::sample::subsequence(TAGS.to_vec(), 0..=3);
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<Vec<_>>();
    prop_oneof![
        some().prop_map(move |names| TagChange::Set(owned(names))),
        (some(), some())
            .prop_map(move |(add, remove)| TagChange::Change { add: owned(add), remove: owned(remove) }),
    ]
}

fn an_event() -> impl Strategy<Value = Event> {
    let (device, user) = (0..12_u8, 0..4_u8);
    prop_oneof![
        4 => (device.clone(), 0..5_usize, prop::option::of(0..4_usize), any::<Option<bool>>(), any::<Option<bool>>())
            .prop_map(|(device, platform, version, maker, locale)| Event::Register { device, platform, version, maker, locale }),
        1 => device.clone().prop_map(|device| Event::Delete { device }),
        3 => (device.clone(), prop::option::of(user.clone())).prop_map(|(device, user)| Event::Bind { device, user }),
        1 => (device.clone(), any::<bool>(), any::<bool>())
            .prop_map(|(device, fcm, withdrawn)| Event::Token { device, fcm, withdrawn }),
        3 => (device.clone(), a_change()).prop_map(|(device, change)| Event::TagDevice { device, change }),
        3 => (user, a_change()).prop_map(|(user, change)| Event::TagUser { user, change }),
        2 => (device.clone(), any::<bool>()).prop_map(|(device, open)| Event::Session { device, open }),
        1 => (device, 0..4_usize).prop_map(|(device, version)| Event::Version { device, version }),
    ]
}

fn a_fact() -> impl Strategy<Value = Fact> {
    let at = (0..60_u64).prop_map(|seconds| Timestamp::from_millis(START + seconds * 1000));
    let compare = prop_oneof![Just(Compare::Less), Just(Compare::Equal), Just(Compare::GreaterOrEqual)];
    let tag = || prop::sample::select(TAGS.to_vec()).prop_map(str::to_owned);
    prop_oneof![
        (0..5_usize).prop_map(|at| Fact::Platform(Platform::ALL[at])),
        prop_oneof![Just("NOKIA"), Just("none")].prop_map(|maker| Fact::Maker(maker.to_owned())),
        Just(Fact::Bound),
        (0..8_u8, at).prop_map(|(kind, at)| match kind {
            0 => Fact::RegisteredSince(at),
            1 => Fact::RegisteredBefore(at),
            2 => Fact::SeenSince(at),
            3 => Fact::SeenBefore(at),
            4 => Fact::BoundSince(at),
            5 => Fact::BoundBefore(at),
            6 => Fact::UnboundSince(at),
            _ => Fact::UnboundBefore(at),
        }),
        (compare, 0..4_usize).prop_map(|(compare, at)| Fact::Version(compare, VERSIONS[at].to_owned())),
        prop_oneof![Just("own"), Just("fcm"), Just("huawei")]
            .prop_map(|channel| Fact::Channel(channel.to_owned())),
        prop_oneof![Just("zh"), Just("zh-CN")].prop_map(|locale| Fact::Locale(locale.to_owned())),
        tag().prop_map(Fact::Tag),
        tag().prop_map(Fact::UserTag),
    ]
}

fn an_audience() -> impl Strategy<Value = Audience> {
    let leaf = prop_oneof![1 => Just(Audience::Everybody), 9 => a_fact().prop_map(Audience::Is)];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Audience::All),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Audience::Any),
            inner.prop_map(|part| Audience::Not(Box::new(part))),
        ]
    })
}

fn device_id(device: u8) -> DeviceId {
    DeviceId::parse(&format!("device-{device}")).unwrap()
}

fn user_of(people: &OfApp, user: u8) -> User {
    people.user(&UserId::parse(&format!("user-{user}")).unwrap())
}

fn happen(people: &OfApp, event: Event, now: Timestamp) {
    let found = |device: u8| people.find(&device_id(device)).map(|device| device.ordinal);
    match event {
        Event::Register { device, platform, version, maker, locale } => {
            let text = |text: &str| text.to_owned();
            let body = RegisterDevice {
                device_id: Some(device_id(device)),
                platform: Platform::ALL[platform],
                app_version: version.map(|at| text(VERSIONS[at])),
                maker: maker.map(|nokia| text(if nokia { "Nokia" } else { "Sony" })),
                locale: locale.map(|china| text(if china { "zh_CN" } else { "zh-TW" })),
                time_zone: None,
            };
            let ordinal = people.reserve(&device_id(device)).ordinal;
            people.register(ordinal, &body, now, Some(1)).unwrap();
        }
        Event::Delete { device } => {
            found(device).map(|ordinal| people.delete(ordinal));
        }
        Event::Bind { device, user } => {
            let user = user.map(|user| user_of(people, user));
            found(device).map(|ordinal| people.bind(ordinal, user, now));
        }
        Event::Token { device, fcm, withdrawn } => {
            let vendor = if fcm { Vendor::Fcm } else { Vendor::Huawei };
            let Some(ordinal) = found(device) else { return };
            if withdrawn {
                people.drop_token(ordinal, vendor, None, None);
            } else {
                // Of two tokens, so that they move from device to device.
                people.keep_token(ordinal, (vendor, TOKENS[usize::from(device) % 2]), When::Now(now), || {
                    Seq(0)
                });
            }
        }
        Event::TagDevice { device, change } => {
            found(device).map(|ordinal| people.tag_device(ordinal, &change).unwrap());
        }
        Event::TagUser { user, change } => {
            people.tag_user(user_of(people, user).ordinal, &change).unwrap();
        }
        Event::Session { device, open } => {
            if let Some(ordinal) = found(device) {
                people.seen(ordinal, now, || open);
            }
        }
        Event::Version { device, version } => {
            found(device).map(|ordinal| people.set_app_version(ordinal, VERSIONS[version]));
        }
    }
}

/// Every set of the index by its name, and the times of registered devices.
fn picture(people: &OfApp) -> BTreeMap<String, BTreeSet<u32>> {
    let mut picture = BTreeMap::new();
    let mut put = |name: String, members: roaring::RoaringBitmap| {
        if !members.is_empty() {
            picture.insert(name, members.into_iter().collect());
        }
    };
    let devices = people.devices.read();
    let index = &devices.index;
    put("all".to_owned(), index.all().clone());
    put("bound".to_owned(), index.bound().clone());
    Platform::ALL.iter().for_each(|platform| put(format!("{platform:?}"), index.platform(*platform).clone()));
    index.groups().for_each(|(group, members)| put(format!("{group:?}"), members.clone()));
    index.channels().for_each(|(vendor, members)| put(vendor.to_string(), members.clone()));
    for vendor in Vendor::ALL {
        put(format!("carried by {vendor}"), index.carried_by(vendor).clone());
    }
    for ordinal in index.all() {
        let tokens = devices.entry(ordinal).unwrap().tokens();
        tokens.iter().for_each(|held| put(format!("{} {:?}", held.vendor, held.at), [ordinal].into()));
    }
    for maker in ["Nokia", "Sony"] {
        put(maker.to_owned(), index.of(&Fact::Maker(maker.to_owned())));
    }
    for locale in ["zh-CN", "zh-TW"] {
        put(locale.to_owned(), index.of(&Fact::Locale(locale.to_owned())));
    }
    for ordinal in index.all() {
        put(format!("{:?}", index.stored_times(ordinal)), [ordinal].into_iter().collect());
    }
    drop(devices);
    for tag in people.tag_list(None, 100) {
        let (of_devices, of_users) = people.tag_members(&tag.name);
        assert_eq!((tag.devices, tag.users), (of_devices.len(), of_users.len()));
        put(format!("tag {}", tag.name), of_devices);
        put(format!("users of {}", tag.name), of_users);
        put(
            format!("devices of users of {}", tag.name),
            people.audience(&Audience::Is(Fact::UserTag(tag.name))),
        );
    }
    picture
}

/// The same people, from the rows that would have been written.
fn rebuilt(people: &OfApp) -> OfApp {
    let anew = self::people();
    for user in 0..people.user_count() as u32 {
        let user_id = people.user_id(user).unwrap();
        let row = UserRow { user_id, tags: people.user_tags(user) };
        anew.restore_user(user, through_disk(&row));
    }
    for ordinal in 0..people.judge(&Audience::Everybody).known {
        anew.restore(ordinal, people.row(ordinal).map(|row| through_disk(&row)));
        for vendor in people.vendors(ordinal) {
            let token = TOKENS.into_iter().find(|token| people.has_token(ordinal, vendor, token)).unwrap();
            anew.restore_token(ordinal, vendor, token, people.held(ordinal, vendor).unwrap().at);
        }
    }
    anew
}

fn through_disk<R: serde::Serialize + serde::de::DeserializeOwned>(row: &R) -> R {
    crate::store::rows::decode(&crate::store::rows::encode(row)).unwrap()
}

proptest! {
    #[test]
    fn bitmaps_say_of_each_device_what_asking_it_says(
        events in prop::collection::vec(an_event(), 1..60),
        audiences in prop::collection::vec(an_audience(), 1..8),
    ) {
        let people = people();
        for (second, event) in events.into_iter().enumerate() {
            happen(&people, event, Timestamp::from_millis(START + second as u64 * 1000 + 7));
        }
        for audience in audiences {
            let found: BTreeSet<u32> = people.audience(&audience).into_iter().collect();
            let asked: BTreeSet<u32> =
                (0..people.judge(&Audience::Everybody).known).filter(|ordinal| people.has(*ordinal, &audience)).collect();
            prop_assert_eq!(&found, &asked, "{}", audience);
            let count = people.audience_count(&audience);
            prop_assert_eq!(count.devices, found.len() as u64);
            prop_assert_eq!(count.by_platform.values().sum::<u64>(), count.devices);
        }
    }

    #[test]
    fn an_index_made_anew_from_rows_is_the_one_that_was_kept(
        events in prop::collection::vec(an_event(), 1..80),
    ) {
        let people = people();
        for (second, event) in events.into_iter().enumerate() {
            happen(&people, event, Timestamp::from_millis(START + second as u64 * 1000 + 7));
        }
        prop_assert_eq!(picture(&rebuilt(&people)), picture(&people));
    }
}

fn registered(people: &OfApp, name: &str) -> u32 {
    let id = DeviceId::parse(name).unwrap();
    let ordinal = people.reserve(&id).ordinal;
    let body = RegisterDevice { device_id: Some(id), ..RegisterDevice::default() };
    people.register(ordinal, &body, Timestamp::from_millis(START), Some(1)).unwrap();
    ordinal
}

fn names(count: usize, prefix: &str) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}{n}")).collect()
}

#[test]
fn a_device_has_a_hundred_tags_and_an_app_ten_thousand() {
    let people = people();
    let phone = registered(&people, "phone");
    let add = |add: Vec<String>| TagChange::Change { add, remove: Vec::new() };
    assert!(people.tag_device(phone, &TagChange::Set(names(TAGS_MAX, "t"))).is_ok());
    assert_eq!(people.tag_device(phone, &add(names(1, "more"))).unwrap_err(), Tagged::TooMany);
    let swap = TagChange::Change { add: names(1, "more"), remove: names(1, "t") };
    assert!(people.tag_device(phone, &swap).is_ok());
    for n in 1..TAGS_APP_MAX / TAGS_MAX {
        let ordinal = registered(&people, &format!("d{n}"));
        people.tag_device(ordinal, &TagChange::Set(names(TAGS_MAX, &format!("{n}-")))).unwrap();
    }
    let late = registered(&people, "late");
    assert_eq!(people.tag_device(late, &add(names(1, "new"))).unwrap_err(), Tagged::NoRoom);
    assert!(people.tag_device(late, &add(names(1, "more"))).is_ok());
    assert!(people.tag_device(phone, &TagChange::Set(Vec::new())).unwrap().is_some());
    assert!(people.tag_device(late, &add(names(1, "new"))).is_ok(), "a tag nobody has makes room");
    assert_eq!(people.tag_device(9_999, &add(names(1, "new"))).unwrap_err(), Tagged::Gone);
}
