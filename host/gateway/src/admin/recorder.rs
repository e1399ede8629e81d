//! Records the metrics of the process. The exporter's own recorder can't forget a series, so that every route, authenticator and
//! server that a reload ever removed would take memory for ever; this one has the same storage, and lets go of them.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use metrics::Counter;
use metrics::Gauge;
use metrics::Histogram;
use metrics::Key;
use metrics::KeyName;
use metrics::Metadata;
use metrics::SharedString;
use metrics::Unit;
use metrics_exporter_prometheus::LabelSet;
use metrics_exporter_prometheus::formatting::sanitize_metric_name;
use metrics_exporter_prometheus::formatting::write_help_line;
use metrics_exporter_prometheus::formatting::write_metric_line;
use metrics_exporter_prometheus::formatting::write_type_line;
use metrics_util::registry::AtomicStorage;
use metrics_util::registry::Registry;
use metrics_util::storage;

use super::exported::Exported;

/// The recorder. Clones share it.
#[derive(Clone)]
pub(crate) struct Recorder(Arc<State>);

struct State {
    registry: Registry<Key, AtomicStorage>,
    /// By the name of the metric. The first one counts.
    descriptions: Mutex<BTreeMap<String, SharedString>>,
    /// What was recorded in histograms until the last upkeep.
    buckets: Mutex<HashMap<Key, storage::Histogram>>,
}

/// The upper bounds of all histograms, which are of seconds: from a call of a plugin in Rust to one that waits for an identity
/// provider.
pub(super) const BUCKETS: [f64; 14] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0,
];

impl Recorder {
    pub(super) fn new() -> Self {
        Self(Arc::new(State {
            registry: Registry::new(AtomicStorage),
            descriptions: Mutex::default(),
            buckets: Mutex::default(),
        }))
    }

    /// Moves what was recorded in histograms into their buckets, so that it doesn't accumulate between two scrapes, and forgets the
    /// series that are not exported any more. One that somebody still counts is kept: the name may come back.
    pub(super) fn run_upkeep(&self, exported: &Exported) {
        let State { registry, .. } = &*self.0;
        registry.retain_counters(|key, value| exported.covers(key) || Arc::strong_count(value) > 1);
        registry.retain_gauges(|key, value| exported.covers(key) || Arc::strong_count(value) > 1);
        registry.retain_histograms(|key, value| exported.covers(key) || Arc::strong_count(value) > 1);
        self.drained()
            .retain(|key, _| exported.covers(key) || registry.get_histogram(key).is_some());
    }

    /// All counters with their values.
    pub(super) fn visit_counters(&self, mut visit: impl FnMut(&Key, u64)) {
        let registry = &self.0.registry;
        registry.visit_counters(|key, value| visit(key, value.load(Ordering::Acquire)));
    }

    /// All gauges with their values.
    pub(super) fn visit_gauges(&self, mut visit: impl FnMut(&Key, f64)) {
        let registry = &self.0.registry;
        registry.visit_gauges(|key, value| visit(key, f64::from_bits(value.load(Ordering::Acquire))));
    }

    /// All histograms with their buckets.
    pub(super) fn visit_histograms(&self, mut visit: impl FnMut(&Key, &storage::Histogram)) {
        self.drained().iter().for_each(|(key, buckets)| visit(key, buckets));
    }

    /// What is said of the metrics, by their names.
    pub(super) fn visit_descriptions(&self, mut visit: impl FnMut(&str, &str)) {
        let descriptions = lock(&self.0.descriptions);
        descriptions.iter().for_each(|(name, text)| visit(name, text));
    }

    /// All series in Prometheus's text format.
    pub(super) fn render(&self) -> String {
        let mut families = BTreeMap::<String, (&str, String)>::new();
        let mut add = |key: &Key, kind, write: &dyn Fn(&mut String, &str, &LabelSet)| {
            let name = sanitize_metric_name(key.name());
            let labels = LabelSet::from_key_and_global(key, &Default::default());
            let (_, lines) = families.entry(name.clone()).or_insert((kind, String::new()));
            write(lines, &name, &labels);
        };
        self.visit_counters(|key, value| {
            add(key, "counter", &|text, name, labels| {
                line(text, name, None, labels, None, value)
            });
        });
        self.visit_gauges(|key, value| {
            add(key, "gauge", &|text, name, labels| {
                line(text, name, None, labels, None, value)
            });
        });
        self.visit_histograms(|key, histogram| {
            add(key, "histogram", &|text, name, labels| {
                for (bound, count) in histogram.buckets() {
                    line(text, name, Some("bucket"), labels, Some(bound.to_string()), count);
                }
                let count = histogram.count();
                line(text, name, Some("bucket"), labels, Some("+Inf".to_owned()), count);
                line(text, name, Some("sum"), labels, None, histogram.sum());
                line(text, name, Some("count"), labels, None, count);
            });
        });
        let descriptions = lock(&self.0.descriptions);
        let mut text = String::new();
        for (name, (kind, lines)) in &families {
            if let Some(description) = descriptions.get(name) {
                write_help_line(&mut text, name, None, None, description);
            }
            write_type_line(&mut text, name, None, None, kind);
            text.push_str(lines);
            text.push('\n');
        }
        text
    }

    /// The buckets, with all that was recorded.
    fn drained(&self) -> MutexGuard<'_, HashMap<Key, storage::Histogram>> {
        let mut buckets = lock(&self.0.buckets);
        self.0.registry.visit_histograms(|key, recorded| {
            if !buckets.contains_key(key)
                && let Some(new) = storage::Histogram::new(&BUCKETS)
            {
                buckets.insert(key.clone(), new);
            }
            if let Some(histogram) = buckets.get_mut(key) {
                recorded.clear_with(|values| histogram.record_many(values));
            }
        });
        buckets
    }

    fn describe(&self, name: &KeyName, description: SharedString) {
        let name = sanitize_metric_name(name.as_str());
        lock(&self.0.descriptions).entry(name).or_insert(description);
    }
}

fn line(
    text: &mut String,
    name: &str,
    suffix: Option<&'static str>,
    labels: &LabelSet,
    bound: Option<String>,
    value: impl fmt::Display,
) {
    write_metric_line(
        text,
        name,
        suffix,
        labels,
        bound.map(|bound| ("le", bound)),
        value,
        None,
    );
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(&name, description);
    }

    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(&name, description);
    }

    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(&name, description);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let key = key.to_retained();
        self.0
            .registry
            .get_or_create_counter(&key, |value| Counter::from_arc(Arc::clone(value)))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let key = key.to_retained();
        self.0
            .registry
            .get_or_create_gauge(&key, |value| Gauge::from_arc(Arc::clone(value)))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let key = key.to_retained();
        self.0
            .registry
            .get_or_create_histogram(&key, |value| Histogram::from_arc(Arc::clone(value)))
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}

#[cfg(test)]
mod tests {
    use metrics::counter;
    use metrics::describe_counter;
    use metrics::gauge;
    use metrics::histogram;
    use metrics::with_local_recorder;

    use super::*;

    #[test]
    fn series_are_written_by_the_name_of_their_metric() {
        let recorder = Recorder::new();
        with_local_recorder(&recorder, || {
            describe_counter!("b_total", "Things.");
            describe_counter!("b_total", "Other things.");
            counter!("b_total", "route" => "/\"").increment(2);
            gauge!("a").set(0.5);
            let seconds = histogram!("c_seconds", "route" => "/");
            seconds.record(0.002);
            recorder.run_upkeep(&Exported::default());
            seconds.record(20.0);
        });
        let text = recorder.render();
        let expected = "# TYPE a gauge\na 0.5\n\n# HELP b_total Things.\n# TYPE b_total counter\nb_total{route=\"/\\\"\"} 2\n\n\
                        # TYPE c_seconds histogram\nc_seconds_bucket{route=\"/\",le=\"0.00005\"} 0\n";
        assert!(text.starts_with(expected), "{text}");
        for line in [
            "c_seconds_bucket{route=\"/\",le=\"0.001\"} 0",
            "c_seconds_bucket{route=\"/\",le=\"0.0025\"} 1",
            "c_seconds_bucket{route=\"/\",le=\"10\"} 1",
            "c_seconds_bucket{route=\"/\",le=\"+Inf\"} 2",
            "c_seconds_sum{route=\"/\"} 20.002",
            "c_seconds_count{route=\"/\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
    }

    #[test]
    fn what_is_exported_no_more_is_forgotten_once_nobody_counts_it() {
        let recorder = Recorder::new();
        let exported = Exported::default().only("route", ["/a"]);
        let held = with_local_recorder(&recorder, || {
            for route in ["/a", "/b"] {
                counter!("n_total", "route" => route).increment(1);
                gauge!("g", "route" => route).set(1);
                histogram!("s_seconds", "route" => route).record(1.0);
            }
            counter!("others_total").increment(1);
            counter!("held_total", "route" => "/b")
        });
        recorder.run_upkeep(&exported);
        let text = recorder.render();
        let of = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
        assert_eq!(
            (of("n_total"), of("g{"), of("s_seconds_count"), of("others_total")),
            (1, 1, 1, 1),
            "{text}"
        );
        assert_eq!(of("held_total"), 1);
        held.increment(1);
        assert!(recorder.render().contains("held_total{route=\"/b\"} 1\n"));
        drop(held);
        recorder.run_upkeep(&exported);
        assert!(!recorder.render().contains("/b"));
        // A name that comes back begins anew.
        with_local_recorder(&recorder, || counter!("n_total", "route" => "/b").increment(1));
        assert!(recorder.render().contains("n_total{route=\"/b\"} 1\n"));
    }
}
