//! From the fates of a call's tokens to what becomes of the call.
//!
//! Some fates befall a whole call, whoever else is in it: a vendor that is down for one token of a
//! batch is down for the batch. Each simulator says which fates its vendor can tell token by token.

use std::collections::HashSet;

use carillon_sdk::Vendor;
use parking_lot::Mutex;
use serde_json::Value;

use super::course::Course;
use super::{Fate, Reply, Taken, World};

/// The tokens of one call, and their course.
pub(super) struct Ruling<'a> {
    tokens: &'a [String],
    course: Course,
}

impl<'a> Ruling<'a> {
    pub(super) fn draw(world: &World, vendor: Vendor, tokens: &'a [String]) -> Self {
        Self { tokens, course: Course::draw(world, vendor, tokens.iter().map(String::as_str)) }
    }

    pub(super) fn any(&self, is: impl Fn(Fate) -> bool) -> bool {
        self.course.has(|fate| is(*fate))
    }

    pub(super) fn tokens(&self, is: impl Fn(Fate) -> bool) -> Vec<String> {
        let fates = self.tokens.iter().zip(&self.course.fates);
        fates.filter(|(_, fate)| is(**fate)).map(|(token, _)| token.clone()).collect()
    }

    /// What the call gets before the vendor has looked at it.
    pub(super) fn before(&self) -> Option<Reply> {
        self.course.before()
    }

    /// Those the vendor takes, if the call is not refused as a whole.
    pub(super) fn accepted(&self) -> Vec<String> {
        self.tokens(Course::is_taken)
    }

    /// The answer after all was taken: late, or none.
    pub(super) async fn after(&self, reply: Reply) -> Reply {
        self.course.after(reply).await
    }
}

/// What a simulator took for its tokens, but for repeats it knows by their key.
#[derive(Default)]
pub(super) struct Shelf(Mutex<HashSet<(String, String)>>);

impl Shelf {
    /// With a key, a second one for the same token is dropped, silently as vendors do.
    pub(super) fn take(
        &self,
        world: &World,
        vendor: Vendor,
        (token, key): (&str, Option<&str>),
        vendor_id: &str,
        content: &Value,
    ) {
        if let Some(key) = key {
            let is_new = self.0.lock().insert((token.to_owned(), key.to_owned()));
            if !is_new {
                return;
            }
        }
        world.capture.take(Taken {
            vendor,
            at: world.now(vendor),
            token: token.to_owned(),
            key: key.map(str::to_owned),
            vendor_id: vendor_id.to_owned(),
            content: content.clone(),
        });
    }
}
