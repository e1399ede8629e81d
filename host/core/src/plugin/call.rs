//! One guarded call: a place for it, a fresh instance that took its settings, the question, and the check of the answer.
//! Once it has begun it runs to its end, whether or not its caller still waits.

use std::sync::Arc;

use super::ConfiguredPlugin;
use super::detach::Detach;
use super::overload::Place;
use super::overload::TurnedAway;
use crate::contract::portcullis::auth::types::Grant;
use crate::contract::portcullis::auth::types::Refusal;
use crate::decision::Asked;
use crate::request::AuthRequest;
use crate::sandbox::Instance;
use crate::sandbox::PluginError;
use crate::sandbox::Reply;
use crate::sandbox::bounded;

/// How a call went.
pub(crate) struct Call<T> {
    /// The checked answer, or how the plugin failed.
    pub(crate) result: Result<T, PluginError>,
    /// What the plugin asked about the request, in order.
    pub(crate) asked: Vec<Asked>,
    /// How many requests to other servers were out of its grants.
    pub(crate) denied: u32,
}

impl ConfiguredPlugin {
    /// Calls the plugin about one request. `read` checks what it answers: an answer that it refuses is a failure of the
    /// plugin like any other. The error says why the plugin is not called.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        request: &Arc<AuthRequest>,
        read: impl FnOnce(Result<Grant, Refusal>) -> Result<T, PluginError> + Send + 'static,
    ) -> Result<Call<T>, TurnedAway> {
        let place = self.0.overload.enter(request.client_address)?;
        Ok(Detach::new(self.clone().run(Arc::clone(request), place, read)).await)
    }

    async fn run<T>(
        self,
        request: Arc<AuthRequest>,
        place: Place,
        read: impl FnOnce(Result<Grant, Refusal>) -> Result<T, PluginError>,
    ) -> Call<T> {
        let Reply { result, asked, denied } = match self.configured().await {
            Ok(instance) => instance.authenticate(request).await,
            Err(error) => Reply::failure(error),
        };
        let result = result.and_then(read);
        match &result {
            Ok(_) => place.answered(),
            Err(error) => {
                place.failed();
                self.0.meters.failed(error);
            }
        }
        Call { result, asked, denied }
    }

    /// A fresh instance that took its settings.
    async fn configured(&self) -> Result<Instance, PluginError> {
        let mut instance = self.0.component.start(&self.0.surroundings).await?;
        instance
            .configure(&self.0.settings)
            .await?
            .map_err(|why| PluginError::Settings(bounded(&why)))?;
        Ok(instance)
    }
}
