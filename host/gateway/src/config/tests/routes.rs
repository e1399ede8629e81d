//! Routes with mistakes, and routes that contradict each other.

use std::path::Path;

use super::errors_in;
use crate::config::Environment;

const SIMPLE: &str = r#"[authenticators.simple]
plugin = "simple"
"#;

fn errors(text: &str) -> Vec<String> {
    errors_in(Path::new("portcullis.toml"), text, &Environment::from([]))
}

#[test]
#[rustfmt::skip]
fn a_mistake_in_a_route_is_reported() {
    let whoami = "upstream = \"portcullis:whoami\"\n";
    for (text, expected) in [
        (format!("public = true\n{whoami}"), "portcullis.toml:3: routes[0]: the key \"path\" is missing"),
        (format!("path = \"/\"\npubic = true\npublic = true\n{whoami}"),
            "portcullis.toml:5: routes[0].pubic: unknown key; did you mean \"public\"?"),
        (format!("path = \"a\"\npublic = true\n{whoami}"), "portcullis.toml:4: routes[0].path: must start with a slash"),
        (format!("path = \"/a/../b\"\npublic = true\n{whoami}"),
            "portcullis.toml:4: routes[0].path: the path has an empty segment or a dot segment"),
        (format!("path = \"/admin/*\"\npublic = true\n{whoami}"),
            "portcullis.toml:4: routes[0].path: \"*\" looks like a pattern, but a path is taken literally here (write %2A for \
             the character itself); \"/admin\" matches /admin and everything below it"),
        (format!("path = \"/users/:id/x\"\npublic = true\n{whoami}"),
            "portcullis.toml:4: routes[0].path: \":\" looks like a pattern, but a path is taken literally here (write %3A for \
             the character itself); \"/users\" matches /users and everything below it"),
        ("path = \"/\"\npublic = true\nupstream = \"http://x/app/*\"\n".to_owned(),
            "portcullis.toml:6: routes[0].upstream: \"*\" looks like a pattern, but a path is taken literally here (write %2A \
             for the character itself); the path is put in front of the request's path"),
        (format!("path = \"/.portcullis/x\"\npublic = true\n{whoami}"),
            "portcullis.toml:4: routes[0].path: paths under /.portcullis belong to the gateway itself"),
        (format!("path = \"/\"\nhosts = [\"a:80\"]\npublic = true\n{whoami}"),
            "portcullis.toml:5: routes[0].hosts[0]: \"a:80\" is not a host name without a port, such as \"hub.example.org\", or \"*.example.org\" for all names below one"),
        (format!("path = \"/\"\nhosts = [\".example.com\"]\npublic = true\n{whoami}"),
            "portcullis.toml:5: routes[0].hosts[0]: \".example.com\" is not a host name without a port, such as \"hub.example.org\", or \"*.example.org\" for all names below one"),
        (format!("path = \"/\"\nhosts = [\"_\"]\npublic = true\n{whoami}"),
            "portcullis.toml:5: routes[0].hosts[0]: \"_\" is not a host name without a port, such as \"hub.example.org\", or \"*.example.org\" for all names below one"),
        (format!("path = \"/\"\n{whoami}"),
            "portcullis.toml:3: routes[0]: the key \"authenticators\" is missing: list authenticators, or set public = true"),
        (format!("path = \"/\"\nauthenticators = []\n{whoami}"),
            "portcullis.toml:5: routes[0].authenticators: the list is empty; set public = true for a route without authentication"),
        (format!("path = \"/\"\nauthenticators = [\"simpel\"]\n{whoami}"),
            "portcullis.toml:5: routes[0].authenticators[0]: unknown authenticator \"simpel\"; did you mean \"simple\"?"),
        (format!("path = \"/\"\nauthenticators = [\"simple\", \"simple\"]\n{whoami}"),
            "portcullis.toml:5: routes[0].authenticators[1]: \"simple\" is listed twice"),
        (format!("path = \"/\"\npublic = true\nauthenticators = [\"simple\"]\n{whoami}"),
            "portcullis.toml:3: routes[0]: public and authenticators contradict each other: a public route asks no authenticator"),
        (format!("path = \"/\"\npublic = true\noptional = true\n{whoami}"),
            "portcullis.toml:3: routes[0]: public and optional contradict each other: a public route asks no authenticator"),
        ("path = \"/\"\npublic = true\n".to_owned(),
            "portcullis.toml:3: routes[0]: the key \"upstream\" is missing: set it to \"http://HOST:PORT\", the name of one of \
             [upstreams], or \"portcullis:whoami\" for a page that shows who the user is; it is optional only with \
             [forward_auth] or [ext_authz]"),
        ("path = \"/\"\npublic = true\nupstream = \"ftp://x\"\n".to_owned(),
            "portcullis.toml:6: routes[0].upstream: must start with http://, https:// or unix:/"),
        (format!("path = \"/\"\npublic = true\ncookies = \"keep\"\n{whoami}"),
            "portcullis.toml:6: routes[0].cookies: \"keep\" is not \"pass\" or \"drop\""),
        (format!("path = \"/\"\npublic = true\ntimeout = \"2d\"\n{whoami}"),
            "portcullis.toml:6: routes[0].timeout: must be 100ms to 1day"),
        (format!("path = \"/\"\npublic = true\nmax_body_size = \"all\"\n{whoami}"),
            "portcullis.toml:6: routes[0].max_body_size: \"all\" is not a size, such as \"64KiB\" or \"32MiB\", or \"none\""),
        (format!("path = \"/\"\npublic = true\n{whoami}[routes.identity]\nusr = \"X-U\"\n"),
            "portcullis.toml:8: routes[0].identity.usr: unknown key; did you mean \"user\"?"),
        (format!("path = \"/\"\npublic = true\n{whoami}[routes.identity]\nuser = \"X U\"\n"),
            "portcullis.toml:8: routes[0].identity.user: \"X U\" is not a header name"),
        (format!("path = \"/\"\npublic = true\n{whoami}[routes.identity]\ngroups = true\n"),
            "portcullis.toml:8: routes[0].identity.groups: expected the name of a header, or false"),
        (format!("path = \"/\"\npublic = true\n{whoami}[routes.identity]\ngroups = 1\n"),
            "portcullis.toml:8: routes[0].identity.groups: expected a header name, found an integer"),
        (format!("path = \"/\"\npublic = true\n{whoami}[routes.identity]\ngroups = false\ngroups_filter = [\"a\"]\n"),
            "portcullis.toml:9: routes[0].identity.groups_filter: it contradicts groups = false: no groups are sent"),
        (format!("path = \"/\"\npublic = true\n{whoami}[routes.identity]\ngroups_filter = []\n"),
            "portcullis.toml:8: routes[0].identity.groups_filter: the list is empty; to send no groups, set groups = false"),
        (format!("path = \"/\"\npublic = true\n{whoami}[routes.identity]\ngroups_filter = [\"*-dask\", \"a\"]\n"),
            "portcullis.toml:8: routes[0].identity.groups_filter[0]: \"*-dask\" is not the name of a group, or its beginning and an \
             asterisk, such as \"dask-*\""),
        (format!("path = \"/\"\npublic = true\n{whoami}[routes.identity]\nuser = \"Host\"\n"),
            "portcullis.toml:8: routes[0].identity.user: host has another meaning in HTTP"),
        (format!("path = \"/\"\npublic = true\n{whoami}[routes.identity]\nadmin = \"x_forwarded_for\"\n"),
            "portcullis.toml:8: routes[0].identity.admin: x_forwarded_for has another meaning in HTTP"),
        (format!("path = \"/\"\npublic = true\n{whoami}[routes.identity]\nuser = \"X-U\"\nadmin = \"x_u\"\n"),
            "portcullis.toml:7: routes[0].identity: the header x_u is used twice"),
    ] {
        assert_eq!(errors(&format!("{SIMPLE}[[routes]]\n{text}")), [expected]);
    }
}

#[test]
fn basic_password_needs_a_user_an_upstream_and_the_authorization_header() {
    let contradictions = |text: &str| {
        let route = "[[routes]]\npath = \"/\"\nidentity.basic_password = \"env:PASSWORD\"";
        let environment = Environment::from([("PASSWORD", "hunter2")]);
        errors_in(Path::new("p.toml"), &format!("{SIMPLE}{route}\n{text}"), &environment)
    };
    for (text, expected) in [
        (
            "public = true\nupstream = \"http://x\"",
            "p.toml:3: routes[0]: identity.basic_password needs a user, and a public route has none",
        ),
        (
            "authenticators = [\"simple\"]\nupstream = \"portcullis:whoami\"",
            "p.toml:3: routes[0]: identity.basic_password needs an upstream to which it can be sent",
        ),
        (
            "authenticators = [\"simple\"]\nupstream = \"http://x\"\nforward_authorization = true",
            "p.toml:3: routes[0]: forward_authorization and identity.basic_password both use the Authorization header",
        ),
    ] {
        assert_eq!(contradictions(text), [expected]);
    }
    assert_eq!(
        contradictions("authenticators = [\"simple\"]\nupstream = \"http://x\""),
        [""; 0]
    );
}

#[test]
#[rustfmt::skip]
fn an_attribute_comes_from_one_authenticator() {
    let other = "[authenticators.other]\nplugin = \"simple\"\n";
    for (asked, attributes, expected) in [
        ("\"simple\"", "{ email = \"X-Mail\" }", None),
        ("\"simple\"", "{ simple = { email = \"X-Mail\" } }", None),
        ("\"simple\", \"other\"", "{ simple = { email = \"X-Mail\" }, other = { mail = \"X-Mail\" } }", None),
        ("\"simple\", \"other\"", "{ email = \"X-Mail\" }",
            Some("identity.attributes.email: the route has several authenticators; name the one that provides the attribute: attributes.NAME.email")),
        ("\"simple\"", "{ other = { email = \"X-Mail\" } }",
            Some("identity.attributes.other: the route has no authenticator or authorizer of that name")),
        ("\"simple\"", "{ email = \"X-Mail\", simple = { mail = \"X_Mail\" } }",
            Some("identity: the header x_mail is used twice")),
    ] {
        let route = format!(
            "[[routes]]\npath = \"/\"\nauthenticators = [{asked}]\nupstream = \"portcullis:whoami\"\n\
             identity.attributes = {attributes}\n"
        );
        let found = errors(&format!("{SIMPLE}{other}{route}"));
        let place = |message: &str| match message.starts_with("identity: ") {
            true => format!("portcullis.toml:9: routes[0].{message}"),
            false => format!("portcullis.toml:5: routes[0]: {message}"),
        };
        assert_eq!(found, Vec::from_iter(expected.map(place)), "{attributes}");
    }
}

#[test]
fn two_routes_for_the_same_host_and_path_are_rejected() {
    let route = |path: &str, rest: &str| {
        format!("[[routes]]\npath = \"{path}\"\npublic = true\nupstream = \"portcullis:whoami\"\n{rest}\n")
    };
    let same = |first: String, second: String| errors(&format!("{first}{second}"));
    assert_eq!(
        same(route("/a", ""), route("/%61/", "")),
        ["portcullis.toml:6: routes[1]: serves the same host, path and method as portcullis.toml:1: routes[0]"]
    );
    let hosts = "hosts = [\"x\", \"Y\"]";
    assert_eq!(
        same(route("/", hosts), route("/", "hosts = [\"y\"]")),
        ["portcullis.toml:6: routes[1]: serves the same host, path and method as portcullis.toml:1: routes[0]"]
    );
    assert_eq!(same(route("/", hosts), route("/", "")), [""; 0]);
    assert_eq!(same(route("/", ""), route("/a", "")), [""; 0]);
}
