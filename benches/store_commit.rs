//! What one durable commit costs, by how many pushes share it: pushes started together, on one
//! partition of a real disk, until all are answered. Also the store's rate on two partitions.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use carillon_actors::clock::Clock;
use carillon_actors::limits::Limits;
use carillon_actors::model::{App, Message, Owner, PushType, Seq, ShardNo};
use carillon_actors::store::{Config, DueHint, Hints, LogEntry, Store};
use carillon_sdk::api::{CreateApp, RegisterDevice};
use carillon_sdk::wire::Lane;
use carillon_sdk::{AppId, DeviceId, MessageId, Ttl, WorkspaceId};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use roaring::RoaringBitmap;

struct NoHints;

impl Hints for NoHints {
    fn due(&self, _: ShardNo, _: Vec<DueHint>) {}
    fn broadcast(&self, _: Arc<LogEntry>, _: Arc<RoaringBitmap>) {}
    fn withdrawn(&self, _: App, _: Seq, _: Option<Arc<RoaringBitmap>>) {}
}

struct Bench {
    store: Store,
    clock: Clock,
    app: App,
    owners: Vec<Owner>,
    _dir: tempfile::TempDir,
}

const DEVICES: usize = 20_000;

fn bench(runtime: &tokio::runtime::Runtime, partitions: usize) -> Bench {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let clock = Clock::system();
    let limits = Limits {
        pending_max: u32::MAX,
        pending_bytes_max: u64::MAX,
        intake_app_max: 65_536,
        ..Limits::default()
    };
    let config = Config {
        dir: dir.path().to_owned(),
        partitions,
        cache_bytes: 64 << 20,
        strict: true,
        master: [1; 32],
    };
    let store = Store::open(&config, &limits, &clock, Arc::new(NoHints)).expect("a store");
    let (app, owners) = runtime.block_on(async {
        let body = CreateApp {
            app_id: AppId::parse("bench").expect("an id"),
            workspace_id: WorkspaceId::parse("bench").expect("an id"),
            name: None,
        };
        let app = store.create_app(body, None).await.expect("an app").app;
        let registering = (0..DEVICES).map(|n| {
            let device_id = DeviceId::parse(&format!("device-{n}")).ok();
            store.register(app, RegisterDevice { device_id, ..RegisterDevice::default() }, None)
        });
        let registered = join_all(registering).await;
        (app, registered.into_iter().map(|one| Owner::Device(one.expect("a device").device)).collect())
    });
    Bench { store, clock, app, owners, _dir: dir }
}

impl Bench {
    fn message(&self) -> Arc<Message> {
        let now = self.clock.now();
        Arc::new(Message {
            id: MessageId::fresh(),
            app: self.app,
            push_type: PushType::Single,
            title: Some("A title of the usual length".to_owned()),
            body: Some("x".repeat(550)),
            data: None,
            lane: Lane::Normal,
            silent: false,
            collapse_key: None,
            accepted_at: now,
            expires_at: now + Ttl::from_secs(24 * 3600),
            uri: None,
            look: None,
            task: None,
            options: None,
            repeat_until: None,
            revokes: None,
            key: None,
        })
    }

    /// `count` pushes to different devices, started together, until all are on disk.
    async fn push(&self, count: usize, round: usize) {
        let pushing = (0..count).map(|n| {
            let owner = self.owners[(round * 7_919 + n) % self.owners.len()];
            self.store.enqueue(self.message(), vec![owner], None)
        });
        black_box(join_all(pushing).await);
    }
}

fn commits(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut group = criterion.benchmark_group("store_commit");
    group.sample_size(20).measurement_time(Duration::from_secs(4));
    for (partitions, sizes) in [(1, &[1usize, 16, 64, 500][..]), (2, &[1_000][..])] {
        let bench = bench(&runtime, partitions);
        let mut round = 0;
        for &size in sizes {
            group.throughput(Throughput::Elements(size as u64));
            group.bench_function(BenchmarkId::new(format!("{partitions}_partitions"), size), |bencher| {
                bencher.iter(|| {
                    round += 1;
                    runtime.block_on(bench.push(size, round));
                });
            });
        }
        runtime.block_on(bench.store.close());
    }
    group.finish();
}

criterion_group!(benches, commits);
criterion_main!(benches);
