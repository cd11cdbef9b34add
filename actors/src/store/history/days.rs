//! Days of the UTC calendar, for the names of files. No leap seconds, as in Unix time.

use std::fmt;

use carillon_sdk::Timestamp;

pub(crate) const DAY_MS: u64 = 86_400_000;

/// The last day whose year has four digits: 9999-12-31.
const LAST: u64 = 2_932_896;

/// A day, counted from 1970-01-01. Written as `YYYYMMDD`, which sorts as the days do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(u64);

impl Day {
    /// The day `at` falls on; the year 9999 never ends, so that a name always has eight digits.
    pub(crate) fn of(at: Timestamp) -> Self {
        Self((at.as_millis() / DAY_MS).min(LAST))
    }

    /// The first moment of the day after.
    pub(crate) const fn end(self) -> Timestamp {
        Timestamp::from_millis((self.0 + 1) * DAY_MS)
    }

    pub(crate) const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() != 8 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let day = days(text[..4].parse().ok()?, text[4..6].parse().ok()?, text[6..].parse().ok()?)?;
        (Self(day).to_string() == text).then_some(Self(day))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0);
        write!(f, "{year:04}{month:02}{day:02}")
    }
}

/// Year, month and day of a count of days from 1970-01-01: Howard Hinnant's `civil_from_days`, for
/// days not before 1970. Years begin in March there, so that the leap day comes last.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468; // days from 0000-03-01
    let era = shifted / 146_097; // 400 years
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153; // 0 is March
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

/// The reverse, for dates not before 1970. None for what cannot be a date; the 31st of a shorter
/// month comes out as a day of the next one.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(secs: u64) -> String {
        Day::of(Timestamp::from_millis(secs * 1000)).to_string()
    }

    #[test]
    fn days_are_named_as_the_calendar_does() {
        // `date -u -d @SECONDS +%Y%m%d`
        for (secs, day) in [
            (0, "19700101"),
            (951_782_399, "20000228"),
            (951_782_400, "20000229"),
            (951_868_800, "20000301"),
            (1_709_164_800, "20240229"),
            (1_764_201_599, "20251126"),
            (1_764_201_600, "20251127"),
            (1_798_761_599, "20261231"),
            (1_798_761_600, "20270101"),
            (4_107_542_400, "21000301"),
            (253_402_300_799, "99991231"),
            (u64::MAX / 1000, "99991231"),
        ] {
            assert_eq!(name(secs), day, "{secs}");
        }
    }

    #[test]
    fn every_day_is_read_back_from_its_name_and_follows_the_one_before() {
        let mut last = String::new();
        for day in (0..60_000).chain(LAST - 400..=LAST) {
            let text = Day(day).to_string();
            assert_eq!(Day::parse(&text), Some(Day(day)));
            assert!(text > last, "{text} after {last}");
            last = text;
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "2026112",
            "202611240",
            "20261301",
            "20260001",
            "20260230",
            "20230229",
            "19691231",
            "2026112x",
        ] {
            assert_eq!(Day::parse(text), None, "{text}");
        }
    }
}
