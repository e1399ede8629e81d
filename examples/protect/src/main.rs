//! An axum application behind the built-in authenticator `simple`: `cargo run -p protect`.

#![expect(clippy::print_stdout, reason = "the reader looks there")]

use std::error::Error;
use std::net::SocketAddr;

use axum::Extension;
use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::routing::get;
use portcullis::{AuthRequest, AuthenticateLayer, Authenticated, Authenticator, Chain, Component, Engine, Gate};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::builder().build()?;
    let component = Component::new(&engine, portcullis_plugins::find("simple").ok_or("no such plugin")?)?;
    let simple = Authenticator::builder("simple", &component).build().await?;
    let gate = AuthenticateLayer::new(Gate::new(Chain::new([simple]), None)).with_request(request);

    let app = Router::new().route("/", get(hello)).layer(gate);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

async fn hello(Extension(user): Extension<Authenticated>) -> String {
    format!("Hello, {}!", user.identity().name())
}

/// The head of a request doesn't have its client's address, which rates and the circuit breaker go by.
fn request(head: &Parts) -> AuthRequest {
    let client = head.extensions.get::<ConnectInfo<SocketAddr>>();
    AuthRequest {
        client_address: client.map(|client| client.0.ip()),
        ..AuthRequest::from_parts(head)
    }
}
