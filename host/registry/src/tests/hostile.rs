//! Answers that aren't what the protocol has there. Each is an error that says what is wrong.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;

use super::options;
use super::pull;
use super::pull_with;
use super::server::Answer;
use super::server::Server;
use super::server::TAG;
use super::server::blob_path;
use super::server::honest;
use super::server::manifest;
use super::server::manifest_path;
use crate::Registries;

const WASM: &[u8] = b"component";

#[tokio::test]
async fn an_honest_registry_is_believed() {
    let server = Server::start(honest(WASM)).await;
    assert_eq!(pull(&server.address).await.unwrap(), WASM);
}

#[tokio::test]
async fn what_a_registry_says_is_checked() {
    let good = manifest(WASM);
    let big = good.replace("\"size\":9", "\"size\":300000000");
    let short = good.replace("\"size\":9", "\"size\":4");
    let other = manifest(b"other");
    let both =
        |tag: &str, second: Answer| HashMap::from([(TAG.to_owned(), Answer::ok(tag)), (manifest_path(tag), second)]);
    let tag = |answer: Answer| HashMap::from([(TAG.to_owned(), answer)]);
    let blob = |answer: Answer| {
        let mut answers = honest(WASM);
        answers.insert(blob_path(WASM), answer);
        answers
    };
    let index = json!({"schemaVersion": 2, "manifests": []}).to_string();
    let redirect = |to: &str| Answer::status(302, &format!("Location: {to}\r\n"));
    for (answers, expected) in [
        (HashMap::new(), "HOST doesn't have a manifest"),
        (
            tag(Answer::status(500, "")),
            "HOST answered the request for a manifest with 500",
        ),
        (tag(Answer::status(204, "")), "with 204"),
        (
            tag(Answer::status(403, "")),
            "HOST refuses access (403 Forbidden): no credentials were sent",
        ),
        (tag(Answer::status(401, "")), "HOST refuses access (401 Unauthorized)"),
        (
            tag(Answer::raw("garbage\r\n\r\n")),
            "HOST can't be reached: invalid HTTP",
        ),
        (tag(Answer::raw("")), "HOST can't be reached"),
        (tag(Answer::ok("")), "its manifest can't be read"),
        (tag(Answer::ok("<html>")), "its manifest can't be read"),
        (tag(Answer::ok(index)), "it is an index of several manifests"),
        (
            tag(Answer::endless()),
            "HOST sends a manifest of more than 4194304 bytes",
        ),
        (
            tag(Answer::lying(10_000_000_000, b"x")),
            "HOST sends a manifest of more than 4194304 bytes",
        ),
        (tag(Answer::lying(100, b"x")), "the connection ended within a manifest"),
        (
            both(&good, Answer::ok(other.as_str())),
            "HOST sent a manifest with the digest sha256:",
        ),
        (
            both(&big, Answer::ok(big.as_str())),
            "it has 300000000 bytes, and a component has at most 268435456",
        ),
        (both(&short, Answer::ok(short.as_str())), "doesn't have a component"),
        (
            blob(Answer::ok("compOnent")),
            "HOST sent a component with the digest sha256:",
        ),
        (
            blob(Answer::ok("comp")),
            "HOST sent a component with the digest sha256:",
        ),
        (blob(Answer::endless()), "HOST sends a component of more than 9 bytes"),
        (
            blob(Answer::lying(10_000_000_000, WASM)),
            "HOST sends a component of more than 9 bytes",
        ),
        (blob(redirect("SELF")), "which is no address"),
        (blob(redirect("//evil.example/x")), "which is no address"),
        (
            blob(redirect("http://evil.example/x")),
            "HOST redirects to \"http://evil.example/x\", which isn't https",
        ),
        (blob(redirect("ftp://evil.example/x")), "which isn't https"),
        (blob(redirect("https://user@evil.example/x")), "which is no address"),
        (blob(redirect(&blob_path(WASM))), "HOST redirects more than 5 times"),
        (blob(Answer::status(302, "")), "HOST redirects without saying where to"),
    ] {
        let server = Server::start(answers).await;
        let error = pull(&server.address).await.unwrap_err();
        assert!(error.contains(expected), "{expected}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn what_hangs_is_ended() {
    for answers in [
        HashMap::from([(TAG.to_owned(), Answer::default().hanging())]),
        HashMap::from([(TAG.to_owned(), Answer::lying(100, b"x").hanging())]),
        HashMap::from([(TAG.to_owned(), Answer::raw("HTTP/1.1 200").hanging())]),
    ] {
        let server = Server::start(answers).await;
        let mut options = options(&server.address);
        options.timeout = Duration::from_millis(300);
        let error = pull_with(&Registries::new(options), &server.address).await.unwrap_err();
        assert_eq!(error, "HOST didn't answer in time: a pull took longer than 0.3 s");
    }
}

#[tokio::test]
async fn a_password_is_shown_only_to_whom_asks_for_it() {
    let with_password = "authorization: Basic dXNlcjpzZWNyZXQ=";
    let secured = |header: &'static str, challenge: &str| {
        let answers = honest(WASM).into_iter();
        let answers = answers.map(|(path, answer)| (path, answer.only_with(header, challenge)));
        answers.collect::<HashMap<_, _>>()
    };
    let server = Server::start(secured(with_password, "Basic realm=\"r\"")).await;
    assert_eq!(pull(&server.address).await.unwrap(), WASM);

    let bearer = "Bearer realm=\"http://SELF/token\",service=\"a b\"";
    let token_path = "/token?scope=repository%3Ateam%2Fbadge%3Apull&service=a%20b";
    let mut answers = secured("authorization: Bearer t1", bearer);
    let token = Answer::ok("{\"token\": \"t1\"}").only_with(with_password, "Basic realm=\"t\"");
    answers.insert(token_path.to_owned(), token);
    let server = Server::start(answers).await;
    assert_eq!(pull(&server.address).await.unwrap(), WASM);
    let shown = server
        .heads()
        .iter()
        .filter(|head| head.contains(with_password))
        .count();
    assert_eq!(shown, 3, "once for each session: {:?}", server.heads());

    for (challenge, token, expected) in [
        ("Bearer realm=\"http://evil.example/token\"", "", "isn't https"),
        (
            "Bearer realm=\"https://user@evil.example/token\"",
            "",
            "the address of a token service that can't be read",
        ),
        (
            "Bearer realm=\"nonsense nonsense\"",
            "",
            "the address of a token service that can't be read",
        ),
        ("Bearer", "", "HOST refuses access (401 Unauthorized)"),
        ("Digest realm=\"x\"", "", "HOST refuses access (401 Unauthorized)"),
        (
            "Basic realm=\"x\"",
            "",
            "the username and password of [registries.\"HOST\"] were sent",
        ),
        (bearer, "{}", "a token that can't be read"),
        (bearer, "{\"token\": 7}", "a token that can't be read"),
        (bearer, "{\"token\": \"a\\nb\"}", "a token that can't be read"),
        (
            bearer,
            "{\"token\": \"wrong\"}",
            "HOST refuses access (401 Unauthorized)",
        ),
    ] {
        let mut answers = secured("never", challenge);
        answers.insert(token_path.to_owned(), Answer::ok(token));
        let server = Server::start(answers).await;
        let error = pull(&server.address).await.unwrap_err();
        assert!(error.contains(expected), "{challenge} {token}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn mirrors_are_asked_first_and_not_believed() {
    let mirrored = |answers: HashMap<String, Answer>| {
        let moved = |(path, answer): (String, Answer)| (path.replace("/v2/", "/v2/cache/"), answer);
        answers.into_iter().map(moved).collect::<HashMap<_, _>>()
    };
    let mut lying = honest(WASM);
    lying.insert(blob_path(WASM), Answer::ok("compOnent"));
    for (mirror, asks_registry) in [(honest(WASM), false), (lying, true), (HashMap::new(), true)] {
        let mirror = Server::start(mirrored(mirror)).await;
        let server = Server::start(honest(WASM)).await;
        let mut both = options(&server.address);
        let [own, other] = [&server.address, &mirror.address].map(|address| options(address).hosts[address].clone());
        both.hosts.insert(mirror.address.clone(), other);
        let mirrors = vec![crate::Mirror::parse(&format!("{}/cache", mirror.address)).unwrap()];
        both.hosts
            .insert(server.address.clone(), crate::Host { mirrors, ..own });
        assert_eq!(pull_with(&Registries::new(both), &server.address).await.unwrap(), WASM);
        assert_eq!(!server.heads().is_empty(), asks_registry);
        assert!(!mirror.heads().is_empty());
    }
}
