//! Layout 1, as a build wrote it: the rows of a small store, in hexadecimal, which later builds
//! must read. A change of layout gets a fixture of its own beside this one, and a way from here to
//! there. Made by `write_down` from the store that `furnish` makes.

use std::sync::Arc;

use carillon_sdk::api::CreateKey;
use carillon_sdk::wire::Lane;
use carillon_sdk::{DeviceId, MessageId, Ttl, UserId, Vendor};

use super::super::disk::{Batch, Disk};
use super::super::keys::Key;
use super::super::memory::Memory;
use super::super::{Begun, By, Idempotency, TagChange, Tagged, Targets};
use super::harness::{Bench, HOUR, On, START, ids, wait};
use crate::audience::{Audience, Fact};
use crate::model::{Message, Owner, Task};

const LAYOUT_1: &str = include_str!("layout-1.txt");
/// The same layout, of a build that knew of releases and revokes: `log_of` made its log.
const LAYOUT_1_LOG: &str = include_str!("layout-1-log.txt");

const TASK: Task = Task(7);

const KEY: Idempotency = Idempotency { key: [3; 16], body: [4; 32] };

fn derived(name: &[u8]) -> MessageId {
    MessageId::derived(&[7; 16], name)
}

/// One of everything.
fn furnish(bench: &Bench) {
    let app = bench.app("shop");
    wait(bench.store().create_key(app, CreateKey::default(), None)).unwrap();
    let (phone, tablet) = (bench.device(app, "phone"), bench.device(app, "tablet"));
    let gone = bench.device(app, "gone");
    wait(bench.store().delete_device(gone, None)).unwrap();
    let anna = bench.user(app, "anna");
    bench.bind(phone, Some(anna));
    wait(bench.store().vendor_token(phone, Vendor::Fcm, "token", By::Device)).unwrap();
    let push = |name: &[u8], lane, collapse: Option<&str>, owners: &[Owner]| {
        let collapse_key = collapse.map(str::to_owned);
        let message = Message { id: derived(name), lane, collapse_key, ..bench.message(app) };
        bench.enqueue(message, owners).unwrap();
    };
    push(b"own", Lane::High, None, &[Owner::Device(phone)]);
    push(b"both", Lane::Normal, Some("score"), &[Owner::Device(phone), Owner::Device(tablet)]);
    push(b"user", Lane::Normal, None, &[Owner::User(anna)]);
    let Begun::New(guard) = bench.store().idempotency_begin(app, &KEY) else { panic!("new") };
    wait(bench.store().idempotency_finish(guard, b"answer".to_vec(), START + HOUR)).unwrap();
    let message = Message { id: derived(b"all"), lane: Lane::Bulk, ..bench.message(app) };
    wait(bench.store().broadcast(std::sync::Arc::new(message), crate::audience::Audience::Everybody, None))
        .unwrap();
    let entry = std::sync::Arc::clone(&bench.store().log(app)[0]);
    bench.ack(tablet, &[std::sync::Arc::clone(&entry.due)]);
    bench.sweep();
    wait(bench.store().close_minutes(START + HOUR)).unwrap();
}

/// What is asserted of a furnished store.
fn check(bench: &Bench) {
    let app = bench.store().apps()[0].app;
    assert_eq!(bench.store().keys(app).len(), 1);
    let device = |name| bench.store().device(app, &DeviceId::parse(name).unwrap());
    let (phone, tablet) = (device("phone").unwrap(), device("tablet").unwrap());
    assert_eq!(device("gone"), None);
    let info = bench.store().device_info(phone).unwrap();
    assert_eq!(info.user_id, Some(UserId::parse("anna").unwrap()));
    assert_eq!(info.vendors, [Vendor::Fcm]);
    assert_eq!(bench.store().carrier(phone), Some(Vendor::Fcm));
    let token = wait(bench.store().tokens_of(phone)).unwrap().remove(0);
    assert_eq!((token.token.as_str(), token.at, token.by), ("token", START, By::Device));
    let mut due = ids(&bench.page(phone).due);
    due.sort_unstable();
    let mut expected = [derived(b"own"), derived(b"both"), derived(b"user")];
    expected.sort_unstable();
    assert_eq!(due, expected);
    assert_eq!(bench.due(tablet), [derived(b"both")]);
    assert!(
        matches!(bench.store().idempotency_begin(app, &KEY), Begun::Replay(answer) if answer == b"answer")
    );
    let log = bench.store().log(app);
    assert_eq!(log[0].due.id, derived(b"all"));
    assert!(log[0].is_due(phone, START) && !log[0].is_due(tablet, START));
    assert!(bench.device(app, "new").ordinal > tablet.ordinal + 1, "a deleted device's ordinal stays taken");
}

#[test]
fn a_store_of_layout_1_is_read() {
    let mut bench = Bench::new(On::Memory);
    bench.replace_disks(read(LAYOUT_1));
    // Rows from before there were tags, and times of bindings: a binding is as old as its device.
    let app = bench.store().apps()[0].app;
    assert!(bench.store().tags(app, None, 10).is_empty());
    assert_eq!(bench.store().audience(app, &Audience::Is(Fact::BoundSince(START))).len(), 1);
    check(&bench);
}

const MINUTE: Ttl = Ttl::from_secs(60);

/// What rows may say since: tags, and when a binding changed.
fn tag(bench: &Bench) {
    let app = bench.store().apps()[0].app;
    let phone = bench.store().device(app, &DeviceId::parse("phone").unwrap()).unwrap();
    let anna = bench.store().known_user(app, &UserId::parse("anna").unwrap()).unwrap();
    for (member, name) in [(Owner::Device(phone), "beta"), (Owner::User(anna), "gold")] {
        let change = TagChange::Set(vec![name.to_owned()]);
        assert_eq!(wait(bench.store().tag(member, change, None)), Ok(Tagged::Done));
    }
    bench.advance(MINUTE);
    bench.bind(phone, None);
    bench.bind(phone, Some(anna));
}

fn check_tags(bench: &Bench) {
    let app = bench.store().apps()[0].app;
    let tagged = "tag = beta and user_tag = gold and bound within 10s";
    let tagged = Audience::parse(tagged, START + MINUTE).unwrap();
    assert_eq!(bench.store().audience(app, &tagged).len(), 1);
}

/// A campaign of which one of two targets was let go to, and a broadcast that was revoked when one
/// device had acked it.
fn log_of(bench: &Bench) {
    let app = bench.app("shop");
    let (phone, tablet) = (bench.device(app, "phone"), bench.device(app, "tablet"));
    let message = |name: &[u8]| Message { id: derived(name), lane: Lane::Bulk, ..bench.message(app) };
    let (campaign, all) = (message(b"campaign"), message(b"all"));
    let campaign = Arc::new(Message { task: Some(TASK), ..campaign });
    let targets = Targets::Devices([phone.ordinal, tablet.ordinal].into());
    wait(bench.store().plan_entry(campaign, targets, None)).unwrap();
    wait(bench.store().release(app, TASK, [tablet.ordinal].into())).unwrap();
    wait(bench.store().broadcast(Arc::new(all), Audience::Everybody, None)).unwrap();
    let due = Arc::clone(&bench.store().log(app)[1].due);
    bench.store().note_sent(phone, vec![Arc::clone(&due)]);
    bench.ack(phone, &[due]);
    bench.sweep();
    wait(bench.store().revoke_message(app, derived(b"all"), None)).unwrap();
    // Another, withdrawn from a queue: its notice stands in one.
    let own = Message { id: derived(b"own"), ..bench.message(app) };
    bench.enqueue(own, &[Owner::Device(phone)]).unwrap();
    let due = bench.page(phone).due;
    bench.store().note_sent(phone, due);
    wait(bench.store().revoke_message(app, derived(b"own"), None)).unwrap();
    bench.sweep();
    bench.sweep();
}

fn check_log(bench: &Bench) {
    let app = bench.store().apps()[0].app;
    let device = |name| bench.store().device(app, &DeviceId::parse(name).unwrap()).unwrap();
    let (phone, tablet) = (device("phone"), device("tablet"));
    let view = bench.store().entry(app, TASK).unwrap();
    assert_eq!((view.targets, view.released, view.revoked), (2, 1, false));
    assert_eq!(bench.store().unreleased(app, TASK), Some([phone.ordinal].into()));
    let log = bench.store().log(app);
    let due = |device| -> Vec<_> {
        log.iter().filter(|entry| entry.is_due(device, START)).map(|entry| entry.due.revokes).collect()
    };
    assert_eq!(due(tablet), [None], "the campaign");
    assert_eq!(due(phone), [Some(derived(b"all"))], "the notice");
    let notices: Vec<_> = bench.page(phone).due.iter().map(|due| due.revokes).collect();
    assert_eq!(notices, [Some(derived(b"own"))]);
    assert_eq!(bench.store().device_info(phone).unwrap().pending, 0);
}

#[test]
fn a_log_of_layout_1_is_read() {
    let mut bench = Bench::new(On::Memory);
    log_of(&bench);
    wait(bench.store().close());
    let written = write_down(bench.disks());
    for lines in [&written, LAYOUT_1_LOG] {
        bench.replace_disks(read(lines));
        check_log(&bench);
    }
}

#[test]
fn a_store_written_down_reads_back() {
    let mut bench = Bench::new(On::Memory);
    furnish(&bench);
    tag(&bench);
    wait(bench.store().close());
    let written = write_down(bench.disks());
    bench.replace_disks(read(&written));
    check_tags(&bench);
    check(&bench);
}

fn write_down(disks: &[Memory]) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut lines = String::new();
    for (no, disk) in disks.iter().enumerate() {
        disk.range(&[], &[255; 8], &mut |key, value| {
            lines.push_str(&format!("{no} {} {}\n", hex(key), hex(&value[..value.len() - 4])));
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    }
    lines
}

fn read(lines: &str) -> Vec<Memory> {
    let unhex = |text: &str| -> Vec<u8> {
        let digits: Vec<_> = text.chars().map(|digit| digit.to_digit(16).unwrap() as u8).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    };
    let mut disks: Vec<_> = (0..super::harness::PARTITIONS).map(|_| Memory::default()).collect();
    for line in lines.lines() {
        let [no, key, value] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("three columns") };
        let mut batch = Batch::default();
        batch.put(Key::from_slice(&unhex(key)), unhex(value));
        disks[no.parse::<usize>().unwrap()].commit(&batch).unwrap();
    }
    disks
}
