//! An entry's bitmaps on disk: a row for each 65,536 devices that have a bit in it.

use roaring::RoaringBitmap;

/// Which of an entry's bitmaps. The letter stands in the key: add, never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(in crate::store) enum Mark {
    /// Whom a campaign is for.
    Targets = b't',
    /// Whom it was let go to so far.
    Released = b'r',
    /// To whose socket it was written.
    Sent = b's',
    /// Who needs it no longer, for whatever reason. The oldest: it has a kind of key of its own.
    Settled = b'a',
    /// Of the settled, those who never acked.
    Rejected = b'x',
    /// Of the settled, those whom a vendor took it for.
    Handed = b'o',
    /// To whom only a vendor carries it.
    Held = b'h',
}

impl Mark {
    pub(in crate::store) const ALL: [Self; 7] =
        [Self::Targets, Self::Released, Self::Sent, Self::Settled, Self::Rejected, Self::Handed, Self::Held];

    #[must_use]
    pub(in crate::store) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|&mark| mark as u8 == code)
    }
}

pub(in crate::store) const fn chunk_of(ordinal: u32) -> u16 {
    (ordinal >> 16) as u16
}

/// The chunks that hold any of these devices.
pub(in crate::store) fn chunks_of(devices: &RoaringBitmap) -> Vec<u16> {
    let mut chunks = Vec::new();
    let mut next = Some(0_u32);
    while let Some(from) = next {
        let rank = if from == 0 { 0 } else { devices.rank(from - 1) };
        let first = u32::try_from(rank).ok().and_then(|rank| devices.select(rank));
        let Some(first) = first else { break };
        chunks.push(chunk_of(first));
        next = (u32::from(chunk_of(first)) << 16).checked_add(1 << 16);
    }
    chunks
}

/// One chunk's bytes.
pub(in crate::store) fn encode(devices: &RoaringBitmap, chunk: u16) -> Vec<u8> {
    let first = u32::from(chunk) << 16;
    let mut of_chunk = devices.clone();
    of_chunk.remove_range(..first);
    if let Some(next) = first.checked_add(1 << 16) {
        of_chunk.remove_range(next..);
    }
    let mut bytes = Vec::with_capacity(of_chunk.serialized_size());
    // Writing to memory does not fail.
    let _ = of_chunk.serialize_into(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitmap_is_the_union_of_its_chunks() {
        let devices: RoaringBitmap = [0, 5, 65_535, 65_536, 200_000, u32::MAX].into_iter().collect();
        let chunks = chunks_of(&devices);
        assert_eq!(chunks, [0, 1, 3, u16::MAX]);
        let read = |chunk| RoaringBitmap::deserialize_from(&encode(&devices, chunk)[..]).unwrap();
        let whole = chunks.into_iter().map(read).fold(RoaringBitmap::new(), |whole, chunk| whole | chunk);
        assert_eq!(whole, devices);
        assert_eq!(chunks_of(&RoaringBitmap::new()), [] as [u16; 0]);
    }
}
