//! Nonces of requests, in buckets by the request's minute that are dropped whole when no request of
//! that minute can be accepted any more. A full table refuses; it never forgets early.

use std::collections::BTreeMap;

use ahash::AHashSet;
use carillon_sdk::Timestamp;
use carillon_sdk::sign::SKEW_MAX;

use super::{Nonce, NonceVerdict};

const BUCKET_MS: u64 = 60_000;

#[derive(Default)]
pub(super) struct Nonces {
    buckets: BTreeMap<u64, AHashSet<[u8; 16]>>,
    len: usize,
}

impl Nonces {
    pub(super) fn remember(&mut self, nonce: &Nonce, max: usize) -> NonceVerdict {
        let full = self.len >= max;
        let bucket = self.buckets.entry(bucket_of(nonce.at)).or_default();
        if bucket.contains(&nonce.hash) {
            return NonceVerdict::Replayed;
        }
        if full {
            return NonceVerdict::Full;
        }
        bucket.insert(nonce.hash);
        self.len += 1;
        NonceVerdict::New
    }

    /// One found on disk at start.
    pub(super) fn restore(&mut self, bucket: u64, hash: [u8; 16]) {
        self.len += usize::from(self.buckets.entry(bucket).or_default().insert(hash));
    }

    pub(super) fn forget_before(&mut self, oldest: u64) {
        while let Some(first) = self.buckets.first_entry()
            && *first.key() < oldest
        {
            self.len -= first.remove().len();
        }
    }
}

#[must_use]
pub(super) const fn bucket_of(at: Timestamp) -> u64 {
    at.as_millis() / BUCKET_MS
}

/// The oldest bucket that must be kept: a request older than the skew is refused for its age. One
/// bucket more, for a request checked just before the sweep.
#[must_use]
pub(super) const fn oldest_kept(now: Timestamp) -> u64 {
    (now.as_millis().saturating_sub(SKEW_MAX.as_millis()) / BUCKET_MS).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use carillon_sdk::KeyId;

    use super::*;

    fn nonce(hash: u8, at_ms: u64) -> Nonce {
        Nonce { key: KeyId::parse("k").unwrap(), hash: [hash; 16], at: Timestamp::from_millis(at_ms) }
    }

    #[test]
    fn a_nonce_is_remembered_for_as_long_as_its_request_could_be_repeated() {
        let mut nonces = Nonces::default();
        let at = 10_000_000;
        assert_eq!(nonces.remember(&nonce(1, at), 10), NonceVerdict::New);
        nonces.forget_before(oldest_kept(Timestamp::from_millis(at + 300_000)));
        assert_eq!(nonces.remember(&nonce(1, at), 10), NonceVerdict::Replayed);
        nonces.forget_before(oldest_kept(Timestamp::from_millis(at + 500_000)));
        assert_eq!(nonces.len, 0);
    }

    #[test]
    fn a_full_table_refuses_and_still_knows_a_replay() {
        let mut nonces = Nonces::default();
        assert_eq!(nonces.remember(&nonce(1, 0), 1), NonceVerdict::New);
        assert_eq!(nonces.remember(&nonce(2, 0), 1), NonceVerdict::Full);
        assert_eq!(nonces.remember(&nonce(1, 0), 1), NonceVerdict::Replayed);
    }
}
