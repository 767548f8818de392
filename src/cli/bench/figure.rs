//! The figures of a benchmark: the values of several runs, their median and range, and the target.

use serde::Serialize;

/// What a figure must reach.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Aim {
    AtLeast(f64),
    AtMost(f64),
}

impl Aim {
    fn met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(aim) => value >= aim,
            Self::AtMost(aim) => value <= aim,
        }
    }
}

/// One line of the table.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Figure {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) aim: Option<Aim>,
    /// A value a run.
    pub(super) runs: Vec<f64>,
}

impl Figure {
    pub(super) fn new(name: &'static str, unit: &'static str, aim: Option<Aim>) -> Self {
        Self { name, unit, aim, runs: Vec::new() }
    }

    pub(super) fn median(&self) -> f64 {
        percentile(&self.runs, 0.5)
    }

    /// `measure | median | range | aim`, as a row of a Markdown table.
    pub(super) fn row(&self) -> String {
        let (least, most) = self
            .runs
            .iter()
            .fold((f64::MAX, f64::MIN), |(least, most), &run| (least.min(run), most.max(run)));
        let aim = match self.aim {
            Some(Aim::AtLeast(aim)) => format!("≥ {}", number(aim)),
            Some(Aim::AtMost(aim)) => format!("≤ {}", number(aim)),
            None => String::new(),
        };
        let missed = self.aim.is_some_and(|aim| !aim.met(self.median()));
        format!(
            "| {} ({}) | {} | {} – {} | {}{} |",
            self.name,
            self.unit,
            number(self.median()),
            number(least),
            number(most),
            aim,
            if missed { ", missed" } else { "" },
        )
    }
}

/// The value below which the part `p` of `values` lies (nearest rank); 0 of none.
pub(super) fn percentile(values: &[f64], p: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = ((sorted.len() as f64 * p).ceil() as usize).clamp(1, sorted.len().max(1));
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// Whole numbers with their thousands apart, small ones with as many digits as they are worth.
fn number(value: f64) -> String {
    if value.abs() < 100.0 {
        let text = format!("{value:.2}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_shows_median_range_and_whether_the_aim_was_missed() {
        let mut figure = Figure::new("events", "a second", Some(Aim::AtLeast(20_000.0)));
        figure.runs = vec![25_000.4, 12.345, 1_900.0];
        assert_eq!(
            figure.row(),
            "| events (a second) | 1,900 | 12.35 – 25,000 | ≥ 20,000, missed |"
        );
        figure.aim = Some(Aim::AtMost(2_000.0));
        assert!(!figure.row().contains("missed"));
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let values: Vec<f64> = (1..=20).map(f64::from).collect();
        assert_eq!(percentile(&values, 0.95), 19.0);
        assert_eq!(percentile(&values, 0.5), 10.0);
        assert_eq!(percentile(&[], 0.5), 0.0);
    }
}
