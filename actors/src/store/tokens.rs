//! Tokens of phone makers' channels, and the ledger of what was done to them: who said so, when and
//! why.
//!
//! A token's text is in a row of its own, `k` 1, and never in memory; which device has which is in the
//! directory. The ledger, `k` 2, keeps the newest [`LEDGER_MAX`] entries of a device, with a digest in
//! place of the text.
//!
//! A token belongs to one device of its app. When another device names it, memory moves it at once,
//! the new row is committed by the new device's partition, and the old one is deleted by the old
//! device's after that. A kill between the two leaves two rows; a start keeps the one that was drawn
//! later and drops the other.

use std::fmt;
use std::ops::ControlFlow;

use ahash::AHashMap;
use carillon_sdk::api::Step;
use carillon_sdk::{DeviceId, KeyId, MessageId, Timestamp, Vendor};
use metrics::counter;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::directory::{Kept, OfApp, When};
use super::disk::{Failed, Rows};
use super::history::{Channel, Record, Whom};
use super::keys;
use super::partition::Partition;
use super::rows::{DeviceRow, decode, encode};
use super::shared::Shared;
use super::work::{Op, Reply, Work, Write};
use crate::model::{App, Device, PushType, Seq};
use crate::names;

/// Longest token, in bytes: a Web Push subscription is the longest there is, well below.
pub const TOKEN_BYTES_MAX: usize = 4_096;

/// Entries kept of a device's ledger, the newest.
pub const LEDGER_MAX: usize = 32;

/// Who says something of a token. Rows hold these by name: add, never rename.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum By {
    /// The device itself, over its connection.
    Device,
    /// An app server, by its key.
    Key(KeyId),
    /// The same, through the mPaaS face.
    Mpaas(KeyId),
    /// The same, with many others in a file.
    Import(KeyId),
    /// The vendor, when something was sent to it.
    Vendor,
    /// The vendor, in a receipt.
    Receipt,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device => f.write_str("device"),
            Self::Key(key) => write!(f, "key:{key}"),
            Self::Mpaas(key) => write!(f, "mpaas:{key}"),
            Self::Import(key) => write!(f, "import:{key}"),
            Self::Vendor => f.write_str("vendor"),
            Self::Receipt => f.write_str("receipt"),
        }
    }
}

/// A token to be kept.
#[derive(Clone, PartialEq, Eq)]
pub struct NewToken {
    pub device: Device,
    pub vendor: Vendor,
    /// Empty: whichever it has is withdrawn.
    pub token: String,
    /// Now when none. One from the past replaces none that was registered later.
    pub registered_at: Option<Timestamp>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKept {
    /// It is the device's only one of the vendor.
    New,
    /// In place of another.
    Replaced,
    /// The device had it already.
    Same,
    /// Another device had it, and has it no more.
    Moved,
    /// A later one is on record, or this one of another device.
    Stale,
    /// None is on record any more.
    Withdrawn,
    /// There is no such device.
    Gone,
}

/// A token on record. Its text goes to the vendor, and to the app's owner.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenInfo {
    pub vendor: Vendor,
    pub token: String,
    /// When it was last said to be registered.
    pub at: Timestamp,
    /// Who said so.
    pub by: By,
}

/// Why a token is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    pub by: By,
    /// The vendor's code, or ours: `Unregistered`, `80300007`, `withdrawn`.
    pub why: Option<String>,
}

/// What was done to a token of a device. Rows hold these by name: add, never rename.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenChange {
    Registered,
    /// In place of another.
    Replaced,
    /// That device had it before.
    MovedFrom(DeviceId),
    /// That device has it now.
    MovedTo(DeviceId),
    Withdrawn,
    /// The vendor says that it is dead.
    Invalidated,
}

/// An entry of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    pub at: Timestamp,
    pub vendor: Vendor,
    /// See [`token_digest`].
    pub digest: String,
    pub change: TokenChange,
    pub by: By,
    pub why: Option<String>,
}

/// A device lost its token to another: told to the older one's partition.
#[derive(Debug)]
pub(super) struct Moved {
    device: Device,
    vendor: Vendor,
    digest: String,
    to: DeviceId,
    seq: Seq,
    by: By,
}

#[derive(Serialize, Deserialize)]
pub(super) struct TokenRow {
    pub token: String,
    pub at: Timestamp,
    /// Of two rows with one token the later is true.
    pub seq: u64,
    pub by: By,
}

#[derive(Serialize, Deserialize)]
struct LedgerRow {
    at: Timestamp,
    vendor: u8,
    digest: String,
    change: TokenChange,
    by: By,
    why: Option<String>,
}

/// Names a token where its text has no place: the first 16 hexadecimal digits of its SHA-256.
#[must_use]
pub fn token_digest(token: &str) -> String {
    Sha256::digest(token)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a text can be a token: 1 to [`TOKEN_BYTES_MAX`] bytes, without control characters.
#[must_use]
pub fn is_token(text: &str) -> bool {
    (1..=TOKEN_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

impl Partition {
    pub(super) fn keep_tokens(
        &mut self,
        app: App,
        tokens: Vec<NewToken>,
        by: &By,
        reply: Reply<Vec<TokenKept>>,
        work: &mut Work,
    ) -> Result<(), Failed> {
        let mut kept = Vec::with_capacity(tokens.len());
        for new in tokens {
            debug_assert_eq!(new.device.app, app);
            kept.push(self.keep_token(&new, by, work)?);
        }
        work.answer(reply, kept);
        Ok(())
    }

    fn keep_token(&mut self, new: &NewToken, by: &By, work: &mut Work) -> Result<TokenKept, Failed> {
        let NewToken { device, vendor, ref token, registered_at } = *new;
        let Some(people) = self.people(device.app) else { return Ok(TokenKept::Gone) };
        if token.is_empty() {
            if !people.is_registered(device.ordinal) {
                return Ok(TokenKept::Gone);
            }
            let why = Dropped { by: by.clone(), why: None };
            self.drop_token(device, vendor, None, None, &why, work)?;
            return Ok(TokenKept::Withdrawn);
        }
        let when = match registered_at {
            Some(then) if then < work.now => When::Then(then),
            _ => When::Now(work.now),
        };
        let (shared, drawn) = (&self.shared, &mut self.drawn);
        let draw = || {
            *drawn = shared.draw();
            *drawn
        };
        let carried = people.carrier(device.ordinal);
        let (seq, replaces, from) = match people.keep_token(device.ordinal, (vendor, token), when, draw) {
            Kept::Gone => return Ok(TokenKept::Gone),
            Kept::Stale => return Ok(TokenKept::Stale),
            Kept::Same(seq) => {
                self.write_token(device, vendor, token, seq, by, work);
                return Ok(TokenKept::Same);
            }
            Kept::New { seq, replaces, from } => (seq, replaces, from),
        };
        self.write_token(device, vendor, token, seq, by, work);
        let digest = token_digest(token);
        let moved = from.is_some();
        let change = match &from {
            Some((_, before)) => TokenChange::MovedFrom(before.clone()),
            None if replaces => TokenChange::Replaced,
            None => TokenChange::Registered,
        };
        if let (Some((ordinal, _)), Some(to)) = (from, people.device_id(device.ordinal)) {
            let loser = Device { app: device.app, ordinal };
            let moved = Moved { device: loser, vendor, digest: digest.clone(), to, seq, by: by.clone() };
            let partition = self.shared.partition_of_device(loser);
            if partition == self.no {
                self.token_moved(&moved, work)?;
            } else {
                work.follow_ups.push((partition, Op::Write(Write::TokenMoved(Box::new(moved)))));
            }
        }
        let entry =
            LedgerRow { at: work.now, vendor: vendor as u8, digest, change, by: by.clone(), why: None };
        self.enter(device, seq, &entry, work)?;
        self.route_anew(device, people.carrier(device.ordinal) != carried, work)?;
        Ok(match (moved, replaces) {
            (true, _) => TokenKept::Moved,
            (false, true) => TokenKept::Replaced,
            (false, false) => TokenKept::New,
        })
    }

    fn write_token(&self, device: Device, vendor: Vendor, token: &str, seq: Seq, by: &By, work: &mut Work) {
        let held = self.people(device.app).and_then(|people| people.held(device.ordinal, vendor));
        // Gone again when another device took it in this very moment: what follows deletes this row.
        let at = held.map_or(work.now, |held| held.at);
        let row = TokenRow { token: token.to_owned(), at, seq: seq.0, by: by.clone() };
        work.batch.put(keys::token(device, vendor), encode(&row));
    }

    /// The row goes, unless the device has got another token meanwhile.
    pub(super) fn token_moved(&mut self, moved: &Moved, work: &mut Work) -> Result<(), Failed> {
        let Moved { device, vendor, seq, .. } = *moved;
        let Some(people) = self.people(device.app) else { return Ok(()) };
        if people.held(device.ordinal, vendor).is_none() {
            work.batch.delete(keys::token(device, vendor));
        }
        if !people.is_registered(device.ordinal) {
            return Ok(());
        }
        let entry = LedgerRow {
            at: work.now,
            vendor: vendor as u8,
            digest: moved.digest.clone(),
            change: TokenChange::MovedTo(moved.to.clone()),
            by: moved.by.clone(),
            why: None,
        };
        self.enter(device, seq, &entry, work)?;
        self.route_anew(device, true, work)
    }

    /// True when it was there.
    pub(super) fn drop_token(
        &mut self,
        device: Device,
        vendor: Vendor,
        token: Option<&str>,
        dead_since: Option<Timestamp>,
        why: &Dropped,
        work: &mut Work,
    ) -> Result<bool, Failed> {
        let Some(people) = self.people(device.app) else { return Ok(false) };
        let Some(digest) = self.digest_of(device, vendor, token)? else { return Ok(false) };
        let carried = people.carrier(device.ordinal);
        if !people.drop_token(device.ordinal, vendor, token, dead_since) {
            return Ok(false);
        }
        work.batch.delete(keys::token(device, vendor));
        let change = match why.by {
            By::Vendor | By::Receipt => TokenChange::Invalidated,
            _ => TokenChange::Withdrawn,
        };
        self.drawn = self.shared.draw();
        if change == TokenChange::Invalidated {
            let by = if why.by == By::Receipt { "receipt" } else { "answer" };
            counter!(names::TOKENS_INVALIDATED, "channel" => vendor.as_str(), "by" => by).increment(1);
            work.records.push(died(device, vendor, &digest, &people, why, work.now));
        }
        let (by, why) = (why.by.clone(), why.why.clone());
        let entry = LedgerRow { at: work.now, vendor: vendor as u8, digest, change, by, why };
        self.enter(device, self.drawn, &entry, work)?;
        self.route_anew(device, people.carrier(device.ordinal) != carried, work)?;
        Ok(true)
    }

    /// Of a token that is given, or that is on disk. One that is replaced or kept in the commit under
    /// way is known by its text alone, so its digest is left open.
    fn digest_of(
        &self,
        device: Device,
        vendor: Vendor,
        token: Option<&str>,
    ) -> Result<Option<String>, Failed> {
        if let Some(token) = token {
            return Ok(Some(token_digest(token)));
        }
        let Some(people) = self.people(device.app) else { return Ok(None) };
        if people.held(device.ordinal, vendor).is_none() {
            return Ok(None);
        }
        let row = self.rows.get(&keys::token(device, vendor))?.map(|row| decode::<TokenRow>(&row));
        let row = row.transpose()?.filter(|row| people.has_token(device.ordinal, vendor, &row.token));
        Ok(Some(row.map(|row| token_digest(&row.token)).unwrap_or_default()))
    }

    /// Writes an entry of a device's ledger, and drops those that are too many.
    fn enter(&self, device: Device, seq: Seq, entry: &LedgerRow, work: &mut Work) -> Result<(), Failed> {
        let (from, to) = keys::whole_ledger(device);
        let mut known = Vec::new();
        self.rows.range(&from, &to, &mut |key, _| {
            known.push(keys::Key::from_slice(key));
            ControlFlow::Continue(())
        })?;
        let over = (known.len() + 1).saturating_sub(LEDGER_MAX);
        known.drain(..over).for_each(|key| work.batch.delete(key));
        work.batch.put(keys::ledger(device, seq), encode(entry));
        Ok(())
    }

    /// With a device that is deleted.
    pub(super) fn forget_tokens(&self, device: Device, work: &mut Work) -> Result<(), Failed> {
        let Some(people) = self.people(device.app) else { return Ok(()) };
        for vendor in people.vendors(device.ordinal) {
            work.batch.delete(keys::token(device, vendor));
        }
        let (from, to) = keys::whole_ledger(device);
        self.rows.range(&from, &to, &mut |key, _| {
            work.batch.delete(keys::Key::from_slice(key));
            ControlFlow::Continue(())
        })
    }

    /// Those that memory knows too: of a token that moved away the row may still be there.
    pub(super) fn read_tokens(&self, of: &[(Device, Vendor)]) -> Result<Vec<Option<TokenInfo>>, Failed> {
        let read = of.iter().map(|&(device, vendor)| {
            let Some(row) = self.rows.get(&keys::token(device, vendor))? else { return Ok(None) };
            let row: TokenRow = decode(&row)?;
            let people = self.people(device.app);
            let has = people.is_some_and(|people| people.has_token(device.ordinal, vendor, &row.token));
            Ok(has.then_some(TokenInfo { vendor, token: row.token, at: row.at, by: row.by }))
        });
        read.collect()
    }

    /// The newest first.
    pub(super) fn ledger(&self, device: Device) -> Result<Vec<LedgerEntry>, Failed> {
        let (from, to) = keys::whole_ledger(device);
        let (mut entries, mut failed) = (Vec::new(), None);
        self.rows.range(&from, &to, &mut |_, value| {
            match decode::<LedgerRow>(value) {
                Ok(row) => entries.extend(row.entry()),
                Err(error) => failed = Some(error),
            }
            ControlFlow::Continue(())
        })?;
        entries.reverse();
        failed.map_or(Ok(entries), Err)
    }
}

/// What tells of a dead token: a record of no message. In place of a message's id stands the token's
/// digest, of 8 bytes, in the first half of a UUID of version 8, which no message has.
fn died(
    device: Device,
    vendor: Vendor,
    digest: &str,
    people: &OfApp,
    why: &Dropped,
    now: Timestamp,
) -> Record {
    let mut id = [0; 16];
    let (front, back) = id.split_at_mut(8);
    front.copy_from_slice(&u64::from_str_radix(digest, 16).unwrap_or_default().to_be_bytes());
    // The version's place is within the digest: what it covers stands behind.
    back[7] = front[6];
    front[6] = 0x80;
    back[0] = 0x80;
    let (platform, app_version) =
        people.group(device.ordinal).map_or((None, None), |(platform, version)| (Some(platform), version));
    Record {
        at: now,
        app: device.app,
        id: MessageId::from_bytes(id),
        push_type: PushType::Single,
        task: None,
        step: Step::TokenInvalidated,
        whom: Whom::Device(device.ordinal),
        platform,
        app_version,
        channel: Channel::Vendor(vendor),
        reason: None,
        detail: why.why.as_deref().map(Into::into),
        message: None,
    }
}

/// The digest of the token that a record tells of, when it is one of those.
pub(super) fn dead_token(record: &Record) -> Option<String> {
    if record.step != Step::TokenInvalidated {
        return None;
    }
    let mut digest: [u8; 8] = *record.id.as_bytes().first_chunk()?;
    digest[6] = record.id.as_bytes()[15];
    Some(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The tokens that are read at start.
#[derive(Default)]
pub(super) struct Found {
    /// Who has each, and its place.
    holders: AHashMap<(App, u8, [u8; 16]), (u64, Device)>,
    /// Whose rows are to go: another device has the token.
    pub losers: Vec<(Device, Vendor)>,
}

impl Found {
    pub(super) fn read(&mut self, shared: &Shared, rows: &Rows) -> Result<(), Failed> {
        let (from, to) = keys::all_tokens();
        let mut failed = None;
        rows.range(
            &from,
            &to,
            &mut |key, value| match (keys::parse_token(key), decode::<TokenRow>(value)) {
                (Some((device, vendor)), Ok(row)) => {
                    self.found(shared, device, vendor, &row);
                    ControlFlow::Continue(())
                }
                (None, _) => {
                    failed = Some(Failed("a token under a key that is none".to_owned()));
                    ControlFlow::Break(())
                }
                (_, Err(error)) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            },
        )?;
        failed.map_or(Ok(()), Err)
    }

    fn found(&mut self, shared: &Shared, device: Device, vendor: Vendor, row: &TokenRow) {
        let Some(people) = shared.tenants.get(device.app) else { return };
        let mut digest = [0; 16];
        digest.copy_from_slice(&Sha256::digest(&row.token)[..16]);
        let (seq, holder) =
            *self.holders.entry((device.app, vendor as u8, digest)).or_insert((row.seq, device));
        if holder != device {
            if (seq, holder.ordinal) > (row.seq, device.ordinal) {
                self.losers.push((device, vendor));
                return;
            }
            people.drop_token(holder.ordinal, vendor, None, None);
            self.losers.push((holder, vendor));
            self.holders.insert((device.app, vendor as u8, digest), (row.seq, device));
        }
        people.restore_token(device.ordinal, vendor, &row.token, row.at);
    }
}

/// Takes a device's tokens out of a row of a build that kept them there. When they were registered it
/// did not say: no earlier than the device.
pub(super) fn old_tokens(row: &mut DeviceRow) -> Vec<(Vendor, TokenRow)> {
    let at = row.registered_at;
    let known = std::mem::take(&mut row.vendor).into_iter();
    let known = known.filter_map(|(channel, token)| Some((channel.parse().ok()?, token)));
    known.map(|(vendor, token)| (vendor, TokenRow { token, at, seq: 0, by: By::Device })).collect()
}

impl LedgerRow {
    /// None of a vendor of a later build.
    fn entry(self) -> Option<LedgerEntry> {
        let Self { at, vendor, digest, change, by, why } = self;
        Some(LedgerEntry { at, vendor: Vendor::from_code(vendor)?, digest, change, by, why })
    }
}

impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("NewToken");
        shown.field("device", &self.device).field("vendor", &self.vendor).finish_non_exhaustive()
    }
}

impl fmt::Debug for TokenInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("TokenInfo");
        shown
            .field("vendor", &self.vendor)
            .field("at", &self.at)
            .field("by", &self.by)
            .finish_non_exhaustive()
    }
}
