//! What a partition stands on: an ordered map of bytes that takes a batch whole or not at all.
//!
//! Two disks: sled, and memory. Every value carries a CRC-32 of its key and itself, because sled
//! opens damaged files happily and finds out later, or never.

use std::ops::ControlFlow;

use super::keys::Key;

/// An I/O error, a damaged value, a disk that refuses: after it nobody knows what is stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failed(pub String);

/// What a visitor of a range answers: go on, or it has enough.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// An ordered key-value map on something that keeps it.
pub trait Disk: Send {
    /// All of it, durable when this returns; on an error perhaps, and nobody knows.
    fn commit(&mut self, batch: &Batch) -> Result<(), Failed>;

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Failed>;

    /// Visits keys from `from` (inclusive) to `to` (exclusive), in order.
    fn range(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), Failed>;

    /// False when the disk is so full that a batch might not fit. Asked before a batch is made,
    /// since an engine that meets the end of the disk half way is lost.
    fn room(&self) -> bool;

    /// Bytes on disk.
    fn size(&self) -> u64;

    /// Tidies memory after a commit, when its callers have been answered.
    fn settle(&mut self) {}
}

/// Puts (`Some`) and deletes (`None`), later ones winning.
#[derive(Debug, Default)]
pub struct Batch(Vec<(Key, Option<Vec<u8>>)>);

const CRC_BYTES: usize = 4;

impl Batch {
    /// The checksum is added here.
    pub fn put(&mut self, key: Key, mut value: Vec<u8>) {
        let crc = checksum(&key, &value);
        value.extend_from_slice(&crc.to_be_bytes());
        self.0.push((key, Some(value)));
    }

    pub fn delete(&mut self, key: Key) {
        self.0.push((key, None));
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.0.iter().map(|(key, value)| (key.as_slice(), value.as_deref()))
    }
}

fn checksum(key: &[u8], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(value);
    hasher.finalize()
}

/// A disk whose values are checked and stripped of their checksum as they are read.
pub struct Rows(Box<dyn Disk>);

impl Rows {
    #[must_use]
    pub fn new(disk: Box<dyn Disk>) -> Self {
        Self(disk)
    }

    pub fn commit(&mut self, batch: &Batch) -> Result<(), Failed> {
        self.0.commit(batch)
    }

    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Failed> {
        let Some(mut value) = self.0.get(key)? else { return Ok(None) };
        let length = verified(key, &value)?.len();
        value.truncate(length);
        Ok(Some(value))
    }

    pub fn range(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), Failed> {
        let mut damaged = None;
        self.0.range(from, to, &mut |key, value| match verified(key, value) {
            Ok(value) => visit(key, value),
            Err(failed) => {
                damaged = Some(failed);
                ControlFlow::Break(())
            }
        })?;
        damaged.map_or(Ok(()), Err)
    }

    #[must_use]
    pub fn room(&self) -> bool {
        self.0.room()
    }

    #[must_use]
    pub fn size(&self) -> u64 {
        self.0.size()
    }

    pub fn settle(&mut self) {
        self.0.settle();
    }
}

/// The value without its checksum, once that holds.
pub fn verified<'a>(key: &[u8], stored: &'a [u8]) -> Result<&'a [u8], Failed> {
    stored
        .split_last_chunk::<CRC_BYTES>()
        .filter(|(value, crc)| checksum(key, value).to_be_bytes() == **crc)
        .map(|(value, _)| value)
        .ok_or_else(|| Failed(format!("the value under {} is damaged", hex(key))))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
