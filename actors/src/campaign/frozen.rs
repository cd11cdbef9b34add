//! The targets of an audience between the commit that applies the campaign and the one that opens
//! its log entry: the one keeps them for the other, whatever the directory does meanwhile.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

/// A bitmap, as text. A million devices are at most 170 KB, for some milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Frozen(String);

impl Frozen {
    pub(super) fn of(devices: &RoaringBitmap) -> Self {
        let mut bytes = Vec::with_capacity(devices.serialized_size());
        // Writing to memory does not fail.
        let _ = devices.serialize_into(&mut bytes);
        Self(STANDARD_NO_PAD.encode(bytes))
    }

    /// None when it is damaged, which the checksum of its row would have found.
    pub(super) fn devices(&self) -> Option<RoaringBitmap> {
        let bytes = STANDARD_NO_PAD.decode(&self.0).ok()?;
        RoaringBitmap::deserialize_from(&bytes[..]).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_frozen_thaws_as_it_was() {
        for devices in [RoaringBitmap::new(), (0..100_000).collect(), (5..500_000).step_by(7).collect()] {
            assert_eq!(Frozen::of(&devices).devices(), Some(devices));
        }
    }
}
