//! Configurations without mistakes, and their values.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use portcullis_wire::peer::TrustedProxies;
use serde_json::json;

use super::KEY;
use crate::config::Cookies;
use crate::config::Draft;
use crate::config::Environment;
use crate::config::Listen;
use crate::config::PluginSource;
use crate::config::RouteAccess;
use crate::config::Upstream;

pub(super) const FULL: &str = r#"
[server]
listen = "0.0.0.0:8443"
trusted_proxies = ["127.0.0.0/8", "10.1.2.3/8", "::1"]
max_header_size = "64KiB"
header_timeout = "5s"
shutdown_timeout = "1m 30s"

[session]
keys = ["env:KEY"]
max_age = "1h30m"
cookie = "who"
secure = true

[plugins]
cache_directory = "cache"

[authenticators.hub]
plugin = "jupyterhub"
sha256 = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
[authenticators.hub.settings]
api_url = "env:API"
retries = 3
leeway = 1.5
[[authenticators.hub.settings.issuers]]
keys = ["env:API", true]
[authenticators.hub.grants]
headers = ["Authorization", "X-Token"]
cookies = ["token"]
query = ["*"]
http = ["http://127.0.0.1:8081/hub/api", "env:API"]
login = ["https://idp.example/authorize", "env:API"]
client_certificate = true
[authenticators.hub.limits]
deadline = "500ms"
memory = "32MiB"
concurrency = 8
cache = "1MiB"
rate = "20/s"
breaker = 0

[authenticators.mine]
plugin = "plugins/mine.wasm"

[[routes]]
path = "/"
hosts = ["Hub.Example.org.", "[::1]"]
authenticators = ["hub", "mine"]
upstream = "http://127.0.0.1:8001/base/"
cookies = "drop"
forward_authorization = true
allow_encoded_slash = true
timeout = "2h"
[routes.identity]
user = "X-User"
admin = "X-Admin"
attributes = { hub = { email = "X-Email" }, mine = { mail = "X-Email" } }

[[routes]]
path = "/api/"
authenticators = ["mine"]
optional = true
upstream = "http://[::1]"
identity.basic_password = "env:PASSWORD"

[[routes]]
path = "/about"
public = true
upstream = "portcullis:whoami"
"#;

fn full() -> Draft {
    let environment = Environment::from([
        ("KEY", KEY),
        ("API", "http://hub"),
        ("PASSWORD", "hunter2"),
        ("HOME", "/home/a"),
    ]);
    Draft::parse(Path::new("/etc/p/portcullis.toml"), FULL, &environment)
}

#[test]
fn every_key_is_read() {
    let Draft { config, errors, .. } = full();
    assert_eq!(errors, []);

    let server = config.server;
    assert_eq!(server.listen, Listen::at("0.0.0.0:8443".parse().unwrap()));
    assert_eq!(
        server.trusted_proxies,
        TrustedProxies::new(
            ["127.0.0.0/8", "10.0.0.0/8", "::1/128"].map(|text| text.parse().unwrap()),
            false
        )
    );
    assert_eq!(server.max_header_size, 64 * 1024);
    assert_eq!(
        [server.header_timeout, server.shutdown_timeout],
        [5, 90].map(Duration::from_secs)
    );
    assert_eq!(config.plugins.cache_directory, Some(PathBuf::from("/etc/p/cache")));

    let session = config.session.unwrap();
    assert_eq!(
        (session.keys.len(), session.max_age.as_secs(), session.cookie.as_str()),
        (1, 5400, "who")
    );
    assert_eq!(session.secure, Some(true));
}

#[test]
fn an_authenticator_gets_its_settings_grants_and_limits() {
    let authenticators = full().config.plugin_entries;
    let [hub, mine] = authenticators.as_slice() else {
        panic!("{authenticators:?}")
    };
    assert_eq!(
        (hub.name.as_str(), &hub.plugin),
        ("hub", &PluginSource::BuiltIn("jupyterhub".to_owned()))
    );
    assert!(hub.sha256.is_some());
    assert_eq!(
        hub.settings.value(),
        &json!({"api_url": "http://hub", "retries": 3, "leeway": 1.5, "issuers": [{"keys": ["http://hub", true]}]})
    );
    assert_eq!(hub.grants.headers, ["authorization", "x-token"]);
    assert_eq!(
        (hub.grants.cookies.as_slice(), hub.grants.query.as_slice()),
        (&["token".into()][..], &["*".into()][..])
    );
    assert_eq!(hub.grants.http.len(), 2);
    assert_eq!(
        hub.grants.login,
        ["https://idp.example/authorize", "http://hub"].map(|place| place.parse().unwrap())
    );
    assert!(hub.grants.client_certificate);
    assert_eq!((hub.limits.deadline.as_millis(), hub.limits.memory), (500, 32 << 20));
    assert_eq!((hub.limits.concurrency, hub.limits.cache), (8, 1 << 20));
    assert_eq!((hub.limits.rate, hub.limits.breaker), ("20/s".parse().ok(), None));

    assert_eq!(mine.plugin, PluginSource::File("/etc/p/plugins/mine.wasm".into()));
    assert_eq!(
        (mine.settings.value(), &mine.grants),
        (&json!({}), &portcullis::Grants::default())
    );
}

#[test]
fn a_route_has_its_access_upstream_and_identity_headers() {
    let routes = full().config.routes;
    let [root, api, about] = routes.as_slice() else {
        panic!("{routes:?}")
    };
    assert_eq!(
        Vec::from_iter(root.matcher.hosts.iter().map(ToString::to_string)),
        ["hub.example.org", "[::1]"]
    );
    assert_eq!(root.access, RouteAccess::Protected(vec!["hub".into(), "mine".into()]));
    let Some(Upstream::Http(upstream)) = &root.upstream else {
        panic!("{root:?}")
    };
    let [server] = upstream.servers.as_slice() else {
        panic!("{upstream:?}")
    };
    assert_eq!(
        (server.address.to_string().as_str(), upstream.base.as_str()),
        ("127.0.0.1:8001", "/base")
    );
    assert_eq!((root.cookies, root.forward_authorization), (Cookies::Drop, true));
    assert_eq!(root.timeout, Duration::from_secs(7200));
    let names = Vec::from_iter(root.identity.names().map(|name| name.as_str()));
    assert_eq!(names, ["x-user", "x-forwarded-groups", "x-admin", "x-email", "x-email"]);

    assert_eq!(
        (api.matcher.path.as_str(), &api.access),
        ("/api", &RouteAccess::Optional(vec!["mine".into()]))
    );
    assert_eq!(api.identity.basic_password.as_ref().unwrap().expose(), "hunter2");
    assert_eq!((api.cookies, api.forward_authorization), (Cookies::Drop, false));
    assert_eq!((root.allow_encoded_slash, api.allow_encoded_slash), (true, false));

    assert!(matches!(about.upstream, Some(Upstream::WhoAmI)));
    assert_eq!(about.access, RouteAccess::Public);
    assert_eq!((about.cookies, about.timeout), (Cookies::Pass, Duration::from_secs(60)));
}

#[test]
fn an_error_about_a_setting_has_its_location() {
    let authenticators = full().config.plugin_entries;
    let hub = &authenticators.first().unwrap().settings;
    let mine = &authenticators.last().unwrap().settings;
    for (settings, path, expected) in [
        (
            hub,
            &[][..],
            "/etc/p/portcullis.toml:21: authenticators.hub.settings: no",
        ),
        (
            hub,
            &["retries"],
            "/etc/p/portcullis.toml:23: authenticators.hub.settings.retries: no",
        ),
        (
            hub,
            &["issuers", "0"],
            "/etc/p/portcullis.toml:25: authenticators.hub.settings.issuers[0]: no",
        ),
        (
            hub,
            &["issuers", "0", "keys", "1"],
            "/etc/p/portcullis.toml:26: authenticators.hub.settings.issuers[0].keys[1]: no",
        ),
        (
            hub,
            &["issuers", "0", "url"],
            "/etc/p/portcullis.toml:25: authenticators.hub.settings.issuers[0].url: no",
        ),
        (
            mine,
            &["x"],
            "/etc/p/portcullis.toml:42: authenticators.mine.settings.x: no",
        ),
    ] {
        let path = Vec::from_iter(path.iter().map(|key| (*key).to_owned()));
        assert_eq!(settings.error(&path, "no").to_string(), expected);
    }
}

#[test]
fn an_error_from_a_plugin_has_the_location_of_the_setting_that_it_names() {
    let authenticators = full().config.plugin_entries;
    let hub = &authenticators.first().unwrap().settings;
    for (why, expected) in [
        ("retries: too many", "23: authenticators.hub.settings.retries: too many"),
        (
            "issuers[0].keys[1]: no key",
            "26: authenticators.hub.settings.issuers[0].keys[1]: no key",
        ),
        (
            "issuers[0].name: missing",
            "25: authenticators.hub.settings.issuers[0].name: missing",
        ),
        (
            "realm: it is empty",
            "21: authenticators.hub.settings: realm: it is empty",
        ),
        ("no", "21: authenticators.hub.settings: no"),
        ("no\nretries: 3", "21: authenticators.hub.settings: no retries: 3"),
        (
            "retries: line 3: too many",
            "23: authenticators.hub.settings.retries: line 3: too many",
        ),
    ] {
        let errors = Vec::from_iter(hub.rejected(why).iter().map(ToString::to_string));
        assert_eq!(errors, [format!("/etc/p/portcullis.toml:{expected}")]);
    }
    let errors = hub.rejected("retries: too many\nrealm: it is empty");
    let errors = Vec::from_iter(errors.iter().map(ToString::to_string));
    let one = "/etc/p/portcullis.toml:23: authenticators.hub.settings.retries: too many realm: it is empty";
    assert_eq!(errors, [one], "realm is no setting here");
    let errors = hub.rejected("retries: too many\nissuers[0].name: missing");
    let errors = Vec::from_iter(errors.iter().map(ToString::to_string));
    assert_eq!(
        errors,
        [
            "/etc/p/portcullis.toml:23: authenticators.hub.settings.retries: too many",
            "/etc/p/portcullis.toml:25: authenticators.hub.settings.issuers[0].name: missing",
        ]
    );
}

#[test]
fn the_built_in_configuration_accepts_any_user_name_on_loopback() {
    let Draft { config, errors, .. } = Draft::built_in(&Environment::from([]));
    assert_eq!(errors, []);
    assert_eq!(config.server.listen, Listen::at("127.0.0.1:8000".parse().unwrap()));
    assert!(config.session.is_none());
    assert_eq!(config.plugins.default_cache_directory, None);
    assert_eq!(
        config.plugin_entries.first().unwrap().plugin,
        PluginSource::BuiltIn("simple".into())
    );
    let route = config.routes.first().unwrap();
    assert!(matches!(route.upstream, Some(Upstream::WhoAmI)));
    assert_eq!(route.access, RouteAccess::Protected(vec!["simple".into()]));
}

#[test]
fn the_default_cache_directory_follows_the_xdg_specification() {
    for (environment, expected) in [
        (
            Environment::from([("XDG_CACHE_HOME", "/c"), ("HOME", "/h")]),
            Some("/c/portcullis"),
        ),
        (
            Environment::from([("XDG_CACHE_HOME", "c"), ("HOME", "/h")]),
            Some("/h/.cache/portcullis"),
        ),
        (Environment::from([("XDG_CACHE_HOME", ""), ("HOME", "")]), None),
    ] {
        let cache = Draft::built_in(&environment).config.plugins.default_cache_directory;
        assert_eq!(cache, expected.map(PathBuf::from));
    }
}

#[test]
fn the_example_in_the_reference_is_valid() {
    let reference = include_str!("../../../../../docs/configuration.md");
    let example = reference
        .split("```toml")
        .last()
        .and_then(|rest| rest.split("```").next())
        .unwrap();
    let errors = Draft::parse(Path::new("/nowhere/portcullis.toml"), example, &Environment::from([])).errors;
    let errors = Vec::from_iter(errors.iter().map(ToString::to_string));
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(
        errors
            .iter()
            .all(|error| error.contains("/nowhere/secrets/") && error.contains("can't be opened"))
    );
}
