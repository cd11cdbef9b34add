//! The pushes on a connection that the device has not acked.

use carillon_sdk::api::Step;

use super::{BULK_IN_FLIGHT_MAX, Bounds, Effect, Effects, Now};
use crate::model::{Due, Owner, Seq};

#[derive(Debug)]
pub(super) struct Flight {
    pub(super) due: Due,
    sent_ms: u64,
    /// Its user is no longer bound here, or it was revoked: an ack is still heard, nothing else is.
    withdrawn: bool,
}

impl Flight {
    pub(super) const fn new(due: Due, sent_ms: u64) -> Self {
        Self { due, sent_ms, withdrawn: false }
    }
}

/// Empty, it owns no memory: most sessions have nothing in flight.
#[derive(Debug, Default)]
pub(super) struct Window {
    flights: Vec<Flight>,
    bytes: usize,
    bulk: u16,
    withdrawn: u16,
}

impl Window {
    /// Withdrawn ones do not count: when their user comes back, they go out again.
    pub(super) fn holds(&self, seq: Seq) -> bool {
        self.flights.iter().any(|flight| flight.due.seq == seq && !flight.withdrawn)
    }

    fn queued(&self) -> usize {
        self.flights.len() - usize::from(self.bulk) - usize::from(self.withdrawn)
    }

    fn fits_bytes(&self, due: &Due, bounds: &Bounds) -> bool {
        self.bytes == 0 || self.bytes + due.native().len() <= bounds.window_bytes_max
    }

    pub(super) fn fits(&self, due: &Due, bounds: &Bounds) -> bool {
        self.queued() < bounds.in_flight_max && self.fits_bytes(due, bounds)
    }

    pub(super) fn fits_bulk(&self, due: &Due, bounds: &Bounds) -> bool {
        usize::from(self.bulk) < BULK_IN_FLIGHT_MAX && self.fits_bytes(due, bounds)
    }

    pub(super) fn half_open(&self, bounds: &Bounds) -> bool {
        self.queued() <= bounds.in_flight_max / 2 && self.bytes <= bounds.window_bytes_max / 2
    }

    pub(super) fn half_open_for_bulk(&self) -> bool {
        usize::from(self.bulk) <= BULK_IN_FLIGHT_MAX / 2
    }

    /// Pushes that may be sent before the window is full, at least one.
    pub(super) fn room(&self, bounds: &Bounds) -> usize {
        bounds.in_flight_max.saturating_sub(self.queued()).max(1)
    }

    pub(super) fn open(&mut self, flight: Flight) {
        if self.withdrawn > 0 {
            // An ack of either copy is an ack of this one.
            self.ack(flight.due.seq);
        }
        self.bytes += flight.due.native().len();
        self.bulk += u16::from(is_bulk(&flight.due));
        self.flights.push(flight);
    }

    /// Takes an acked push out.
    pub(super) fn ack(&mut self, seq: Seq) -> Option<Due> {
        let at = self.flights.iter().position(|flight| flight.due.seq == seq)?;
        let flight = self.flights.remove(at);
        self.leave(&flight);
        if self.flights.is_empty() {
            self.flights = Vec::new();
        }
        Some(flight.due)
    }

    /// Closes the old user's flights: those in `unwritten` never reached the wire and are gone.
    pub(super) fn withdraw(&mut self, owner: Owner, unwritten: &[Seq]) {
        let mut flights = std::mem::take(&mut self.flights);
        flights.retain_mut(|flight| {
            if flight.withdrawn || flight.due.owner != Some(owner) {
                return true;
            }
            self.leave(flight);
            flight.withdrawn = true;
            let on_wire = !unwritten.contains(&flight.due.seq);
            self.withdrawn += u16::from(on_wire);
            on_wire
        });
        self.flights = flights;
    }

    /// Closes one flight: it is due no more. One that never reached the wire is gone.
    pub(super) fn hold_back(&mut self, seq: Seq, is_unwritten: bool) {
        let Some(at) = self.flights.iter().position(|flight| flight.due.seq == seq && !flight.withdrawn)
        else {
            return;
        };
        let mut flight = self.flights.remove(at);
        self.leave(&flight);
        if !is_unwritten {
            flight.withdrawn = true;
            self.withdrawn += 1;
            self.flights.insert(at, flight);
        }
    }

    /// Goes over what is unacked for long: after the ack timeout, online-only and expired pushes
    /// are given up; after twice that, others go out again. True when a probe is called for.
    pub(super) fn overdue(&mut self, blocked: bool, bounds: &Bounds, now: Now, fx: &mut Effects) -> bool {
        let mut probe = false;
        let mut flights = std::mem::take(&mut self.flights);
        flights.retain_mut(|flight| {
            let age_ms = now.mono_ms.saturating_sub(flight.sent_ms);
            if age_ms < bounds.ack_timeout_ms {
                return true;
            }
            if flight.due.online_only {
                fx.push(Effect::Online(flight.due.clone(), Step::Expired));
                self.leave(flight);
                return false;
            }
            if flight.due.expires_at <= now.wall || (flight.withdrawn && age_ms >= 2 * bounds.ack_timeout_ms)
            {
                self.leave(flight);
                return false;
            }
            probe = true;
            if age_ms >= 2 * bounds.ack_timeout_ms && !flight.withdrawn && !blocked {
                flight.sent_ms = now.mono_ms;
                fx.push(Effect::Send(flight.due.clone()));
            }
            true
        });
        self.flights = flights;
        probe
    }

    pub(super) fn end_online(&mut self, fx: &mut Effects) {
        let mut flights = std::mem::take(&mut self.flights);
        flights.retain(|flight| {
            if flight.due.online_only {
                fx.push(Effect::Online(flight.due.clone(), Step::Expired));
                self.leave(flight);
            }
            !flight.due.online_only
        });
        self.flights = flights;
    }

    fn leave(&mut self, flight: &Flight) {
        if flight.withdrawn {
            self.withdrawn -= 1;
        } else {
            self.bytes -= flight.due.native().len();
            self.bulk -= u16::from(is_bulk(&flight.due));
        }
    }
}

fn is_bulk(due: &Due) -> bool {
    due.owner.is_none() && !due.online_only
}
