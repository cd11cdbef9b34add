//! When a schedule fires. Pure: a strategy and a moment in, the next firing out.
//!
//! A cyclic schedule names days and one time of day, both of its zone. Where the zone has no such
//! moment (clocks went forward over it) it fires at the first moment after the gap; where the zone
//! has it twice (clocks went back) it fires the first time. A day that a month lacks is skipped, and
//! two wanted days that fall on one moment (a zone that left a day out) fire once.

use std::collections::BTreeSet;
use std::fmt;

use carillon_sdk::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Days looked at for the next firing. From one wanted day to the next are at most 61 (the 31st of
/// October and of December); the rest is room for a zone that leaves days out.
const DAYS_LOOKED_AT: usize = 70;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    Once(Timestamp),
    Cyclic(Cycle),
}

/// The same time of day, on some days, from one date to another, both included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cycle {
    pub every: Every,
    #[serde(with = "as_text")]
    pub time: Time,
    #[serde(with = "as_text")]
    pub from: Date,
    #[serde(with = "as_text")]
    pub to: Date,
    pub zone: Zone,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Every {
    Day,
    /// Days of the week: Monday is 1, Sunday is 7. At least one.
    Week(BTreeSet<i8>),
    /// Days of the month, 1 to 31. At least one.
    Month(BTreeSet<i8>),
}

/// A time zone of the IANA database that is built in: the same on every machine.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// Why a text is no part of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("no time zone of that name: {0:?}")]
    Zone(String),
    #[error("expected a time of day as 09:30 or 09:30:00, not {0:?}")]
    Time(String),
    #[error("expected a date as 2026-12-31, not {0:?}")]
    Date(String),
    #[error("expected days of the week, 1 (Monday) to 7")]
    Weekdays,
    #[error("expected days of the month, 1 to 31")]
    Days,
}

impl Zone {
    pub fn parse(name: &str) -> Result<Self, Invalid> {
        // The unknown zone is a name of jiff's own, and a zone of nowhere.
        let zone = TimeZone::get(name).ok().filter(|zone| !zone.is_unknown());
        let zone = zone.filter(|zone| zone.iana_name().is_some());
        zone.map(Self).ok_or_else(|| Invalid::Zone(name.chars().take(64).collect()))
    }

    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The date there at that moment.
    #[must_use]
    pub fn date(&self, at: Timestamp) -> Date {
        instant(at).map_or(Date::MAX, |at| self.0.to_datetime(at).date())
    }

    /// The first moment at which clocks there say so, or the first after the gap they skipped it in.
    /// None beyond the year 9999.
    fn moment(&self, wanted: DateTime) -> Option<jiff::Timestamp> {
        let ambiguous = self.0.to_ambiguous_timestamp(wanted);
        match ambiguous.offset() {
            AmbiguousOffset::Gap { after, .. } => {
                // Read with the offset of afterwards, the wanted time lies before the change.
                let before_the_change = after.to_timestamp(wanted).ok()?;
                Some(self.0.following(before_the_change).next()?.timestamp())
            }
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => ambiguous.earlier().ok(),
        }
    }
}

impl Strategy {
    /// The first firing after `now`.
    #[must_use]
    pub fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Once(at) => (*at > now).then_some(*at),
            Self::Cyclic(cycle) => cycle.next_after(now),
        }
    }

    /// Every firing after `now`, in order.
    pub fn after(&self, now: Timestamp) -> impl Iterator<Item = Timestamp> {
        std::iter::successors(self.next_after(now), |last| self.next_after(*last))
    }

    /// The last moment at which it may fire.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        match self {
            Self::Once(at) => *at,
            // Days end within two of their own dates, wherever their zone puts them.
            Self::Cyclic(cycle) => cycle.zone.moment(cycle.to.at(23, 59, 59, 0)).map_or(LATEST, milliseconds),
        }
    }
}

const LATEST: Timestamp = Timestamp::from_millis(u64::MAX);

impl Cycle {
    fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        // A firing that a gap put off may belong to the day before.
        let today = self.zone.date(now);
        let first = self.from.max(today.yesterday().unwrap_or(today));
        first
            .series(jiff::Span::new().days(1))
            .take_while(|date| *date <= self.to)
            .take(DAYS_LOOKED_AT)
            .filter(|date| self.every.wants(*date))
            .filter_map(|date| self.zone.moment(date.to_datetime(self.time)))
            .map(milliseconds)
            .find(|at| *at > now)
    }
}

impl Every {
    pub fn week(days: impl IntoIterator<Item = i64>) -> Result<Self, Invalid> {
        Ok(Self::Week(within(days, 7).ok_or(Invalid::Weekdays)?))
    }

    pub fn month(days: impl IntoIterator<Item = i64>) -> Result<Self, Invalid> {
        Ok(Self::Month(within(days, 31).ok_or(Invalid::Days)?))
    }

    fn wants(&self, date: Date) -> bool {
        match self {
            Self::Day => true,
            Self::Week(days) => days.contains(&date.weekday().to_monday_one_offset()),
            Self::Month(days) => days.contains(&date.day()),
        }
    }
}

/// The days, if each is from 1 to `most` and there is one.
fn within(days: impl IntoIterator<Item = i64>, most: i8) -> Option<BTreeSet<i8>> {
    let day = |day| i8::try_from(day).ok().filter(|day| (1..=most).contains(day));
    let days = days.into_iter().map(day).collect::<Option<BTreeSet<_>>>()?;
    (!days.is_empty()).then_some(days)
}

/// `09:30` or `09:30:00`.
pub fn time(text: &str) -> Result<Time, Invalid> {
    let invalid = || Invalid::Time(text.chars().take(64).collect());
    let mut parts = text.split(':').map(|part| {
        let two_digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        two_digits.then(|| part.parse().ok()).flatten()
    });
    let (hour, minute, second) = (parts.next(), parts.next(), parts.next().unwrap_or(Some(0)));
    let (Some(Some(hour)), Some(Some(minute)), Some(second), None) = (hour, minute, second, parts.next())
    else {
        return Err(invalid());
    };
    Time::new(hour, minute, second, 0).map_err(|_| invalid())
}

/// `2026-12-31`.
pub fn date(text: &str) -> Result<Date, Invalid> {
    let invalid = || Invalid::Date(text.chars().take(64).collect());
    if text.len() != "2026-12-31".len() {
        return Err(invalid());
    }
    text.parse().map_err(|_| invalid())
}

/// Whole milliseconds; a moment before 1970 is that year's beginning.
fn milliseconds(at: jiff::Timestamp) -> Timestamp {
    Timestamp::from_millis(u64::try_from(at.as_millisecond()).unwrap_or(0))
}

fn instant(at: Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_millisecond(i64::try_from(at.as_millis()).ok()?).ok()
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

/// Dates and times as people write them.
mod as_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
