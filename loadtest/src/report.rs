//! What a run found: a table for people, one JSON object for machines.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::goals::{Goal, Verdict};

/// Every figure of one scenario.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) scenario: String,
    /// How it was run, in words: devices, rate, payload, transport.
    pub(crate) setting: String,
    pub(crate) rows: Vec<Row>,
    /// What a reader must know to believe the figures.
    pub(crate) notes: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) goal_id: Option<&'static str>,
    pub(crate) metric: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) must: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) goal: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verdict: Option<Verdict>,
    /// The same figure of the bare sender and receiver, measured right before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) floor: Option<f64>,
}

impl Report {
    pub(crate) fn new(scenario: &str, setting: String) -> Self {
        Self { scenario: scenario.to_owned(), setting, ..Self::default() }
    }

    /// A figure without a goal.
    pub(crate) fn figure(&mut self, metric: &str, value: f64, unit: &'static str) {
        self.rows.push(Row {
            goal_id: None,
            metric: metric.to_owned(),
            value,
            unit,
            must: None,
            goal: None,
            verdict: None,
            floor: None,
        });
    }

    /// A figure held against a goal.
    pub(crate) fn against(&mut self, goal: &Goal, metric: &str, value: f64, unit: &'static str) {
        self.figure(metric, value, unit);
        if let Some(row) = self.rows.last_mut() {
            row.goal_id = Some(goal.id);
            row.must = goal.must.is_finite().then_some(goal.must);
            row.goal = Some(goal.goal);
            row.verdict = Some(goal.verdict(value));
        }
    }

    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    pub(crate) fn value(&self, metric: &str) -> Option<f64> {
        self.rows.iter().find(|row| row.metric == metric).map(|row| row.value)
    }

    /// Puts the floor's figures beside ours of the same name.
    pub(crate) fn beside_floor(&mut self, floor: &Self) {
        for row in &mut self.rows {
            row.floor = floor.value(&row.metric);
        }
    }

    pub(crate) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(["goal", "metric", "value", "must", "goal", "verdict", "floor", "ratio"]);
        for row in &self.rows {
            let bar = |bar: Option<f64>| bar.map_or_else(String::new, number);
            table.add_row([
                row.goal_id.unwrap_or("").to_owned(),
                row.metric.clone(),
                format!("{} {}", number(row.value), row.unit),
                bar(row.must),
                bar(row.goal),
                row.verdict.map_or("", verdict_text).to_owned(),
                bar(row.floor),
                row.floor
                    .filter(|floor| *floor > 0.0)
                    .map_or_else(String::new, |floor| format!("{:.2}", row.value / floor)),
            ]);
        }
        for column in 2..8 {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let notes: String = self.notes.iter().map(|note| format!("  {note}\n")).collect();
        format!("{}: {}\n{table}\n{notes}", self.scenario, self.setting)
    }
}

fn verdict_text(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Goal => "goal",
        Verdict::Must => "must",
        Verdict::Missed => "MISSED",
    }
}

/// A number at the precision a reader can use.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => {
            let whole = format!("{value:.0}");
            let (sign, digits) = whole.strip_prefix('-').map_or(("", whole.as_str()), |digits| ("-", digits));
            let mut out = String::new();
            for (at, digit) in digits.chars().enumerate() {
                if at > 0 && (digits.len() - at).is_multiple_of(3) {
                    out.push(',');
                }
                out.push(digit);
            }
            format!("{sign}{out}")
        }
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// A histogram of nanoseconds, up to ten minutes, three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    const TEN_MINUTES_NS: u64 = 600_000_000_000;
    Histogram::new_with_bounds(1, TEN_MINUTES_NS, 3).expect("1 ≤ 600e9 and 3 digits are within what it takes")
}

/// A quantile in milliseconds.
#[expect(clippy::cast_precision_loss, reason = "latencies are far below 2^53 ns")]
pub(crate) fn quantile_ms(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1e6
}

/// Counts as a number to divide.
#[expect(clippy::cast_precision_loss, reason = "counts of a bounded run are far below 2^53")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_in_threes_and_small_ones_keep_their_digits() {
        assert_eq!(number(1_234_567.0), "1,234,567");
        assert_eq!(number(-1234.4), "-1,234");
        assert_eq!(number(12.345), "12.35");
        assert_eq!(number(0.0123), "0.012");
    }

    #[test]
    fn a_report_shows_the_ratio_to_the_floor_of_the_same_metric() {
        let mut ours = Report::new("single", String::new());
        ours.figure("p50", 3.0, "ms");
        let mut floor = Report::new("floor", String::new());
        floor.figure("p50", 2.0, "ms");
        ours.beside_floor(&floor);
        assert!(ours.table().contains("1.50"), "{}", ours.table());
    }
}
