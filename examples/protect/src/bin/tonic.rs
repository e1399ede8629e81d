//! A gRPC server whose health service needs a user: `cargo run -p protect --bin tonic`.

#![expect(clippy::print_stdout, reason = "the reader looks there")]

use std::error::Error;

use portcullis::AuthRequest;
use portcullis::AuthenticateLayer;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpConnectInfo;
use tonic::transport::server::TcpIncoming;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let gate = AuthenticateLayer::new(protect::gate().await?).with_request(|head| {
        let client = head.extensions.get::<TcpConnectInfo>();
        AuthRequest {
            client_address: client.and_then(TcpConnectInfo::remote_addr).map(|client| client.ip()),
            ..AuthRequest::from_parts(head)
        }
    });
    let (_health, service) = tonic_health::server::health_reporter();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    let server = Server::builder().layer(gate).add_service(service);
    server.serve_with_incoming(TcpIncoming::from(listener)).await?;
    Ok(())
}
