//! Authorization: whether the sender of a request may make it. The route's own requirements come first, then its authorizers,
//! and then, with `authorize_with`, its upstream. Any error is a denial.

mod decision_cache;
mod plugins;
mod upstream;
mod verdict;

use std::sync::Arc;

use http::StatusCode;

use crate::answers::response;
use crate::generation::Generation;
use crate::pipeline::admission::Admitted;
use crate::pipeline::audit::Denial;
use crate::pipeline::decisions::Decider;
use crate::pipeline::entrance::Entrance;
use crate::pipeline::outgoing::Outgoing;
use crate::pipeline::rejection::Rejection;
use crate::proxy::Proxy;

pub(crate) use self::upstream::UpstreamAuthorizer;

impl Admitted {
    /// Asks everybody who has a say whether the request may be forwarded, in order. The first denial ends it.
    ///
    /// For `explain` no upstream is asked. The authorization request becomes the condition of the [`Outgoing`] request.
    pub(super) async fn authorize(
        self,
        entrance: Entrance,
        upstreams: &UpstreamAuthorizer,
        proxy: &Proxy,
        generation: Arc<Generation>,
    ) -> Result<Outgoing, Rejection> {
        let admitted = self.meeting_requirements(entrance)?;
        let admitted = match admitted.route.authorizers.is_empty() {
            true => admitted,
            // Boxed because few routes have them, and every request would hold room for it.
            false => Box::pin(admitted.permitted(entrance, &generation)).await?,
        };
        admitted.ask_upstream(entrance, upstreams, proxy, generation).await
    }

    /// Rejects a request that doesn't meet what the route requires of its user.
    fn meeting_requirements(mut self, entrance: Entrance) -> Result<Self, Rejection> {
        let (Some(require), Some(user)) = (&self.route.config.require, self.sender.user()) else {
            return Ok(self);
        };
        if require.is_met_by(user.identity()) {
            return Ok(self);
        }
        let response = response::error(StatusCode::FORBIDDEN, "Forbidden");
        let why = require.shortfall(user.identity());
        let decider = Decider {
            outcome: "forbid",
            by: "route",
        };
        if entrance.serves() {
            let denial = Denial {
                why: &why,
                ..Denial::new(decider)
            };
            self.log_denial(&denial);
        }
        Err(self.deny(decider, response, Some(why)))
    }
}
