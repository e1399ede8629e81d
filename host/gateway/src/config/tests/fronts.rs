//! The endpoints for fronts, and how a front is recognised.

use std::path::Path;

use super::KEY;
use super::errors_in;
use crate::config::Draft;
use crate::config::Environment;
use crate::config::Listen;

const ROUTE: &str = "[[routes]]\npath = \"/\"\npublic = true\n";
const UNKNOWN_FRONT: &str = "the gateway couldn't recognise a front: list its address in server.trusted_proxies, share a \
                             secret with it by proxy_token = \"file:PATH\", PORTCULLIS_PROXY_TOKEN or \
                             DASK_GATEWAY_PROXY_TOKEN, or require its certificate by tls.client_ca; otherwise any client \
                             could pretend to be a front";

fn draft(text: &str, environment: &Environment) -> Draft {
    let text = format!("{text}{ROUTE}");
    let draft = Draft::parse(Path::new("portcullis.toml"), &text, environment);
    assert_eq!(draft.errors, [], "{text}");
    draft
}

#[test]
fn a_front_is_recognised_by_its_address_or_a_token() {
    let trusted = "[server]\ntrusted_proxies = [\"10.0.0.1\"]\n";
    let token = "proxy_token = \"env:KEY\"\n";
    for (text, environment, has_token) in [
        (format!("{trusted}[forward_auth]\n"), Environment::from([]), false),
        (
            format!("[forward_auth]\n{token}"),
            Environment::from([("KEY", KEY)]),
            true,
        ),
        (
            "[forward_auth]\n".to_owned(),
            Environment::from([("DASK_GATEWAY_PROXY_TOKEN", KEY)]),
            true,
        ),
        (
            "[forward_auth]\n".to_owned(),
            Environment::from([("PORTCULLIS_PROXY_TOKEN", KEY)]),
            true,
        ),
    ] {
        let front = draft(&text, &environment).config.forward_auth.unwrap();
        assert_eq!(front.proxy_token.is_some(), has_token, "{text}");
        assert_eq!(front.listen, None);
        let text = format!("{text}listen = \"127.0.0.1:1\"\n").replace("forward_auth", "ext_authz");
        let front = draft(&text, &environment).config.ext_authz.unwrap();
        assert_eq!(front.proxy_token.is_some(), has_token, "{text}");
        assert_eq!(front.listen, Listen::at("127.0.0.1:1".parse().unwrap()));
    }
}

#[test]
fn a_route_needs_no_upstream_if_fronts_are_served() {
    let environment = Environment::from([("PORTCULLIS_PROXY_TOKEN", KEY)]);
    for text in ["[forward_auth]\n", "[ext_authz]\nlisten = \"127.0.0.1:1\"\n"] {
        let routes = draft(text, &environment).config.routes;
        assert!(routes.first().unwrap().upstream.is_none());
    }
}

#[test]
fn a_mistake_about_a_front_is_reported() {
    for (text, environment, expected) in [
        (
            "[forward_auth]\n",
            Environment::from([]),
            format!("1: forward_auth: {UNKNOWN_FRONT}"),
        ),
        (
            "[ext_authz]\nlisten = \"127.0.0.1:1\"\n",
            Environment::from([]),
            format!("1: ext_authz: {UNKNOWN_FRONT}"),
        ),
        (
            "[ext_authz]\n",
            Environment::from([("PORTCULLIS_PROXY_TOKEN", KEY)]),
            "1: ext_authz: the key \"listen\" is missing: the endpoint for Envoy needs a separate listener".to_owned(),
        ),
        (
            "[ext_authz]\nlisten = \"localhost\"\n",
            Environment::from([("PORTCULLIS_PROXY_TOKEN", KEY)]),
            "2: ext_authz.listen: \"localhost\" is not an address with a port, such as \"127.0.0.1:8002\", or \
             \"unix:PATH\", or \"systemd:NAME\""
                .to_owned(),
        ),
        (
            "[forward_auth]\nproxy_token = \"env:KEY\"\n",
            Environment::from([("KEY", "short")]),
            "2: forward_auth.proxy_token: expected 32 random bytes as 64 hexadecimal digits: `portcullis \
             keygen` makes them"
                .to_owned(),
        ),
        (
            "[forward_auth]\nproxy_token = \"0102\"\n",
            Environment::from([]),
            "2: forward_auth.proxy_token: a secret can't be written in the configuration: use \"file:PATH\" or \
             \"env:NAME\""
                .to_owned(),
        ),
        (
            "[forward_auth]\nproxy_tokn = \"0102\"\n",
            Environment::from([("PORTCULLIS_PROXY_TOKEN", KEY)]),
            "2: forward_auth.proxy_tokn: unknown key; did you mean \"proxy_token\"?".to_owned(),
        ),
    ] {
        let errors = errors_in(Path::new("portcullis.toml"), &format!("{text}{ROUTE}"), &environment);
        assert_eq!(errors, [format!("portcullis.toml:{expected}")]);
    }
}
