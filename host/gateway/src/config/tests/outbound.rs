//! The settings for outbound requests of plugins, valid and invalid. Certificates are tested end to end, where they are
//! generated.

use std::path::Path;

use super::errors_in;
use crate::config::Draft;
use crate::config::Environment;

const ROUTE: &str = "[[routes]]\npath = \"/\"\npublic = true\nupstream = \"portcullis:whoami\"\n";

fn environment() -> Environment {
    Environment::from([
        ("SECRET", "hunter2"),
        ("BROKEN", "hunter2\nX: y"),
        ("IDP", "https://idp.example"),
    ])
}

/// Returns an authenticator with its grants in line 2, followed by these lines.
fn authenticator(lines: &str) -> String {
    format!(
        "[authenticators.a]\ngrants.http = [\"https://idp.example\", \"https://*.wild.example\"]\n{lines}\nplugin = \"x\"\n{ROUTE}"
    )
}

#[test]
fn secret_headers_for_granted_servers_are_accepted_and_never_shown() {
    for server in [
        "https://idp.example",
        "https://idp.example:443/path",
        "env:IDP",
        "https://one.wild.example",
    ] {
        let text = authenticator(&format!(
            "http_refresh_floor = \"0s\"\nhttp_headers = {{ \"{server}\" = {{ Authorization = \"env:SECRET\" }} }}"
        ));
        let Draft { config, errors, .. } = Draft::parse(Path::new("p.toml"), &text, &environment());
        assert_eq!(errors, [], "{server}");
        let shown = format!("{config:?}");
        assert!(shown.contains("authorization for https://"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn a_mistake_names_the_key_and_does_not_repeat_the_secret() {
    for (line, expected) in [
        (
            "http_headers = { \"https://other.example\" = { Authorization = \"env:SECRET\" } }",
            "http_headers.\"https://other.example\": https://other.example:443 is not within grants.http",
        ),
        (
            "http_headers = { \"http://idp.example\" = { Authorization = \"env:SECRET\" } }",
            "http_headers.\"http://idp.example\": http://idp.example:80 is not within grants.http",
        ),
        (
            "http_headers = { \"https://*.wild.example\" = { Authorization = \"env:SECRET\" } }",
            "http_headers.\"https://*.wild.example\".Authorization: a header is added for one server, not for a wildcard",
        ),
        (
            "http_headers = { \"idp\" = { Authorization = \"env:SECRET\" } }",
            "http_headers.idp: it starts with neither http:// nor https://; expected a server such as https://idp.example \
             or http://127.0.0.1:8081/api",
        ),
        (
            "http_headers = { \"https://idp.example\" = { Authorization = \"hunter2\" } }",
            "http_headers.\"https://idp.example\".Authorization: a secret can't be written in the configuration: use \
             \"file:PATH\" or \"env:NAME\"",
        ),
        (
            "http_headers = { \"https://idp.example\" = { Authorization = \"env:BROKEN\" } }",
            "http_headers.\"https://idp.example\".Authorization: the secret contains a character that isn't allowed in a \
             header, such as a line break",
        ),
        (
            "http_headers = { \"https://idp.example\" = { Host = \"env:SECRET\" } }",
            "http_headers.\"https://idp.example\".Host: a host header says how a message travels and can't be set",
        ),
        (
            "http_headers = { \"https://idp.example\" = { \"a b\" = \"env:SECRET\" } }",
            "http_headers.\"https://idp.example\".\"a b\": is not a header name",
        ),
        (
            "http_key = \"key.pem\"",
            "http_key: needs its certificate: set http_certificate",
        ),
        (
            "http_certificate = \"cert.pem\"",
            "http_certificate: needs its key: set http_key",
        ),
        (
            "http_ca = \"/absent.pem\"",
            "http_ca: /absent.pem can't be opened: No such file or directory (os error 2)",
        ),
        ("http_refresh_floor = \"2h\"", "http_refresh_floor: must be 0s to 1h"),
        (
            "http_cas = \"ca.pem\"",
            "http_cas: unknown key; did you mean \"http_ca\"?",
        ),
    ] {
        let errors = errors_in(Path::new("p.toml"), &authenticator(line), &environment());
        assert_eq!(errors, [format!("p.toml:3: authenticators.a.{expected}")]);
    }
}

#[test]
fn this_machine_is_granted_by_address_or_with_private() {
    let text = |grants: &str| format!("[authenticators.a]\nplugin = \"x\"\ngrants = {{ {grants} }}\n{ROUTE}");
    for grants in [
        "http = [\"http://127.0.0.1:8081\"]",
        "http = [\"http://localhost:8081\"], private = true",
        "private = true, http = [\"http://hub.localhost\"]",
    ] {
        let errors = errors_in(Path::new("p.toml"), &text(grants), &environment());
        assert_eq!(errors, Vec::<String>::new(), "{grants}");
    }
    assert_eq!(
        errors_in(
            Path::new("p.toml"),
            &text("http = [\"http://localhost:8081\"]"),
            &environment()
        ),
        [
            "p.toml:3: authenticators.a.grants.http[0]: http://localhost:8081 names this machine, which can't be reached by \
             name: write its address, such as 127.0.0.1, or set private = true in the same grants"
        ]
    );
    assert_eq!(
        errors_in(
            Path::new("p.toml"),
            &text("http = [\"http://2130706433\"]"),
            &environment()
        ),
        [
            "p.toml:3: authenticators.a.grants.http[0]: write the address in its usual form, such as 127.0.0.1; expected a \
             server such as https://idp.example or http://127.0.0.1:8081/api"
        ]
    );
    assert_eq!(
        errors_in(Path::new("p.toml"), &text("login = [\"idp.example\"]"), &environment()),
        [
            "p.toml:3: authenticators.a.grants.login[0]: it starts with neither http:// nor https://; expected a place such as \
             https://idp.example or https://idp.example/oauth2/authorize"
        ]
    );
}
