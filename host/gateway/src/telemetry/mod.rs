//! OpenTelemetry: traces of requests and the metrics of the process, which are sent to a collector by OTLP. Without `[telemetry]`
//! nothing of it exists, and a request never waits for the collector.

mod attributes;
mod check;
mod context;
mod delivery;
mod families;
mod losses;
mod periodic;
mod queue;
mod sampling;
mod signal;
mod spans;
mod trace;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_proto::tonic::resource::v1;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use portcullis_loader::config::rotation::SecretWatch;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::config::TelemetryConfig;
use crate::config::TracesConfig;

pub(crate) use self::check::Check;
pub(crate) use self::check::CheckAnswer;
pub(crate) use self::check::CheckCall;
use self::delivery::Delivery;
pub(crate) use self::families::Families;
pub(crate) use self::families::Measures;
use self::losses::Items;
use self::losses::Losses;
use self::periodic::Periodic;
use self::queue::Queue;
pub(crate) use self::trace::Answer;
pub(crate) use self::trace::Phase;
pub(crate) use self::trace::Trace;
pub(crate) use self::trace::Tracer;
use self::transport::Transport;

/// The traces and the metrics of a process on their way to the collector.
#[derive(Debug)]
pub(crate) struct Telemetry {
    /// `None` if requests are not traced.
    tracer: Option<Tracer>,
    stop: CancellationToken,
    deliveries: TaskTracker,
    _secrets: SecretWatch,
}

impl Telemetry {
    /// Starts to send what is traced, and what is measured. Without `metrics` no metrics are sent.
    ///
    /// # Errors
    ///
    /// Returns an error if no version of TLS can be offered.
    pub(crate) fn start(config: &TelemetryConfig, metrics: Option<impl Measures>) -> Result<Self, rustls::Error> {
        let transport = Arc::new(Transport::new(config)?);
        let resource = resource(config);
        let (stop, deliveries) = (CancellationToken::new(), TaskTracker::new());
        let (endpoint, protocol) = (&config.endpoint, config.protocol);
        let mut tracer = None;
        if let Some(traces) = &config.traces {
            let (begun, delivery) = trace(traces, &transport, &resource);
            tracer = Some(begun);
            deliveries.spawn(delivery.run(stop.clone()));
            tracing::info!(%endpoint, ?protocol, sampling = traces.sampling, "traces are sent");
        }
        if let Some((interval, metrics)) = config.metrics.zip(metrics) {
            let periodic = Periodic {
                transport,
                interval,
                metrics,
                resource: v1::Resource::from(&resource),
                losses: Losses::new(Items::DataPoints),
            };
            deliveries.spawn(periodic.run(stop.clone()));
            tracing::info!(%endpoint, ?protocol, ?interval, "metrics are sent");
        }
        deliveries.close();
        let mut secrets = SecretWatch::default();
        secrets.follow(config.rotating.clone());
        Ok(Self {
            tracer,
            stop,
            deliveries,
            _secrets: secrets,
        })
    }

    /// What traces requests. `None` if they are not traced.
    pub(crate) fn tracer(&self) -> Option<Tracer> {
        self.tracer.clone()
    }

    /// Sends what waits and the last metrics, for a short time at most.
    pub(crate) async fn finish(self) {
        self.stop.cancel();
        // What can't be sent in this time is lost.
        let _ = tokio::time::timeout(LAST_DELIVERY, self.deliveries.wait()).await;
    }
}

/// What traces requests, and what delivers their spans.
fn trace(config: &TracesConfig, transport: &Arc<Transport>, resource: &Resource) -> (Tracer, Delivery) {
    let (sender, waiting) = mpsc::channel(config.queue);
    let losses = Losses::new(Items::Spans);
    let delivery = Delivery {
        transport: Arc::clone(transport),
        waiting,
        losses: losses.clone(),
        resource: resource.into(),
    };
    let provider = SdkTracerProvider::builder()
        .with_sampler(sampling::sampler(config))
        .with_resource(resource.clone())
        .with_span_processor(Queue::new(sender, losses))
        .build();
    (Tracer::new(provider.tracer("portcullis"), config.parent), delivery)
}

/// The process, as the collector tells it from others. Its id is random, because several gateways of a name may run on a machine, and
/// their metrics must not become one.
fn resource(config: &TelemetryConfig) -> Resource {
    Resource::builder_empty()
        .with_service_name(config.service_name.clone())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", Uuid::new_v4().to_string()))
        .build()
}

/// How long the end of the process waits for the collector.
const LAST_DELIVERY: Duration = Duration::from_secs(3);
