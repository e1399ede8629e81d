//! Valid and invalid `[upstreams.NAME]` sections. Certificates are tested end to end, where they are generated.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::errors_in;
use crate::config::Draft;
use crate::config::Environment;
use crate::config::Protocol;
use crate::config::Upstream;
use crate::config::UpstreamConfig;

fn route(upstream: &str) -> String {
    format!("[[routes]]\npath = \"/\"\npublic = true\nupstream = \"{upstream}\"\n")
}

/// Returns a table with these lines, beginning at line 2, and a route that uses it.
fn table(lines: &str) -> String {
    format!("[upstreams.app]\n{lines}\n{}", route("app"))
}

fn errors(text: &str) -> Vec<String> {
    errors_in(Path::new("p.toml"), text, &Environment::from([]))
}

fn read(text: &str) -> Arc<UpstreamConfig> {
    let Draft { config, errors, .. } = Draft::parse(Path::new("p.toml"), text, &Environment::from([]));
    assert_eq!(errors, [], "{text}");
    match config.routes.into_iter().next().unwrap().upstream {
        Some(Upstream::Http(upstream)) => upstream,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_key_is_read() {
    let upstream = read(&table(
        r#"
        servers = ["http://127.0.0.1:8001/base", "http://127.0.0.1:8002/base/"]
        protocol = "h2"
        connect_timeout = "1s"
        idle_timeout = "1h"
        retries = 0
        max_connections = 7
        max_fails = 1
        fail_timeout = "1m"
        health = { path = "/healthz?deep=1", interval = "1s", timeout = "500ms", healthy = 1, unhealthy = 5 }
        "#,
    ));
    let servers = upstream.servers.iter().map(|server| server.address.to_string());
    assert_eq!(Vec::from_iter(servers), ["127.0.0.1:8001", "127.0.0.1:8002"]);
    assert_eq!((upstream.name.as_str(), upstream.base.as_str()), ("app", "/base"));
    assert_eq!(upstream.protocol, Protocol::Http2);
    assert_eq!(
        (upstream.connect_timeout, upstream.idle_timeout, upstream.fail_timeout),
        (
            Duration::from_secs(1),
            Duration::from_secs(3600),
            Duration::from_secs(60)
        )
    );
    assert_eq!(
        (upstream.retries, upstream.max_connections, upstream.max_fails),
        (0, 7, 1)
    );
    let health = upstream.health.as_ref().unwrap();
    assert_eq!(
        (health.path.as_str(), health.healthy, health.unhealthy),
        ("/healthz?deep=1", 1, 5)
    );
    assert_eq!(
        (health.interval, health.timeout),
        (Duration::from_secs(1), Duration::from_millis(500))
    );
}

#[test]
fn the_protocol_follows_from_the_url_unless_it_is_configured() {
    for (text, protocol, is_tls) in [
        (route("http://app"), Protocol::Http1, false),
        (route("https://app:8443/base"), Protocol::Negotiated, true),
        (route("unix:/run/app.sock"), Protocol::Http1, false),
        (table("servers = [\"https://app\"]"), Protocol::Negotiated, true),
        (
            table("servers = [\"https://app\"]\nprotocol = \"http/1.1\""),
            Protocol::Http1,
            true,
        ),
        (
            table("servers = [\"https://app\"]\nprotocol = \"h2\""),
            Protocol::Http2,
            true,
        ),
        (
            table("servers = [\"unix:/run/app.sock\"]\nprotocol = \"h2\""),
            Protocol::Http2,
            false,
        ),
    ] {
        let upstream = read(&text);
        assert_eq!(
            (upstream.protocol, upstream.tls.is_some()),
            (protocol, is_tls),
            "{text}"
        );
    }
}

#[test]
fn a_mistake_names_the_key() {
    let server = "servers = [\"http://app\"]\n";
    let https = "servers = [\"https://app\"]\n";
    for (lines, expected) in [
        ("retries = 1", "1: upstreams.app: the key \"servers\" is missing"),
        (
            "servers = []",
            "2: upstreams.app.servers: the list is empty; it needs at least one server, such as \"http://127.0.0.1:8001\"",
        ),
        (
            "servers = [\"app:80\"]",
            "2: upstreams.app.servers[0]: must start with http://, https:// or unix:/",
        ),
        (
            "servers = [\"http://app\", \"https://other\"]",
            "2: upstreams.app.servers[1]: either all servers or none must use https",
        ),
        (
            "servers = [\"http://app/a\", \"http://other\"]",
            "2: upstreams.app.servers[1]: all servers must have the same path",
        ),
        (
            "servers = [\"http://app\", \"http://app/\"]",
            "2: upstreams.app.servers[1]: the server is listed twice",
        ),
        (
            "servers = [\"https://a..b\"]",
            "2: upstreams.app.servers[0]: no certificate can be valid for this host",
        ),
        (
            &format!("{server}protocol = \"h3\""),
            "3: upstreams.app.protocol: \"h3\" is not \"http/1.1\" or \"h2\"",
        ),
        (
            &format!("{server}ca = \"ca.pem\""),
            "3: upstreams.app.ca: applies only to servers with https",
        ),
        (
            &format!("{https}ca = \"/absent.pem\""),
            "3: upstreams.app.ca: /absent.pem can't be opened: No such file or directory (os error 2)",
        ),
        (
            &format!("{https}certificate = \"c.pem\""),
            "3: upstreams.app.certificate: needs its key: set key",
        ),
        (
            &format!("{https}key = \"k.pem\""),
            "3: upstreams.app.key: needs its certificate: set certificate",
        ),
        (
            &format!("{https}server_name = \"a b\""),
            "3: upstreams.app.server_name: \"a b\" is not the name of a host, such as \"hub.example\"",
        ),
        (
            &format!("{server}connect_timeout = \"2m\""),
            "3: upstreams.app.connect_timeout: must be 100ms to 1m",
        ),
        (
            &format!("{server}retries = 100"),
            "3: upstreams.app.retries: must be 0 to 10",
        ),
        (
            &format!("{server}max_conections = 1"),
            "3: upstreams.app.max_conections: unknown key; did you mean \"max_connections\"?",
        ),
        (
            &format!("{server}health = {{ interval = \"1s\" }}"),
            "3: upstreams.app.health: the key \"path\" is missing",
        ),
        (
            &format!("{server}health = {{ path = \"healthz\" }}"),
            "3: upstreams.app.health.path: \"healthz\" is not a path that starts with a slash, such as \"/healthz\"",
        ),
        (
            &format!("{server}health = {{ path = \"/\", intervall = \"1s\" }}"),
            "3: upstreams.app.health.intervall: unknown key; did you mean \"interval\"?",
        ),
    ] {
        assert_eq!(errors(&table(lines)), [format!("p.toml:{expected}")], "{lines}");
    }
    assert_eq!(
        errors(&format!("[upstreams.app]\n{server}{}", route("ap"))),
        ["p.toml:6: routes[0].upstream: unknown upstream \"ap\"; did you mean \"app\"?"]
    );
    assert_eq!(
        errors(&format!("[upstreams.\"a b\"]\n{server}{}", route("http://app"))),
        [
            "p.toml:1: upstreams.\"a b\": an upstream's name must be 1 to 64 letters, digits, - and _, beginning with a \
             letter or digit"
        ]
    );
}

#[test]
fn the_example_in_the_reference_is_valid() {
    let reference = include_str!("../../../../../docs/configuration.md");
    let section = reference.split("## `[upstreams.NAME]`").nth(1).unwrap();
    let example = section
        .split("```toml")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .unwrap();
    let authenticator = "[authenticators.hub]\nplugin = \"simple\"\n";
    assert_eq!(
        errors_in(
            Path::new("/nowhere/p.toml"),
            &format!("{example}{authenticator}"),
            &Environment::from([])
        ),
        [
            "/nowhere/p.toml:4: upstreams.app.ca: /nowhere/tls/internal-ca.pem can't be opened: No such file or directory \
             (os error 2)"
        ]
    );
}
