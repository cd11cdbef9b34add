//! What applying a campaign would do. Pure: whoever asks brings the targets.

use std::collections::BTreeMap;
use std::sync::Arc;

use ahash::AHashMap;
use carillon_sdk::api::Platform;
use carillon_sdk::api::campaigns::{
    CampaignBreach, CampaignMissing, CampaignPayload, CampaignPlan, CampaignSample,
};
use carillon_sdk::api::templates::ChannelBreach;
use carillon_sdk::{DeviceId, Timestamp};
use roaring::RoaringBitmap;
use sha2::{Digest, Sha256};

use super::record::Spec;
use crate::lists::{Line, hex};
use crate::order::{Content, Named};
use crate::template::{Values, placeholders};
use crate::templates::{Breach, Preview, preview};

/// Targets whose message is shown.
pub(super) const SAMPLES_MAX: usize = 3;

/// Placeholders without a value that are named; the rest are counted.
const MISSING_MAX: usize = 100;

/// The channel that every device has.
const OWN: &str = "own";

/// Devices of one platform and app version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    pub platform: Platform,
    pub app_version: Option<String>,
    pub devices: u64,
}

/// The devices of an audience, as found at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    pub devices: RoaringBitmap,
    pub slices: Vec<Slice>,
    /// Some of them, to be shown what they would read.
    pub some: Vec<DeviceId>,
}

/// Of an audience: all of its targets read the same.
pub(super) fn of_audience(
    spec: &Spec,
    found: &Found,
    payload_bytes_max: usize,
    now: Timestamp,
) -> CampaignPlan {
    let mut plan = begun(spec, found.devices.len(), now);
    plan.plan = hash(spec, |digest| {
        for ordinal in &found.devices {
            digest.update(ordinal.to_be_bytes());
        }
    });
    for slice in &found.slices {
        add_device(&mut plan, slice);
    }
    if plan.targets == 0 {
        return plan;
    }
    let words = words(spec, &Values::new(), None);
    for variable in &words.missing {
        miss(&mut plan, CampaignMissing { variable: variable.clone(), ..CampaignMissing::default() });
    }
    weigh(&mut plan, &words, payload_bytes_max, found.devices.len());
    if words.missing.is_empty() {
        let sample = |device: &DeviceId| CampaignSample {
            device_id: Some(device.clone()),
            ..sample_of(&words.content)
        };
        plan.samples = found.some.iter().take(SAMPLES_MAX).map(sample).collect();
    }
    plan
}

/// Of a list, line by line: each has its own words.
pub(super) struct ListPlanner<'a> {
    spec: &'a Spec,
    payload_bytes_max: usize,
    plan: CampaignPlan,
    slices: AHashMap<(Platform, Option<Arc<str>>), u64>,
    line: u64,
}

/// Whom a line names.
#[derive(Debug, Clone)]
pub(super) enum Whom {
    /// None when no such device is registered.
    Device(Option<(Platform, Option<Arc<str>>)>),
    User,
}

impl<'a> ListPlanner<'a> {
    pub(super) fn new(
        spec: &'a Spec,
        (lines, digest): (u64, &str),
        payload_bytes_max: usize,
        now: Timestamp,
    ) -> Self {
        let mut plan = begun(spec, lines, now);
        plan.plan = hash(spec, |hash| hash.update(digest));
        plan.canary = 0;
        Self { spec, payload_bytes_max, plan, slices: AHashMap::new(), line: 0 }
    }

    /// Takes the next line in.
    pub(super) fn add(&mut self, line: &Line, whom: Whom, in_canary: bool) {
        self.line += 1;
        self.plan.canary += u64::from(in_canary);
        match whom {
            Whom::Device(None) => self.plan.unknown += 1,
            Whom::Device(Some(of)) => *self.slices.entry(of).or_default() += 1,
            Whom::User => self.plan.users += 1,
        }
        let words = words(self.spec, &line.values, line.data.as_ref());
        let (device_id, user_id) = match &line.to {
            Named::Device(id) => (Some(id.clone()), None),
            Named::User(id) => (None, Some(id.clone())),
        };
        for variable in &words.missing {
            let (device_id, user_id) = (device_id.clone(), user_id.clone());
            let (line, variable) = (Some(self.line), variable.clone());
            miss(&mut self.plan, CampaignMissing { line, device_id, user_id, variable });
        }
        weigh(&mut self.plan, &words, self.payload_bytes_max, 1);
        if words.missing.is_empty() && self.plan.samples.len() < SAMPLES_MAX {
            self.plan.samples.push(CampaignSample { device_id, user_id, ..sample_of(&words.content) });
        }
    }

    pub(super) fn finish(mut self) -> CampaignPlan {
        for ((platform, version), devices) in self.slices {
            let app_version = version.map(|version| version.to_string());
            add_device(&mut self.plan, &Slice { platform, app_version, devices });
        }
        self.plan
    }
}

/// A plan of so many targets, without what is known of each.
fn begun(spec: &Spec, targets: u64, now: Timestamp) -> CampaignPlan {
    let took = spec.pace.takes(targets);
    CampaignPlan {
        targets,
        canary: spec.canary.map_or(0, |share| share.of(targets).min(targets)),
        finishes_at: now + took,
        late: targets - spec.pace.within(spec.ttl).unwrap_or(targets).min(targets),
        ..CampaignPlan::default()
    }
}

fn add_device(plan: &mut CampaignPlan, slice: &Slice) {
    let add = |to: &mut BTreeMap<String, u64>, name: &str| {
        *to.entry(name.to_owned()).or_default() += slice.devices;
    };
    add(&mut plan.by_platform, slice.platform.as_str());
    add(&mut plan.by_app_version, slice.app_version.as_deref().unwrap_or("unknown"));
    add(&mut plan.by_channel, OWN);
}

fn miss(plan: &mut CampaignPlan, missing: CampaignMissing) {
    plan.missing_count += 1;
    if plan.missing.len() < MISSING_MAX {
        plan.missing.push(missing);
    }
}

/// Takes so many messages of these words into account.
fn weigh(plan: &mut CampaignPlan, words: &Words, bytes_max: usize, targets: u64) {
    let payload: &mut CampaignPayload = &mut plan.payload;
    payload.bytes_max = bytes_max as u64;
    payload.bytes = payload.bytes.max(words.bytes as u64);
    if words.bytes > bytes_max {
        payload.too_long += targets;
    }
    for breach in &words.breaches {
        let same = |known: &&mut CampaignBreach| {
            (&*known.breach.channel, &*known.breach.field) == (breach.channel, breach.field)
        };
        match plan.breaches.iter_mut().find(same) {
            Some(known) => {
                known.breach.has = known.breach.has.max(breach.has as u64);
                known.targets += targets;
            }
            None => plan.breaches.push(CampaignBreach { breach: shown(breach), targets }),
        }
    }
}

fn shown(breach: &Breach) -> ChannelBreach {
    ChannelBreach {
        channel: breach.channel.to_owned(),
        field: breach.field.to_owned(),
        most: breach.most as u64,
        has: breach.has as u64,
        unit: breach.unit.as_str().to_owned(),
        effect: breach.effect.as_str().to_owned(),
    }
}

/// What one target would read.
struct Words {
    content: Content,
    missing: Vec<String>,
    bytes: usize,
    breaches: Vec<Breach>,
}

/// With what is missing named, and nothing in its place.
fn words(spec: &Spec, own: &Values, data: Option<&String>) -> Words {
    let known = |name: &str| own.contains_key(name) || spec.values.contains_key(name);
    let texts = [&spec.content.title, &spec.content.body, &spec.content.uri];
    let mut missing: Vec<String> = Vec::new();
    for name in texts.into_iter().flatten().flat_map(|text| placeholders(text)) {
        if !known(name) && !missing.iter().any(|missing| missing == name) {
            missing.push(name.to_owned());
        }
    }
    let mut values = spec.values.clone();
    values.extend(own.iter().map(|(name, value)| (name.clone(), value.clone())));
    values.extend(missing.iter().map(|name| (name.clone(), String::new())));
    let mut content = spec.content.clone();
    if data.is_some() {
        content.data = data.cloned();
    }
    match preview(&content, &values) {
        Ok(Preview { content, payload_bytes, breaches }) => {
            Words { content, missing, bytes: payload_bytes, breaches }
        }
        // Every placeholder has a value, if an empty one.
        Err(_) => Words { content, missing, bytes: 0, breaches: Vec::new() },
    }
}

fn sample_of(content: &Content) -> CampaignSample {
    CampaignSample {
        title: content.title.clone(),
        body: content.body.clone(),
        uri: content.uri.clone(),
        data: content.data.as_deref().and_then(|text| serde_json::from_str(text).ok()),
        ..CampaignSample::default()
    }
}

/// What stands for the campaign's content and targets: the first half of a SHA-256.
fn hash(spec: &Spec, targets: impl FnOnce(&mut Sha256)) -> String {
    let mut digest = Sha256::new();
    // A spec is texts, numbers and maps with text keys: it always serializes.
    digest.update(serde_json::to_vec(spec).unwrap_or_default());
    digest.update([0]);
    targets(&mut digest);
    hex(&digest.finalize()[..16])
}

#[cfg(test)]
mod tests;
