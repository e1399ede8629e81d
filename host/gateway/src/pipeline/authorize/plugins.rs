//! The authorizers of a route: plugins that say whether a request may be made. All of them must permit it.

use std::sync::Arc;
use std::time::Instant;

use portcullis::decision::Authorization;

use crate::answers::response;
use crate::generation::Generation;
use crate::pipeline::admission::Admitted;
use crate::pipeline::admission::auth_request;
use crate::pipeline::audit::Denial;
use crate::pipeline::audit::refusal_outcome;
use crate::pipeline::audit::steps_text;
use crate::pipeline::decisions::Decider;
use crate::pipeline::entrance::Entrance;
use crate::pipeline::record::Record;
use crate::pipeline::rejection::Rejection;
use crate::pipeline::sender::Sender;
use crate::telemetry::Phase;

const UNAVAILABLE: &str = "Authorization is unavailable";

impl Admitted {
    /// Asks the authorizers. A request without credentials, on a route that accepts those, is decided about without a user. Nobody
    /// is asked about a preflight, in which browsers send no credentials.
    pub(super) async fn permitted(mut self, entrance: Entrance, generation: &Generation) -> Result<Self, Rejection> {
        let decided = match &self.sender {
            Sender::Decided(decided) => decided,
            Sender::Preflight => return Ok(self),
            // The configuration is rejected if a route with authorizers is public or has exceptions.
            Sender::Public | Sender::Upstream { .. } => {
                let decider = Decider {
                    outcome: "unavailable",
                    by: "route",
                };
                let response = response::unavailable(UNAVAILABLE);
                return Err(self.deny(decider, response, Some("nobody is known".to_owned())));
            }
        };
        let started = Instant::now();
        let request = Arc::new(auth_request(&self.route, &mut self.request));
        let decision = self.route.authorizers.decide(&request, &decided.decision.outcome).await;
        // A call that timed out may still hold a reference.
        self.request.parts.headers = Arc::unwrap_or_clone(request).headers;
        let Authorization { outcome, steps, .. } = decision;
        if let Some(trace) = Record::trace_of(&self.request.parts) {
            trace.phase(&Phase {
                name: "authorize",
                outcome: outcome.as_ref().map_or_else(refusal_outcome, |_| "permit"),
                by: "authorizer",
                elapsed: started.elapsed(),
                role: "authorizer",
                steps: &steps,
            });
        }
        match outcome {
            Ok(permits) => {
                self.authorizer_steps = steps;
                self.permits = permits;
                self.log_decision(Some(started.elapsed()));
                Ok(self)
            }
            Err(refusal) => {
                let response = self.answer(generation, &refusal);
                let decider = Decider {
                    outcome: refusal_outcome(&refusal),
                    by: "authorizer",
                };
                if entrance.serves() {
                    let (last, said) = (steps.last(), steps_text(&steps));
                    let denial = Denial {
                        authorizer: last.map(|step| &*step.name),
                        why: last.and_then(|step| step.verdict.reason()).unwrap_or_default(),
                        status: response.status(),
                        steps: Some(&said),
                        ..Denial::new(decider)
                    };
                    self.entry().warn_of_failures("authorizer", &steps);
                    self.log_denial(&denial);
                }
                self.authorizer_steps = steps;
                Err(self.deny(decider, response, None))
            }
        }
    }
}
