//! How long requests and calls took in the last hour, as a chart and in words. Both are as exact as the buckets of the histograms.

use std::fmt::Write as _;

use super::chart;
use super::distribution::Distribution;
use super::history::MINUTES;
use crate::admin::recorder::BUCKETS;

/// The chart of what was recorded in each minute, and what half and nearly all of the hour took. Nothing if nothing was recorded.
pub(super) fn latency(of: &str, minutes: &[Distribution; MINUTES]) -> String {
    let hour = Distribution::sum(minutes);
    if hour.count() == 0 {
        return String::new();
    }
    let [half, most] = [HALF, MOST].map(|share| within(&hour, share));
    let mut html = chart::opening(&format!(
        "latency of {of} in each of the last 60 minutes; in the hour half took {half}, and 99 % {most}"
    ));
    for (minute, recorded) in minutes.iter().enumerate() {
        let Some([half, most]) = heights(recorded) else {
            continue;
        };
        chart::bar(&mut html, minute, "half", 0.0, half);
        if most > half {
            chart::bar(&mut html, minute, "most", half, most - half);
        }
    }
    let _ = write!(
        html,
        "</svg><br><span class=\"line\">50 %: {half}<br>99 %: {most}</span>"
    );
    html
}

/// How high the bars are, as a share of the chart: each bucket is a step. The bounds grow by a factor, so the scale is logarithmic.
fn heights(recorded: &Distribution) -> Option<[f64; 2]> {
    let height = |share| Some((recorded.bucket(share)? + 1) as f64 / (BUCKETS.len() + 1) as f64);
    Some([height(HALF)?, height(MOST)?])
}

fn within(recorded: &Distribution, share: f64) -> String {
    match recorded.quantile(share) {
        Some(bound) => format!("≤ {} ms", bound * 1e3),
        None => "> 10 s".to_owned(),
    }
}

const HALF: f64 = 0.5;
const MOST: f64 = 0.99;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::status::distribution::SLOTS;

    /// So many values in each bucket, and beyond the last one.
    fn recorded(counts: &[(usize, u64)]) -> Distribution {
        let mut slots = [0; SLOTS];
        for (bucket, count) in counts {
            for (index, slot) in slots.iter_mut().enumerate() {
                *slot += if index >= *bucket { *count } else { 0 };
            }
        }
        Distribution::new(slots)
    }

    #[test]
    fn each_minute_has_a_bar_for_half_and_one_for_nearly_all() {
        let mut minutes = [Distribution::default(); MINUTES];
        minutes[1] = recorded(&[(4, 98), (BUCKETS.len(), 2)]);
        minutes[59] = recorded(&[(4, 100)]);
        let html = latency("calls", &minutes);
        for expected in [
            "half took ≤ 1 ms, and 99 % ≤ 1 ms",
            "<rect class=\"half\" x=\"4\" y=\"24.0\" width=\"3\" height=\"12.0\"/>",
            "<rect class=\"most\" x=\"4\" y=\"0.0\" width=\"3\" height=\"24.0\"/>",
            "<rect class=\"half\" x=\"236\" y=\"24.0\" width=\"3\" height=\"12.0\"/>",
            "50 %: ≤ 1 ms<br>99 %: ≤ 1 ms",
        ] {
            assert!(html.contains(expected), "{expected}: {html}");
        }
        assert_eq!(html.matches("<rect").count(), 3);
    }

    #[test]
    fn what_took_longer_than_any_bucket_is_told() {
        let mut minutes = [Distribution::default(); MINUTES];
        minutes[0] = recorded(&[(BUCKETS.len(), 1)]);
        assert!(latency("calls", &minutes).contains("50 %: > 10 s"));
        assert_eq!(latency("calls", &[Distribution::default(); MINUTES]), "");
    }
}
