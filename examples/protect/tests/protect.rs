//! The examples, built and run as a reader would.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what can't go on has failed"
)]

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use tonic::Code;
use tonic::Request;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const ALICE: &str = "Basic YWxpY2U6";

/// An example while it runs; it ends with the test.
struct Running {
    child: Child,
    address: String,
}

impl Running {
    fn start(program: &str) -> Self {
        let mut child = Command::new(program).stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut url)
            .unwrap();
        let address = url.trim().strip_prefix("http://").expect("no address").to_owned();
        Self { child, address }
    }

    /// The response to a GET, in small letters but for the body.
    fn get(&self, path: &str, authorization: Option<&str>) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let authorization = authorization.map(|value| format!("Authorization: {value}\r\n"));
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {}\r\n{}Connection: close\r\n\r\n",
            self.address,
            authorization.unwrap_or_default(),
        )
        .unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        format!("{}\r\n\r\n{body}", head.to_ascii_lowercase())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn the_http_examples_serve_users() {
    for (program, path, said) in [
        (env!("CARGO_BIN_EXE_protect"), "/", "Hello, alice!"),
        (env!("CARGO_BIN_EXE_hyper"), "/", "Hello, alice!"),
        (env!("CARGO_BIN_EXE_nested"), "/team/files", "the files of alice"),
    ] {
        let example = Running::start(program);
        let refused = example.get(path, None);
        assert!(refused.starts_with("http/1.1 401 "), "{program}: {refused}");
        assert!(refused.contains("www-authenticate: basic"), "{program}: {refused}");
        let admitted = example.get(path, Some(ALICE));
        assert!(
            admitted.starts_with("http/1.1 200 ") && admitted.ends_with(said),
            "{program}: {admitted}"
        );
    }
}

#[test]
fn a_nested_router_is_protected_alone() {
    let example = Running::start(env!("CARGO_BIN_EXE_nested"));
    for (path, authorization, expected) in [
        ("/health", None, "ok"),
        ("/team/start", None, "Hello, guest!"),
        ("/team/start", Some(ALICE), "Hello, alice!"),
    ] {
        let response = example.get(path, authorization);
        assert!(
            response.starts_with("http/1.1 200 ") && response.ends_with(expected),
            "{path}: {response}"
        );
    }
    let wrong = example.get("/team/start", Some("Basic !"));
    assert!(
        wrong.starts_with("http/1.1 401 "),
        "wrong credentials are no anonymous visitor: {wrong}"
    );
}

#[tokio::test]
async fn a_grpc_client_hears_that_it_needs_a_user() {
    let example = Running::start(env!("CARGO_BIN_EXE_tonic"));
    let channel = Channel::from_shared(format!("http://{}", example.address)).unwrap();
    let mut client = HealthClient::new(channel.connect().await.unwrap());
    let refused = client.check(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    let mut request = Request::new(HealthCheckRequest::default());
    request.metadata_mut().insert("authorization", ALICE.parse().unwrap());
    client.check(request).await.unwrap();
}

#[test]
fn the_example_of_the_readme_is_short() {
    let source = include_str!("../src/main.rs");
    assert!(source.lines().count() < 55);
}
