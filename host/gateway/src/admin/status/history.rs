//! The last hour, minute by minute: how much each counter and each histogram grew. The status page shows it, so that an operator
//! without a metrics system sees what has just changed.

use std::collections::HashMap;
use std::time::SystemTime;

use metrics::Key;

use super::distribution::Distribution;
use super::distribution::SLOTS;
use crate::admin::exported::Exported;
use crate::admin::recorder::Recorder;

/// How many minutes are kept.
pub(super) const MINUTES: usize = 60;

/// How many series are kept. A gateway with more has a metrics system.
const MAX_COUNTERS: usize = 10_000;
const MAX_DISTRIBUTIONS: usize = 2_000;

/// The last hour.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// The minute that isn't over, since 1970.
    minute: u64,
    counters: HashMap<Key, Growth<1>>,
    distributions: HashMap<Key, Growth<SLOTS>>,
}

/// How much some numbers grew in each minute.
#[derive(Debug)]
struct Growth<const N: usize> {
    last: [u64; N],
    /// By the minute modulo [`MINUTES`].
    minutes: Box<[[u32; N]; MINUTES]>,
}

impl<const N: usize> Growth<N> {
    fn new() -> Self {
        Self {
            last: [0; N],
            minutes: Box::new([[0; N]; MINUTES]),
        }
    }

    fn note(&mut self, slot: usize, now: [u64; N]) {
        if let Some(minute) = self.minutes.get_mut(slot) {
            for ((grown, last), now) in minute.iter_mut().zip(self.last).zip(now) {
                let growth = u32::try_from(now.saturating_sub(last)).unwrap_or(u32::MAX);
                *grown = grown.saturating_add(growth);
            }
        }
        self.last = now;
    }

    fn forget(&mut self, slot: usize) {
        if let Some(minute) = self.minutes.get_mut(slot) {
            *minute = [0; N];
        }
    }
}

impl History {
    /// Takes over what was counted until now. Call it several times in a minute.
    pub(crate) fn note(&mut self, recorder: &Recorder, exported: &Exported, now: SystemTime) {
        let minute = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() / 60;
        self.go_to(minute);
        self.counters.retain(|key, _| exported.covers(key));
        self.distributions.retain(|key, _| exported.covers(key));
        let slot = slot(minute);
        recorder.visit_counters(|key, value| {
            let has_room = self.counters.len() < MAX_COUNTERS || self.counters.contains_key(key);
            if has_room && exported.covers(key) {
                let growth = self.counters.entry(key.clone()).or_insert_with(Growth::new);
                growth.note(slot, [value]);
            }
        });
        recorder.visit_histograms(|key, buckets| {
            let has_room = self.distributions.len() < MAX_DISTRIBUTIONS || self.distributions.contains_key(key);
            if has_room && exported.covers(key) {
                let growth = self.distributions.entry(key.clone()).or_insert_with(Growth::new);
                let mut counts = [buckets.count(); SLOTS];
                for (count, (_, below)) in counts.iter_mut().zip(buckets.buckets()) {
                    *count = below;
                }
                growth.note(slot, counts);
            }
        });
    }

    /// Forgets the minutes that are an hour ago. A clock that was set back, or far ahead, forgets all of them.
    fn go_to(&mut self, minute: u64) {
        let passed = match minute.checked_sub(self.minute) {
            Some(passed) => passed.min(MINUTES as u64),
            None => MINUTES as u64,
        };
        for back in 0..passed {
            let slot = slot(minute.saturating_sub(back));
            self.counters.values_mut().for_each(|growth| growth.forget(slot));
            self.distributions.values_mut().for_each(|growth| growth.forget(slot));
        }
        self.minute = minute;
    }

    /// What the counters of this name grew by in each minute, the oldest first, for each value of `label`. Only those are taken whose
    /// other labels are these.
    pub(super) fn counted<'h>(
        &'h self,
        name: &str,
        labels: &[(&str, &str)],
        label: &'h str,
    ) -> Vec<(&'h str, [u32; MINUTES])> {
        let mut counted: Vec<(&str, [u32; MINUTES])> = Vec::new();
        for (key, growth) in self.counters.iter().filter(|(key, _)| is(key, name, labels)) {
            let Some(value) = key.labels().find(|own| own.key() == label) else {
                continue;
            };
            let minutes = self.in_order(growth).map(|[count]| count);
            match counted.iter_mut().find(|(known, _)| *known == value.value()) {
                Some((_, sum)) => {
                    for (sum, count) in sum.iter_mut().zip(minutes) {
                        *sum = sum.saturating_add(count);
                    }
                }
                None => counted.push((value.value(), minutes)),
            }
        }
        counted.sort_unstable_by_key(|(value, _)| *value);
        counted
    }

    /// What the histogram with this name and these labels recorded in each minute, the oldest first.
    pub(super) fn recorded(&self, name: &str, labels: &[(&str, &str)]) -> [Distribution; MINUTES] {
        let mut recorded = [Distribution::default(); MINUTES];
        for (_, growth) in self.distributions.iter().filter(|(key, _)| is(key, name, labels)) {
            for (sum, minute) in recorded.iter_mut().zip(self.in_order(growth)) {
                sum.add(&Distribution::new(minute.map(u64::from)));
            }
        }
        recorded
    }

    fn in_order<const N: usize>(&self, growth: &Growth<N>) -> [[u32; N]; MINUTES] {
        let mut minutes = *growth.minutes;
        minutes.rotate_left((slot(self.minute) + 1) % MINUTES);
        minutes
    }
}

fn slot(minute: u64) -> usize {
    usize::try_from(minute % MINUTES as u64).unwrap_or_default()
}

/// Whether a key has this name and these labels, among others.
pub(super) fn is(key: &Key, name: &str, labels: &[(&str, &str)]) -> bool {
    let has = |(label, value): &(&str, &str)| key.labels().any(|own| own.key() == *label && own.value() == *value);
    key.name() == name && labels.iter().all(has)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use metrics::counter;
    use metrics::histogram;
    use metrics::with_local_recorder;

    use super::*;

    fn at(minute: u64, second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs((30_000_000 + minute) * 60 + second)
    }

    fn requests(recorder: &Recorder, route: &'static str, code: &'static str, count: u64) {
        with_local_recorder(recorder, || {
            counter!("requests_total", "route" => route, "code" => code).increment(count);
        });
    }

    fn last<const N: usize>(minutes: &[u32; MINUTES]) -> [u32; N] {
        minutes[MINUTES - N..].try_into().unwrap()
    }

    #[test]
    fn each_minute_has_what_was_counted_in_it() {
        let (recorder, exported) = (Recorder::new(), Exported::default());
        let mut history = History::default();
        let steps = [(0, 0, 1), (0, 30, 2), (1, 0, 4), (3, 59, 8), (4, 0, 0)];
        for (minute, second, count) in steps {
            requests(&recorder, "/", "200", count);
            requests(&recorder, "/x", "200", 100);
            history.note(&recorder, &exported, at(minute, second));
        }
        requests(&recorder, "/", "503", 5);
        history.note(&recorder, &exported, at(4, 10));
        let counted = history.counted("requests_total", &[("route", "/")], "code");
        let counted = Vec::from_iter(counted.iter().map(|(code, minutes)| (*code, last::<6>(minutes))));
        assert_eq!(counted, [("200", [0, 3, 4, 0, 8, 0]), ("503", [0, 0, 0, 0, 0, 5])]);
        let [(_, all)] = history.counted("requests_total", &[("code", "200")], "code")[..] else {
            panic!("one code");
        };
        assert_eq!(last::<2>(&all), [108, 100]);
    }

    #[test]
    fn an_hour_is_forgotten_and_so_is_what_was_before_a_clock_was_set() {
        for (to, expected) in [(59, 1), (60, 0), (200, 0), (u64::MAX / 120, 0)] {
            let (recorder, exported) = (Recorder::new(), Exported::default());
            let mut history = History::default();
            requests(&recorder, "/", "200", 1);
            history.note(&recorder, &exported, at(0, 0));
            history.go_to(30_000_000 + to);
            let counted = history.counted("requests_total", &[], "code");
            assert_eq!(counted[0].1.iter().sum::<u32>(), expected, "{to}");
            requests(&recorder, "/", "200", 2);
            history.note(&recorder, &exported, at(0, 0));
            let counted = history.counted("requests_total", &[], "code");
            assert_eq!(
                last::<1>(&counted[0].1),
                [2],
                "what comes after the clock was set back is counted"
            );
        }
    }

    #[test]
    fn quantiles_are_bounds_of_buckets() {
        let recorder = Recorder::new();
        with_local_recorder(&recorder, || {
            let seconds = histogram!("seconds", "route" => "/");
            (0..98).for_each(|_| seconds.record(0.0004));
            seconds.record(0.7);
            seconds.record(11.0);
            histogram!("seconds", "route" => "/x").record(5.0);
        });
        let mut history = History::default();
        history.note(&recorder, &Exported::default(), at(0, 0));
        let recorded = Distribution::sum(&history.recorded("seconds", &[("route", "/")]));
        let quantiles = [0.5, 0.98, 0.99, 1.0].map(|share| recorded.quantile(share));
        assert_eq!(quantiles, [Some(0.0005), Some(0.0005), Some(1.0), None]);
        assert_eq!(recorded.count(), 100);
        history.go_to(30_000_000 + 61);
        let recorded = Distribution::sum(&history.recorded("seconds", &[("route", "/")]));
        assert_eq!((recorded.quantile(0.5), recorded.count()), (None, 0));
    }

    #[test]
    fn what_a_reload_removed_is_forgotten() {
        let recorder = Recorder::new();
        requests(&recorder, "/a", "200", 1);
        requests(&recorder, "/b", "200", 1);
        let mut history = History::default();
        history.note(&recorder, &Exported::default(), at(0, 0));
        assert_eq!(history.counters.len(), 2);
        history.note(&recorder, &Exported::default().only("route", ["/a"]), at(0, 5));
        assert_eq!(history.counted("requests_total", &[], "route").len(), 1);
    }
}
