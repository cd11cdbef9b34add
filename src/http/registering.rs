//! Device ids that clients are registering at this moment.

use std::collections::HashSet;

use carillon_actors::model::App;
use carillon_sdk::DeviceId;
use parking_lot::Mutex;

/// As many as there are requests under way.
#[derive(Default)]
pub(super) struct Registering(Mutex<HashSet<(App, DeviceId)>>);

/// Lets the id go when dropped, also when the request's connection breaks.
pub(super) struct Held<'a> {
    of: &'a Registering,
    id: (App, DeviceId),
}

impl Registering {
    /// None while another holds it.
    pub(super) fn hold(&self, app: App, id: &DeviceId) -> Option<Held<'_>> {
        let id = (app, id.clone());
        // Made only when it holds: one made and dropped would let another's go.
        let first = self.0.lock().insert(id.clone());
        first.then(|| Held { of: self, id })
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.of.0.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_held_by_one_at_a_time() {
        let registering = Registering::default();
        let id = DeviceId::parse("phone").unwrap();
        let held = registering.hold(App(1), &id).unwrap();
        assert!(registering.hold(App(1), &id).is_none());
        assert!(registering.hold(App(2), &id).is_some(), "another app's id is another id");
        drop(held);
        assert!(registering.hold(App(1), &id).is_some());
    }
}
