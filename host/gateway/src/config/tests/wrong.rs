//! Configurations with a mistake, and the errors that are reported. Each has one mistake, unless the test is about several.

use std::path::Path;

use super::KEY;
use super::errors_in;
use super::good::FULL;
use crate::config::Draft;
use crate::config::Environment;

fn errors(text: &str) -> Vec<String> {
    errors_in(Path::new("portcullis.toml"), text, &Environment::from([("KEY", KEY)]))
}

/// The route that every configuration below needs to have no other mistake.
const ROUTE: &str = r#"
[[routes]]
path = "/"
public = true
upstream = "portcullis:whoami"
"#;

/// Row H13 of the field reports is about the dates.
#[test]
fn a_mistake_names_the_file_the_line_and_the_key() {
    for (text, expected) in [
        (
            "[server\n",
            "portcullis.toml:1: not TOML: expected a right bracket, found a newline",
        ),
        (
            "[authenticators.a.settings]\nsince = 2026-11-26\n",
            "portcullis.toml:2: dates and times aren't supported: write them in quotes",
        ),
        (
            "[authenticators.a.settings]\nat = 07:32:00\n",
            "portcullis.toml:2: dates and times aren't supported: write them in quotes",
        ),
        (
            "[authenticators.a.settings]\nat = \"2026-11-26\" 1 # 07:32:00\n",
            "portcullis.toml:2: not TOML: expected newline, found an identifier",
        ),
        (
            "[server]\n[server]\n",
            "portcullis.toml:2: not TOML: redefinition of table `server`",
        ),
        (
            "[servr]\n",
            "portcullis.toml:1: servr: unknown key; did you mean \"server\"?",
        ),
        (
            "a = 1\n",
            "portcullis.toml:1: a: unknown key; expected one of include, server, admin, audit, access_log, telemetry, forward_auth, \
             ext_authz, assertion, \
             shared_state, session, state, login, plugins, registries, negotiate, authenticators, authorizers, upstreams, routes",
        ),
        (
            "server = 1\n",
            "portcullis.toml:1: server: expected a table, found an integer",
        ),
        (
            "[server]\n\nlisen = \"x\"\n",
            "portcullis.toml:3: server.lisen: unknown key; did you mean \"listen\"?",
        ),
        (
            "[server]\nlisten = \"localhost\"\n",
            "portcullis.toml:2: server.listen: \"localhost\" is not an address with a port, such as \"127.0.0.1:8000\", \
             or \"unix:PATH\", or \"systemd:NAME\"",
        ),
        (
            "[server]\nlisten = 8000\n",
            "portcullis.toml:2: server.listen: expected an address with a port, such as \"127.0.0.1:8000\", or \
             \"unix:PATH\", or \"systemd:NAME\", found an integer",
        ),
        (
            "[server]\ntrusted_proxies = [\n  \"10.0.0.0/8\",\n  \"10.0.0.0/33\",\n]\n",
            "portcullis.toml:4: server.trusted_proxies[1]: \"10.0.0.0/33\" is not a network, such as \"10.0.0.0/8\" or \
             \"::1\"",
        ),
        (
            "[server]\ntrusted_proxies = \"::1\"\n",
            "portcullis.toml:2: server.trusted_proxies: expected a list, found a string",
        ),
        (
            "[server]\nmax_header_size = \"1KiB\"\n",
            "portcullis.toml:2: server.max_header_size: must be 8.0 KiB to 1.0 MiB",
        ),
        (
            "[server]\nmax_header_size = \"64 kilo\"\n",
            "portcullis.toml:2: server.max_header_size: \"64 kilo\" is not a size, such as \"64KiB\" or \"32MiB\"",
        ),
        (
            "[server]\nheader_timeout = \"1d\"\n",
            "portcullis.toml:2: server.header_timeout: must be 100ms to 1h",
        ),
        (
            "[server]\nsend_timeout = \"0s\"\n",
            "portcullis.toml:2: server.send_timeout: must be 100ms to 1h",
        ),
        (
            "[server]\nmax_streams = 0\n",
            "portcullis.toml:2: server.max_streams: must be 1 to 1000",
        ),
        (
            "[server]\nheader_timeout = \"5\"\n",
            "portcullis.toml:2: server.header_timeout: \"5\" is not a duration, such as \"12h\", \"1h30m\" or \"150ms\"",
        ),
        (
            "[server]\nheader_timeout = \"18446744073709551615s 1000000000ns\"\n",
            "portcullis.toml:2: server.header_timeout: \"18446744073709551615s 1000000000ns\" is not a duration, such as \
             \"12h\", \"1h30m\" or \"150ms\"",
        ),
        (
            "[session]\nkeys = []\n",
            "portcullis.toml:2: session.keys: the list is empty; it needs at least one key, which `portcullis keygen` makes",
        ),
        (
            "[session]\nmax_age = \"1h\"\nidle = \"2h\"\n",
            "portcullis.toml:3: session.idle: has no effect, because it isn't shorter than max_age",
        ),
        (
            "[session]\nrevocations = 0\n",
            "portcullis.toml:2: session.revocations: must be 1 to 10000000",
        ),
        (
            "[session]\npeers = [\"portcullis:whoami\"]\n",
            "portcullis.toml:2: session.peers[0]: expected another gateway: its URL, or the name of an upstream",
        ),
        (
            "[session]\nkeys = [\"env:KEY\"]\ncookie = \"__Host-x\"\n",
            "portcullis.toml:3: session.cookie: \"__Host-x\" is not a name of letters, digits, - and _ that doesn't begin \
             with __; the prefix __Host- is added automatically",
        ),
        (
            "[plugins]\ndirectory = \"nowhere/at/all\"\n",
            "portcullis.toml:2: plugins.directory: nowhere/at/all: No such file or directory (os error 2)",
        ),
    ] {
        assert_eq!(
            errors(&format!(
                "{text}{}",
                if expected.contains("not TOML") || expected.contains("dates") {
                    ""
                } else {
                    ROUTE
                }
            )),
            [expected]
        );
    }
}

#[test]
fn a_mistake_in_an_authenticator_is_reported() {
    for (text, expected) in [
        ("", "portcullis.toml:1: authenticators.a: the key \"plugin\" is missing"),
        (
            "plugin = 1",
            "portcullis.toml:2: authenticators.a.plugin: expected a string, found an integer",
        ),
        (
            "plugin = \"x\"\nsetings = {}",
            "portcullis.toml:3: authenticators.a.setings: unknown key; did you mean \"settings\"?",
        ),
        (
            "plugin = \"x\"\nsha256 = \"abc\"",
            "portcullis.toml:3: authenticators.a.sha256: \"abc\" is not a SHA-256: 64 hex digits",
        ),
        (
            "plugin = \"x\"\nsettings = 1",
            "portcullis.toml:3: authenticators.a.settings: expected a table, found an integer",
        ),
        (
            "plugin = \"x\"\nsettings.x = nan",
            "portcullis.toml:3: authenticators.a.settings.x: must be a finite number",
        ),
        (
            "plugin = \"x\"\ngrants.headers = [\"a b\"]",
            "portcullis.toml:3: authenticators.a.grants.headers[0]: \"a b\" is not a header name",
        ),
        (
            "plugin = \"x\"\ngrants.headers = [\"Cookie\"]",
            "portcullis.toml:3: authenticators.a.grants.headers[0]: the whole Cookie header can't be granted; list \
             the cookies in `cookies`",
        ),
        (
            "plugin = \"x\"\ngrants.http = [\"idp.example\"]",
            "portcullis.toml:3: authenticators.a.grants.http[0]: it starts with neither http:// nor https://; expected a \
             server such as https://idp.example or http://127.0.0.1:8081/api",
        ),
        (
            "plugin = \"x\"\nlimits.deadline = \"0s\"",
            "portcullis.toml:3: authenticators.a.limits.deadline: must be 10ms to 1m",
        ),
        (
            "plugin = \"x\"\nlimits.memory = \"2GiB\"",
            "portcullis.toml:3: authenticators.a.limits.memory: must be 1.0 MiB to 1.0 GiB",
        ),
        (
            "plugin = \"x\"\nlimits.concurrency = 0",
            "portcullis.toml:3: authenticators.a.limits.concurrency: must be 1 to 10000",
        ),
        (
            "plugin = \"x\"\nlimits.rate = \"20\"",
            "portcullis.toml:3: authenticators.a.limits.rate: \"20\" is not a rate, such as \"20/s\" or \"300/m\"",
        ),
        (
            "plugin = \"x\"\nlimits.breaker = -1",
            "portcullis.toml:3: authenticators.a.limits.breaker: must be 0 to 10000",
        ),
    ] {
        assert_eq!(errors(&format!("[authenticators.a]\n{text}\n{ROUTE}")), [expected]);
    }
    assert_eq!(
        errors(&format!("[authenticators.\"a\\n\"]\nplugin = \"x\"\n{ROUTE}")),
        [
            "portcullis.toml:1: authenticators.\"a\\n\": an authenticator's name must be 1 to 64 letters, digits, - and _, \
             beginning with a letter or digit"
        ]
    );
}

#[test]
fn trusting_all_proxies_must_be_confirmed() {
    for network in ["0.0.0.0/0", "1.2.3.4/0", "::/0"] {
        let text = format!("[server]\ntrusted_proxies = [\"{network}\"]\n");
        assert_eq!(
            errors(&format!("{text}{ROUTE}")),
            [
                "portcullis.toml:2: server.trusted_proxies[0]: this trusts every client, so any client can pretend to be \
                 another one; list the addresses of your proxies, or set insecure_trust_all_proxies = true if only proxies \
                 can connect"
            ]
        );
        assert_eq!(
            errors(&format!("{text}insecure_trust_all_proxies = true\n{ROUTE}")),
            [""; 0]
        );
    }
}

#[test]
fn an_authenticator_with_a_mistake_is_a_known_name_but_is_not_loaded() {
    let text = "[authenticators.a]\nplugin = \"simple\"\nsettings.x = \"env:NOT_SET\"\nsettings.y = 1\n\
                [[routes]]\npath = \"/\"\nauthenticators = [\"a\"]\nupstream = \"portcullis:whoami\"\n";
    let draft = Draft::parse(Path::new("p.toml"), text, &Environment::from([]));
    assert_eq!(draft.errors.len(), 1, "{:?}", draft.errors);
    let text = text.replace("settings.x", "limits.x");
    let Draft { config, errors, .. } = Draft::parse(Path::new("p.toml"), &text, &Environment::from([]));
    assert_eq!(
        (errors.len(), config.plugin_entries.len(), config.routes.len()),
        (1, 0, 1)
    );
}

#[test]
fn all_mistakes_are_reported_together() {
    let text = r#"
lisen = 1
[server]
listen = "x"
port = 80
[authenticators.hub]
plugin = 1
[authenticators.other]
plugn = "x"
[[routes]]
path = "x"
authenticators = ["hub", "hob"]
"#;
    let expected = [
        "portcullis.toml:2: lisen: ",
        "portcullis.toml:4: server.listen: ",
        "portcullis.toml:5: server.port: ",
        "portcullis.toml:7: authenticators.hub.plugin: ",
        "portcullis.toml:8: authenticators.other: ",
        "portcullis.toml:9: authenticators.other.plugn: ",
        "portcullis.toml:10: routes[0]: ",
        "portcullis.toml:11: routes[0].path: ",
        "portcullis.toml:12: routes[0].authenticators[1]: ",
    ];
    let errors = errors(text);
    assert_eq!(errors.len(), expected.len(), "{errors:#?}");
    for (error, expected) in errors.iter().zip(expected) {
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn a_configuration_without_routes_is_rejected() {
    assert_eq!(errors(""), ["portcullis.toml: there is no route: add [[routes]]"]);
    assert_eq!(
        errors("routes = []"),
        ["portcullis.toml:1: routes: there is no route: add [[routes]]"]
    );
}

#[test]
fn too_many_routes_or_authenticators_are_rejected() {
    let route =
        |index: usize| format!("[[routes]]\npath = \"/{index}\"\npublic = true\nupstream = \"portcullis:whoami\"\n");
    let routes = |count: usize| (0..count).map(route).collect::<String>();
    assert_eq!(errors(&routes(1000)), [""; 0]);
    assert_eq!(
        errors(&routes(1001)),
        ["portcullis.toml:1: routes: more than 1000 routes"]
    );
    let authenticator = |index: usize| format!("[authenticators.a{index}]\nplugin = \"simple\"\n");
    let authenticators = |count: usize| (0..count).map(authenticator).collect::<String>();
    let room = "[plugins]\nconcurrency = 4096\n";
    assert_eq!(errors(&format!("{room}{}{ROUTE}", authenticators(4096))), [""; 0]);
    assert_eq!(
        errors(&format!("{room}{}{ROUTE}", authenticators(4097))),
        ["portcullis.toml: more than 4096 authenticators and authorizers"]
    );
}

#[test]
fn a_damaged_configuration_never_causes_a_panic() {
    for (at, c) in FULL.char_indices() {
        let (before, after) = (&FULL[..at], &FULL[at + c.len_utf8()..]);
        errors(before);
        errors(&format!("{before}{after}"));
    }
}
