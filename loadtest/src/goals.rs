//! The budgets a report is held against: the same rows as docs/performance.md.

/// A figure with what it must be and what we want it to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Goal {
    pub(crate) id: &'static str,
    pub(crate) must: f64,
    pub(crate) goal: f64,
    /// False for rates, where more is better.
    pub(crate) lower_is_better: bool,
}

const fn at_most(id: &'static str, must: f64, goal: f64) -> Goal {
    Goal { id, must, goal, lower_is_better: true }
}

const fn at_least(id: &'static str, must: f64, goal: f64) -> Goal {
    Goal { id, must, goal, lower_is_better: false }
}

pub(crate) const G2_P50_MS: Goal = at_most("G2", 2.0, 1.0);
pub(crate) const G2_P99_MS: Goal = at_most("G2", 20.0, 5.0);
/// No must is set for it.
pub(crate) const G2_P999_MS: Goal = at_most("G2", f64::INFINITY, 20.0);
pub(crate) const G2V_P50_MS: Goal = at_most("G2v", f64::INFINITY, 0.2);
pub(crate) const G2V_P99_MS: Goal = at_most("G2v", 5.0, 2.0);
pub(crate) const G3_P99_MS: Goal = at_most("G3", 100.0, 25.0);
pub(crate) const G4_BYTES: Goal = at_most("G4", 4096.0, 2048.0);
pub(crate) const G4T_BYTES: Goal = at_most("G4t", 12_288.0, 8192.0);
/// Deliveries per second of server processor time.
pub(crate) const G5_RATE: Goal = at_least("G5", 60_000.0, 100_000.0);
/// Processor time per delivery, as a multiple of the floor's.
pub(crate) const G5_RATIO: Goal = at_most("G5", 1.6, 1.2);
pub(crate) const G5A_RATE: Goal = at_least("G5a", 50_000.0, 80_000.0);
pub(crate) const G6_RATE: Goal = at_least("G6", 5_000.0, 15_000.0);
pub(crate) const G6T_RATE: Goal = at_least("G6t", 1_000.0, 2_500.0);
pub(crate) const G7_BATCH_RATE: Goal = at_least("G7", 10_000.0, 30_000.0);
pub(crate) const G7_SINGLE_RATE: Goal = at_least("G7", 3_000.0, 10_000.0);
pub(crate) const G8_LISTENING_S: Goal = at_most("G8", 10.0, 2.0);
pub(crate) const G8_DELIVERY_S: Goal = at_most("G8", 15.0, 3.0);
pub(crate) const G9_BYTES: Goal = at_most("G9", 64.0, 1.0);
/// Kept for each device that does not read, in bytes.
pub(crate) const G10_BYTES: Goal = at_most("G10", f64::INFINITY, 65_536.0);
/// The other devices' p99 with slow readers, as a multiple of that without.
pub(crate) const G10_RATIO: Goal = at_most("G10", f64::INFINITY, 1.2);
pub(crate) const G11_BACK_S: Goal = at_most("G11", f64::INFINITY, 30.0);
pub(crate) const G11_PEAK_RATIO: Goal = at_most("G11", f64::INFINITY, 1.3);

/// How a value stands against its goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Goal,
    Must,
    Missed,
}

impl Goal {
    pub(crate) fn verdict(&self, value: f64) -> Verdict {
        let reaches = |bar: f64| if self.lower_is_better { value <= bar } else { value >= bar };
        if reaches(self.goal) {
            Verdict::Goal
        } else if reaches(self.must) {
            Verdict::Must
        } else {
            Verdict::Missed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_is_better_when_it_is_lower_and_a_rate_when_it_is_higher() {
        assert_eq!(G2_P99_MS.verdict(4.0), Verdict::Goal);
        assert_eq!(G2_P99_MS.verdict(12.0), Verdict::Must);
        assert_eq!(G2_P99_MS.verdict(21.0), Verdict::Missed);
        assert_eq!(G6_RATE.verdict(16_000.0), Verdict::Goal);
        assert_eq!(G6_RATE.verdict(6_000.0), Verdict::Must);
        assert_eq!(G6_RATE.verdict(4_999.0), Verdict::Missed);
    }
}
