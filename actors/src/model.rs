//! The engine's own names for things: dense numbers where the edge has texts, so that a queue key
//! is short and a set of devices is a bitmap.

use std::sync::Arc;

use carillon_sdk::wire::{Lane, Look};
use carillon_sdk::{MessageId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

/// A tenant: an app id with a workspace id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct App(pub u32);

/// A device of an app. Ordinals are dense and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Device {
    pub app: App,
    pub ordinal: u32,
}

impl Device {
    /// Stands for an id under which `app` has no device: a target of a push that is answered `Gone`.
    #[must_use]
    pub const fn unknown(app: App) -> Self {
        Self { app, ordinal: u32::MAX }
    }
}

/// A user of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct User {
    pub app: App,
    pub ordinal: u32,
}

/// Whose queue a pending message stands in. A message for a user stays the user's: every device
/// the user is logged in on reads that one queue, so unbinding withdraws by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Owner {
    Device(Device),
    User(User),
}

impl Owner {
    #[must_use]
    pub const fn app(self) -> App {
        match self {
            Self::Device(device) => device.app,
            Self::User(user) => user.app,
        }
    }
}

/// The order of acceptance: one counter for the whole store, drawn when a partition takes the
/// operation in hand, so a push accepted before another began has the smaller number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Seq(pub u64);

/// A session's number: greater than that of any earlier session of any device, over restarts too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Epoch(pub u64);

/// A shard, by its place in the router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ShardNo(pub u16);

/// How a push was asked for: a dimension of statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum PushType {
    /// To devices or users named one by one.
    Single = 1,
    /// To each of a list its own words.
    Multiple = 2,
    /// To an audience.
    Broadcast = 3,
    /// As `Single`, in the words of a template.
    Template = 4,
}

impl PushType {
    /// In the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Single, Self::Multiple, Self::Broadcast, Self::Template];

    /// As the API, statistics and metrics have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Multiple => "multiple",
            Self::Broadcast => "broadcast",
            Self::Template => "template",
        }
    }
}

/// What a multiple push, a broadcast or a campaign is counted and found by. Drawn from the counter
/// of places, so it is unique in the store; below 2^53, which every JSON reader can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Task(pub u64);

impl std::fmt::Display for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What is sent, before it has a place in any queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    pub id: MessageId,
    pub app: App,
    pub push_type: PushType,
    pub title: Option<String>,
    pub body: Option<String>,
    /// A JSON object, as text.
    pub data: Option<String>,
    pub lane: Lane,
    pub silent: bool,
    pub collapse_key: Option<String>,
    pub accepted_at: Timestamp,
    /// Equal to `accepted_at` for an online-only push.
    pub expires_at: Timestamp,
    /// Where a tap leads: a URL or a deep link.
    #[serde(default)]
    pub uri: Option<String>,
    #[serde(default, serialize_with = "every_field")]
    pub look: Option<Look>,
    #[serde(default)]
    pub task: Option<Task>,
    /// What only phone makers' channels and other roads need, a JSON object as text: kept with the
    /// record, never sent to the device.
    #[serde(default)]
    pub options: Option<String>,
    /// A push with this id is known again until then; the store's own time when none or later.
    #[serde(default)]
    pub repeat_until: Option<Timestamp>,
    /// This is no message of its own but withdraws that one from devices that may show it.
    #[serde(default)]
    pub revokes: Option<MessageId>,
    /// The caller's own name for it, given back in receipts; never sent to the device.
    #[serde(default)]
    pub key: Option<String>,
}

/// A look leaves out what is as usual, which is well where fields have names. A row has them by place.
fn every_field<S: serde::Serializer>(look: &Option<Look>, to: S) -> Result<S::Ok, S::Error> {
    let whole = look.as_ref().map(|Look { style, action, icon_url, image_url, channel_id }| {
        (style, action, icon_url, image_url, channel_id)
    });
    whole.serialize(to)
}

impl Message {
    /// Bytes of payload, for the limits of a queue.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        [&self.title, &self.body, &self.data, &self.uri, &self.options]
            .iter()
            .map(|text| text.as_ref().map_or(0, String::len))
            .sum()
    }

    /// The push frame for the queue place `seq`, for `user` when it is a user's.
    #[must_use]
    pub fn frame(&self, seq: Seq, user: Option<&UserId>) -> carillon_sdk::wire::Push {
        carillon_sdk::wire::Push {
            seq: seq.0,
            message_id: self.id,
            title: self.title.clone(),
            body: self.body.clone(),
            data: self.data.as_deref().and_then(|text| serde_json::from_str(text).ok()),
            lane: self.lane,
            silent: self.silent,
            uri: self.uri.clone(),
            look: self.look.clone().map(Box::new),
            collapse_key: self.collapse_key.clone(),
            sent_at: self.accepted_at,
            expires_at: if self.expires_at == self.accepted_at {
                Timestamp::default()
            } else {
                self.expires_at
            },
            user_id: user.cloned(),
        }
    }
}

/// A message in its place in a queue, ready to be written to sockets.
pub type Due = Arc<crate::encoded::Encoded>;

#[cfg(test)]
mod tests {
    use carillon_sdk::wire::{Style, TapAction};

    use super::*;

    #[test]
    fn a_row_gives_back_every_look_whatever_is_as_usual_in_it() {
        let text = |on: bool| on.then(|| "news".to_owned());
        for bits in 0_u8..32 {
            let on = |bit: u8| bits & (1 << bit) != 0;
            let look = Look {
                style: if on(0) { Style::Rich } else { Style::Text },
                action: if on(1) { TapAction::App } else { TapAction::Web },
                icon_url: text(on(2)),
                image_url: text(on(3)),
                channel_id: text(on(4)),
            };
            let message = Message {
                id: MessageId::from_bytes([7; 16]),
                app: App(1),
                push_type: PushType::Single,
                title: None,
                body: None,
                data: None,
                lane: Lane::Normal,
                silent: false,
                collapse_key: None,
                accepted_at: Timestamp::from_millis(1),
                expires_at: Timestamp::from_millis(2),
                uri: None,
                look: Some(look),
                task: None,
                options: Some("{}".to_owned()),
                repeat_until: None,
                revokes: None,
                key: None,
            };
            let row = rmp_serde::to_vec(&message).unwrap();
            assert_eq!(rmp_serde::from_slice::<Message>(&row).unwrap(), message);
        }
    }
}
