//! What commands print: data on stdout, everything else on stderr.

use std::io::{self, IsTerminal, Write};

use carillon_sdk::Timestamp;
use serde::Serialize;

use super::exit::{Code, Failure};

/// A line on stdout. A reader that hung up (`| head`) ends the command without a fuss.
pub fn line(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::new(Code::Failure, ""),
        _ => Failure::new(Code::Failure, format!("write to stdout: {error}")),
    })
}

/// One JSON value on a line of its own.
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text =
        serde_json::to_string(value).map_err(|error| Failure::new(Code::Failure, error.to_string()))?;
    line(&text)
}

/// A line on stderr, for a person.
pub fn note(text: &str) {
    // There is nowhere left to tell of a failure to write to stderr.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Columns, each as wide as its widest cell.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> Result<(), Failure> {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.len()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let format = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    line(&bold(&format(&mut head.iter().copied())))?;
    for row in rows {
        line(&format(&mut row.iter().map(String::as_str)))?;
    }
    Ok(())
}

/// Bold on a terminal, unless NO_COLOR is set (to anything but nothing).
#[must_use]
pub fn bold(text: &str) -> String {
    let colour =
        io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if colour { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
}

/// A moment as a person reads it: UTC, to the second.
#[must_use]
pub fn time(at: Timestamp) -> String {
    let secs = at.as_secs();
    let (days, day_secs) = (secs / 86_400, secs % 86_400);
    let (year, month, day) = civil(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        day_secs / 3600,
        day_secs / 60 % 60,
        day_secs % 60
    )
}

/// Days since 1970 as year, month and day, by Howard Hinnant's `civil_from_days`: a calendar crate
/// for one format would be more to read than these lines.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_as_utc() {
        let read = |secs: u64| time(Timestamp::from_millis(secs * 1000));
        assert_eq!(read(0), "1970-01-01T00:00:00Z");
        assert_eq!(read(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(read(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(read(1_795_518_061), "2026-11-24T11:01:01Z");
    }
}
