//! What is recorded of a front's question: the id of the request that it is about, and its trace if requests are traced.

use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use http::StatusCode;
use http::request::Parts;
use portcullis_wire::request_id::RequestId;

use super::Original;
use crate::pipeline::Record;
use crate::telemetry::Check;
use crate::telemetry::CheckAnswer;
use crate::telemetry::CheckCall;
use crate::telemetry::Tracer;

/// The record of one question.
#[derive(Debug)]
pub(crate) struct CheckRecord {
    id: RequestId,
    /// `None` if requests are not traced.
    traced: Option<Arc<Record>>,
}

impl CheckRecord {
    /// Begins the record. `handshake` returns when the TLS handshake before the question began, and how long it took.
    pub(crate) fn begin(
        tracer: Option<&Tracer>,
        original: &Original,
        call: CheckCall<'_>,
        handshake: impl FnOnce() -> Option<(SystemTime, Duration)>,
    ) -> Self {
        // The front is trusted, and some make an id for each request.
        let id = RequestId::of(&original.headers, true);
        let trace = tracer.map(|tracer| {
            tracer.begin_check(&Check {
                call,
                handshake: handshake(),
                id: &id,
                client: &original.client,
                method: &original.method,
                path: original.target.path.as_str(),
                host: original.target.authority.as_deref(),
                headers: &original.headers,
            })
        });
        let traced = trace.map(|trace| Arc::new(Record::new(Some(trace))));
        Self { id, traced }
    }

    /// The id of the request.
    pub(super) fn id(&self) -> &RequestId {
        &self.id
    }

    /// Hands the record to the steps that decide about the request with this head.
    pub(super) fn attach(&self, parts: &mut Parts) {
        parts.extensions.insert(self.id.clone());
        if let Some(record) = &self.traced {
            parts.extensions.insert(Arc::clone(record));
        }
    }

    /// Ends the record. `verdict` is what [`FrontVerdict::status`](super::FrontVerdict::status) says, and `status` is that of the
    /// response to the front, or `None` over gRPC.
    pub(crate) fn finish(self, verdict: StatusCode, status: Option<StatusCode>) {
        let Some(record) = self.traced else { return };
        if let Some(trace) = record.trace() {
            trace.finish_check(&CheckAnswer {
                verdict,
                status,
                route: record.route(),
            });
        }
    }
}
