//! The metrics of the process as OTLP has them: counters are sums since the start, and histograms have their bounds. Names and labels
//! are those of `/metrics`, so that a store that is fed in both ways has the same series.

use std::collections::BTreeMap;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use metrics::Key;
use metrics_util::storage;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality;
use opentelemetry_proto::tonic::metrics::v1::Gauge;
use opentelemetry_proto::tonic::metrics::v1::Histogram;
use opentelemetry_proto::tonic::metrics::v1::HistogramDataPoint;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::NumberDataPoint;
use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use opentelemetry_proto::tonic::metrics::v1::ScopeMetrics;
use opentelemetry_proto::tonic::metrics::v1::Sum;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;

/// What knows the metrics of the process.
pub(crate) trait Measures: Send + Sync + 'static {
    /// Adds all metrics with their values at this moment.
    fn measure(&self, families: &mut Families);
}

/// Metrics with their values at one moment, by their names.
#[derive(Debug)]
pub(crate) struct Families {
    /// When the process began to count, in nanoseconds since 1970.
    began: u64,
    /// The moment, in nanoseconds since 1970.
    now: u64,
    counters: BTreeMap<String, Vec<NumberDataPoint>>,
    gauges: BTreeMap<String, Vec<NumberDataPoint>>,
    histograms: BTreeMap<String, Vec<HistogramDataPoint>>,
    descriptions: BTreeMap<String, String>,
}

impl Families {
    /// No metrics yet. A clock that was set back doesn't lead to a time before the beginning.
    pub(super) fn at(now: SystemTime, began: SystemTime) -> Self {
        Self {
            began: nanoseconds(began),
            now: nanoseconds(now.max(began)),
            counters: BTreeMap::new(),
            gauges: BTreeMap::new(),
            histograms: BTreeMap::new(),
            descriptions: BTreeMap::new(),
        }
    }

    /// Adds a counter.
    pub(crate) fn counter(&mut self, key: &Key, value: u64) {
        let point = NumberDataPoint {
            start_time_unix_nano: self.began,
            ..self.number(key, Value::AsInt(i64::try_from(value).unwrap_or(i64::MAX)))
        };
        self.counters.entry(key.name().to_owned()).or_default().push(point);
    }

    /// Adds a gauge.
    pub(crate) fn gauge(&mut self, key: &Key, value: f64) {
        let point = self.number(key, Value::AsDouble(value));
        self.gauges.entry(key.name().to_owned()).or_default().push(point);
    }

    /// Adds a histogram.
    pub(crate) fn histogram(&mut self, key: &Key, histogram: &storage::Histogram) {
        let (explicit_bounds, up_to): (Vec<_>, Vec<_>) = histogram.buckets().into_iter().unzip();
        // Each count of the recorder has all values up to its bound, and here only those above the bound before.
        let mut below = 0;
        let counts = up_to.into_iter().chain([histogram.count()]);
        let bucket_counts = counts.map(|count| count.saturating_sub(std::mem::replace(&mut below, count)));
        let point = HistogramDataPoint {
            attributes: attributes(key),
            start_time_unix_nano: self.began,
            time_unix_nano: self.now,
            count: histogram.count(),
            sum: Some(histogram.sum()),
            bucket_counts: bucket_counts.collect(),
            explicit_bounds,
            ..HistogramDataPoint::default()
        };
        self.histograms.entry(key.name().to_owned()).or_default().push(point);
    }

    /// Says what a metric is.
    pub(crate) fn describe(&mut self, name: &str, description: &str) {
        self.descriptions.insert(name.to_owned(), description.to_owned());
    }

    /// How many data points there are.
    pub(super) fn data_points(&self) -> u64 {
        let numbers = self.counters.values().chain(self.gauges.values()).map(Vec::len);
        let histograms = self.histograms.values().map(Vec::len);
        numbers.chain(histograms).map(|points| points as u64).sum()
    }

    /// The message to the collector.
    pub(super) fn into_message(self, resource: Resource) -> ExportMetricsServiceRequest {
        let cumulative = i32::from(AggregationTemporality::Cumulative);
        let counters = self.counters.into_iter().map(|(name, data_points)| {
            let sum = Sum {
                data_points,
                aggregation_temporality: cumulative,
                is_monotonic: true,
            };
            (name, Data::Sum(sum))
        });
        let gauges = self.gauges.into_iter();
        let gauges = gauges.map(|(name, data_points)| (name, Data::Gauge(Gauge { data_points })));
        let histograms = self.histograms.into_iter().map(|(name, data_points)| {
            let histogram = Histogram {
                data_points,
                aggregation_temporality: cumulative,
            };
            (name, Data::Histogram(histogram))
        });
        let mut descriptions = self.descriptions;
        let metrics = counters.chain(gauges).chain(histograms).map(|(name, data)| Metric {
            description: descriptions.remove(&name).unwrap_or_default(),
            unit: unit(&name).to_owned(),
            name,
            data: Some(data),
            ..Metric::default()
        });
        let scope = ScopeMetrics {
            scope: Some(InstrumentationScope {
                name: "portcullis".to_owned(),
                ..InstrumentationScope::default()
            }),
            metrics: metrics.collect(),
            ..ScopeMetrics::default()
        };
        ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(resource),
                scope_metrics: vec![scope],
                ..ResourceMetrics::default()
            }],
        }
    }

    fn number(&self, key: &Key, value: Value) -> NumberDataPoint {
        NumberDataPoint {
            attributes: attributes(key),
            time_unix_nano: self.now,
            value: Some(value),
            ..NumberDataPoint::default()
        }
    }
}

fn attributes(key: &Key) -> Vec<KeyValue> {
    let attribute = |label: &metrics::Label| KeyValue {
        key: label.key().to_owned(),
        value: Some(AnyValue {
            value: Some(any_value::Value::StringValue(label.value().to_owned())),
        }),
        ..KeyValue::default()
    };
    key.labels().map(attribute).collect()
}

/// The unit of a metric in the Unified Code for Units of Measure, which the end of its name tells. A store that appends units to names
/// doesn't append one that is there. Empty for numbers of things.
fn unit(name: &str) -> &'static str {
    let name = name.trim_end_matches("_total");
    if name.ends_with("_seconds") {
        "s"
    } else if name.ends_with("_bytes") {
        "By"
    } else {
        ""
    }
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn metrics(families: Families) -> Vec<Metric> {
        let mut message = families.into_message(Resource::default());
        message.resource_metrics.remove(0).scope_metrics.remove(0).metrics
    }

    #[test]
    fn the_buckets_of_a_histogram_are_those_between_its_bounds() {
        let mut recorded = storage::Histogram::new(&[0.1, 1.0, 10.0]).unwrap();
        recorded.record_many(&[0.05, 0.1, 0.5, 20.0, 30.0]);
        let mut families = Families::at(at(2), at(1));
        families.histogram(&Key::from_parts("x_seconds", &[("route", "/a\"b")]), &recorded);
        assert_eq!(families.data_points(), 1);
        let [metric] = &metrics(families)[..] else {
            panic!("one metric");
        };
        let Some(Data::Histogram(histogram)) = &metric.data else {
            panic!("a histogram");
        };
        let point = &histogram.data_points[0];
        assert_eq!(point.explicit_bounds, [0.1, 1.0, 10.0]);
        assert_eq!(point.bucket_counts, [2, 1, 0, 2]);
        assert_eq!((point.count, point.sum, metric.unit.as_str()), (5, Some(50.65), "s"));
        assert_eq!(
            (point.start_time_unix_nano, point.time_unix_nano),
            (1_000_000_000, 2_000_000_000)
        );
        let value = point.attributes[0].value.clone().and_then(|value| value.value);
        assert_eq!(value, Some(any_value::Value::StringValue("/a\"b".to_owned())));
    }

    #[test]
    fn a_clock_that_was_set_back_leads_to_no_time_before_the_beginning() {
        let mut families = Families::at(at(1), at(5));
        families.counter(&Key::from_name("x_total"), u64::MAX);
        let Some(Data::Sum(sum)) = metrics(families).remove(0).data else {
            panic!("a sum");
        };
        let point = &sum.data_points[0];
        assert_eq!(point.start_time_unix_nano, point.time_unix_nano);
        assert_eq!(point.value, Some(Value::AsInt(i64::MAX)));
    }

    #[test]
    fn the_name_tells_the_unit() {
        for (name, expected) in [
            ("process_cpu_seconds_total", "s"),
            ("portcullis_request_seconds", "s"),
            ("process_resident_memory_bytes", "By"),
            ("portcullis_requests_total", ""),
            ("portcullis_connections", ""),
        ] {
            assert_eq!(unit(name), expected, "{name}");
        }
    }
}
