//! A hyper server without a framework: `cargo run -p protect --bin hyper`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the reader looks there")]

use std::convert::Infallible;
use std::error::Error;

use http_body_util::Full;
use hyper::Request;
use hyper::Response;
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::service::TowerToHyperService;
use portcullis::AuthRequest;
use portcullis::AuthenticateLayer;
use portcullis::Authenticated;
use tokio::net::TcpListener;
use tower::Layer;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let gate = AuthenticateLayer::new(protect::gate().await?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    loop {
        let (stream, client) = listener.accept().await?;
        let gate = gate.clone().with_request(move |head| AuthRequest {
            client_address: Some(client.ip()),
            ..AuthRequest::from_parts(head)
        });
        let service = TowerToHyperService::new(gate.layer(tower::service_fn(hello)));
        tokio::spawn(async move {
            let mut server = http1::Builder::new();
            let served = server
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = served.await {
                eprintln!("{client}: {error}");
            }
        });
    }
}

async fn hello(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let user = request.extensions().get::<Authenticated>();
    let name = user.map_or("guest", |user| user.identity().name());
    Ok(Response::new(Full::from(format!("Hello, {name}!"))))
}
