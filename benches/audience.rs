//! What it costs to find an audience among a million devices, a hundred thousand users and a
//! thousand tags: to find all of them, to count them by platform and channel, and to ask one device.

use std::hint::black_box;

use carillon_actors::audience::Audience;
use carillon_actors::measured::Crowd;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

const DEVICES: u32 = 1_000_000;

const AUDIENCES: [(&str, &str); 7] = [
    ("everybody", "everybody"),
    ("platform", "platform = android"),
    ("tag", "tag = tag-7"),
    ("version", "app_version >= 2.10"),
    ("seen", "seen within 30d"),
    ("tags", "tag in (tag-1, tag-2, tag-3, tag-4, tag-5) and not user_tag = tag-9"),
    (
        "all",
        "platform = android and (tag = tag-1 or user_tag in (tag-2, tag-3)) and not app_version < 2.10 \
         and locale = zh and seen within 30d and registered before 1d ago and channel != own",
    ),
];

fn audiences(c: &mut Criterion) {
    let crowd = Crowd::of(DEVICES);
    let parsed = AUDIENCES
        .map(|(name, text)| (name, Audience::parse(text, Crowd::NOW).expect("an audience of the language")));
    let mut group = c.benchmark_group("audience of a million");
    for (name, audience) in &parsed {
        group.bench_with_input(BenchmarkId::new("find", name), audience, |b, audience| {
            b.iter(|| black_box(crowd.find(audience)));
        });
        group.bench_with_input(BenchmarkId::new("count", name), audience, |b, audience| {
            b.iter(|| black_box(crowd.count(audience)));
        });
    }
    let (_, all) = &parsed[6];
    let mut device = 0;
    group.bench_function("ask one", |b| {
        b.iter(|| {
            device = (device + 7_919) % DEVICES;
            black_box(crowd.has(device, all))
        });
    });
    group.finish();
}

criterion_group!(benches, audiences);
criterion_main!(benches);
