//! A push, encoded once and shared by every socket it is written to.

use std::sync::OnceLock;

use bytes::Bytes;
use carillon_sdk::wire::{Frame, Lane, Revoke};
use carillon_sdk::{MessageId, Timestamp, UserId};

use crate::model::{Message, Owner, PushType, Seq, Task};

/// A message at a place in a queue (or in an app's log, where `owner` is none), with its bytes.
#[derive(Debug)]
pub struct Encoded {
    pub owner: Option<Owner>,
    pub seq: Seq,
    pub id: MessageId,
    pub lane: Lane,
    pub push_type: PushType,
    pub task: Option<Task>,
    pub accepted_at: Timestamp,
    pub expires_at: Timestamp,
    /// True for a push that was never stored: `ttl: 0`.
    pub online_only: bool,
    /// For the app alone: nothing was shown that could be withdrawn.
    pub silent: bool,
    /// Not a push: it withdraws that message from who may show it, and is told of nowhere.
    pub revokes: Option<MessageId>,
    native: Bytes,
    text: OnceLock<Bytes>,
}

impl Encoded {
    /// `user` is given when the queue is a user's.
    #[must_use]
    pub fn new(message: &Message, owner: Option<Owner>, seq: Seq, user: Option<&UserId>) -> Self {
        let frame = match message.revokes {
            Some(message_id) => Frame::Revoke(Revoke { message_id, seq: seq.0 }),
            None => Frame::Push(message.frame(seq, user)),
        };
        Self {
            owner,
            seq,
            id: message.id,
            lane: message.lane,
            push_type: message.push_type,
            task: message.task,
            accepted_at: message.accepted_at,
            expires_at: message.expires_at,
            online_only: message.expires_at == message.accepted_at,
            silent: message.silent,
            revokes: message.revokes,
            native: carillon_sdk::wire::encode(&frame),
            text: OnceLock::new(),
        }
    }

    /// Length and body, as TCP and TLS carry it.
    #[must_use]
    pub fn native(&self) -> &Bytes {
        &self.native
    }

    /// The body alone: a WebSocket binary message.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.native[4..]
    }

    /// The same as JSON: a WebSocket text message. Made when first asked for.
    #[must_use]
    pub fn text(&self) -> &Bytes {
        self.text.get_or_init(|| {
            carillon_sdk::wire::decode_body(self.body())
                .ok()
                .and_then(|decoded| decoded.frame)
                .map(|frame| carillon_sdk::wire::encode_json(&frame))
                .unwrap_or_default()
        })
    }
}
