//! What becomes of an event: a line of the log, if the filter says so, and a line of the audit trail, whatever the filter says.

use tracing::Event;
use tracing::Metadata;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing::span;
use tracing::subscriber::Interest;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Context;

use super::log_json;
use crate::audit_trail::CurrentTrail;

/// The log and the audit trail.
#[derive(Debug)]
pub(super) struct Output<L> {
    lines: L,
    filter: Targets,
    audit: CurrentTrail,
}

impl<L> Output<L> {
    /// Gives `lines` the events that the filter lets pass.
    pub(super) fn new(lines: L, filter: Targets, audit: CurrentTrail) -> Self {
        Self { lines, filter, audit }
    }

    fn is_logged(&self, metadata: &Metadata<'_>) -> bool {
        self.filter.would_enable(metadata.target(), metadata.level())
    }

    fn is_audited(&self, metadata: &Metadata<'_>) -> bool {
        is_of_audit(metadata) && self.audit.is_on()
    }
}

/// Whether an event is for the audit log.
fn is_of_audit(metadata: &Metadata<'_>) -> bool {
    metadata.target() == "portcullis::audit" && *metadata.level() <= AUDIT_LEVEL
}

/// The longest text in an audit line, in bytes. All of its texts together are shorter than a line may be, even if each of their
/// characters has to be escaped.
const MAX_TEXT: usize = 4096;

const AUDIT_LEVEL: LevelFilter = LevelFilter::INFO;

impl<S: Subscriber, L: Layer<S>> Layer<S> for Output<L> {
    fn on_register_dispatch(&self, subscriber: &tracing::Dispatch) {
        self.lines.on_register_dispatch(subscriber);
    }

    fn on_layer(&mut self, subscriber: &mut S) {
        self.lines.on_layer(subscriber);
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match self.is_logged(metadata) || self.is_audited(metadata) {
            true => Interest::always(),
            false => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.is_logged(metadata) || self.is_audited(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let logged = Layer::<S>::max_level_hint(&self.filter)?;
        Some(logged.max(AUDIT_LEVEL))
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let is_of_audit = is_of_audit(metadata);
        if is_of_audit {
            self.audit.write(|| log_json::members(event, MAX_TEXT));
        }
        // Other events are here because the filter lets them pass.
        if !is_of_audit || self.is_logged(metadata) {
            self.lines.on_event(event, context);
        }
    }

    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        self.lines.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        self.lines.on_record(id, values, context);
    }

    fn on_follows_from(&self, id: &span::Id, follows: &span::Id, context: Context<'_, S>) {
        self.lines.on_follows_from(id, follows, context);
    }

    fn on_enter(&self, id: &span::Id, context: Context<'_, S>) {
        self.lines.on_enter(id, context);
    }

    fn on_exit(&self, id: &span::Id, context: Context<'_, S>) {
        self.lines.on_exit(id, context);
    }

    fn on_close(&self, id: span::Id, context: Context<'_, S>) {
        self.lines.on_close(id, context);
    }

    fn on_id_change(&self, old: &span::Id, new: &span::Id, context: Context<'_, S>) {
        self.lines.on_id_change(old, new, context);
    }
}

#[cfg(test)]
mod tests;
