//! A campaign over an audience: one entry in the app's log, its targets frozen, let go a share at a
//! time. The one checkpoint is the entry's own bitmaps: targets less those let go.

use carillon_sdk::api::campaigns::CampaignState as State;
use carillon_sdk::wire::Lane;
use roaring::RoaringBitmap;
use std::sync::Arc;

use super::keep::Kept;
use super::office::Key;
use super::record::{Applied, Campaign, Share};
use super::step::{Next, Stepped, fail, replace, turn};
use crate::engine::Shared;
use crate::model::{Message, PushType, Task};
use crate::store::{Error, Targets};

/// Devices of one release when no pace bounds it: a commit each, and others have their turn between.
const SLICE_MAX: u64 = 16_384;

/// Lets the next share go: of the canary first, if there is one.
pub(super) async fn release(shared: &Shared, key: Key, kept: &Kept, allowed: u64) -> Result<Stepped, Error> {
    let campaign = &kept.campaign;
    if let (Some(frozen), Some(applied)) = (&campaign.frozen, &campaign.applied) {
        let Some(devices) = frozen.devices() else {
            return fail(shared, key, kept, "its targets cannot be read".to_owned()).await;
        };
        return open(shared, key, kept, applied, devices).await;
    }
    let Some((released, unreleased)) = shared.store.shares(key.0, key.1) else {
        // It has expired and is gone.
        return turn(shared, key, kept, State::Settling).await;
    };
    if unreleased.is_empty() {
        return turn(shared, key, kept, State::Settling).await;
    }
    let mut next = unreleased;
    if let Some(share) = campaign.spec.canary.filter(|_| !campaign.canary_passed) {
        next &= canary(&(&released | &next), share, key.1);
        if next.is_empty() {
            return turn(shared, key, kept, State::Holding).await;
        }
    }
    let slice = first(&next, allowed.min(SLICE_MAX));
    if slice.is_empty() {
        return Ok(Next::Soon.into());
    }
    let released = shared.store.release(key.0, key.1, slice).await?;
    Ok(Stepped { released: released.unwrap_or(0), next: Next::Soon })
}

/// Opens the entry. An app's log that is full is waited for.
async fn open(
    shared: &Shared,
    key: Key,
    kept: &Kept,
    applied: &Applied,
    devices: RoaringBitmap,
) -> Result<Stepped, Error> {
    let campaign = &kept.campaign;
    let Some(message) = message(key, campaign, applied) else {
        return fail(shared, key, kept, "a placeholder has no value".to_owned()).await;
    };
    match shared.store.plan_entry(Arc::new(message), Targets::Devices(devices), None).await {
        Ok(_) => {}
        Err(Error::Exists) => return Err(Error::Full),
        Err(error) => return Err(error),
    }
    let with = Campaign { frozen: None, ..campaign.clone() };
    replace(shared, key, kept, &with).await
}

/// None when a placeholder has no value, which apply has checked.
fn message((app, task): Key, campaign: &Campaign, applied: &Applied) -> Option<Message> {
    let spec = &campaign.spec;
    let content = spec.content.render(&[&spec.values]).ok()?;
    Some(Message {
        id: applied.message,
        app,
        push_type: PushType::Broadcast,
        title: content.title,
        body: content.body,
        data: content.data,
        lane: Lane::Bulk,
        silent: content.silent,
        collapse_key: None,
        accepted_at: applied.at,
        expires_at: applied.expires_at,
        uri: content.uri,
        look: content.look,
        task: Some(task),
        options: content.options,
        repeat_until: None,
        revokes: None,
        key: None,
    })
}

/// Which devices get it first: chosen by a hash of ordinal and task, so that it is not always those
/// that registered first, and the same ones after a restart.
pub(super) fn canary(targets: &RoaringBitmap, share: Share, task: Task) -> RoaringBitmap {
    let count = usize::try_from(share.of(targets.len())).unwrap_or(usize::MAX);
    let mut hashed: Vec<(u64, u32)> =
        targets.iter().map(|ordinal| (mix(task, u64::from(ordinal)), ordinal)).collect();
    if count < hashed.len() {
        hashed.select_nth_unstable(count);
        hashed.truncate(count);
    }
    hashed.into_iter().map(|(_, ordinal)| ordinal).collect()
}

/// The finaliser of SplitMix64.
pub(super) const fn mix(task: Task, number: u64) -> u64 {
    let mut bits = task.0.rotate_left(32).wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The first `count` of these, in order of registration.
fn first(devices: &RoaringBitmap, count: u64) -> RoaringBitmap {
    devices.iter().take(usize::try_from(count).unwrap_or(usize::MAX)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(share: f64) -> Share {
        Share::parse(share).unwrap()
    }

    #[test]
    fn a_canary_is_its_share_the_same_each_time_and_another_for_another_task() {
        let targets: RoaringBitmap = (0..10_000).collect();
        let one = canary(&targets, share(0.05), Task(1));
        assert_eq!(one.len(), 500);
        assert_eq!(one, canary(&targets, share(0.05), Task(1)));
        let other = canary(&targets, share(0.05), Task(2));
        assert!(one.intersection_len(&other) < 100, "a different twentieth");
        assert!(one.is_subset(&targets));
    }

    #[test]
    fn a_canary_is_not_those_that_registered_first() {
        let targets: RoaringBitmap = (0..10_000).collect();
        let early = canary(&targets, share(0.1), Task(7)).iter().filter(|&ordinal| ordinal < 5_000).count();
        assert!((400..600).contains(&early), "{early} of 1,000 from the first half");
    }

    #[test]
    fn a_slice_is_in_order_of_registration() {
        let devices: RoaringBitmap = [9, 3, 7, 1].into_iter().collect();
        assert_eq!(first(&devices, 2).iter().collect::<Vec<_>>(), [1, 3]);
        assert_eq!(first(&devices, 0).len(), 0);
        assert_eq!(first(&devices, 99).len(), 4);
    }
}
