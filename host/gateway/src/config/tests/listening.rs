//! The addresses of the listeners, and the proxies that are trusted there.

use std::path::Path;
use std::path::PathBuf;

use portcullis_wire::peer::Peer;
use portcullis_wire::peer::TrustedProxies;

use super::errors_in;
use crate::config::Draft;
use crate::config::Environment;
use crate::config::ListenAddress;
use crate::config::ServerConfig;

const ROUTE: &str = "[authenticators.simple]\nplugin = \"simple\"\n[[routes]]\npath = \"/\"\nauthenticators = \
                     [\"simple\"]\nupstream = \"portcullis:whoami\"\n";

fn server(lines: &str) -> ServerConfig {
    let text = format!("[server]\n{lines}\n{ROUTE}");
    let draft = Draft::parse(Path::new("/etc/p/portcullis.toml"), &text, &Environment::from([]));
    assert_eq!(draft.errors, [], "{lines}");
    draft.config.server
}

#[test]
fn one_address_or_a_list_is_read() {
    let tcp = |text: &str| ListenAddress::Tcp(text.parse().unwrap());
    let unix = |path: &str| ListenAddress::Unix(PathBuf::from(path));
    for (lines, expected, mode) in [
        ("", vec![tcp("127.0.0.1:8000")], 0o600),
        ("listen = \"[::1]:1\"", vec![tcp("[::1]:1")], 0o600),
        (
            "listen = [\"0.0.0.0:1\", \"[::]:1\"]",
            vec![tcp("0.0.0.0:1"), tcp("[::]:1")],
            0o600,
        ),
        (
            "listen = [\"[::]:0\", \"[::]:0\"]",
            vec![tcp("[::]:0"), tcp("[::]:0")],
            0o600,
        ),
        (
            "listen = \"systemd:http\"",
            vec![ListenAddress::Systemd("http".into())],
            0o600,
        ),
        (
            "listen = \"unix:/run/s\"\nunix_mode = \"0660\"",
            vec![unix("/run/s")],
            0o660,
        ),
        (
            "listen = \"unix:s\"\nunix_mode = \"777\"",
            vec![unix("/etc/p/s")],
            0o777,
        ),
    ] {
        let listen = server(lines).listen;
        assert_eq!((listen.addresses, listen.unix_mode), (expected, mode), "{lines}");
    }
}

#[test]
fn the_proxy_protocol_is_expected_from_the_trusted_proxies_or_a_list() {
    let ours = TrustedProxies::new(["10.0.0.0/8".parse().unwrap()], true);
    let others = TrustedProxies::new(["10.1.0.0/16".parse().unwrap()], false);
    for (line, expected) in [
        ("", None),
        ("proxy_protocol = false", None),
        ("proxy_protocol = true", Some(ours.clone())),
        ("proxy_protocol = [\"10.1.0.0/16\"]", Some(others)),
    ] {
        let server = server(&format!("trusted_proxies = [\"10.0.0.0/8\", \"unix\"]\n{line}"));
        assert_eq!(server.trusted_proxies, ours);
        assert_eq!(server.proxy_protocol, expected, "{line}");
    }
    assert!(
        !server("trusted_proxies = [\"10.0.0.0/8\"]")
            .trusted_proxies
            .trust(&Peer::Unix)
    );
}

#[test]
fn the_limits_of_a_listener_are_read() {
    let server = server("max_connections = 500\ndrain_delay = \"3s\"\nshutdown_timeout = \"0s\"");
    assert_eq!(server.max_connections, Some(500));
    assert_eq!(
        [server.drain_delay, server.shutdown_timeout].map(|time| time.as_secs()),
        [3, 0]
    );
}

#[test]
fn a_mistake_about_a_listener_is_reported() {
    for (lines, expected) in [
        (
            "listen = []",
            "2: server.listen: the list is empty; it needs at least one address",
        ),
        (
            "listen = [\"[::]:1\", 2]",
            "2: server.listen[1]: expected an address with a port, such as",
        ),
        (
            "listen = [\"[::]:1\", \"[::]:1\"]",
            "2: server.listen[1]: [::]:1 is listed twice",
        ),
        (
            "listen = \"unix:\"",
            "2: server.listen: \"unix:\" is not an address with a port, such as",
        ),
        (
            "unix_mode = \"0660\"",
            "2: server.unix_mode: applies to Unix sockets, and listen has none",
        ),
        (
            "listen = \"unix:s\"\nunix_mode = \"rw\"",
            "3: server.unix_mode: \"rw\" is not permissions as octal digits",
        ),
        (
            "listen = \"unix:s\"\nunix_mode = \"4777\"",
            "3: server.unix_mode: \"4777\" is not permissions",
        ),
        (
            "proxy_protocol = true",
            "2: server.proxy_protocol: no proxy could connect: list your proxies here",
        ),
        (
            "proxy_protocol = []",
            "2: server.proxy_protocol: no proxy could connect: list your proxies here",
        ),
        (
            "proxy_protocol = [\"::/0\"]",
            "2: server.proxy_protocol[0]: this trusts every client",
        ),
        (
            "proxy_protocol = \"yes\"",
            "2: server.proxy_protocol: expected true or false, found a string",
        ),
        (
            "trusted_proxies = [\"unix:/run/s\"]",
            "2: server.trusted_proxies[0]: \"unix:/run/s\" is not a network",
        ),
        (
            "hsts = \"1y\"",
            "2: server.hsts: browsers accept it over https only: set server.tls",
        ),
        (
            "redirect = { listen = \"[::]:80\" }",
            "2: server.redirect: there is no https to redirect to: set server.tls",
        ),
        (
            "redirect = { https_port = 443 }",
            "2: server.redirect: the key \"listen\" is missing",
        ),
        (
            "redirect = { listen = \"[::]:80\", https_port = 0 }",
            "2: server.redirect.https_port: must be 1 to 65535",
        ),
        ("max_connections = 0", "2: server.max_connections: must be 1 to 1000000"),
    ] {
        let text = format!("[server]\n{lines}\n{ROUTE}");
        let errors = errors_in(Path::new("portcullis.toml"), &text, &Environment::from([]));
        let [error] = errors.as_slice() else {
            panic!("{lines}: {errors:?}")
        };
        assert!(error.starts_with(&format!("portcullis.toml:{expected}")), "{error}");
    }
}

#[test]
fn a_socket_of_systemd_has_one_listener() {
    let errors = |text: &str| errors_in(Path::new("p.toml"), &format!("{text}\n{ROUTE}"), &Environment::from([]));
    for (server, admin, expected) in [
        ("\"systemd:web\"", "\"systemd:admin\"", None),
        (
            "\"systemd:web\"",
            "[\"127.0.0.1:1\", \"systemd:web\"]",
            Some("admin.listen: systemd:web is used by server too: each listener needs a socket of its own"),
        ),
    ] {
        let found = errors(&format!("[server]\nlisten = {server}\n[admin]\nlisten = {admin}"));
        assert_eq!(found, Vec::from_iter(expected), "{admin}");
    }
}
