//! How records lie in a file, and how they are found again in one that a crash or a bad disk left.
//!
//! ```text
//! length u32 · crc32 of the body u32 · body …        (little-endian; the length is the body's)
//! ```

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes in front of a body.
pub(super) const HEAD: usize = 8;

/// A body has at least the fixed front of a record. Without a least length a run of zeros, which
/// is what a file system leaves of a torn write, would read as empty records with a right checksum.
const BODY_MIN: usize = 16;

/// The largest body: a group of devices above it is written as several records.
pub(super) const BODY_MAX: usize = 16 << 20;

/// After damage only bodies up to this are looked for: each place whose bytes might be a length
/// costs a checksum over what it claims.
const BODY_AFTER_DAMAGE_MAX: usize = 64 << 10;

/// One pread brings most records whole.
const READ_AHEAD: usize = 256;

/// Frames what `encode` appends.
pub(super) fn put(to: &mut Vec<u8>, encode: impl FnOnce(&mut Vec<u8>)) {
    let start = to.len();
    to.extend_from_slice(&[0; HEAD]);
    encode(to);
    let body = &to[start + HEAD..];
    let (len, crc) = (body.len() as u32, crc32fast::hash(body));
    to[start..start + 4].copy_from_slice(&len.to_le_bytes());
    to[start + 4..start + HEAD].copy_from_slice(&crc.to_le_bytes());
}

fn head(bytes: &[u8]) -> Option<(usize, u32)> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let crc = rest.first_chunk::<4>()?;
    Some((u32::from_le_bytes(*len) as usize, u32::from_le_bytes(*crc)))
}

/// The body of the frame at the front of `bytes`, if one of at most `body_max` is there, whole.
fn intact(bytes: &[u8], body_max: usize) -> Option<&[u8]> {
    let (len, crc) = head(bytes)?;
    if len < BODY_MIN || len > body_max {
        return None;
    }
    let body = bytes.get(HEAD..HEAD + len)?;
    (crc32fast::hash(body) == crc).then_some(body)
}

/// What stands at the front of some bytes that may end within a frame.
pub(super) enum Front<'a> {
    Whole(&'a [u8]),
    /// A frame that goes on beyond the bytes at hand: it has so many.
    Cut(usize),
    Damaged,
}

pub(super) fn front(bytes: &[u8]) -> Front<'_> {
    match head(bytes) {
        None => Front::Cut(HEAD),
        Some((len, _)) if !(BODY_MIN..=BODY_MAX).contains(&len) => Front::Damaged,
        Some((len, _)) if HEAD + len > bytes.len() => Front::Cut(HEAD + len),
        Some(_) => intact(bytes, BODY_MAX).map_or(Front::Damaged, Front::Whole),
    }
}

/// The body of the frame at `offset`; none when it is damaged.
pub(super) fn read(file: &File, offset: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; READ_AHEAD];
    let mut have = fill(file, &mut bytes, offset)?;
    let Some((len, _)) = head(&bytes[..have]) else { return Ok(None) };
    if len > BODY_MAX {
        return Ok(None);
    }
    if HEAD + len > have {
        bytes.resize(HEAD + len, 0);
        have += fill(file, &mut bytes[have..], offset + have as u64)?;
    }
    Ok(intact(&bytes[..have], BODY_MAX).map(<[u8]>::to_vec))
}

/// Fills `to` as far as the file goes.
pub(super) fn fill(file: &File, to: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut have = 0;
    while have < to.len() {
        match file.read_at(&mut to[have..], offset + have as u64) {
            Ok(0) => break,
            Ok(more) => have += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(have)
}

/// Every intact frame of a file, in order. What is damaged is passed over to the next intact one.
pub(super) struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
    lost: usize,
}

impl<'a> Scan<'a> {
    pub(super) fn new(bytes: &'a [u8], from: usize) -> Self {
        let at = from.min(bytes.len());
        Self { bytes, at, end: at, lost: 0 }
    }

    /// After the last intact frame seen.
    pub(super) const fn end(&self) -> usize {
        self.end
    }

    /// Bytes passed over so far, a torn tail included once the scan is through.
    pub(super) const fn lost(&self) -> usize {
        self.lost
    }
}

impl<'a> Iterator for Scan<'a> {
    type Item = (usize, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let mut body_max = BODY_MAX;
        while self.at < self.bytes.len() {
            let at = self.at;
            if let Some(body) = intact(&self.bytes[at..], body_max) {
                self.at += HEAD + body.len();
                self.end = self.at;
                return Some((at, body));
            }
            self.at += 1;
            self.lost += 1;
            body_max = BODY_AFTER_DAMAGE_MAX;
        }
        None
    }
}
