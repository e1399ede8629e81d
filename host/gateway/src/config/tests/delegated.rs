//! Decisions that a route leaves to its upstream, and the secrets by which the upstream recognises the gateway.

use std::path::Path;
use std::time::Duration;

use super::errors_in;
use crate::config::Cookies;
use crate::config::Draft;
use crate::config::Environment;
use crate::config::RouteConfig;

const BEFORE: &str = "[authenticators.simple]\nplugin = \"simple\"\n[[routes]]\npath = \"/a\"\n";
const USERS: &str = "authenticators = [\"simple\"]\n";
const HTTP: &str = "upstream = \"http://x\"\n";
const ASKS: &str = "authorize_with = \"GET /b/{1}\"\n";
const LEAVES: &str = "upstream_credentials = [{ scheme = \"token\", requests = [\"DELETE /a/*\"] }]\n";
const SECRET: &str = "identity.shared_secret = { X-Secret = \"env:SECRET\" }\n";

fn environment() -> Environment {
    Environment::from([
        ("SECRET", "0123456789abcdef"),
        ("SHORT", "0123456789abcde"),
        ("SPACED", "0123456789 abcdef"),
    ])
}

fn errors(route: &str) -> Vec<String> {
    errors_in(Path::new("p.toml"), &format!("{BEFORE}{route}"), &environment())
}

fn route(text: &str) -> RouteConfig {
    let text = format!("{BEFORE}{text}");
    let Draft { mut config, errors, .. } = Draft::parse(Path::new("p.toml"), &text, &environment());
    assert_eq!(errors, [], "{text}");
    config.routes.remove(0)
}

#[test]
fn authorize_with_upstream_credentials_and_shared_secrets_are_read() {
    let read = route(&format!("{USERS}{HTTP}{ASKS}authorize_cache = \"2s\"\n{SECRET}"));
    let asked = read.authorize.unwrap();
    assert_eq!(
        (asked.template.to_string().as_str(), asked.cached_for),
        ("GET /b/{1}", Duration::from_secs(2))
    );
    assert_eq!(read.cookies, Cookies::Drop, "the default with a shared secret");
    let [(name, value)] = read.identity.shared_secret.as_slice() else {
        panic!("{:?}", read.identity)
    };
    assert_eq!(
        (name.as_str(), value.as_bytes()),
        ("x-secret", &b"0123456789abcdef"[..])
    );
    assert!(!format!("{:?}", read.identity).contains("0123456789"));

    assert_eq!(
        route(&format!("{USERS}{HTTP}{ASKS}")).authorize.unwrap().cached_for,
        Duration::from_secs(10)
    );
    let left = route(&format!("{USERS}{HTTP}{LEAVES}")).upstream_credentials;
    assert_eq!(left.to_string(), "token: DELETE /a/*");
}

#[test]
#[rustfmt::skip]
fn mistakes_and_contradictions_are_reported() {
    for (text, expected) in [
        (format!("{USERS}{HTTP}authorize_cache = \"2s\"\n"), "p.toml:7: routes[0].authorize_cache: has no effect without authorize_with"),
        (format!("{USERS}{HTTP}{ASKS}authorize_cache = \"2m\"\n"), "p.toml:8: routes[0].authorize_cache: must be 0s to 1m"),
        (format!("{USERS}{HTTP}authorize_with = \"POST /b/{{1}}\"\n"),
            "p.toml:7: routes[0].authorize_with: expected a method and a path, such as \"GET /api/v1/clusters/{1}\"; the method \
             must be GET or HEAD, because authorization requests must not change anything"),
        (format!("{USERS}{HTTP}authorize_with = \"GET /b/x{{1}}\"\n"),
            "p.toml:7: routes[0].authorize_with: a placeholder is a whole segment, {1} to {9}"),
        (format!("public = true\n{HTTP}{ASKS}"),
            "p.toml:3: routes[0]: authorize_with needs a user on every request, but this route accepts anonymous requests"),
        (format!("{USERS}optional = true\n{HTTP}{ASKS}"),
            "p.toml:3: routes[0]: authorize_with needs a user on every request, but this route accepts anonymous requests"),
        (format!("{USERS}upstream = \"portcullis:whoami\"\n{ASKS}"),
            "p.toml:3: routes[0]: authorize_with needs an upstream to ask: set upstream to a URL or the name of an upstream"),
        (format!("{USERS}{HTTP}{ASKS}forward_authorization = true\n"),
            "p.toml:3: routes[0]: authorize_with can't be combined with forward_authorization, because the authorization \
             request has identity headers instead of the client's credentials"),
        (format!("{USERS}{HTTP}{ASKS}{LEAVES}"),
            "p.toml:3: routes[0]: upstream_credentials would bypass authorize_with: use a separate route for them"),
        (format!("public = true\n{HTTP}{LEAVES}"),
            "p.toml:3: routes[0]: upstream_credentials are exceptions from authentication, and a public route has none"),
        (format!("{USERS}{HTTP}upstream_credentials = [{{ scheme = \"a b\", requests = [] }}]\n"),
            "p.toml:7: routes[0].upstream_credentials[0].scheme: \"a b\" is not a scheme of the Authorization header, such as \"token\""),
        (format!("{USERS}{HTTP}upstream_credentials = [{{ scheme = \"token\" }}]\n"),
            "p.toml:7: routes[0].upstream_credentials[0]: the key \"requests\" is missing"),
        (format!("{USERS}{HTTP}upstream_credentials = [{{ scheme = \"token\", requests = [\"DELETE /b/*\"] }}]\n"),
            "p.toml:7: routes[0].upstream_credentials[0].requests[0]: the path isn't below the route's path, /a"),
        (format!("public = true\n{HTTP}{SECRET}"),
            "p.toml:3: routes[0]: identity.shared_secret needs a user, and a public route has none"),
        (format!("{USERS}upstream = \"portcullis:whoami\"\n{SECRET}"),
            "p.toml:3: routes[0]: identity.shared_secret needs an upstream to which it can be sent"),
        (format!("{USERS}{HTTP}identity.shared_secret = {{ X-Secret = \"0123456789abcdef\" }}\n"),
            "p.toml:7: routes[0].identity.shared_secret.X-Secret: a secret can't be written in the configuration: use \
             \"file:PATH\" or \"env:NAME\""),
        (format!("{USERS}{HTTP}identity.shared_secret = {{ Host = \"env:SECRET\" }}\n"),
            "p.toml:7: routes[0].identity.shared_secret.Host: host has another meaning in HTTP"),
        (format!("{USERS}{HTTP}identity.shared_secret = {{ x_forwarded_user = \"env:SECRET\" }}\n"),
            "p.toml:7: routes[0].identity: the header x_forwarded_user is used twice"),
    ] {
        assert_eq!(errors(&text), [expected], "{text}");
    }
    for name in ["SHORT", "SPACED"] {
        let [error] = <[String; 1]>::try_from(errors(&format!(
            "{USERS}{HTTP}identity.shared_secret = {{ X-Secret = \"env:{name}\" }}\n"
        ))).unwrap();
        assert!(error.contains("expected at least 16 printable") && !error.contains("0123456789"), "{error}");
    }
}

#[test]
fn authorize_with_needs_an_upstream_also_on_a_route_for_fronts() {
    let text = format!(
        "[forward_auth]\nlisten = \"127.0.0.1:1\"\n[server]\ntrusted_proxies = [\"::1\"]\n{BEFORE}{USERS}{ASKS}"
    );
    assert_eq!(
        errors_in(Path::new("p.toml"), &text, &environment()),
        [
            "p.toml:7: routes[0]: authorize_with needs an upstream to ask: set upstream to a URL or the name of an upstream"
        ]
    );
}

#[test]
#[rustfmt::skip]
fn an_incomplete_or_circular_passthrough_rule_is_rejected() {
    let tls = "p.toml:3: server.passthrough: needs TLS on the listener: set server.tls";
    for (rules, expected) in [
        ("{ sni = \"a\", upstream = \"b:1\" }", vec![tls]),
        ("{ sni = \"a\", upstream = \"127.0.0.1:8443\" }", vec![tls, "p.toml:3: server.passthrough[0].upstream: is an address on which the gateway itself listens"]),
        ("{ sni = \"a\" }", vec![tls, "p.toml:3: server.passthrough[0]: the key \"upstream\" is missing"]),
        ("{ sni = \"a\", upstream = \"b:1\" }, { sni = \"A\", upstream = \"c:1\" }", vec![tls, "p.toml:3: server.passthrough[1]: a is listed twice"]),
    ] {
        let text = format!("[server]\nlisten = \"0.0.0.0:8443\"\npassthrough = [{rules}]\n{BEFORE}{USERS}{HTTP}");
        assert_eq!(errors_in(Path::new("p.toml"), &text, &environment()), expected, "{rules}");
    }
}
