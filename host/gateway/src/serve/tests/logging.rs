//! What the log says of a request, and what it never says.

use std::io;
use std::sync::Arc;
use std::sync::Mutex;

use serde_json::Value;
use tracing_subscriber::filter::LevelFilter;

use super::*;

/// A log that the test reads. It takes the lines of its own thread, so these tests run on one.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn lines(&self, message: &str) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["message"] == message).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn collect() -> (Log, tracing::subscriber::DefaultGuard) {
    let log = Log::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(LevelFilter::TRACE);
    let guard = tracing::subscriber::set_default(lines.with_writer(move || writer.clone()).finish());
    (log, guard)
}

#[tokio::test]
async fn every_decision_leaves_a_line() {
    let (log, _guard) = collect();
    let upstream = Upstream::start().await;
    let gateway = Running::in_front_of(&upstream).await;
    let mut client = gateway.connect().await;
    client.request("GET /a?b=c", ALICE).await;
    let mut server = upstream.accept().await;
    server.head().await;
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    client.head().await;
    gateway.ask("POST /a", "").await;

    let lines = log.lines("decision");
    let [granted, refused] = &lines[..] else {
        panic!("{lines:?}")
    };
    for (field, value) in [
        ("target", "portcullis::audit"),
        ("level", "INFO"),
        ("method", "GET"),
        ("path", "/a"),
        ("route", "/"),
        ("client", "127.0.0.1"),
        ("outcome", "grant"),
        ("user", "alice"),
        ("authenticator", "simple"),
        ("steps", "simple: grant [header authorization]"),
    ] {
        assert_eq!(granted[field], value, "{field}");
    }
    assert_eq!(granted["session"], false);
    assert!(granted["duration_us"].is_u64());
    assert_eq!(granted.get("status"), None, "the upstream answers");
    for (field, value) in [
        ("method", "POST"),
        ("outcome", "unauthenticated"),
        ("steps", "simple: pass [header authorization]"),
    ] {
        assert_eq!(refused[field], value, "{field}");
    }
    assert_eq!(refused["status"], 401);
    assert_eq!(refused.get("user"), None);
}

#[tokio::test]
async fn a_request_that_is_refused_unasked_leaves_a_line_too() {
    let (log, _guard) = collect();
    let upstream = Upstream::start().await;
    let gateway = Running::in_front_of(&upstream).await;
    gateway.ask("GET /a/../b", ALICE).await;
    let lines = log.lines("request refused");
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(
        (&line["outcome"], &line["path"]),
        (&"unserved".into(), &"/a/../b".into())
    );
    assert_eq!(line["status"], 400);
}

#[tokio::test]
async fn no_credential_reaches_the_log() {
    let (log, _guard) = collect();
    let upstream = Upstream::start().await;
    let identity = "timeout = \"100ms\"\n[routes.identity]\nbasic_password = \"env:PASSWORD\"";
    let gateway = Running::start("", &protected("/", &upstream, identity)).await;
    for credentials in [
        "Authorization: Basic YWxpY2U6dGhlLXNlY3JldA==\r\nCookie: a=the-secret\r\nX-Key: the-secret\r\n",
        "Authorization: Basic the-secret\r\n",
        "Authorization: Bearer the-secret\r\n",
    ] {
        gateway.ask("GET /?token=the-secret", credentials).await;
        gateway.ask("GET /../?token=the-secret", credentials).await;
    }
    let ours = log.text();
    // What libraries trace at their own targets is off unless an operator asks for it.
    for line in ours.lines().filter(|line| line.contains("\"target\":\"portcullis")) {
        for secret in ["the-secret", "YWxpY2U6dGhlLXNlY3JldA==", "open sesame"] {
            assert!(!line.contains(secret), "{line}");
        }
    }
}
