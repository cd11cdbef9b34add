//! Whose turn it is among errands of three lanes that share one pace. Pure.
//!
//! The urgent go first, with three of four devices while others wait; of what is left, the normal go
//! before bulk in the same way. So nothing waits behind a campaign, and no campaign stands still.

use super::ErrandLane;

/// Devices of the first for one of the second.
const FIRST: i64 = 3;

/// Two that share.
#[derive(Debug, Default)]
struct Share {
    /// What the first had in advance.
    debt: i64,
}

impl Share {
    /// Whether it is the first's turn.
    const fn is_firsts(&self, first_waits: bool, second_waits: bool) -> bool {
        first_waits && (!second_waits || self.debt < FIRST)
    }

    fn took(&mut self, first: bool, devices: usize, both_wait: bool) {
        let devices = i64::try_from(devices).unwrap_or(i64::MAX / 4);
        if both_wait {
            self.debt += if first { devices } else { -FIRST * devices };
        } else {
            self.debt = 0;
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Lanes {
    urgent: Share,
    normal: Share,
}

impl Lanes {
    /// Among those that wait, in the order of [`ErrandLane::ALL`].
    pub(super) const fn next(&self, [urgent, normal, bulk]: [bool; 3]) -> Option<ErrandLane> {
        if self.urgent.is_firsts(urgent, normal || bulk) {
            return Some(ErrandLane::Urgent);
        }
        match (normal, bulk) {
            (false, false) => None,
            _ if self.normal.is_firsts(normal, bulk) => Some(ErrandLane::Normal),
            _ => Some(ErrandLane::Bulk),
        }
    }

    /// A call of so many devices was made for a lane, while these waited.
    pub(super) fn took(&mut self, lane: ErrandLane, devices: usize, [urgent, normal, bulk]: [bool; 3]) {
        let is_urgent = lane == ErrandLane::Urgent;
        self.urgent.took(is_urgent, devices, urgent && (normal || bulk));
        if !is_urgent {
            self.normal.took(lane == ErrandLane::Normal, devices, normal && bulk);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(waiting: [bool; 3], devices: usize, calls: usize) -> [usize; 3] {
        let (mut lanes, mut shares) = (Lanes::default(), [0; 3]);
        for _ in 0..calls {
            let lane = lanes.next(waiting).unwrap();
            lanes.took(lane, devices, waiting);
            shares[lane as usize] += 1;
        }
        shares
    }

    #[test]
    fn who_waits_with_others_gets_a_share_and_who_waits_alone_all() {
        for devices in [1, 100, 1_000] {
            assert_eq!(shares([true, false, false], devices, 16), [16, 0, 0]);
            assert_eq!(shares([false, false, true], devices, 16), [0, 0, 16]);
            let [urgent, normal, bulk] = shares([true, true, true], devices, 160);
            assert!((118..=121).contains(&urgent), "{urgent} {normal} {bulk}");
            assert!((28..=31).contains(&normal) && (9..=11).contains(&bulk), "{urgent} {normal} {bulk}");
            let [urgent, normal, bulk] = shares([true, false, true], devices, 160);
            assert!((118..=121).contains(&urgent) && normal == 0, "{urgent} {normal} {bulk}");
        }
        assert_eq!(Lanes::default().next([false; 3]), None);
    }

    #[test]
    fn the_urgent_owe_nothing_for_what_they_had_while_nobody_else_waited() {
        let mut lanes = Lanes::default();
        lanes.took(ErrandLane::Urgent, 1_000_000, [true, false, false]);
        assert_eq!(lanes.next([true, true, true]), Some(ErrandLane::Urgent));
    }
}
