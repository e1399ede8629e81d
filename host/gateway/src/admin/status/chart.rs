//! Charts of the last hour as SVG with a bar for each minute, and the one that is made of what went well, what was refused, and what
//! failed. The page also shows the numbers, for readers who can't tell the colours apart.

use std::fmt::Write as _;

use super::history::MINUTES;

/// What went well, what was refused, and what failed, in each minute.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    good: [u32; MINUTES],
    refused: [u32; MINUTES],
    failed: [u32; MINUTES],
}

/// How something ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    Good,
    Refused,
    Failed,
}

impl End {
    /// How a request ended whose response has this status.
    pub(super) fn of_status(status: &str) -> Self {
        match status.as_bytes().first() {
            Some(b'4') => Self::Refused,
            Some(b'5') => Self::Failed,
            _ => Self::Good,
        }
    }

    /// How a call ended that had this verdict.
    pub(super) fn of_verdict(verdict: &str) -> Self {
        match verdict {
            "fail" | "turned_away" | "unavailable" => Self::Failed,
            "forbid" | "hide" | "reject" => Self::Refused,
            _ => Self::Good,
        }
    }
}

impl Ends {
    /// Sorts numbers by how what they count has ended.
    pub(super) fn sorted<'a>(counted: &[(&'a str, [u32; MINUTES])], end: impl Fn(&'a str) -> End) -> Self {
        let none = [0; MINUTES];
        let mut ends = Self {
            good: none,
            refused: none,
            failed: none,
        };
        for (label, minutes) in counted {
            let sum = match end(label) {
                End::Good => &mut ends.good,
                End::Refused => &mut ends.refused,
                End::Failed => &mut ends.failed,
            };
            for (sum, count) in sum.iter_mut().zip(minutes) {
                *sum = sum.saturating_add(*count);
            }
        }
        ends
    }

    fn minutes(&self) -> impl Iterator<Item = [u32; 3]> {
        let ends = self.good.iter().zip(&self.refused).zip(&self.failed);
        ends.map(|((good, refused), failed)| [*good, *refused, *failed])
    }

    /// The chart, whose title says what it counts.
    pub(super) fn chart(&self, what: &str) -> String {
        let most = self.minutes().map(sum).max().unwrap_or_default();
        let mut svg = opening(&format!("{what} in each of the last 60 minutes, at most {most}"));
        for (minute, ends) in self.minutes().enumerate().filter(|(_, ends)| sum(*ends) > 0) {
            let mut below = 0.0;
            for (class, height) in ["good", "refused", "failed"].into_iter().zip(heights(ends, most)) {
                if height > 0.0 {
                    bar(&mut svg, minute, class, below, height);
                    below += height;
                }
            }
        }
        svg.push_str("</svg>");
        svg
    }
}

/// How high the parts of a bar are, as shares of the chart's height. One request among many is seen, too, at the expense of the largest
/// part.
fn heights(ends: [u32; 3], most: u64) -> [f64; 3] {
    let mut heights = ends.map(|count| match count {
        0 => 0.0,
        _ => (f64::from(count) / most as f64).max(1.0 / HEIGHT),
    });
    let excess = (heights.iter().sum::<f64>() - 1.0).max(0.0);
    if let Some(largest) = heights.iter_mut().max_by(|a, b| a.total_cmp(b)) {
        *largest -= excess;
    }
    heights
}

/// The beginning of a chart that says this to who can't see it.
pub(super) fn opening(label: &str) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{label}\">")
}

/// Draws a bar of a minute. What is below it and how high it is are shares of the chart's height.
pub(super) fn bar(svg: &mut String, minute: usize, class: &str, below: f64, height: f64) {
    let (left, width) = (minute * BAR, BAR - 1);
    // What is rounded may be a hair below zero.
    let top = ((1.0 - below - height) * HEIGHT).abs();
    let height = height * HEIGHT;
    // Writing to a string can't fail.
    let _ = write!(
        svg,
        "<rect class=\"{class}\" x=\"{left}\" y=\"{top:.1}\" width=\"{width}\" height=\"{height:.1}\"/>"
    );
}

fn sum(ends: [u32; 3]) -> u64 {
    ends.into_iter().map(u64::from).sum()
}

/// In pixels.
const BAR: usize = 4;
const WIDTH: usize = BAR * MINUTES;
const HEIGHT: f64 = 36.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(last: &[u32]) -> [u32; MINUTES] {
        let mut minutes = [0; MINUTES];
        minutes[MINUTES - last.len()..].copy_from_slice(last);
        minutes
    }

    #[test]
    fn a_bar_is_made_of_how_the_requests_of_a_minute_ended() {
        let counted = [
            ("200", minutes(&[10, 2])),
            ("302", minutes(&[0, 1])),
            ("403", minutes(&[5, 0])),
            ("503", minutes(&[5, 0])),
        ];
        let chart = Ends::sorted(&counted, End::of_status).chart("requests");
        for expected in [
            "aria-label=\"requests in each of the last 60 minutes, at most 20\"",
            "<rect class=\"good\" x=\"232\" y=\"18.0\" width=\"3\" height=\"18.0\"/>",
            "<rect class=\"refused\" x=\"232\" y=\"9.0\" width=\"3\" height=\"9.0\"/>",
            "<rect class=\"failed\" x=\"232\" y=\"0.0\" width=\"3\" height=\"9.0\"/>",
            "<rect class=\"good\" x=\"236\" y=\"30.6\" width=\"3\" height=\"5.4\"/>",
        ] {
            assert!(chart.contains(expected), "{expected}: {chart}");
        }
        assert_eq!(chart.matches("<rect").count(), 4);
    }

    #[test]
    fn one_failure_among_many_requests_is_seen() {
        let counted = [("200", minutes(&[9_999])), ("500", minutes(&[1]))];
        let chart = Ends::sorted(&counted, End::of_status).chart("requests");
        for expected in [
            "<rect class=\"good\" x=\"236\" y=\"1.0\" width=\"3\" height=\"35.0\"/>",
            "<rect class=\"failed\" x=\"236\" y=\"0.0\" width=\"3\" height=\"1.0\"/>",
        ] {
            assert!(chart.contains(expected), "{expected}: {chart}");
        }
    }

    #[test]
    fn without_requests_the_chart_is_empty() {
        let chart = Ends::sorted(&[], End::of_verdict).chart("calls");
        assert!(chart.contains("at most 0") && !chart.contains("<rect"), "{chart}");
    }
}
