//! The server's side of `envoy.service.auth.v3.Authorization`.

use std::pin::Pin;
use std::sync::Arc;

use tonic::Request;
use tonic::Response;
use tonic::Status;
use tonic::body::Body;
use tonic::server::Grpc;
use tonic::server::UnaryService;
use tonic_prost::ProstCodec;

use crate::CheckRequest;
use crate::CheckResponse;

/// The path of the one method of the service.
pub const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// Says whether requests may pass.
pub trait Authorization: Send + Sync + 'static {
    /// Says whether a request may pass.
    fn check(
        &self,
        request: Request<CheckRequest>,
    ) -> impl Future<Output = Result<Response<CheckResponse>, Status>> + Send;
}

/// Answers requests to the service. A clone is the same server.
#[derive(Debug)]
pub struct AuthorizationServer<T> {
    service: Arc<T>,
    max_message_size: usize,
}

impl<T> Clone for AuthorizationServer<T> {
    fn clone(&self) -> Self {
        Self {
            service: Arc::clone(&self.service),
            max_message_size: self.max_message_size,
        }
    }
}

impl<T: Authorization> AuthorizationServer<T> {
    /// `max_message_size` bounds what is read, in bytes. A larger message is answered with an error.
    pub fn new(service: T, max_message_size: usize) -> Self {
        Self {
            service: Arc::new(service),
            max_message_size,
        }
    }

    /// Answers one request.
    pub async fn answer<B>(&self, request: http::Request<B>) -> http::Response<Body>
    where
        B: http_body::Body + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        if request.uri().path() != CHECK {
            return Status::unimplemented("the only method is Check").into_http();
        }
        Grpc::new(ProstCodec::default())
            .max_decoding_message_size(self.max_message_size)
            .unary(Check(Arc::clone(&self.service)), request)
            .await
    }
}

struct Check<T>(Arc<T>);

impl<T: Authorization> UnaryService<CheckRequest> for Check<T> {
    type Response = CheckResponse;
    type Future = Pin<Box<dyn Future<Output = Result<Response<CheckResponse>, Status>> + Send>>;

    fn call(&mut self, request: Request<CheckRequest>) -> Self::Future {
        let service = Arc::clone(&self.0);
        Box::pin(async move { service.check(request).await })
    }
}
