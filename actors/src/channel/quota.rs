//! What one app may still send by one vendor today. Pure: time comes in.
//!
//! A message is counted before it is sent and given back when the vendor surely did not take it: so
//! what is asked of a vendor never exceeds what it lets, whatever is under way. How often each device
//! was sent to lies in one bitmap a time: the n-th holds those that had n; a million devices of two a
//! day take a quarter of a megabyte.

use std::collections::BTreeMap;

use ahash::AHashMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carillon_sdk::{Timestamp, Ttl, Vendor};
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use super::{Category, Invalid, Options, quotas};

/// The sorts of message that vendors count apart; each has its own words for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// Sent under the vendor's flag for tests.
    Test,
    /// Huawei's marketing, Xiaomi's public, OPPO's content, vivo's operation.
    Marketing,
    /// What someone waits for: service and communication, Xiaomi's private, vivo's system.
    Service,
    /// Xiaomi's, without a channel.
    Default,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    App,
    Device,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    pub vendor: Vendor,
    /// Unique of its vendor; an app's setup overrides it by this name.
    pub name: &'static str,
    pub sort: Sort,
    pub of: Of,
    pub per_day: u64,
    /// Where the vendor says so.
    pub source: &'static str,
}

/// A limit, and what is left of it today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaView {
    pub name: &'static str,
    pub sort: Sort,
    pub of: Of,
    /// None when the app's owner lifted it.
    pub per_day: Option<u64>,
    /// Taken today; of a limit by device: devices that had as many as they may.
    pub taken: u64,
    /// What is left; none without a limit, and of one by device.
    pub left: Option<u64>,
    /// The vendor itself said that the day's share is spent.
    pub spent_by_vendor: bool,
    /// When the vendor's day turns.
    pub renews_at: Timestamp,
    pub source: &'static str,
}

/// No message of that sort goes until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spent {
    pub(super) until: Timestamp,
}

/// A limit by device is at most so high: each time costs a bitmap.
const DEVICE_MAX: u64 = 64;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Of which sort a message is to a vendor. Who names no category is taken to market: vendors do the
/// same, and to send less than is let costs less than a quota lowered for sending more.
pub(super) fn sort(vendor: Vendor, options: &Options) -> Sort {
    let by_category = by_own_word(vendor, options).unwrap_or(match options.category {
        None | Some(Category::Marketing) => Sort::Marketing,
        Some(_) => Sort::Service,
    });
    let level = |names: [&str; 2]| names.into_iter().find_map(|name| options.notify_level.get(name));
    let is_normal = |value: &serde_json::Value| {
        value.as_u64() == Some(2) || matches!(value.as_str(), Some("2" | "NORMAL"))
    };
    match vendor {
        Vendor::Huawei | Vendor::HarmonyOs | Vendor::Honor if options.is_test => Sort::Test,
        Vendor::Huawei | Vendor::HarmonyOs | Vendor::Honor
            if options.category.is_none()
                && by_own_word(vendor, options).is_none()
                && level(["hms", vendor.as_str()]).is_some_and(is_normal) =>
        {
            Sort::Service
        }
        Vendor::Xiaomi => {
            let named = |name| options.third_channel_category.contains_key(name);
            let has_channel = options.mi_channel_id.is_some() || named("mi") || named("xiaomi");
            if has_channel || options.category.is_some() { by_category } else { Sort::Default }
        }
        Vendor::Vivo => match options.classification.as_deref() {
            Some("1") => Sort::Service,
            Some("0") => Sort::Marketing,
            _ => by_category,
        },
        _ => by_category,
    }
}

/// By the vendor's own word, or mPaaS's number of it, where one is given and says what it is.
fn by_own_word(vendor: Vendor, options: &Options) -> Option<Sort> {
    let names: &[&str] = match vendor {
        Vendor::Huawei => &["huawei", "hms"],
        Vendor::HarmonyOs => &["harmonyos", "huawei", "hms"],
        Vendor::Vivo => &["vivo"],
        _ => return None,
    };
    let word = names.iter().find_map(|name| options.third_channel_category.get(*name))?;
    let is_marketing = match &*word.trim().to_ascii_uppercase() {
        "" => return None,
        "MARKETING" | "14" => true,
        "NEWS" | "CONTENT" | "SOCIAL" => vendor == Vendor::Vivo,
        _ => false,
    };
    Some(if is_marketing { Sort::Marketing } else { Sort::Service })
}

/// Whether an app's own limits are ones that the vendor has.
pub(super) fn check(vendor: Vendor, own: &BTreeMap<String, Option<u64>>) -> Result<(), Invalid> {
    for (name, per_day) in own {
        let pointer = format!("/quotas/{name}");
        let Some(limit) = quotas::of(vendor).find(|limit| limit.name == name) else {
            let names: Vec<_> = quotas::of(vendor).map(|limit| limit.name).collect();
            let why = if names.is_empty() {
                "this vendor counts no days".to_owned()
            } else {
                format!("one of {}", names.join(", "))
            };
            return Err(Invalid::new(pointer, why));
        };
        if limit.of == Of::Device && per_day.is_some_and(|per_day| per_day > DEVICE_MAX) {
            return Err(Invalid::new(
                pointer,
                format!("at most {DEVICE_MAX} a device, or null for no limit"),
            ));
        }
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Counted {
    taken: u64,
    spent_by_vendor: bool,
    /// The n-th (from 0) holds the devices that had more than n.
    devices: Vec<RoaringBitmap>,
}

#[derive(Debug)]
pub(super) struct Ledger {
    vendor: Vendor,
    own: BTreeMap<String, Option<u64>>,
    day: u64,
    counted: AHashMap<Sort, Counted>,
    changed: bool,
}

/// As it is kept.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    day: u64,
    sorts: Vec<KeptSort>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptSort {
    sort: Sort,
    taken: u64,
    spent_by_vendor: bool,
    /// Base64 of each bitmap.
    devices: Vec<String>,
}

impl Ledger {
    pub(super) fn new(vendor: Vendor, own: BTreeMap<String, Option<u64>>, kept: Option<Kept>) -> Self {
        let kept = kept.unwrap_or_default();
        let counted = kept.sorts.into_iter().map(|of| {
            let bitmaps = of
                .devices
                .iter()
                .filter_map(|text| RoaringBitmap::deserialize_from(&*STANDARD.decode(text).ok()?).ok());
            let devices = bitmaps.collect();
            (of.sort, Counted { taken: of.taken, spent_by_vendor: of.spent_by_vendor, devices })
        });
        Self { vendor, own, day: kept.day, counted: counted.collect(), changed: false }
    }

    /// Counts a message to a device, or says until when none may go there.
    pub(super) fn take(&mut self, sort: Sort, device: u32, now: Timestamp) -> Result<(), Spent> {
        self.turn(now);
        let (app, of_device) = (self.per_day(sort, Of::App), self.per_day(sort, Of::Device));
        let spent = Spent { until: self.renews_at(now) };
        if quotas::of(self.vendor).all(|limit| limit.sort != sort) {
            // What nobody counts is not written down either.
            let is_spent = self.counted.get(&sort).is_some_and(|counted| counted.spent_by_vendor);
            return if is_spent { Err(spent) } else { Ok(()) };
        }
        let counted = self.counted.entry(sort).or_default();
        if counted.spent_by_vendor || app.is_some_and(|most| counted.taken >= most) {
            return Err(spent);
        }
        if let Some(most) = of_device {
            let had = counted.devices.iter().take_while(|had| had.contains(device)).count();
            if had as u64 >= most {
                return Err(spent);
            }
            if had == counted.devices.len() {
                counted.devices.push(RoaringBitmap::new());
            }
            counted.devices[had].insert(device);
        }
        counted.taken += 1;
        self.changed = true;
        Ok(())
    }

    /// A message that was counted on this day was surely not taken. One counted before the day
    /// turned is nobody's any more.
    pub(super) fn give_back(&mut self, sort: Sort, device: u32, counted_at: Timestamp, now: Timestamp) {
        self.turn(now);
        if self.day_of(counted_at) != self.day {
            return;
        }
        let Some(counted) = self.counted.get_mut(&sort) else { return };
        counted.taken = counted.taken.saturating_sub(1);
        if let Some(last) = counted.devices.iter_mut().rev().find(|had| had.contains(device)) {
            last.remove(device);
        }
        self.changed = true;
    }

    /// The vendor says that the day's share of a sort is spent. Answers when the day turns.
    pub(super) fn spent(&mut self, sort: Sort, now: Timestamp) -> Timestamp {
        self.turn(now);
        self.counted.entry(sort).or_default().spent_by_vendor = true;
        self.changed = true;
        self.renews_at(now)
    }

    /// The same of every sort.
    pub(super) fn spent_all(&mut self, now: Timestamp) {
        for sort in [Sort::Test, Sort::Marketing, Sort::Service, Sort::Default] {
            self.spent(sort, now);
        }
    }

    /// Whether there is something to write.
    pub(super) const fn has_changed(&self) -> bool {
        self.changed
    }

    /// When the vendor's day turns.
    pub(super) const fn renews_at(&self, now: Timestamp) -> Timestamp {
        let offset = quotas::day_offset_h(self.vendor) * HOUR_MS;
        let next = (now.as_millis() + offset) / DAY_MS + 1;
        Timestamp::from_millis(next * DAY_MS - offset)
    }

    pub(super) fn view(&mut self, now: Timestamp) -> Vec<QuotaView> {
        self.turn(now);
        let renews_at = self.renews_at(now);
        let view = |limit: &Limit| {
            let per_day = self.per_day_of(limit);
            let counted = self.counted.get(&limit.sort);
            let full = |most: u64| {
                let at = usize::try_from(most.checked_sub(1)?).ok()?;
                Some(counted?.devices.get(at)?.len())
            };
            let taken = match limit.of {
                Of::App => counted.map_or(0, |counted| counted.taken),
                Of::Device => per_day.and_then(full).unwrap_or(0),
            };
            let spent_by_vendor = counted.is_some_and(|counted| counted.spent_by_vendor);
            let left = per_day.filter(|_| limit.of == Of::App).map(|most| most.saturating_sub(taken));
            QuotaView {
                name: limit.name,
                sort: limit.sort,
                of: limit.of,
                per_day,
                taken,
                left: if spent_by_vendor { left.map(|_| 0) } else { left },
                spent_by_vendor,
                renews_at,
                source: limit.source,
            }
        };
        quotas::of(self.vendor).map(view).collect()
    }

    /// What is to be written, when it differs from what was.
    pub(super) fn changed(&mut self) -> Option<Kept> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let sorts = self.counted.iter().map(|(&sort, counted)| KeptSort {
            sort,
            taken: counted.taken,
            spent_by_vendor: counted.spent_by_vendor,
            devices: counted.devices.iter().map(text).collect(),
        });
        Some(Kept { day: self.day, sorts: sorts.collect() })
    }

    /// It was not written after all.
    pub(super) const fn not_kept(&mut self) {
        self.changed = true;
    }

    fn turn(&mut self, now: Timestamp) {
        let today = self.day_of(now);
        if today != self.day {
            self.day = today;
            // An empty day is as good as one that nobody wrote.
            self.changed |= !self.counted.is_empty();
            self.counted.clear();
        }
    }

    const fn day_of(&self, at: Timestamp) -> u64 {
        (at.as_millis() + quotas::day_offset_h(self.vendor) * HOUR_MS) / DAY_MS
    }

    fn per_day(&self, sort: Sort, of: Of) -> Option<u64> {
        let limit = quotas::of(self.vendor).find(|limit| limit.sort == sort && limit.of == of)?;
        self.per_day_of(limit)
    }

    fn per_day_of(&self, limit: &Limit) -> Option<u64> {
        self.own.get(limit.name).copied().unwrap_or(Some(limit.per_day))
    }
}

fn text(bitmap: &RoaringBitmap) -> String {
    let mut bytes = Vec::with_capacity(bitmap.serialized_size());
    // Writing to memory does not fail.
    let _ = bitmap.serialize_into(&mut bytes);
    STANDARD.encode(bytes)
}

/// A moment of the vendor's day: the next time that it is so many hours past its midnight.
pub(super) const fn next_hour(vendor: Vendor, hour: u8, now: Timestamp) -> Timestamp {
    let offset = quotas::day_offset_h(vendor) * HOUR_MS;
    let local = now.as_millis() + offset;
    let today = local / DAY_MS * DAY_MS + (hour as u64 % 24) * HOUR_MS;
    let next = if today > local { today } else { today + DAY_MS };
    Timestamp::from_millis(next - offset)
}

/// How often a ledger is written: a second, and one more for each so many bytes it takes.
pub(super) const fn rest_after(bytes: usize) -> Ttl {
    Ttl::from_secs(1 + (bytes / 65_536) as u64)
}

#[cfg(test)]
mod tests;
