//! A session's decision about one push: the hint that is due, and the ack that closes it.

use carillon_actors::measured::SessionStep;
use criterion::{Criterion, criterion_group, criterion_main};

fn session_step(c: &mut Criterion) {
    let mut session = SessionStep::caught_up();
    c.bench_function("session_step/push_and_ack", |bench| bench.iter(|| session.push_and_ack()));
    let mut idle = SessionStep::caught_up();
    c.bench_function("session_step/sweep_of_an_idle_one", |bench| bench.iter(|| idle.tick()));
}

criterion_group!(benches, session_step);
criterion_main!(benches);
