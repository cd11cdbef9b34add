//! From the edge's thread to a shard's and back: an online-only push to a device that is offline,
//! which touches no disk and no socket.

#![expect(clippy::unwrap_used, reason = "a bench ends where a step fails")]

#[expect(dead_code, reason = "each bench uses its part")]
mod node;

use carillon_actors::engine::{Outcome, To};
use carillon_sdk::Ttl;
use criterion::{Criterion, criterion_group, criterion_main};
use node::Node;

fn router_hop(c: &mut Criterion) {
    let system = actix::System::new();
    let (node, device) = system.block_on(async {
        let node = Node::start(1).await;
        let device = node.register().await;
        (node, device)
    });
    c.bench_function("router_hop", |bench| {
        bench.iter(|| {
            let push = node.message(To::Devices(vec![device]), Ttl::ZERO);
            let pushed = system.block_on(node.engine.push(push)).unwrap();
            assert_eq!(pushed.outcomes, [Outcome::Offline]);
        });
    });
}

criterion_group!(benches, router_hop);
criterion_main!(benches);
