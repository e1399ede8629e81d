//! OpenTelemetry: traces of requests, which are sent to a collector by OTLP. Without `[telemetry]` nothing of it exists, and a
//! request never waits for the collector.

mod context;
mod delivery;
mod queue;
mod sampling;
mod spans;
mod trace;
mod transport;

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use portcullis_loader::config::rotation::SecretWatch;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::TelemetryConfig;

use self::delivery::Delivery;
use self::queue::Losses;
use self::queue::Queue;
pub(crate) use self::trace::Answer;
pub(crate) use self::trace::Phase;
pub(crate) use self::trace::Trace;
pub(crate) use self::trace::Tracer;
use self::transport::Transport;

/// The traces of a process on their way to the collector.
#[derive(Debug)]
pub(crate) struct Telemetry {
    tracer: Tracer,
    stop: CancellationToken,
    delivery: JoinHandle<()>,
    _secrets: SecretWatch,
}

impl Telemetry {
    /// Starts to send what is traced.
    ///
    /// # Errors
    ///
    /// Returns an error if no version of TLS can be offered.
    pub(crate) fn start(config: &TelemetryConfig) -> Result<Self, rustls::Error> {
        queue::describe();
        let (sender, waiting) = mpsc::channel(config.queue);
        let losses = Losses::default();
        let resource = Resource::builder_empty()
            .with_service_name(config.service_name.clone())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let stop = CancellationToken::new();
        let delivery = Delivery {
            transport: Transport::new(config)?,
            waiting,
            losses: losses.clone(),
            resource: (&resource).into(),
        };
        let provider = SdkTracerProvider::builder()
            .with_sampler(sampling::sampler(config))
            .with_resource(resource)
            .with_span_processor(Queue::new(sender, losses))
            .build();
        let mut secrets = SecretWatch::default();
        secrets.follow(config.rotating.clone());
        tracing::info!(
            endpoint = %config.endpoint,
            protocol = ?config.protocol,
            sampling = config.sampling,
            "traces are sent"
        );
        Ok(Self {
            tracer: Tracer::new(provider.tracer("portcullis"), config.parent),
            delivery: tokio::spawn(delivery.run(stop.clone())),
            stop,
            _secrets: secrets,
        })
    }

    /// What traces requests.
    pub(crate) fn tracer(&self) -> Tracer {
        self.tracer.clone()
    }

    /// Sends what waits, for a short time at most.
    pub(crate) async fn finish(self) {
        self.stop.cancel();
        // Spans that can't be sent in this time are lost; so they are if the task has panicked, which it has said.
        let _ = tokio::time::timeout(LAST_DELIVERY, self.delivery).await;
    }
}

/// How long the end of the process waits for the collector.
const LAST_DELIVERY: Duration = Duration::from_secs(3);
