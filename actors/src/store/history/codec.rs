//! A record as bytes: about 40 for a device, a version in front.
//!
//! ```text
//! version 1 (+1 with a task, +3 with a detail) · step · push type · whom's kind · platform (0 none) · channel · reason (0 none) · lane (0 no head)
//! id 16 · at v · app v · [task v, in version 2] · [expires_at v, with a lane] · [detail length 1 · detail, with one] · version length 1 · version …
//! ordinal v, or for a group the bitmap, to the end        (v: varint)
//! ```
//!
//! A marker stands in front of the records of one commit: version 3 · "commit " · its number u64.
//!
//! The codes below are on disk for as long as files are kept: add, never change.

use std::sync::Arc;

use carillon_sdk::api::{Platform, Step};
use carillon_sdk::wire::Lane;
use carillon_sdk::{MessageId, Timestamp};
use roaring::RoaringBitmap;

use super::record::{Channel, MessageHead, Reason, Record, Whom};
use super::varint;
use crate::model::{App, PushType, Task};

const VERSION: u8 = 1;
const WITH_TASK: u8 = 2;
/// Added to the version. Not 2: the marker begins with a 3.
const WITH_DETAIL: u8 = 3;
/// Longest detail kept, in bytes.
const DETAIL_BYTES_MAX: usize = 64;
/// In place of a version: no record, but the number of the commit whose records follow.
const MARKER: &[u8; 8] = b"\x03commit ";

/// With the lane: of a silent message.
const SILENT: u8 = 0x80;

const DEVICE: u8 = 0;
const USER: u8 = 1;
const GROUP: u8 = 2;

/// Longest app version kept, in bytes.
const APP_VERSION_BYTES_MAX: usize = 255;

pub(super) fn encode(record: &Record, to: &mut Vec<u8>) {
    let whom = match record.whom {
        Whom::Device(_) => DEVICE,
        Whom::User(_) => USER,
        Whom::Group(_) => GROUP,
    };
    to.extend_from_slice(&[
        if record.task.is_some() { WITH_TASK } else { VERSION }
            + if record.detail.is_some() { WITH_DETAIL } else { 0 },
        step_code(record.step),
        record.push_type as u8,
        whom,
        record.platform.map_or(0, platform_code),
        record.channel.code(),
        record.reason.map_or(0, |reason| reason as u8),
        record.message.map_or(0, |head| lane_code(head.lane) | if head.silent { SILENT } else { 0 }),
    ]);
    to.extend_from_slice(record.id.as_bytes());
    varint::put(to, record.at.as_millis());
    varint::put(to, u64::from(record.app.0));
    if let Some(task) = record.task {
        varint::put(to, task.0);
    }
    if let Some(head) = record.message {
        varint::put(to, head.expires_at.as_millis());
    }
    if let Some(detail) = &record.detail {
        let detail = cut(detail, DETAIL_BYTES_MAX);
        to.push(detail.len() as u8);
        to.extend_from_slice(detail.as_bytes());
    }
    let version = record.app_version.as_deref().map_or("", |text| cut(text, APP_VERSION_BYTES_MAX));
    to.push(version.len() as u8);
    to.extend_from_slice(version.as_bytes());
    match &record.whom {
        Whom::Device(ordinal) | Whom::User(ordinal) => varint::put(to, u64::from(*ordinal)),
        Whom::Group(devices) => {
            devices.serialize_into(to).expect("writing to a Vec does not fail");
        }
    }
}

/// None when the bytes are not a record of a version we know. The caller has checked their
/// checksum, so this is another build's doing, not the disk's.
pub(super) fn decode(mut body: &[u8]) -> Option<Record> {
    let from = &mut body;
    let [version, step, push_type, whom, platform, channel, reason, lane] = *take::<8>(from)?;
    let (version, has_detail) = match version {
        VERSION | WITH_TASK => (version, false),
        _ => (version.checked_sub(WITH_DETAIL)?, true),
    };
    if version != VERSION && version != WITH_TASK {
        return None;
    }
    let id = MessageId::from_bytes(*take::<16>(from)?);
    let at = Timestamp::from_millis(varint::take(from)?);
    let app = App(varint::take(from)?.try_into().ok()?);
    let task = if version == WITH_TASK { Some(Task(varint::take(from)?)) } else { None };
    let message = match lane {
        0 => None,
        code => Some(MessageHead {
            lane: lane_of(code & !SILENT)?,
            expires_at: Timestamp::from_millis(varint::take(from)?),
            silent: code & SILENT != 0,
        }),
    };
    let detail = if has_detail { Some(text(from)?.into()) } else { None };
    let version_text = text(from)?;
    let app_version = if version_text.is_empty() { None } else { Some(Arc::from(version_text)) };
    let whom = match whom {
        GROUP => Whom::Group(RoaringBitmap::deserialize_from(&mut *from).ok()?),
        kind => {
            let ordinal = varint::take(from)?.try_into().ok()?;
            match kind {
                DEVICE => Whom::Device(ordinal),
                USER => Whom::User(ordinal),
                _ => return None,
            }
        }
    };
    from.is_empty().then_some(())?;
    Some(Record {
        at,
        app,
        id,
        push_type: push_type_of(push_type)?,
        task,
        step: step_of(step)?,
        whom,
        platform: optional(platform, platform_of)?,
        app_version,
        channel: Channel::from_code(channel)?,
        reason: optional(reason, Reason::from_code)?,
        detail,
        message,
    })
}

/// Whose record it is, without reading all of it.
pub(super) fn app_of(body: &[u8]) -> Option<App> {
    let mut from = body.get(8 + 16..)?;
    varint::take(&mut from)?;
    varint::take(&mut from)?.try_into().ok().map(App)
}

pub(super) fn encode_marker(commit: u64, to: &mut Vec<u8>) {
    to.extend_from_slice(MARKER);
    to.extend_from_slice(&commit.to_be_bytes());
}

/// The number of the commit whose records follow; none when this is no marker.
pub(super) fn marker_of(body: &[u8]) -> Option<u64> {
    let (marker, number) = body.split_first_chunk::<8>()?;
    (marker == MARKER && number.len() == 8).then_some(())?;
    number.first_chunk().map(|number| u64::from_be_bytes(*number))
}

/// A length and so many bytes of text.
fn text<'a>(from: &mut &'a [u8]) -> Option<&'a str> {
    let [length] = *take::<1>(from)?;
    let (text, rest) = from.split_at_checked(usize::from(length))?;
    *from = rest;
    std::str::from_utf8(text).ok()
}

fn take<'a, const N: usize>(from: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (front, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(front)
}

/// 0 is absence; any other code must be known.
fn optional<T>(code: u8, of: impl Fn(u8) -> Option<T>) -> Option<Option<T>> {
    if code == 0 { Some(None) } else { of(code).map(Some) }
}

/// The longest front of `text` that has at most `bytes` bytes and ends between characters.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

const fn step_code(step: Step) -> u8 {
    match step {
        Step::Accepted => 1,
        Step::Sent => 2,
        Step::Delivered => 3,
        Step::Expired => 4,
        Step::Revoked => 5,
        Step::Replaced => 6,
        Step::Rejected => 7,
        Step::Shown => 8,
        Step::Opened => 9,
        Step::Dismissed => 10,
        Step::Routed => 11,
        Step::HandedOver => 12,
        Step::Confirmed => 13,
        Step::Refused => 14,
        Step::TokenInvalidated => 15,
    }
}

const fn step_of(code: u8) -> Option<Step> {
    Some(match code {
        1 => Step::Accepted,
        2 => Step::Sent,
        3 => Step::Delivered,
        4 => Step::Expired,
        5 => Step::Revoked,
        6 => Step::Replaced,
        7 => Step::Rejected,
        8 => Step::Shown,
        9 => Step::Opened,
        10 => Step::Dismissed,
        11 => Step::Routed,
        12 => Step::HandedOver,
        13 => Step::Confirmed,
        14 => Step::Refused,
        15 => Step::TokenInvalidated,
        _ => return None,
    })
}

/// Never 0.
pub(crate) const fn platform_code(platform: Platform) -> u8 {
    match platform {
        Platform::Android => 1,
        Platform::Ios => 2,
        Platform::HarmonyOs => 3,
        Platform::Web => 4,
        Platform::Other => 5,
    }
}

pub(crate) const fn platform_of(code: u8) -> Option<Platform> {
    Some(match code {
        1 => Platform::Android,
        2 => Platform::Ios,
        3 => Platform::HarmonyOs,
        4 => Platform::Web,
        5 => Platform::Other,
        _ => return None,
    })
}

pub(crate) const fn push_type_of(code: u8) -> Option<PushType> {
    Some(match code {
        1 => PushType::Single,
        2 => PushType::Multiple,
        3 => PushType::Broadcast,
        4 => PushType::Template,
        _ => return None,
    })
}

const fn lane_code(lane: Lane) -> u8 {
    match lane {
        Lane::High => 1,
        Lane::Normal => 2,
        Lane::Bulk => 3,
    }
}

const fn lane_of(code: u8) -> Option<Lane> {
    Some(match code {
        1 => Lane::High,
        2 => Lane::Normal,
        3 => Lane::Bulk,
        _ => return None,
    })
}
