//! What goes to the vendor now, and what of it may not.

use std::sync::Arc;

use carillon_sdk::Vendor;

use super::super::batch::Held;
use super::super::breaker::Allows;
use super::super::credential::Show;
use super::super::{Access, Address, End, Errand, Options, Parcel, retry};
use super::{Call, CallId, Desk, Effect, Now, Owed};

/// As the errand's owner reads it, when our own ledger says that the day's share is spent.
const SPENT: &str = "quota_spent";

impl Desk {
    /// Makes as many calls as pace, access and the vendor's manners let.
    pub(super) fn call(&mut self, now: Now, owed: Owed<'_>, effects: &mut Vec<Effect>) {
        if self.batch.waiting_of_all() == 0 {
            return;
        }
        let Some(access) = self.access(now, effects) else { return };
        loop {
            let allows = self.breaker.allows(now.at);
            let may = matches!(allows, Allows::All | Allows::One);
            if !may || self.calls.len() >= self.manners.in_flight_max || !self.pace.allows(now.ms) {
                return;
            }
            let Some(mut held) = self.batch.take(now.ms) else { return };
            if allows == Allows::One && held.len() > 1 {
                let rest = held.split_off(1);
                self.batch.put_back(rest);
            }
            let held = self.let_go(held, now, owed);
            if held.is_empty() {
                continue;
            }
            self.breaker.probes();
            effects.push(self.send(held, access.clone(), now));
        }
    }

    /// What calls may show now; asks for another when it is time.
    fn access(&mut self, now: Now, effects: &mut Vec<Effect>) -> Option<Access> {
        let asked = self.credential.ask(now.at);
        if asked.fetch {
            effects.push(Effect::Authorize);
        }
        match asked.show {
            Show::This(access) => Some(access),
            Show::Wait | Show::Not { .. } => None,
        }
    }

    /// Those that may go now, counted; the others are given back until they may.
    fn let_go(&mut self, held: Vec<Held>, now: Now, owed: Owed<'_>) -> Vec<Held> {
        let mut go = Vec::with_capacity(held.len());
        for held in held {
            match self.may_go(&held, now, owed) {
                Ok(()) => go.push(held),
                Err(end) => self.end(&held, end, now),
            }
        }
        go
    }

    fn may_go(&mut self, held: &Held, now: Now, owed: Owed<'_>) -> Result<(), End> {
        let Errand { message, device, .. } = &held.errand;
        let expires_at = message.expires_at;
        if now.at >= expires_at {
            return Err(End::Again { at: expires_at });
        }
        // Its device may have another user by now, or another token: never is it shown to the next.
        if !owed(held.errand.id) {
            return Err(End::Unclaim);
        }
        let endpoint = self.endpoint(&held.errand.token);
        if let Some(until) = self.pauses.of(held.sort, endpoint.as_deref(), now.at) {
            return Err(End::Again { at: until.min(expires_at) });
        }
        if let Err(spent) = self.ledger.take(held.sort, device.ordinal, now.at) {
            if spent.until >= expires_at {
                return Err(End::Refused { code: SPENT.to_owned() });
            }
            let at = retry::spread(spent.until, self.throw());
            return Err(End::Again { at: at.min(expires_at) });
        }
        Ok(())
    }

    fn send(&mut self, held: Vec<Held>, access: Access, now: Now) -> Effect {
        self.last_call += 1;
        let call = CallId(self.last_call);
        self.pace.took(held.len());
        // There is one: empty calls are not made. They carry one message.
        let first = held.first();
        let (message, options) = first.map_or_else(
            || unreachable!("a call has errands"),
            |held| (Arc::clone(&held.errand.message), Arc::<Options>::clone(&held.options)),
        );
        let to = held.iter().map(|held| address(&held.errand)).collect();
        let shown = access.token().to_owned();
        self.calls.insert(call, Call { held, shown, counted_at: now.at });
        Effect::Call { call, access, parcel: Parcel { message, options, to, now: now.at } }
    }

    /// Of a browser's subscription, its push service's host; nobody else has endpoints.
    pub(super) fn endpoint(&self, token: &str) -> Option<String> {
        if self.vendor != Vendor::WebPush {
            return None;
        }
        let subscription: serde_json::Value = serde_json::from_str(token).ok()?;
        let url = subscription.get("endpoint")?.as_str()?;
        let rest = url.split_once("://")?.1;
        Some(rest.split(['/', '?', '#']).next()?.to_ascii_lowercase())
    }
}

/// The receipt's name holds message and device: 32 digits of the one, a `-`, and the other's number.
fn address(errand: &Errand) -> Address {
    let message: String = errand.message.id.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    Address { token: errand.token.clone(), receipt: format!("{message}-{}", errand.device.ordinal) }
}
