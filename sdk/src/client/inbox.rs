//! What a device does with a push: show it, or not, and ack it, or not. Pure.
//!
//! ```text
//!                          ┌─ held, acked ────▶ ack again
//!  Push ─▶ seen before? ───┤
//!             │            └─ held, not acked ▶ nothing: the app has it in hand
//!             └─▶ expired, revoked, or another user's ─▶ nothing: the server will decide
//!                          └─ else ───────────▶ the app
//! ```

use std::collections::{HashMap, VecDeque};

use crate::ids::{MessageId, UserId};
use crate::time::Timestamp;
use crate::wire::{HOLDING_MAX, Push};

/// Messages remembered, so as to know a repeat.
const SEEN_MAX: usize = 1_000;

/// Revoked ones remembered, so that one that is still on its way is not shown.
const REVOKED_MAX: usize = 1_000;

/// What is to become of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    New,
    /// Seen and acked: the ack was lost, or came too late.
    RepeatAcked,
    /// Seen, and the app has not acked it yet.
    RepeatHeld,
    Expired,
    /// Its Revoke came before it.
    Revoked,
    /// For a user other than the one bound to this device.
    OtherUser,
}

/// What a device remembers from one connection to the next.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// Message → whether it was acked, and the order in which they came.
    seen: HashMap<MessageId, bool>,
    order: VecDeque<MessageId>,
    /// The latest messages that were revoked.
    revoked: VecDeque<MessageId>,
    /// Acked since the last Welcome: these acks may not have reached the server.
    holding: VecDeque<u64>,
}

impl Inbox {
    /// Judges a push without taking it.
    pub(super) fn judge(&self, push: &Push, user: Option<&UserId>, now: Timestamp) -> Verdict {
        if self.revoked.contains(&push.message_id) && !self.seen.contains_key(&push.message_id) {
            return Verdict::Revoked;
        }
        match self.seen.get(&push.message_id) {
            Some(true) => return Verdict::RepeatAcked,
            Some(false) => return Verdict::RepeatHeld,
            None => {}
        }
        if push.user_id.is_some() && push.user_id.as_ref() != user {
            return Verdict::OtherUser;
        }
        // 0 marks a push that was never stored: it lives as long as its way.
        if push.expires_at != Timestamp::default() && now >= push.expires_at {
            return Verdict::Expired;
        }
        Verdict::New
    }

    /// Remembers a push that the app was given.
    pub(super) fn take(&mut self, message: MessageId) {
        if self.seen.insert(message, false).is_none() {
            self.order.push_back(message);
        }
        if self.order.len() > SEEN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
    }

    /// Remembers that the push was acked.
    pub(super) fn ack(&mut self, message: MessageId, seq: u64) {
        if let Some(acked) = self.seen.get_mut(&message) {
            *acked = true;
        }
        self.hold(seq);
    }

    /// Another road brought the message: a copy that comes by ours is a repeat, and acked. False when
    /// the app was given it before, or it was revoked: there is nothing to show.
    pub(super) fn brought(&mut self, message: MessageId) -> bool {
        if self.is_revoked(message) || self.seen.contains_key(&message) {
            return false;
        }
        self.take(message);
        self.seen.insert(message, true);
        true
    }

    /// Whether a revoked message is news to the app.
    pub(super) fn is_revoked(&self, message: MessageId) -> bool {
        self.revoked.contains(&message)
    }

    /// Remembers that it was revoked: it is never shown from now on.
    pub(super) fn revoke(&mut self, message: MessageId) {
        if self.revoked.len() == REVOKED_MAX {
            self.revoked.pop_front();
        }
        self.revoked.push_back(message);
    }

    /// Remembers that this place was acked.
    pub(super) fn hold(&mut self, seq: u64) {
        if self.holding.len() == HOLDING_MAX {
            self.holding.pop_front();
        }
        self.holding.push_back(seq);
    }

    /// For Hello: the acks that may have been lost.
    pub(super) fn holding(&self) -> Vec<u64> {
        self.holding.iter().copied().collect()
    }

    /// A Welcome came: the server has what Hello held.
    pub(super) fn welcomed(&mut self) {
        self.holding.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Lane;

    fn push(number: u64, user: Option<&str>) -> Push {
        let mut id = [0; 16];
        id[8..].copy_from_slice(&number.to_be_bytes());
        Push {
            seq: number,
            message_id: MessageId::from_bytes(id),
            title: None,
            body: None,
            data: None,
            lane: Lane::Normal,
            silent: false,
            uri: None,
            look: None,
            collapse_key: None,
            sent_at: Timestamp::from_millis(1_000),
            expires_at: Timestamp::from_millis(2_000),
            user_id: user.map(|user| UserId::parse(user).unwrap()),
        }
    }

    const NOW: Timestamp = Timestamp::from_millis(1_999);

    #[test]
    fn a_push_is_new_once() {
        let mut inbox = Inbox::default();
        let push = push(1, None);
        assert_eq!(inbox.judge(&push, None, NOW), Verdict::New);
        inbox.take(push.message_id);
        assert_eq!(inbox.judge(&push, None, NOW), Verdict::RepeatHeld);
        inbox.ack(push.message_id, push.seq);
        assert_eq!(inbox.judge(&push, None, NOW), Verdict::RepeatAcked);
    }

    #[test]
    fn what_another_road_brought_is_a_repeat_here_and_news_there_once() {
        let mut inbox = Inbox::default();
        let (one, other, gone) = (push(1, None), push(2, None), push(3, None));
        assert!(inbox.brought(one.message_id) && !inbox.brought(one.message_id));
        assert_eq!(inbox.judge(&one, None, NOW), Verdict::RepeatAcked);
        inbox.take(other.message_id);
        assert!(!inbox.brought(other.message_id), "the app has it from here");
        inbox.revoke(gone.message_id);
        assert!(!inbox.brought(gone.message_id));
    }

    #[test]
    fn a_thousand_messages_are_remembered() {
        let mut inbox = Inbox::default();
        for number in 0..=1_000 {
            inbox.take(push(number, None).message_id);
        }
        assert_eq!(inbox.judge(&push(0, None), None, NOW), Verdict::New);
        assert_eq!(inbox.judge(&push(1, None), None, NOW), Verdict::RepeatHeld);
        assert_eq!((inbox.seen.len(), inbox.order.len()), (1_000, 1_000));
    }

    #[test]
    fn a_push_whose_revoke_came_first_is_not_for_the_app() {
        let mut inbox = Inbox::default();
        let (shown, late) = (push(1, None), push(2, None));
        inbox.take(shown.message_id);
        inbox.revoke(shown.message_id);
        inbox.revoke(late.message_id);
        assert_eq!(inbox.judge(&late, None, NOW), Verdict::Revoked);
        assert_eq!(inbox.judge(&shown, None, NOW), Verdict::RepeatHeld, "it was shown before");
        for number in 10..1_010 {
            inbox.revoke(push(number, None).message_id);
        }
        assert_eq!(inbox.revoked.len(), 1_000);
    }

    #[test]
    fn a_push_expires_at_the_millisecond_it_names() {
        let inbox = Inbox::default();
        assert_eq!(inbox.judge(&push(1, None), None, Timestamp::from_millis(2_000)), Verdict::Expired);
        let online_only = Push { expires_at: Timestamp::default(), ..push(1, None) };
        assert_eq!(inbox.judge(&online_only, None, NOW), Verdict::New);
    }

    #[test]
    fn a_push_for_another_user_is_not_for_this_device() {
        let inbox = Inbox::default();
        let anna = UserId::parse("anna").unwrap();
        assert_eq!(inbox.judge(&push(1, Some("anna")), Some(&anna), NOW), Verdict::New);
        assert_eq!(inbox.judge(&push(1, Some("ben")), Some(&anna), NOW), Verdict::OtherUser);
        assert_eq!(inbox.judge(&push(1, Some("anna")), None, NOW), Verdict::OtherUser);
        assert_eq!(inbox.judge(&push(1, None), Some(&anna), NOW), Verdict::New);
    }

    #[test]
    fn the_last_256_acks_are_held_until_a_welcome() {
        let mut inbox = Inbox::default();
        for seq in 0..300 {
            inbox.ack(push(seq, None).message_id, seq);
        }
        assert_eq!(inbox.holding(), (44..300).collect::<Vec<u64>>());
        inbox.welcomed();
        assert_eq!(inbox.holding(), Vec::<u64>::new());
    }
}
