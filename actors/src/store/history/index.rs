//! Where in a segment the records of a message are.
//!
//! ```text
//! <segment>.idx   magic u32 · version u32 · entries u64 · bytes of the log u64 · crc32 of these u32 · 0 u32
//!                 blocks of 4,096: 341 × (hash u64 · offset u32), zeros where there are fewer · crc32 u32
//! ```
//!
//! Entries are sorted by hash, then offset. A block is checked whenever it is read, so damage is
//! noticed by whoever would have been misled by it, and the file is made anew from the log.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use carillon_sdk::MessageId;

use crate::model::App;

const MAGIC: u32 = u32::from_le_bytes(*b"CHIX");
const VERSION: u32 = 1;
const HEAD: usize = 32;
const ENTRY: usize = 12;
const BLOCK: usize = 4096;
const PER_BLOCK: usize = (BLOCK - 4) / ENTRY;

/// A message's hash and the place of one of its records.
pub(super) type Entry = (u64, u32);

/// The same in every build and on every machine: it is on disk. Ids begin with a time, so their
/// bits are mixed (the finalizer of splitmix64).
pub(super) fn hash(app: App, id: MessageId) -> u64 {
    let number = u128::from_be_bytes(*id.as_bytes());
    mix(mix((number >> 64) as u64 ^ u64::from(app.0)) ^ number as u64)
}

const fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Writes `entries` beside the log, whole or not at all. Not synced: one that a power cut tears
/// does not verify, and is made anew.
pub(super) fn write(path: &Path, mut entries: Vec<Entry>, log_bytes: u64) -> io::Result<()> {
    entries.sort_unstable();
    let mut bytes = Vec::with_capacity(HEAD + entries.len().div_ceil(PER_BLOCK) * BLOCK);
    bytes.extend_from_slice(&MAGIC.to_le_bytes());
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&(entries.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&log_bytes.to_le_bytes());
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes.resize(HEAD, 0);
    for block in entries.chunks(PER_BLOCK) {
        let start = bytes.len();
        for (hash, offset) in block {
            bytes.extend_from_slice(&hash.to_le_bytes());
            bytes.extend_from_slice(&offset.to_le_bytes());
        }
        bytes.resize(start + BLOCK - 4, 0);
        let crc = crc32fast::hash(&bytes[start..]);
        bytes.extend_from_slice(&crc.to_le_bytes());
    }
    let temporary = path.with_extension("idx.tmp");
    fs::write(&temporary, &bytes)?;
    fs::rename(&temporary, path)
}

/// The places of a message's records, in order. None when the file is missing, damaged, or of
/// another log than one of `log_bytes`.
pub(super) fn find(path: &Path, hash: u64, log_bytes: u64) -> io::Result<Option<Vec<u32>>> {
    match File::open(path) {
        Ok(file) => search(&file, hash, log_bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn search(file: &File, hash: u64, log_bytes: u64) -> io::Result<Option<Vec<u32>>> {
    let Some(entries) = entries(file, log_bytes)? else { return Ok(None) };
    let blocks = entries.div_ceil(PER_BLOCK);
    // The first block whose last entry is not below the hash.
    let (mut low, mut high) = (0, blocks);
    while low < high {
        let middle = low + (high - low) / 2;
        let Some(block) = Block::read(file, middle, entries)? else { return Ok(None) };
        if block.last() < hash { low = middle + 1 } else { high = middle }
    }
    let mut found = Vec::new();
    for number in low..blocks {
        let Some(block) = Block::read(file, number, entries)? else { return Ok(None) };
        found.extend(block.entries().filter(|entry| entry.0 == hash).map(|entry| entry.1));
        if block.last() > hash {
            break;
        }
    }
    Ok(Some(found))
}

/// The number of entries the head promises, if the head and the file's length are sound.
fn entries(file: &File, log_bytes: u64) -> io::Result<Option<usize>> {
    let mut head = [0; HEAD];
    match file.read_exact_at(&mut head, 0) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| head[at + byte]));
    let short = |at: usize| u32::from_le_bytes(std::array::from_fn(|byte| head[at + byte]));
    let sound = short(0) == MAGIC
        && short(4) == VERSION
        && short(24) == crc32fast::hash(&head[..24])
        && long(16) == log_bytes;
    let entries = long(8) as usize;
    let len = HEAD as u64 + entries.div_ceil(PER_BLOCK) as u64 * BLOCK as u64;
    Ok((sound && file.metadata()?.len() == len).then_some(entries))
}

struct Block {
    bytes: [u8; BLOCK],
    entries: usize,
}

impl Block {
    fn read(file: &File, number: usize, entries: usize) -> io::Result<Option<Self>> {
        let mut bytes = [0; BLOCK];
        file.read_exact_at(&mut bytes, (HEAD + number * BLOCK) as u64)?;
        let crc = u32::from_le_bytes(std::array::from_fn(|byte| bytes[BLOCK - 4 + byte]));
        let entries = (entries - number * PER_BLOCK).min(PER_BLOCK);
        Ok((crc == crc32fast::hash(&bytes[..BLOCK - 4])).then_some(Self { bytes, entries }))
    }

    fn entry(&self, number: usize) -> Entry {
        let at = number * ENTRY;
        let hash = u64::from_le_bytes(std::array::from_fn(|byte| self.bytes[at + byte]));
        (hash, u32::from_le_bytes(std::array::from_fn(|byte| self.bytes[at + 8 + byte])))
    }

    fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        (0..self.entries).map(|number| self.entry(number))
    }

    /// The greatest hash; a block that is read has at least one entry.
    fn last(&self) -> u64 {
        self.entry(self.entries - 1).0
    }
}
