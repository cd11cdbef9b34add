//! A disk in memory, for tests and for trying things out. Clones share one map, so that a store
//! dropped and opened again over a clone finds what was committed.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use parking_lot::RwLock;

use super::disk::{Batch, Disk, Failed, Visit};

#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<RwLock<BTreeMap<Vec<u8>, Vec<u8>>>>);

impl Disk for Memory {
    fn commit(&mut self, batch: &Batch) -> Result<(), Failed> {
        let mut map = self.0.write();
        for (key, value) in batch.iter() {
            match value {
                Some(value) => map.insert(key.to_vec(), value.to_vec()),
                None => map.remove(key),
            };
        }
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Failed> {
        Ok(self.0.read().get(key).cloned())
    }

    fn range(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), Failed> {
        if from >= to {
            return Ok(());
        }
        let map = self.0.read();
        for (key, value) in map.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to))) {
            if visit(key, value) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }

    fn room(&self) -> bool {
        true
    }

    fn size(&self) -> u64 {
        self.0.read().iter().map(|(key, value)| (key.len() + value.len()) as u64).sum()
    }
}
