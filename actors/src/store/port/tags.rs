//! Tags, and who is in an audience.

use std::sync::Arc;

use roaring::RoaringBitmap;
use tokio::sync::oneshot;

use super::super::intake::Weight;
use super::super::work::{Op, Write};
use super::super::{AudienceCount, Error, Nonce, Store, TagChange, TagInfo, Tagged};
use crate::audience::Audience;
use crate::model::{App, Device, Owner, User};

/// Members tagged in one operation of a partition: a commit's worth.
const TAG_MAX: usize = 500;

impl Store {
    /// Changes the tags of one device or user; durable.
    pub async fn tag(&self, member: Owner, change: TagChange, nonce: Option<Nonce>) -> Result<Tagged, Error> {
        let (app, partition) = (member.app(), self.0.shared.partition_of(member));
        let (members, change) = (vec![member], Arc::new(change));
        let tagged =
            self.write(partition, app, |reply| Write::Tag { app, members, change, nonce, reply }).await?;
        Ok(tagged.first().copied().unwrap_or(Tagged::Gone))
    }

    /// The same change for many members of one app, one outcome each, in their order. Each
    /// member's change is done or not; an error says that some may be done. Repeating it does no
    /// harm. A slow caller may give a few thousand at a time: they meet in the same commits.
    pub async fn tag_many(
        &self,
        app: App,
        members: &[Owner],
        change: &Arc<TagChange>,
    ) -> Result<Vec<Tagged>, Error> {
        let shared = &self.0.shared;
        let mut shares: Vec<Vec<usize>> = shared.ports.iter().map(|_| Vec::new()).collect();
        for (place, &member) in members.iter().enumerate() {
            shares[shared.partition_of(member)].push(place);
        }
        let shares = shares.into_iter().enumerate();
        let all = shares.map(|(partition, places)| self.tag_share(app, partition, places, members, change));
        let mut outcomes = vec![Tagged::Gone; members.len()];
        for (place, tagged) in futures_util::future::try_join_all(all).await?.into_iter().flatten() {
            outcomes[place] = tagged;
        }
        Ok(outcomes)
    }

    /// One operation after the other, so that a list of millions waits here and not in the intake.
    async fn tag_share(
        &self,
        app: App,
        partition: usize,
        places: Vec<usize>,
        members: &[Owner],
        change: &Arc<TagChange>,
    ) -> Result<Vec<(usize, Tagged)>, Error> {
        if self.0.shared.failure.is_some() {
            return Err(Error::Unavailable);
        }
        let mut outcomes = Vec::with_capacity(places.len());
        for places in places.chunks(TAG_MAX) {
            let (reply, answer) = oneshot::channel();
            let members = places.iter().map(|place| members[*place]).collect();
            let write = Write::Tag { app, members, change: Arc::clone(change), nonce: None, reply };
            let weight = Weight { ops: places.len(), lazy: false };
            self.0.shared.ports[partition].intake.push(app, weight, Op::Write(write))?;
            let tagged = answer.await.unwrap_or(Err(Error::Unknown))?;
            outcomes.extend(places.iter().copied().zip(tagged));
        }
        Ok(outcomes)
    }

    /// Tags of an app in alphabetical order, after `after`, at most `limit`.
    #[must_use]
    pub fn tags(&self, app: App, after: Option<&str>, limit: usize) -> Vec<TagInfo> {
        self.0.shared.tenants.get(app).map(|people| people.tag_list(after, limit)).unwrap_or_default()
    }

    /// Whether the app has this tag already, or may have one more.
    #[must_use]
    pub fn has_room_for_tag(&self, app: App, tag: &str) -> bool {
        self.0.shared.tenants.get(app).is_some_and(|people| people.has_room_for_tag(tag))
    }

    /// Whether a device or user has this tag already, or may have one more.
    #[must_use]
    pub fn may_be_tagged(&self, member: Owner, tag: &str) -> bool {
        self.0.shared.tenants.get(member.app()).is_some_and(|people| people.may_be_tagged(member, tag))
    }

    /// Who has a tag.
    #[must_use]
    pub fn tag_members(&self, app: App, tag: &str) -> Vec<Owner> {
        let Some(people) = self.0.shared.tenants.get(app) else { return Vec::new() };
        let (devices, users) = people.tag_members(tag);
        let devices = devices.into_iter().map(|ordinal| Owner::Device(Device { app, ordinal }));
        devices.chain(users.into_iter().map(|ordinal| Owner::User(User { app, ordinal }))).collect()
    }

    #[must_use]
    pub fn user_tags(&self, user: User) -> Vec<String> {
        self.0.shared.tenants.get(user.app).map(|people| people.user_tags(user.ordinal)).unwrap_or_default()
    }

    /// The ordinals of the registered devices that are in an audience now.
    #[must_use]
    pub fn audience(&self, app: App, audience: &Audience) -> RoaringBitmap {
        self.0.shared.tenants.get(app).map(|people| people.audience(audience)).unwrap_or_default()
    }

    #[must_use]
    pub fn audience_count(&self, app: App, audience: &Audience) -> AudienceCount {
        self.0.shared.tenants.get(app).map(|people| people.audience_count(audience)).unwrap_or_default()
    }

    /// Whether one device is registered and in an audience now.
    #[must_use]
    pub fn is_in_audience(&self, device: Device, audience: &Audience) -> bool {
        self.0.shared.tenants.get(device.app).is_some_and(|people| people.has(device.ordinal, audience))
    }
}
