//! Pushes in, and the answers to requests that may be repeated.

use std::sync::Arc;

use bytes::Bytes;
use carillon_sdk::Timestamp;
use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::super::intake::{Reserved, Weight};
use super::super::work::{Op, Write};
use super::super::{Begun, Enqueued, Error, Idempotency, IdempotencyGuard, Nonce, Store};
use crate::audience::Audience;
use crate::model::{App, Message, Owner};

/// One partition's share of an enqueue: its targets, and where each stands in the request.
#[derive(Default)]
struct Share {
    targets: SmallVec<[Owner; 2]>,
    places: SmallVec<[usize; 2]>,
}

impl Store {
    /// One outcome a target, in their order, after every partition concerned has committed. The
    /// message ids make it safe to repeat. `Unknown` when any partition failed under way.
    pub async fn enqueue(
        &self,
        message: Arc<Message>,
        targets: Vec<Owner>,
        mut nonce: Option<Nonce>,
    ) -> Result<Vec<Enqueued>, Error> {
        let shared = &self.0.shared;
        if shared.failure.is_some() {
            return Err(Error::Unavailable);
        }
        let mut shares: SmallVec<[Share; 4]> = shared.ports.iter().map(|_| Share::default()).collect();
        for (place, &target) in targets.iter().enumerate() {
            let share = &mut shares[shared.partition_of(target)];
            share.targets.push(target);
            share.places.push(place);
        }
        let reserved = self.reserve_all(message.app, &shares)?;
        let mut waiting: SmallVec<[_; 4]> = SmallVec::new();
        for (partition, reserved) in reserved {
            let (reply, answer) = oneshot::channel();
            let share = std::mem::take(&mut shares[partition]);
            let message = Arc::clone(&message);
            let write = Write::Enqueue { message, targets: share.targets, nonce: nonce.take(), reply };
            shared.ports[partition].intake.fill(reserved, Op::Write(write));
            waiting.push((share.places, answer));
        }
        let mut outcomes = vec![Enqueued::Gone; targets.len()];
        let mut failed = None;
        let several = waiting.len() > 1;
        for (places, answer) in waiting {
            match answer.await.unwrap_or(Err(Error::Unknown)) {
                Ok(of_share) => {
                    for (at, outcome) in places.into_iter().zip(of_share) {
                        outcomes[at] = outcome;
                    }
                }
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            None => Ok(outcomes),
            // Another partition may have committed its share.
            Some(_) if several => Err(Error::Unknown),
            Some(error) => Err(error),
        }
    }

    /// A place in every intake concerned, or in none.
    fn reserve_all(&self, app: App, shares: &[Share]) -> Result<SmallVec<[(usize, Reserved); 4]>, Error> {
        let ports = &self.0.shared.ports;
        let mut held: SmallVec<[(usize, Reserved); 4]> = SmallVec::new();
        for (partition, share) in shares.iter().enumerate() {
            if share.targets.is_empty() {
                continue;
            }
            let weight = Weight { ops: share.targets.len(), lazy: false };
            match ports[partition].intake.reserve(app, weight) {
                Ok(reserved) => held.push((partition, reserved)),
                Err(error) => {
                    for (partition, reserved) in held {
                        ports[partition].intake.release(reserved);
                    }
                    return Err(error);
                }
            }
        }
        Ok(held)
    }

    /// Appends to the app's log. Answers the number of devices registered at that moment.
    /// `Exists` when the log is full.
    pub async fn broadcast(
        &self,
        message: Arc<Message>,
        audience: Audience,
        nonce: Option<Nonce>,
    ) -> Result<u32, Error> {
        let app = message.app;
        let partition = self.0.shared.partition_of_app(app);
        self.write(partition, app, |reply| Write::Broadcast { message, audience, nonce, reply }).await
    }

    /// A request's nonce made durable when the request causes no other commit.
    pub async fn remember_nonce(&self, app: App, nonce: Nonce) -> Result<(), Error> {
        let partition = self.0.shared.partition_of_app(app);
        self.write(partition, app, |reply| Write::Nonce { nonce, reply }).await
    }

    #[must_use]
    pub fn idempotency_begin(&self, app: App, idempotency: &Idempotency) -> Begun {
        self.0.shared.answers.begin(app, idempotency, self.now())
    }

    /// Records the answer, to be kept until `until`.
    pub async fn idempotency_finish(
        &self,
        guard: IdempotencyGuard,
        answer: Vec<u8>,
        until: Timestamp,
    ) -> Result<(), Error> {
        let (app, idempotency) = (guard.app, guard.idempotency.clone());
        let answer = Bytes::from(answer);
        let partition = self.0.shared.partition_of_app(app);
        let finished = self
            .write(partition, app, |reply| Write::Answer { app, idempotency, answer, until, reply })
            .await;
        drop(guard);
        finished
    }
}
