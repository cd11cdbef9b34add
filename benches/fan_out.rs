//! One broadcast to a thousand sockets, from the push to the last byte read, against a bare loop of
//! writes of the same bytes to as many sockets.

#![expect(clippy::unwrap_used, reason = "a bench ends where a step fails")]

mod node;

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use carillon_actors::engine::To;
use carillon_sdk::Ttl;
use carillon_sdk::wire::{Ack, Frame, decode_body, encode};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use node::{Node, receive, send};

const DEVICES: usize = 1_000;

fn fan_out(c: &mut Criterion) {
    let system = actix::System::new();
    let (node, mut devices) = system.block_on(async {
        let node = Node::start(1).await;
        let mut devices = Vec::new();
        for _ in 0..DEVICES {
            devices.push(node.connect().await);
        }
        (node, devices)
    });
    let mut group = c.benchmark_group("fan_out");
    group.throughput(Throughput::Elements(DEVICES as u64)).sample_size(20);
    let mut frame = Vec::new();
    group.bench_function("engine", |bench| {
        bench.iter_custom(|times| {
            let mut spent = Duration::ZERO;
            for _ in 0..times {
                let push = node.message(To::All, Ttl::from_secs(5));
                let began = now();
                system.block_on(node.engine.push(push)).unwrap();
                for device in &mut devices {
                    frame = receive(device);
                }
                spent += began.elapsed();
                ack(&frame, &mut devices);
            }
            spent
        });
    });
    let mut pairs: Vec<_> = (0..DEVICES).map(|_| UnixStream::pair().unwrap()).collect();
    group.bench_function("bare", |bench| {
        bench.iter(|| {
            for (near, _) in &mut pairs {
                send(near, &frame);
            }
            for (_, far) in &mut pairs {
                receive(far);
            }
        });
    });
    group.finish();
}

/// Outside the measured span, so that the window stays open.
fn ack(frame: &[u8], devices: &mut [UnixStream]) {
    let Some(Frame::Push(push)) = decode_body(&frame[4..]).unwrap().frame else { panic!("not a push") };
    let ack = encode(&Frame::Ack(Ack { seqs: vec![push.seq] }));
    for device in devices {
        send(device, &ack);
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn now() -> Instant {
    Instant::now()
}

criterion_group!(benches, fan_out);
criterion_main!(benches);
