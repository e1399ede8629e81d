//! One guarded call of a plugin: it is admitted, a new instance is started, configured and called, or one that was kept is called,
//! and its answer is checked. A call that has begun runs to completion even if its caller is dropped.

use std::time::Instant;

use super::ConfiguredPlugin;
use super::detach::Detach;
use super::kept::Lease;
use super::overload::CallPermit;
use super::overload::Ended;
use super::overload::Sender;
use super::overload::TurnedAway;
use crate::decision::AttributeRead;
use crate::decision::Authenticated;
use crate::request::AuthRequest;
use crate::sandbox::Export;
use crate::sandbox::Instance;
use crate::sandbox::PluginError;
use crate::sandbox::Reply;
use crate::sandbox::bounded;

/// The result of a call.
pub(crate) struct Call<T> {
    /// The answer after it was checked, or how the plugin failed.
    pub(crate) result: Result<T, PluginError>,
    /// The attributes of the request that the plugin read, in order.
    pub(crate) reads: Vec<AttributeRead>,
    /// How many requests to other servers were denied, because no grant covers them.
    pub(crate) denied: u32,
    /// The lines of the level WARN and above that the plugin and the host wrote about the call.
    pub(crate) warnings: Vec<String>,
    /// Whether the plugin drew random numbers.
    pub(crate) drew_random: bool,
    /// How many bytes of memory its instance had at the end.
    pub(crate) memory: usize,
    /// How many requests its instance had served before.
    pub(crate) served: u32,
}

impl ConfiguredPlugin {
    /// Counts a request for the rate limit of its client. Returns an error if that is exceeded.
    pub(crate) fn count(&self, request: &AuthRequest) -> Result<(), TurnedAway> {
        self.0.overload.count(request.client_address)
    }

    /// The sender of a request, for [`call`](Self::call). The user is there if the plugin is told who that is.
    pub(crate) fn sender(&self, request: &AuthRequest, user: Option<&Authenticated>) -> Sender {
        self.0.overload.sender(request, self.grants(), user)
    }

    /// Calls a function of one of the plugin's roles about a request of this sender. `read` checks its answer; if that fails,
    /// the call counts as failed. `end` sees the result even if the caller is gone. Returns an error if the plugin may not be
    /// called now.
    ///
    /// Not an `async fn`: the future of a call is large, and that of the caller would have it inside, to be copied with
    /// every request, whether it leads to a call or not.
    pub(crate) fn call<X: Export, T: Send + 'static, E: Send + 'static>(
        &self,
        sender: Sender,
        export: X,
        read: impl FnOnce(X::Answer) -> Result<T, PluginError> + Send + 'static,
        end: impl FnOnce(&Call<T>) -> E + Send + 'static,
    ) -> Result<Detach<(Call<T>, E)>, TurnedAway> {
        let permit = self.0.overload.enter(sender)?;
        let this = self.clone();
        Ok(Detach::new(async move {
            let call = this.run(export, permit, read).await;
            let ended = end(&call);
            (call, ended)
        }))
    }

    async fn run<X: Export, T>(
        self,
        export: X,
        mut permit: CallPermit,
        read: impl FnOnce(X::Answer) -> Result<T, PluginError>,
    ) -> Call<T> {
        permit.begins();
        let is_told = export.tells();
        let (reply, instance) = self.ask(export).await;
        let Reply {
            result,
            reads,
            denied,
            warnings,
            drew_random,
            memory,
        } = reply;
        let result = result.and_then(read);
        let served = instance.as_ref().map_or(0, |lease| lease.served);
        if let (Some(kept), Some(lease)) = (&self.0.kept, instance) {
            kept.put(lease, result.is_ok());
        }
        let has_read = is_told || reads.iter().any(|read| read.granted);
        permit.ended(match &result {
            Ok(_) => Ended::Answered,
            Err(error) => Ended::with(error, has_read),
        });
        if let Err(error) = &result {
            self.0.meters.failed(error);
        }
        Call {
            result,
            reads,
            denied,
            warnings,
            drew_random,
            memory,
            served,
        }
    }

    /// Asks an instance, and returns it if it may serve another request.
    async fn ask<X: Export>(&self, export: X) -> (Reply<X::Answer>, Option<Lease>) {
        let Some(kept) = &self.0.kept else {
            let reply = match self.configured().await {
                Ok(mut instance) => instance.ask(export).await,
                Err(error) => Reply::failure(error),
            };
            return (reply, None);
        };
        let mut lease = match kept.take(&self.0.config) {
            Some(lease) => lease,
            None => {
                let (started, era) = (Instant::now(), kept.era());
                match self.configured().await {
                    Ok(instance) => kept.lease(instance, started, era),
                    Err(error) => return (Reply::failure(error), None),
                }
            }
        };
        (lease.instance.ask(export).await, Some(lease))
    }

    /// A new instance with the plugin's settings.
    async fn configured(&self) -> Result<Instance, PluginError> {
        if let Some(snapshot) = self.copy() {
            return snapshot.start(self.0.component.engine().shared(), &self.0.config).await;
        }
        let mut instance = self.0.component.start(&self.0.config).await?;
        let started = Instant::now();
        instance
            .configure(&self.0.settings)
            .await?
            .map_err(|why| PluginError::Settings(bounded(&why)))?;
        self.configured_another(&instance, started.elapsed());
        Ok(instance)
    }
}
