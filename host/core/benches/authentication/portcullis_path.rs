//! The library as a server calls it, on a runtime with one thread. Each measurement is one decision of a chain.

use std::sync::Arc;

use http::HeaderValue;
use portcullis::AuthRequest;
use portcullis::Authenticator;
use portcullis::Chain;
use portcullis::Component;
use portcullis::Engine;
use portcullis::Outcome;
use tokio::runtime::Runtime;

use crate::work::Work;

pub struct Path {
    runtime: Runtime,
    chain: Chain,
    request: Arc<AuthRequest>,
}

impl Path {
    pub fn new(work: Work) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let engine = Engine::builder().build().unwrap();
        let component = Component::new(&engine, portcullis_plugins::find(work.plugin()).unwrap()).unwrap();
        let builder = Authenticator::builder(work.plugin(), &component).settings(work.settings());
        let chain = Chain::new([runtime.block_on(builder.build()).unwrap()]);
        let (parts, ()) = http::Request::get("http://app.test/").body(()).unwrap().into_parts();
        let mut request = AuthRequest::from_parts(&parts);
        request
            .headers
            .insert("authorization", HeaderValue::try_from(work.authorization()).unwrap());
        Self {
            runtime,
            chain,
            request: Arc::new(request),
        }
    }

    pub fn decide(&self) {
        let decision = self.runtime.block_on(self.chain.decide(&self.request));
        assert!(matches!(decision.outcome, Outcome::Grant(_)), "{decision:?}");
    }
}
