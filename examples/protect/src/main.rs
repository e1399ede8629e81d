//! An axum application behind the built-in authenticator `simple`: `cargo run -p protect`.

#![expect(clippy::print_stdout, reason = "the reader looks there")]

use std::error::Error;

use axum::Extension;
use axum::Router;
use axum::routing::get;
use portcullis::AuthenticateLayer;
use portcullis::Authenticated;
use portcullis::Authenticator;
use portcullis::Chain;
use portcullis::Component;
use portcullis::Engine;
use portcullis::Gate;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::builder().build()?;
    let component = Component::new(&engine, portcullis_plugins::find("simple").ok_or("no such plugin")?)?;
    let simple = Authenticator::builder("simple", &component).build().await?;
    let gate = Gate::new(Chain::new([simple]), None);

    let app = Router::new().route("/", get(hello)).layer(AuthenticateLayer::new(gate));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

async fn hello(Extension(user): Extension<Authenticated>) -> String {
    format!("Hello, {}!", user.identity().name())
}
