//! What the log shows of a request, and what it never shows.

use tracing_subscriber::filter::LevelFilter;

use super::*;
use crate::testing::Log;

fn collect_json() -> (Log, tracing::subscriber::DefaultGuard) {
    keep_log_lines();
    let log = Log::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(LevelFilter::TRACE);
    let guard = tracing::subscriber::set_default(lines.with_writer(move || writer.clone()).finish());
    (log, guard)
}

/// Collects the log in its text format.
fn collect_text() -> (Log, tracing::subscriber::DefaultGuard) {
    keep_log_lines();
    let log = Log::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(LevelFilter::INFO);
    let guard = tracing::subscriber::set_default(lines.with_writer(move || writer.clone()).finish());
    (log, guard)
}

#[tokio::test]
async fn every_decision_is_logged() {
    let (log, _guard) = collect_json();
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
    assert_eq!(granted.get("status"), None, "the status is up to the upstream");
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
async fn a_request_that_is_refused_before_authentication_is_logged_too() {
    let (log, _guard) = collect_json();
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

/// The authenticator `keys` can't reach its provider, and `tokens` doesn't know the key of the token.
const FAILING: &str = r#"
[authenticators.keys]
plugin = "jwt"
settings.issuers = [{ issuer = "a", audiences = ["b"], jwks_url = "http://127.0.0.1:1/\"keys\"" }]
grants.http = ["http://127.0.0.1:1"]
[authenticators.tokens]
plugin = "jwt"
settings.issuers = [{ issuer = "a", audiences = ["b"], jwks = { keys = [{ kty = "OKP", crv = "Ed25519", kid = "x", x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] } }]
"#;

/// A token with the header `{"alg":"EdDSA","kid":"say \"hi\""}`, the claims `{"iss":"a"}` and an invalid signature.
const TOKEN_WITH_QUOTES: &str =
    "Authorization: Bearer eyJhbGciOiJFZERTQSIsImtpZCI6InNheSBcImhpXCIifQ.eyJpc3MiOiJhIn0.AAAA\r\n";

/// Sends requests whose paths, names and errors contain quotes and line separators. Returns the address of the
/// upstream.
async fn send_quoted_texts() -> String {
    let upstream = Upstream::start().await;
    let routes = [("keys", "/keys"), ("tokens", "/tokens"), ("simple", "/simple")].map(|(name, path)| {
        route(
            path,
            &upstream,
            &format!("authenticators = [\"{name}\"]\ntimeout = \"100ms\""),
        )
    });
    let gateway = Running::start("", &(FAILING.to_owned() + &routes.concat())).await;
    assert!(
        gateway
            .ask("GET /keys", TOKEN_WITH_QUOTES)
            .await
            .starts_with("http/1.1 503 ")
    );
    assert!(
        gateway
            .ask("GET /tokens", TOKEN_WITH_QUOTES)
            .await
            .starts_with("http/1.1 401 ")
    );
    // The user `say "hi"\`.
    gateway
        .ask("GET /simple", "Authorization: Basic c2F5ICJoaSJcOng=\r\n")
        .await;
    gateway.ask("GET /../\"\u{2028}\u{9b}", ALICE).await;
    upstream.address.to_string()
}

#[tokio::test]
async fn json_lines_contain_foreign_texts_unchanged() {
    let (log, _guard) = collect_json();
    send_quoted_texts().await;
    let of = |message: &str, field: &str| {
        let lines = log.lines(message).into_iter();
        lines
            .filter_map(|line| Some(line.get(field)?.as_str()?.to_owned()))
            .collect::<Vec<_>>()
    };
    let [why] = &of("an authenticator could not decide", "why")[..] else {
        panic!()
    };
    assert!(why.starts_with("http://127.0.0.1:1/\"keys\": "), "{why}");
    assert_eq!(
        of("decision", "steps")[1],
        "tokens: reject \"no key of a has the id 'say \\'hi\\''; it has 'x'\" [header authorization]"
    );
    assert_eq!(of("decision", "user"), ["say \"hi\"\\"]);
    assert_eq!(of("request refused", "path"), ["/../\"\u{fffd}\u{fffd}"]);
    for line in log
        .text()
        .lines()
        .filter(|line| line.contains("\"target\":\"portcullis"))
    {
        assert!(
            !line.contains(char::is_control) && !line.contains('\u{2028}'),
            "{line:?}"
        );
    }
}

#[tokio::test]
async fn text_lines_escape_foreign_texts_once() {
    let (log, _guard) = collect_text();
    send_quoted_texts().await;
    let text = log.text();
    for expected in [
        r#" why="http://127.0.0.1:1/\"keys\": "#,
        r#" steps="tokens: reject \"no key of a has the id 'say \\'hi\\''; it has 'x'\" [header authorization]""#,
        r#" user="say \"hi\"\\""#,
        " path=\"/../\\\"\u{fffd}\u{fffd}\"",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    for line in text.lines() {
        assert!(
            !line.contains(char::is_control) && !line.contains('\u{2028}'),
            "{line:?}"
        );
        assert!(line.contains(" portcullis"), "every line is complete: {line}");
    }
}

#[tokio::test]
async fn no_credential_reaches_the_log() {
    let (log, _guard) = collect_json();
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
    let text = log.text();
    // The targets of libraries are off unless the operator enables them.
    for line in text.lines().filter(|line| line.contains("\"target\":\"portcullis")) {
        for secret in ["the-secret", "YWxpY2U6dGhlLXNlY3JldA==", "open sesame"] {
            assert!(!line.contains(secret), "{line}");
        }
    }
}
