//! Which traces are sampled: what a trusted parent decides, or else a share of those that begin here. Both are bounded, so a
//! client can't have all of its requests traced by sending `traceparent`.

use std::fmt;
use std::num::NonZero;
use std::sync::Arc;

use governor::DefaultDirectRateLimiter;
use governor::Quota;
use governor::RateLimiter;
use opentelemetry::Context;
use opentelemetry::KeyValue;
use opentelemetry::trace::Link;
use opentelemetry::trace::SpanKind;
use opentelemetry::trace::TraceId;
use opentelemetry_sdk::trace::Sampler;
use opentelemetry_sdk::trace::SamplingDecision;
use opentelemetry_sdk::trace::SamplingResult;
use opentelemetry_sdk::trace::ShouldSample;

use crate::config::TracesConfig;

/// The sampler of the process. Spans of one request are sampled all or none.
pub(super) fn sampler(config: &TracesConfig) -> Box<dyn ShouldSample> {
    let most = NonZero::new(config.max_traces).unwrap_or(NonZero::<u32>::MIN);
    let limiter = Arc::new(RateLimiter::direct(Quota::per_second(most)));
    let bounded = |sampler| Bounded {
        sampler,
        limiter: Arc::clone(&limiter),
    };
    Sampler::parent_based(bounded(Sampler::TraceIdRatioBased(config.sampling)))
        .with_remote_parent_sampled(bounded(Sampler::AlwaysOn))
        .into()
}

/// A sampler of which no more than so many decisions a second are positive.
#[derive(Clone)]
struct Bounded {
    sampler: Sampler,
    limiter: Arc<DefaultDirectRateLimiter>,
}

impl fmt::Debug for Bounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bounded").field(&self.sampler).finish()
    }
}

impl ShouldSample for Bounded {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let mut result = self
            .sampler
            .should_sample(parent, trace_id, name, kind, attributes, links);
        if result.decision == SamplingDecision::RecordAndSample && self.limiter.check().is_err() {
            result.decision = SamplingDecision::Drop;
        }
        result
    }
}
