//! The values of a partition's tree. Queue places, of which there are most, have a layout of their
//! own; the rest is MessagePack, whose structs may gain fields at the end (with a default).

use std::collections::BTreeMap;

use carillon_sdk::api::{Platform, Scope};
use carillon_sdk::{AppId, DeviceId, KeyId, MessageId, Timestamp, UserId, WorkspaceId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::disk::Failed;
use super::history::push_type_of;
use super::log::Reach;
use crate::model::{App, Device, Message, Owner, PushType, Seq, Task, User};

/// In the byte of the push type: eight bytes of a task follow.
const WITH_TASK: u8 = 0x80;
/// The same: it is no push, but withdraws one.
const REVOKES: u8 = 0x40;
/// The same: devices follow whom only a vendor may give it.
const HELD: u8 = 0x20;

/// Few devices: a user's.
pub(super) type Devices = SmallVec<[u32; 4]>;

/// A place in a queue, without the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PendingRow {
    pub expires_at: Timestamp,
    pub accepted_at: Timestamp,
    /// Of payload.
    pub bytes: u32,
    pub push_type: PushType,
    pub task: Option<Task>,
    pub id: MessageId,
    /// It is no push but withdraws one: told of nowhere.
    pub revokes: bool,
    /// Of a user's queue: the devices it is due to whoever else acked.
    pub listed: Devices,
    pub acked: Devices,
    /// Of those, the devices to which a vendor's channel carries it: no session does.
    pub held: Devices,
}

impl PendingRow {
    /// Whether every device it was listed for has acked.
    #[must_use]
    pub(super) fn is_done(&self) -> bool {
        !self.acked.is_empty() && self.listed.iter().all(|device| self.acked.contains(device))
    }

    /// Whether a place in a user's queue waits for a device now bound to that user.
    fn waits_for(&self, device: u32) -> bool {
        !self.acked.contains(&device) && (self.acked.is_empty() || self.listed.contains(&device))
    }

    /// Whether the device of an owner is to get it, by whatever road.
    #[must_use]
    pub(super) fn is_owed_to(&self, owner: Owner, device: u32) -> bool {
        match owner {
            Owner::Device(of) => of.ordinal == device,
            Owner::User(_) => self.waits_for(device),
        }
    }

    #[must_use]
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut to = Vec::with_capacity(52 + 4 * (self.listed.len() + self.acked.len()));
        to.extend_from_slice(&self.expires_at.as_millis().to_be_bytes());
        to.extend_from_slice(&self.accepted_at.as_millis().to_be_bytes());
        to.extend_from_slice(&self.bytes.to_be_bytes());
        let with_task = if self.task.is_some() { WITH_TASK } else { 0 };
        let revokes = if self.revokes { REVOKES } else { 0 };
        let held = if self.held.is_empty() { 0 } else { HELD };
        to.push(self.push_type as u8 | with_task | revokes | held);
        if let Some(task) = self.task {
            to.extend_from_slice(&task.0.to_be_bytes());
        }
        to.extend_from_slice(self.id.as_bytes());
        if !self.held.is_empty() {
            to.extend_from_slice(&(self.held.len() as u32).to_be_bytes());
            self.held.iter().for_each(|ordinal| to.extend_from_slice(&ordinal.to_be_bytes()));
        }
        if !self.listed.is_empty() || !self.acked.is_empty() {
            to.extend_from_slice(&(self.listed.len() as u32).to_be_bytes());
            for ordinal in self.listed.iter().chain(&self.acked) {
                to.extend_from_slice(&ordinal.to_be_bytes());
            }
        }
        to
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Failed> {
        Self::read(bytes).ok_or_else(|| Failed("a place in a queue that cannot be read".to_owned()))
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (expires_at, rest) = bytes.split_first_chunk::<8>()?;
        let (accepted_at, rest) = rest.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (&push_type, mut rest) = rest.split_first()?;
        let mut task = None;
        if push_type & WITH_TASK != 0 {
            let (number, after) = rest.split_first_chunk::<8>()?;
            task = Some(Task(u64::from_be_bytes(*number)));
            rest = after;
        }
        let (id, mut rest) = rest.split_first_chunk::<16>()?;
        let mut held = Devices::new();
        if push_type & HELD != 0 {
            let (count, after) = rest.split_first_chunk::<4>()?;
            let (ordinals, after) = after.split_at_checked(u32::from_be_bytes(*count) as usize * 4)?;
            held.extend(ordinals.chunks_exact(4).map(|at| u32::from_be_bytes([at[0], at[1], at[2], at[3]])));
            rest = after;
        }
        let (mut listed, mut acked) = (Devices::new(), Devices::new());
        if let Some((count, rest)) = rest.split_first_chunk::<4>() {
            let count = u32::from_be_bytes(*count) as usize;
            let mut ordinals =
                rest.chunks_exact(4).map(|at| u32::from_be_bytes([at[0], at[1], at[2], at[3]]));
            listed.extend(ordinals.by_ref().take(count));
            acked.extend(ordinals);
        }
        Some(Self {
            expires_at: Timestamp::from_millis(u64::from_be_bytes(*expires_at)),
            accepted_at: Timestamp::from_millis(u64::from_be_bytes(*accepted_at)),
            bytes: u32::from_be_bytes(*length),
            push_type: push_type_of(push_type & !(WITH_TASK | REVOKES | HELD))?,
            task,
            id: MessageId::from_bytes(*id),
            revokes: push_type & REVOKES != 0,
            listed,
            acked,
            held,
        })
    }
}

/// Owners within one app.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Owners {
    pub devices: Vec<u32>,
    pub users: Vec<u32>,
}

impl Owners {
    pub(super) fn push(&mut self, owner: Owner) {
        match owner {
            Owner::Device(device) => self.devices.push(device.ordinal),
            Owner::User(user) => self.users.push(user.ordinal),
        }
    }

    #[must_use]
    pub(super) fn contains(&self, owner: Owner) -> bool {
        match owner {
            Owner::Device(device) => self.devices.contains(&device.ordinal),
            Owner::User(user) => self.users.contains(&user.ordinal),
        }
    }

    #[must_use]
    pub(super) fn len(&self) -> usize {
        self.devices.len() + self.users.len()
    }

    pub(super) fn of(&self, app: App) -> impl Iterator<Item = Owner> {
        let devices = self.devices.iter().map(move |&ordinal| Owner::Device(Device { app, ordinal }));
        devices.chain(self.users.iter().map(move |&ordinal| Owner::User(User { app, ordinal })))
    }
}

/// A message, and whose queues in this partition refer to it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MessageRow<M = Message> {
    pub message: M,
    pub owners: Owners,
}

/// Where a repeatable message was put, in one partition.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct RepeatRow {
    /// A retry may come until then.
    pub until: Timestamp,
    pub places: Vec<(Seq, Owners)>,
    /// Of a broadcast: the number of devices answered.
    #[serde(default)]
    pub devices: u32,
    /// The caller's own name for it.
    #[serde(default)]
    pub key: Option<String>,
    #[serde(default)]
    pub accepted_at: Timestamp,
}

impl RepeatRow {
    #[must_use]
    pub(super) fn contains(&self, owner: Owner) -> bool {
        self.places.iter().any(|(_, owners)| owners.contains(owner))
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AppRow {
    pub app_id: AppId,
    pub workspace_id: WorkspaceId,
    pub name: Option<String>,
    pub client_key: String,
    pub created_at: Timestamp,
    #[serde(default)]
    pub disabled_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct KeyRow {
    pub key_id: KeyId,
    pub app: App,
    pub name: Option<String>,
    pub scopes: Vec<Scope>,
    pub bearer: bool,
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// Address ranges; empty: any.
    #[serde(default)]
    pub allow: Vec<String>,
    #[serde(default)]
    pub used: Option<KeyUse>,
}

/// When and whence a key was last used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeyUse {
    pub at: Timestamp,
    pub from: std::net::IpAddr,
}

impl KeyRow {
    #[must_use]
    pub(super) fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

/// None in its place when the device was deleted: its ordinal is never given out again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct DeviceRow {
    pub device_id: DeviceId,
    pub platform: Platform,
    pub app_version: Option<String>,
    pub maker: Option<String>,
    pub locale: Option<String>,
    pub time_zone: Option<String>,
    pub generation: u32,
    pub user: Option<u32>,
    pub registered_at: Timestamp,
    /// Seconds since 1970; 0 never.
    pub last_seen_s: u32,
    /// Channel → token, in a row of a build that kept them here; empty since.
    pub vendor: BTreeMap<String, String>,
    /// In alphabetical order.
    #[serde(default)]
    pub tags: Vec<String>,
    /// When a user was last bound or unbound, or it was registered; 0 in a row from before this
    /// was kept.
    #[serde(default)]
    pub binding_changed_s: u32,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct UserRow {
    pub user_id: UserId,
    /// In alphabetical order.
    #[serde(default)]
    pub tags: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct BroadcastRow<M = Message> {
    pub message: M,
    /// Answered when it was accepted or planned.
    pub devices: u32,
    #[serde(default)]
    pub reach: Reach,
    /// All verdicts are given; it is kept to say so, until it expires.
    #[serde(default)]
    pub revoked: bool,
}

/// A task that was revoked: nothing of it is taken in any more.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct RevokedRow {
    pub at: Timestamp,
    /// All queues were walked, and everybody told.
    pub done: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AnswerRow {
    pub body: [u8; 32],
    pub until: Timestamp,
    pub answer: bytes::Bytes,
}

pub(super) fn encode<R: Serialize>(row: &R) -> Vec<u8> {
    rmp_serde::to_vec(row).expect("a row of ours is plain data")
}

pub(super) fn decode<R: DeserializeOwned>(bytes: &[u8]) -> Result<R, Failed> {
    rmp_serde::from_slice(bytes).map_err(|error| {
        Failed(format!("a row of {} that cannot be read: {error}", std::any::type_name::<R>()))
    })
}
