//! An axum application where only a nested router is protected, and one page of it also serves anonymous visitors:
//! `cargo run -p protect --bin nested`.

#![expect(clippy::print_stdout, reason = "the reader looks there")]

use std::error::Error;
use std::net::SocketAddr;

use axum::Extension;
use axum::Router;
use axum::extract::ConnectInfo;
use axum::extract::OriginalUri;
use axum::http::request::Parts;
use axum::routing::get;
use portcullis::AuthRequest;
use portcullis::AuthenticateLayer;
use portcullis::Authenticated;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let gate = AuthenticateLayer::new(protect::gate().await?).with_request(request);
    let files = Router::new().route("/files", get(files)).layer(gate.clone());
    let start = Router::new().route("/start", get(start)).layer(gate.optional());
    let app = Router::new()
        .route("/health", get(|| async { "ok" }))
        .nest("/team", files.merge(start));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

async fn files(Extension(user): Extension<Authenticated>) -> String {
    format!("the files of {}", user.identity().name())
}

async fn start(user: Option<Extension<Authenticated>>) -> String {
    match user {
        Some(Extension(user)) => format!("Hello, {}!", user.identity().name()),
        None => "Hello, guest!".to_owned(),
    }
}

/// A nested router cuts its prefix off the path; an authenticator with rules about paths needs the whole one.
fn request(head: &Parts) -> AuthRequest {
    let mut request = AuthRequest::from_parts(head);
    if let Some(OriginalUri(uri)) = head.extensions.get() {
        request.path = uri.path().to_owned();
    }
    let client = head.extensions.get::<ConnectInfo<SocketAddr>>();
    request.client_address = client.map(|client| client.0.ip());
    request
}
