//! The device client against a server that a test plays by hand, over real sockets.

mod played;
mod sessions;
mod transports;

use crate::wire::{Ack, Frame, Push};
use crate::{MessageId, Timestamp, UserId};

/// The server's wall time in these tests.
const NOW: Timestamp = Timestamp::from_millis(1_760_000_000_000);

fn user(text: &str) -> UserId {
    UserId::parse(text).unwrap()
}

fn push(seq: u64) -> Push {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&seq.to_be_bytes());
    Push {
        seq,
        message_id: MessageId::from_bytes(id),
        title: Some(format!("title {seq}")),
        body: None,
        data: None,
        lane: crate::wire::Lane::Normal,
        silent: false,
        uri: None,
        look: None,
        collapse_key: None,
        sent_at: NOW,
        expires_at: NOW + crate::Ttl::from_secs(3_600),
        user_id: None,
    }
}

fn ack(seqs: impl Into<Vec<u64>>) -> Frame {
    Frame::Ack(Ack { seqs: seqs.into() })
}
