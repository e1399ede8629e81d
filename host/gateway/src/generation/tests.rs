//! Loads complete configurations with the built-in plugins.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use portcullis::Digest;
use portcullis::Engine;
use portcullis_wire::path::CanonicalPath;

use super::Access;
use super::Destination;
use super::Generation;
use super::difference::FIXED;
use crate::config::Draft;
use crate::config::Environment;
use crate::proxy::Proxy;
use crate::testing::simple;
use crate::testing::write;

const ROUTE: &str = "[[routes]]\npath = \"/\"\npublic = true\nupstream = \"portcullis:whoami\"\n";

/// Writes the text to `portcullis.toml` in the folder and loads it.
async fn load(folder: &Path, text: &str) -> Result<Generation, String> {
    let file = folder.join("portcullis.toml");
    fs::write(&file, text).unwrap();
    let engine = Engine::builder().build().unwrap();
    let loaded = Generation::load(
        Draft::read(&file, &Environment::from([])),
        &engine,
        &Proxy::idle(),
        None,
    )
    .await;
    loaded.map_err(|errors| errors.to_string().replace(&format!("{}/", folder.display()), ""))
}

#[tokio::test]
async fn a_configuration_is_loaded_with_its_authenticators_and_routes() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("plugins")).unwrap();
    fs::write(folder.path().join("plugins/dropped.wasm"), simple()).unwrap();
    fs::write(
        folder.path().join("plugins/dropped.toml"),
        "[grants]\nheaders = [\"x-key\", \"host\"]\n",
    )
    .unwrap();
    let pin = Digest::of(simple());
    let text = format!(
        r#"
[plugins]
directory = "plugins"
[authenticators.people]
plugin = "simple"
sha256 = "{pin}"
[[routes]]
path = "/"
authenticators = ["people", "dropped"]
upstream = "http://127.0.0.1:9"
identity.user = "X-User"
[[routes]]
path = "/open"
public = true
upstream = "portcullis:whoami"
"#
    );
    let generation = load(folder.path(), &text).await.unwrap();
    let names = Vec::from_iter(generation.authenticators().map(|authenticator| authenticator.name()));
    assert_eq!(names, ["dropped", "people"]);
    let headers = Vec::from_iter(generation.identity_headers().iter().map(|name| name.as_str()));
    assert_eq!(headers, ["x-forwarded-groups", "x-forwarded-user", "x-user"]);
    assert!(generation.sessions().is_none());

    let route = |path| {
        generation
            .route(None, &CanonicalPath::parse(path).unwrap(), &http::Method::GET)
            .unwrap()
    };
    let Access::Protected(gate) = &route("/x").access else {
        panic!()
    };
    let chain = Vec::from_iter(
        gate.chain()
            .authenticators()
            .iter()
            .map(|authenticator| authenticator.name()),
    );
    assert_eq!(chain, ["people", "dropped"]);
    assert_eq!(route("/x").credentials.headers, ["authorization", "x-key"]);
    assert!(matches!(route("/open/x").access, Access::Public));
}

#[tokio::test]
async fn mistakes_in_the_file_and_in_plugin_settings_are_reported_together() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("text.wasm"), "hello").unwrap();
    fs::write(folder.path().join("simple.wasm"), simple()).unwrap();
    fs::create_dir(folder.path().join("plugins")).unwrap();
    fs::write(folder.path().join("plugins/empty.wasm"), "").unwrap();
    let pin = "00".repeat(32);
    let text = format!(
        r#"
[server]
lisen = 1
[plugins]
directory = "plugins"
[authenticators.unknown]
plugin = "simpel"
[authenticators.misspelt]
plugin = "simple"
settings.pasword = "x"
[authenticators.mistyped]
plugin = "simple"
settings = {{ realm = 1 }}
[authenticators.gone]
plugin = "./gone.wasm"
[authenticators.text]
plugin = "text.wasm"
[authenticators.pinned]
plugin = "simple.wasm"
sha256 = "{pin}"
[[routes]]
path = "/empty"
authenticators = ["empty"]
upstream = "http://127.0.0.1:9"
{ROUTE}"#
    );
    let errors = load(folder.path(), &text).await.unwrap_err();
    let digest = Digest::of(simple()).to_string();
    for (line, expected) in errors.lines().zip([
        "plugins/empty.wasm: this is no WebAssembly: ",
        "portcullis.toml:3: server.lisen: unknown key; did you mean \"listen\"?",
        "portcullis.toml:7: authenticators.unknown.plugin: unknown built-in plugin; did you mean \"simple\"?",
        "portcullis.toml:10: authenticators.misspelt.settings.pasword: unknown key; did you mean \"password\"?",
        "portcullis.toml:13: authenticators.mistyped.settings.realm: ",
        "portcullis.toml:15: authenticators.gone.plugin: ./gone.wasm: can't be opened: ",
        "portcullis.toml:17: authenticators.text.plugin: text.wasm: ",
        &format!("portcullis.toml:19: authenticators.pinned.plugin: simple.wasm: its SHA-256 is {digest}, but sha256 is set to {pin}"),
    ]) {
        assert!(line.starts_with(expected), "{line}");
    }
    assert_eq!(errors.lines().count(), 8, "{errors}");
}

#[tokio::test]
async fn the_session_cookie_is_secure_unless_the_gateway_listens_on_loopback_only() {
    let folder = tempfile::tempdir().unwrap();
    let key = portcullis::session::Key::generate().unwrap().to_hex();
    write(&folder.path().join("key"), &key, 0o600);
    for (listen, secure, name) in [
        ("127.0.0.1:8000", "", "portcullis"),
        ("[::1]:8000", "", "portcullis"),
        ("127.0.0.1:8000", "secure = true", "__Host-portcullis"),
        ("0.0.0.0:8000", "", "__Host-portcullis"),
        ("0.0.0.0:8000", "secure = false", "portcullis"),
    ] {
        let text = format!("[server]\nlisten = \"{listen}\"\n[session]\nkeys = [\"file:key\"]\n{secure}\n{ROUTE}");
        let generation = load(folder.path(), &text).await.unwrap();
        assert_eq!(generation.sessions().unwrap().cookie_name(), name, "{listen} {secure}");
    }
}

#[tokio::test]
async fn a_route_that_is_more_permissive_than_the_enclosing_route_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let authenticators = "[authenticators.people]\nplugin = \"simple\"\n[authenticators.staff]\nplugin = \"simple\"\n";
    let protected = "authenticators = [\"people\"]";
    let optional = "authenticators = [\"people\"]\noptional = true";
    let both = "authenticators = [\"people\", \"staff\"]";
    let staff = "authenticators = [\"staff\"]";
    let hosted = "hosts = [\"a.example\"]\npublic = true";
    for (routes, expected) in [
        (&[("/", protected), ("/a", protected)][..], &[][..]),
        (&[("/", "public = true"), ("/a", protected)], &[]),
        (&[("/", both), ("/a", staff)], &[]),
        (
            &[("/", protected), ("/a", "public = true")],
            &["/a is public, and / is protected"],
        ),
        (
            &[("/a/b", "public = true"), ("/a", optional), ("/", protected)],
            &[
                "/a/b is public, and /a is optional",
                "/a is optional, and / is protected",
            ],
        ),
        (
            &[("/", protected), ("/a", "public = true"), ("/a/b", protected)],
            &["/a is public, and / is protected"],
        ),
        (
            &[("/", protected), ("/a", both)],
            &["/a admits users of staff, and / doesn't"],
        ),
        (&[("/a", protected), ("/ab", "public = true")], &[]),
        (
            &[("/", protected), ("/", hosted)],
            &["a.example/ is public, and / is protected"],
        ),
        (
            &[("/x", protected), ("/", hosted)],
            &["a.example/ is public, and /x is protected"],
        ),
        (&[("/x", hosted), ("/", "public = true")], &[]),
    ] {
        let routes = routes.iter().map(|(path, access)| {
            format!("[[routes]]\npath = \"{path}\"\nupstream = \"portcullis:whoami\"\n{access}\n")
        });
        let text = format!("{authenticators}{}", String::from_iter(routes));
        let generation = load(folder.path(), &text).await.unwrap();
        let widenings = Vec::from_iter(generation.warnings().iter().map(ToString::to_string));
        assert_eq!(widenings, expected, "{text}");
    }
}

/// Two routes, two authenticators, one of them in the plugin directory, and an upstream.
const FIRST: &str = r#"
[plugins]
directory = "plugins"
[authenticators.people]
plugin = "simple"
settings.realm = "one"
[upstreams.app]
servers = ["http://127.0.0.1:9"]
[[routes]]
path = "/"
authenticators = ["people", "dropped"]
upstream = "app"
[[routes]]
path = "/open"
public = true
upstream = "https://127.0.0.1:8"
"#;

#[tokio::test]
async fn the_next_generation_takes_over_what_has_not_changed_and_tells_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::create_dir(folder.join("plugins")).unwrap();
    let dropped = folder.join("plugins/dropped.wasm");
    fs::write(&dropped, simple()).unwrap();
    let (engine, proxy) = (Engine::builder().build().unwrap(), Proxy::idle());
    let file = folder.join("portcullis.toml");
    let draft = |text: &str| {
        fs::write(&file, text).unwrap();
        Draft::read(&file, &Environment::from([]))
    };
    let first = Generation::load(draft(FIRST), &engine, &proxy, None).await.unwrap();
    let upstream = |generation: &Generation, index: usize| match &generation.routes()[index].upstream {
        Some(Destination::Upstream(upstream)) => Arc::clone(upstream),
        other => panic!("{other:?}"),
    };
    let jwt = portcullis_plugins::find("jwt").unwrap();
    // What is replaced, what is told, and which of the authenticators `dropped` and `people` and of the upstreams live on.
    for (old, new, expected, lives) in [
        ("", "", "", [true, true, true, true]),
        (
            "\"one\"",
            "\"two\"",
            "~authenticator people: settings.realm",
            [true, false, true, true],
        ),
        (
            "127.0.0.1:9",
            "127.0.0.1:7",
            "~upstream app: servers",
            [true, true, false, true],
        ),
        ("/open", "/else", "+route /else -route /open", [true, true, true, true]),
        (
            "[upstreams",
            "[server]\nmax_headers = 50\n[upstreams",
            "+server",
            [true, true, true, true],
        ),
        (
            "\npublic = true",
            "\nauthenticators = [\"people\"]",
            "~route /open: authenticators, public",
            [true; 4],
        ),
        (
            "people",
            "staff",
            "+authenticator staff -authenticator people ~route /: authenticators",
            [true, false, true, true],
        ),
    ] {
        let next = Generation::load(draft(&FIRST.replace(old, new)), &engine, &proxy, Some(&first)).await;
        let next = next.unwrap();
        let mut changes = Vec::from_iter(next.changes_since(&first).iter().map(ToString::to_string));
        changes.sort();
        assert_eq!(changes.join(" "), expected, "{new}");
        let (known, found) = (
            Vec::from_iter(first.authenticators()),
            Vec::from_iter(next.authenticators()),
        );
        let lives_on = |index: usize| known[index].is(found[index]);
        let same_upstream = |index| Arc::ptr_eq(&upstream(&first, index), &upstream(&next, index));
        assert_eq!(
            [lives_on(0), lives_on(1), same_upstream(0), same_upstream(1)],
            lives,
            "{new}"
        );
        assert!(next.waiting_for_restart(first.digests()).is_empty());
    }
    fs::write(&dropped, jwt).unwrap();
    fs::write(dropped.with_extension("toml"), "settings.issuers = []").unwrap();
    let broken = Generation::load(draft(FIRST), &engine, &proxy, Some(&first)).await;
    assert!(broken.unwrap_err().to_string().contains("dropped.toml"));
}

#[tokio::test]
async fn a_key_that_only_a_start_can_apply_is_told_until_it_is_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let start = load(folder.path(), ROUTE).await.unwrap();
    let rows = [
        ("admin", "[admin]\nlisten = \"127.0.0.1:1\"\n"),
        ("plugins.cache_directory", "[plugins]\ncache_directory = \"cache\"\n"),
        ("plugins.concurrency", "[plugins]\nconcurrency = 9\n"),
        ("plugins.http_proxy", "[plugins]\nhttp_proxy = \"http://127.0.0.1:1\"\n"),
        (
            "plugins.http_proxy plugins.no_proxy",
            "[plugins]\nhttp_proxy = \"http://127.0.0.1:1\"\nno_proxy = [\"internal.example\"]\n",
        ),
        ("plugins.memory", "[plugins]\nmemory = \"1GiB\"\n"),
        (
            "plugins.concurrency plugins.memory",
            "[plugins]\nmemory = \"1GiB\"\nconcurrency = 9\n",
        ),
        ("state", "state = \"state\"\n"),
        ("telemetry", "[telemetry]\nendpoint = \"http://127.0.0.1:1\"\n"),
        ("", "[server]\nmax_headers = 50\n"),
    ];
    let told = rows
        .iter()
        .flat_map(|(keys, _)| keys.split_whitespace().map(str::to_owned));
    let fixed = FIXED.map(|key| key.join("."));
    assert_eq!(BTreeSet::from_iter(told), BTreeSet::from(fixed), "each key has a row");
    for (expected, text) in rows {
        let next = load(folder.path(), &format!("{text}{ROUTE}")).await.unwrap();
        assert_eq!(next.waiting_for_restart(start.digests()).join(" "), expected, "{text}");
    }
    let back = load(folder.path(), ROUTE).await.unwrap();
    assert!(back.waiting_for_restart(start.digests()).is_empty());
}

/// A configuration with two routes, of which one asks the authenticator `pinned`, whose component has this digest.
fn pinned(sha256: &str) -> String {
    format!(
        r#"
[authenticators.pinned]
plugin = "simple.wasm"
sha256 = "{sha256}"
grants.headers = ["authorization", "x-key"]
[authenticators.people]
plugin = "simple"
[[routes]]
path = "/"
authenticators = ["people"]
upstream = "portcullis:whoami"
[[routes]]
path = "/pinned"
authenticators = ["people", "pinned"]
upstream = "portcullis:whoami"
"#
    )
}

async fn reload(folder: &Path, text: &str, before: &Generation) -> Result<Generation, String> {
    let file = folder.join("portcullis.toml");
    fs::write(&file, text).unwrap();
    let engine = Engine::builder().build().unwrap();
    let draft = Draft::read(&file, &Environment::from([]));
    let loaded = Generation::load(draft, &engine, &Proxy::idle(), Some(before)).await;
    loaded.map_err(|errors| errors.to_string())
}

fn disabled(generation: &Generation) -> Vec<&str> {
    let all = generation.authenticators();
    let disabled = all.filter(|authenticator| authenticator.why_disabled().is_some());
    disabled.map(|authenticator| authenticator.name()).collect()
}

#[tokio::test]
async fn a_component_of_another_origin_disables_its_authenticator_at_the_start_only() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("simple.wasm"), simple()).unwrap();
    let (good, bad) = (Digest::of(simple()).to_string(), "00".repeat(32));

    let bad_start = load(folder.path(), &pinned(&bad)).await.unwrap();
    assert_eq!(disabled(&bad_start), ["pinned"]);
    let [why] = &*bad_start.disabled() else { panic!() };
    assert!(
        why.contains("its SHA-256 is") && why.ends_with("are answered with 503"),
        "{why}"
    );
    let route = bad_start.route(None, &CanonicalPath::parse("/pinned").unwrap(), &http::Method::GET);
    let route = route.unwrap();
    assert_eq!(route.access.authenticators(), "people pinned");
    assert_eq!(
        route.credentials.headers,
        ["authorization", "x-key"],
        "no upstream gets what it was granted"
    );

    let still_bad = reload(folder.path(), &pinned(&"11".repeat(32)), &bad_start)
        .await
        .unwrap();
    assert_eq!(disabled(&still_bad), ["pinned"]);
    assert!(!still_bad.warns_like(&bad_start), "so the reload takes the new reason");

    let mended = reload(folder.path(), &pinned(&good), &still_bad).await.unwrap();
    assert_eq!(disabled(&mended), [] as [&str; 0]);
    let changes = mended.changes_since(&still_bad);
    let changes = Vec::from_iter(changes.iter().map(ToString::to_string));
    assert_eq!(changes, ["~authenticator pinned: component, sha256"]);

    let error = reload(folder.path(), &pinned(&bad), &mended).await.unwrap_err();
    assert!(error.contains("its SHA-256 is"), "{error}");
    let new = pinned(&good).replace(
        "[authenticators.people]",
        &format!("[authenticators.new]\nplugin = \"simple.wasm\"\nsha256 = \"{bad}\"\n[authenticators.people]"),
    );
    let error = reload(folder.path(), &new, &mended).await.unwrap_err();
    assert!(error.contains("authenticators.new.plugin"), "{error}");
}

#[tokio::test]
async fn a_component_that_everyone_may_write_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let wasm = folder.path().join("simple.wasm");
    fs::write(&wasm, simple()).unwrap();
    let good = Digest::of(simple()).to_string();
    for (mode, expected, warned) in [(0o644, 0, 0), (0o664, 0, 1), (0o646, 1, 0), (0o666, 1, 1)] {
        fs::set_permissions(&wasm, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        let generation = load(folder.path(), &pinned(&good)).await.unwrap();
        assert_eq!(disabled(&generation).len(), expected, "{mode:o}");
        let warnings = generation.warnings().iter().map(ToString::to_string);
        let group = warnings.filter(|warning| warning.contains("is writable for its group"));
        assert_eq!(group.count(), warned, "{mode:o}");
    }
}
