//! Tokens of phone makers' channels.

use carillon_sdk::{Timestamp, Vendor};
use roaring::RoaringBitmap;
use tokio::sync::oneshot;

use super::super::intake::Weight;
use super::super::work::{Later, Op, Write};
use super::super::{By, DeviceInfo, Dropped, Error, LedgerEntry, NewToken, Store, TokenInfo, TokenKept};
use super::ONE;
use crate::model::{App, Device};

/// Tokens of one operation of a partition: a commit's worth.
const TOKENS_MAX: usize = 500;

impl Store {
    /// Keeps a device's token of a vendor, as registered now; an empty one withdraws it. Durable.
    pub async fn vendor_token(
        &self,
        device: Device,
        vendor: Vendor,
        token: &str,
        by: By,
    ) -> Result<TokenKept, Error> {
        let new = NewToken { device, vendor, token: token.to_owned(), registered_at: None };
        let kept = self.keep_tokens(device.app, vec![new], &by).await?;
        kept.first().copied().filter(|kept| *kept != TokenKept::Gone).ok_or(Error::DeviceUnknown)
    }

    /// Keeps many tokens of one app, one outcome each, in their order. On an error some may be kept;
    /// repeating it does no harm. A slow caller may give a few thousand at a time: they meet in the
    /// same commits.
    pub async fn keep_tokens(
        &self,
        app: App,
        tokens: Vec<NewToken>,
        by: &By,
    ) -> Result<Vec<TokenKept>, Error> {
        let mut outcomes = vec![TokenKept::Gone; tokens.len()];
        let mut shares: Vec<Vec<(usize, NewToken)>> =
            self.0.shared.ports.iter().map(|_| Vec::new()).collect();
        for (place, new) in tokens.into_iter().enumerate() {
            shares[self.0.shared.partition_of_device(new.device)].push((place, new));
        }
        let shares = shares.into_iter().enumerate();
        let all = shares.map(|(partition, share)| self.keep_share(app, partition, share, by));
        for (place, kept) in futures_util::future::try_join_all(all).await?.into_iter().flatten() {
            outcomes[place] = kept;
        }
        Ok(outcomes)
    }

    /// One operation after the other, so that what is much waits here and not in the intake.
    async fn keep_share(
        &self,
        app: App,
        partition: usize,
        mut share: Vec<(usize, NewToken)>,
        by: &By,
    ) -> Result<Vec<(usize, TokenKept)>, Error> {
        if self.0.shared.failure.is_some() {
            return Err(Error::Unavailable);
        }
        let mut outcomes = Vec::with_capacity(share.len());
        while !share.is_empty() {
            let part: Vec<_> = share.drain(..share.len().min(TOKENS_MAX)).collect();
            let (places, tokens): (Vec<_>, Vec<_>) = part.into_iter().unzip();
            let (reply, answer) = oneshot::channel();
            let weight = Weight { ops: places.len(), lazy: false };
            let write = Write::Tokens { app, tokens, by: by.clone(), reply };
            self.0.shared.ports[partition].intake.push(app, weight, Op::Write(write))?;
            let kept = answer.await.unwrap_or(Err(Error::Unknown))?;
            outcomes.extend(places.into_iter().zip(kept));
        }
        Ok(outcomes)
    }

    /// The tokens of a vendor that these devices have, one answer each, in their order.
    pub async fn vendor_tokens(
        &self,
        vendor: Vendor,
        devices: Vec<Device>,
    ) -> Result<Vec<Option<TokenInfo>>, Error> {
        self.read_tokens(devices.into_iter().map(|device| (device, vendor)).collect()).await
    }

    /// All tokens of a device, by the number of their vendor.
    pub async fn tokens_of(&self, device: Device) -> Result<Vec<TokenInfo>, Error> {
        let people = self.0.shared.tenants.get(device.app).ok_or(Error::DeviceUnknown)?;
        let of = people.vendors(device.ordinal).into_iter().map(|vendor| (device, vendor)).collect();
        Ok(self.read_tokens(of).await?.into_iter().flatten().collect())
    }

    async fn read_tokens(&self, of: Vec<(Device, Vendor)>) -> Result<Vec<Option<TokenInfo>>, Error> {
        let mut tokens = vec![None; of.len()];
        let mut shares: Vec<Vec<(usize, (Device, Vendor))>> =
            self.0.shared.ports.iter().map(|_| Vec::new()).collect();
        for (place, one) in of.into_iter().enumerate() {
            shares[self.0.shared.partition_of_device(one.0)].push((place, one));
        }
        let shares = shares.into_iter().enumerate().filter(|(_, share)| !share.is_empty());
        let all = shares.map(|(partition, share)| async move {
            let (places, of): (Vec<_>, Vec<_>) = share.into_iter().unzip();
            let (first, _): (Device, Vendor) = of[0];
            let (reply, answer) = oneshot::channel();
            // A page, a claim or a receipt: bounded by whoever asks.
            let read = Op::Later(Later::Tokens { of, reply });
            self.0.shared.ports[partition].intake.admit(first.app, ONE, read)?;
            let read = answer.await.unwrap_or(Err(Error::Unavailable))?;
            Ok::<_, Error>(places.into_iter().zip(read))
        });
        for (place, token) in futures_util::future::try_join_all(all).await?.into_iter().flatten() {
            tokens[place] = token;
        }
        Ok(tokens)
    }

    /// The device that has a token, as memory knows it.
    #[must_use]
    pub fn token_holder(&self, app: App, vendor: Vendor, token: &str) -> Option<Device> {
        let ordinal = self.0.shared.tenants.get(app)?.token_holder(vendor, token)?;
        Some(Device { app, ordinal })
    }

    /// Tokens on record, of all apps.
    #[must_use]
    pub fn token_count(&self, vendor: Vendor) -> u64 {
        self.0.shared.tenants.all().iter().map(|people| people.token_count(vendor)).sum()
    }

    /// Tokens of an app, of one vendor or of all, with their devices in order of registration: those
    /// of at most `limit` devices from `from` on, and where to go on; none at the end.
    pub async fn token_page(
        &self,
        app: App,
        vendor: Option<Vendor>,
        from: u32,
        limit: usize,
    ) -> Result<(Vec<(DeviceInfo, TokenInfo)>, Option<u32>), Error> {
        let people = self.0.shared.tenants.get(app).ok_or(Error::Unavailable)?;
        let ordinals = people.tokened(vendor, from, limit);
        let next = ordinals.last().filter(|_| ordinals.len() == limit).map(|last| last.saturating_add(1));
        let infos: Vec<_> = ordinals.iter().filter_map(|ordinal| people.device_info(*ordinal)).collect();
        let is_of = |known: &Vendor| vendor.is_none_or(|vendor| vendor == *known);
        let of = |info: &DeviceInfo| {
            let (device, vendors) = (info.device, info.vendors.clone());
            vendors.into_iter().filter(is_of).map(move |vendor| (device, vendor))
        };
        let asked: Vec<_> = infos.iter().flat_map(of).collect();
        let tokens = self.read_tokens(asked.clone()).await?;
        let infos: ahash::AHashMap<_, _> = infos.into_iter().map(|info| (info.device, info)).collect();
        let found = asked.into_iter().zip(tokens);
        let rows = found.filter_map(|((device, _), token)| Some((infos.get(&device)?.clone(), token?)));
        Ok((rows.collect(), next))
    }

    /// What was done to a device's tokens, the newest first.
    pub async fn token_ledger(&self, device: Device) -> Result<Vec<LedgerEntry>, Error> {
        let partition = self.0.shared.partition_of_device(device);
        self.ask(partition, device.app, |reply| Later::Ledger { device, reply }).await
    }

    /// Takes a token away, if the device has this one still, and, with `dead_since`, if it was not
    /// said to be registered later than that. Durable; false when nothing was done.
    pub async fn drop_token(
        &self,
        device: Device,
        vendor: Vendor,
        token: &str,
        dead_since: Option<Timestamp>,
        why: Dropped,
    ) -> Result<bool, Error> {
        let (partition, token) = (self.0.shared.partition_of_device(device), Some(token.to_owned()));
        let drop = |reply| Write::DropToken { device, vendor, token, dead_since, why, reply };
        self.write(partition, device.app, drop).await
    }

    /// The one vendor that carries for a device, by [`super::super::carrier_of`].
    #[must_use]
    pub fn carrier(&self, device: Device) -> Option<Vendor> {
        self.0.shared.tenants.get(device.app)?.carrier(device.ordinal)
    }

    /// The devices of an app for which a vendor carries.
    #[must_use]
    pub fn carried_by(&self, app: App, vendor: Vendor) -> RoaringBitmap {
        self.0.shared.tenants.get(app).map(|people| people.carried_by(vendor)).unwrap_or_default()
    }
}
