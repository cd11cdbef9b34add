//! Inner parts as the benches drive them. No other code uses it.

use std::sync::Arc;

use carillon_sdk::wire::{Ack, Frame, Lane};
use carillon_sdk::{MessageId, Timestamp, Ttl};

use crate::encoded::Encoded;
use crate::model::{App, Device, Epoch, Message, Owner, PushType, Seq};
use crate::session::{Bounds, Effects, Now, Session};
pub use crate::store::Crowd;
use crate::store::DueHint;

/// A session that is caught up, given the same message again and again at new places.
pub struct SessionStep {
    session: Session,
    bounds: Bounds,
    message: Message,
    seq: u64,
}

const DEVICE: Device = Device { app: App(1), ordinal: 1 };
const NOW: Now = Now { wall: Timestamp::from_millis(1_000_000), mono_ms: 1_000_000 };

impl SessionStep {
    #[must_use]
    pub fn caught_up() -> Self {
        let message = Message {
            id: MessageId::from_bytes([7; 16]),
            app: DEVICE.app,
            push_type: PushType::Single,
            title: Some("a title of usual length".to_owned()),
            body: None,
            data: None,
            lane: Lane::Normal,
            silent: false,
            collapse_key: None,
            accepted_at: NOW.wall,
            expires_at: NOW.wall + Ttl::from_secs(3_600),
            uri: None,
            look: None,
            task: None,
            options: None,
            repeat_until: None,
            revokes: None,
            key: None,
        };
        let bounds = Bounds { in_flight_max: 64, window_bytes_max: 48 * 1024, ack_timeout_ms: 15_000 };
        let mut session = Session::new(Epoch(1), None, 270, false, NOW);
        session.bulk(std::iter::empty(), Seq(0), &bounds, NOW, &mut Effects::new());
        Self { session, bounds, message, seq: 0 }
    }

    /// Encodes a push, hints it, and acks it; answers how many effects that had.
    pub fn push_and_ack(&mut self) -> usize {
        let prev = Seq(self.seq);
        self.seq += 1;
        let due = Arc::new(Encoded::new(&self.message, Some(Owner::Device(DEVICE)), Seq(self.seq), None));
        let mut fx = Effects::new();
        self.session.due(
            &DueHint { device: DEVICE, epoch: Epoch(1), due, prev, is_again: false },
            &self.bounds,
            NOW,
            &mut fx,
        );
        self.session.frame(Frame::Ack(Ack { seqs: vec![self.seq] }), &self.bounds, NOW, &mut fx);
        fx.len()
    }

    /// What the sweep asks of an idle session each second; answers how many effects that had.
    pub fn tick(&mut self) -> usize {
        let mut fx = Effects::new();
        self.session.tick(false, &self.bounds, NOW, &mut fx);
        fx.len()
    }
}
