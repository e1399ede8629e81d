//! The example of the README, built and run as a reader would.

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

/// The example while it runs; it ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn the_example_says_hello_to_users_only() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_protect"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = child.stdout.take().unwrap();
    let _running = Running(child);
    let mut url = String::new();
    BufReader::new(stdout).read_line(&mut url).unwrap();
    let address = url.trim().strip_prefix("http://").expect("no address");

    let refused = get(address, "");
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    assert!(
        refused.to_ascii_lowercase().contains("www-authenticate: basic"),
        "{refused}"
    );
    let admitted = get(address, "Authorization: Basic YWxpY2U6\r\n");
    assert!(
        admitted.starts_with("HTTP/1.1 200 ") && admitted.ends_with("Hello, alice!"),
        "{admitted}"
    );
}

#[test]
fn the_example_is_short() {
    let source = include_str!("../src/main.rs");
    assert!(source.lines().count() < 40);
}

fn get(address: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET / HTTP/1.1\r\nHost: {address}\r\n{headers}Connection: close\r\n\r\n"
    )
    .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}
