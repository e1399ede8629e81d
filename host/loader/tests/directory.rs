//! A plugin directory while its files change: what appears, changes and disappears is taken up, what is wrong changes nothing
//! and is told with its place, and what did not change lives on.
#![allow(
    clippy::unwrap_used,
    reason = "clippy's allow-unwrap-in-tests covers test functions, but not the helpers that they call"
)]

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use portcullis::Authenticator;
use portcullis::Engine;
use portcullis::Manifest;
use portcullis::Role;
use portcullis_loader::Environment;
use portcullis_loader::PluginDirectory;
use portcullis_loader::Plugins;
use tempfile::TempDir;
use tokio::time::timeout;

/// How long a change may take to be taken up on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A plugin directory, and the cache of its engine.
struct Folder {
    root: TempDir,
    engine: Engine,
}

impl Folder {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("plugins")).unwrap();
        let engine = Engine::builder().cache_directory(root.path().join("cache"));
        let folder = Self {
            engine: engine.build().unwrap(),
            root,
        };
        for (file, content) in files {
            folder.write(file, content);
        }
        folder
    }

    fn path(&self, file: &str) -> PathBuf {
        self.root.path().join("plugins").join(file)
    }

    /// Replaces a file at once.
    fn write(&self, file: &str, content: &[u8]) {
        let new = self.root.path().join("new");
        fs::write(&new, content).unwrap();
        fs::rename(new, self.path(file)).unwrap();
    }

    fn directory(&self) -> PluginDirectory {
        let environment = Environment::from([("REALM", "variables")]);
        PluginDirectory::new(self.path(""), &self.engine).environment(environment)
    }

    async fn open(&self) -> Plugins {
        self.directory().open().await.unwrap()
    }
}

fn simple() -> &'static [u8] {
    portcullis_plugins::find("simple").unwrap()
}

/// Another build of the same plugin.
fn rebuilt() -> Vec<u8> {
    Manifest::embed(simple(), br#"{ "name": "simple", "version": "2" }"#).unwrap()
}

/// What the next change is told to be, or what is wrong with it.
async fn next(plugins: &mut Plugins) -> Result<Vec<String>, String> {
    let changes = timeout(LIMIT, plugins.changed()).await.unwrap();
    let changes = changes.map_err(|errors| errors.to_string())?;
    Ok(changes.iter().map(ToString::to_string).collect())
}

fn authenticator(plugins: &Plugins, name: &str) -> Authenticator {
    plugins.current().load().authenticator(name).unwrap().clone()
}

#[tokio::test]
async fn what_appears_changes_and_disappears_is_taken_up() {
    let folder = Folder::new(&[("team.wasm", simple())]);
    let mut plugins = folder.open().await;
    let current = plugins.current();
    let team = authenticator(&plugins, "team");

    folder.write("guests.toml", b"[settings]\nrealm = 'Guests'\n");
    folder.write("guests.wasm", simple());
    assert_eq!(next(&mut plugins).await.unwrap(), ["+plugin guests"]);
    let guests = authenticator(&plugins, "guests");

    folder.write("guests.toml", b"[settings]\nrealm = 'env:REALM'\n");
    assert_eq!(next(&mut plugins).await.unwrap(), ["~plugin guests: settings.realm"]);
    assert!(!authenticator(&plugins, "guests").is(&guests));

    folder.write("guests.wasm", &rebuilt());
    assert_eq!(next(&mut plugins).await.unwrap(), ["~plugin guests: component"]);

    fs::remove_file(folder.path("guests.toml")).unwrap();
    fs::remove_file(folder.path("guests.wasm")).unwrap();
    assert_eq!(next(&mut plugins).await.unwrap(), ["-plugin guests"]);
    let set = current.load();
    assert!(set.authenticator("guests").is_none());
    // Nothing of it has changed all the time.
    assert!(set.authenticator("team").unwrap().is(&team));
}

#[tokio::test]
async fn a_plugin_that_is_asked_can_not_disappear() {
    let folder = Folder::new(&[("team.wasm", simple()), ("other.wasm", simple())]);
    let mut plugins = folder.open().await;
    let current = plugins.current();
    assert_eq!(current.require("team"), Some(Role::Authenticator));
    assert_eq!(current.require("tema"), None);
    assert!(current.is(&plugins.current()) && !current.is(&folder.open().await.current()));
    let team = authenticator(&plugins, "team");
    fs::remove_file(folder.path("other.wasm")).unwrap();
    fs::remove_file(folder.path("team.wasm")).unwrap();
    let error = next(&mut plugins).await.unwrap_err();
    assert!(
        error.ends_with("has no authenticator \"team\" any more, which is asked about requests"),
        "{error}"
    );
    assert!(authenticator(&plugins, "team").is(&team));
    assert!(
        current.load().authenticator("other").is_some(),
        "all stay, as for any mistake"
    );
    folder.write("team.wasm", &rebuilt());
    assert_eq!(
        next(&mut plugins).await.unwrap(),
        ["-plugin other", "~plugin team: component"]
    );
}

#[tokio::test]
async fn an_acceptor_that_nobody_has_is_a_mistake() {
    let folder = Folder::new(&[
        ("team.wasm", simple()),
        ("team.toml", b"[grants]\nnegotiate = 'corp'\n"),
    ]);
    let error = folder.directory().open().await.unwrap_err().to_string();
    assert!(
        error.contains("grants.negotiate: unknown acceptor; there are none"),
        "{error}"
    );
}

#[tokio::test]
async fn the_content_of_a_file_is_a_part_of_the_setting_that_names_it() {
    let folder = Folder::new(&[("team.wasm", simple()), ("other.wasm", simple())]);
    folder.write("team.toml", b"[settings]\nrealm = 'file:realm'\n");
    folder.write("realm", b"One\n");
    let mut plugins = folder.open().await;
    let other = authenticator(&plugins, "other");
    folder.write("realm", b"Two\n");
    assert_eq!(next(&mut plugins).await.unwrap(), ["~plugin team: settings.realm"]);
    assert!(authenticator(&plugins, "other").is(&other));
}

#[tokio::test]
async fn a_bad_version_keeps_everything_and_says_what_is_wrong() {
    let folder = Folder::new(&[("team.wasm", simple()), ("other.wasm", simple())]);
    let mut plugins = folder.open().await;
    let (team, other) = (authenticator(&plugins, "team"), authenticator(&plugins, "other"));
    let truncated = simple().get(..simple().len() / 2).unwrap();
    for (file, bad, good, told) in [
        ("team.wasm", truncated, Some(simple()), "team.wasm: "),
        ("team.wasm", b"no component", Some(simple()), "team.wasm: "),
        (
            "team.toml",
            b"[settings]\nrealm = 'A'\nrealms = 'B'\n",
            None,
            "team.toml:3: settings.realms: unknown key; did you mean \"realm\"?",
        ),
        (
            "team.toml",
            b"[settings]\npassword = ''\n",
            None,
            "team.toml:2: settings.password: ",
        ),
        (
            "team.toml",
            b"[settings]\nrealm = 'env:ABSENT'\n",
            None,
            "team.toml:2: settings.realm: the environment variable \"ABSENT\" is not set",
        ),
        (
            "team.toml",
            b"[limit]\n",
            None,
            "team.toml:1: limit: unknown key; did you mean \"limits\"?",
        ),
        ("team.toml", b"[", None, "team.toml:1: not TOML"),
        ("a b.wasm", simple(), None, "a b.wasm: the plugin's name must be "),
    ] {
        // What is right beside it isn't taken up alone.
        folder.write("third.wasm", simple());
        folder.write(file, bad);
        let error = next(&mut plugins).await.unwrap_err();
        assert!(error.contains(told), "{error}");
        assert!(authenticator(&plugins, "team").is(&team) && authenticator(&plugins, "other").is(&other));
        assert!(plugins.current().load().authenticator("third").is_none());

        fs::remove_file(folder.path("third.wasm")).unwrap();
        match good {
            Some(good) => folder.write(file, good),
            None => fs::remove_file(folder.path(file)).unwrap(),
        }
        // The same as before the mistake.
        assert_eq!(next(&mut plugins).await.unwrap(), Vec::<String>::new(), "{file}");
        assert!(authenticator(&plugins, "team").is(&team));
    }
}

#[tokio::test]
async fn a_half_written_file_is_waited_for() {
    let folder = Folder::new(&[("team.wasm", simple())]);
    let mut plugins = folder.open().await;
    let new = rebuilt();
    let (begin, end) = new.split_at(new.len() / 2);
    let mut file = fs::File::create(folder.path("team.wasm")).unwrap();
    file.write_all(begin).unwrap();
    file.flush().unwrap();
    // As long as it is open for writing, it isn't complete.
    assert!(timeout(Duration::from_secs(1), plugins.changed()).await.is_err());
    file.write_all(end).unwrap();
    drop(file);
    assert_eq!(next(&mut plugins).await.unwrap(), ["~plugin team: component"]);
}

#[tokio::test]
async fn a_directory_that_disappears_changes_nothing_until_it_is_back() {
    let folder = Folder::new(&[("team.wasm", simple())]);
    let mut plugins = folder.open().await;
    let team = authenticator(&plugins, "team");
    let (here, away) = (folder.path(""), folder.root.path().join("away"));
    fs::rename(&here, &away).unwrap();
    let error = next(&mut plugins).await.unwrap_err();
    assert!(error.contains("plugins"), "{error}");
    assert!(authenticator(&plugins, "team").is(&team));
    fs::write(away.join("new.wasm"), simple()).unwrap();
    fs::rename(&away, &here).unwrap();
    assert_eq!(next(&mut plugins).await.unwrap(), ["+plugin new"]);
    assert!(authenticator(&plugins, "team").is(&team));
}

#[tokio::test]
async fn without_the_required_signature_a_plugin_is_disabled_at_first_and_an_error_later() {
    let folder = Folder::new(&[("team.wasm", simple())]);
    let plugins = folder.directory().trust([].into_iter().collect()).open().await.unwrap();
    let [warning] = plugins.warnings() else {
        panic!("{:?}", plugins.warnings())
    };
    assert!(
        warning.to_string().contains("team.wasm.minisig can't be opened"),
        "{warning}"
    );
    assert!(authenticator(&plugins, "team").why_disabled().is_some());

    let mut plugins = folder.open().await;
    folder.write(
        "team.toml",
        b"sha256 = '0000000000000000000000000000000000000000000000000000000000000000'\n",
    );
    let error = next(&mut plugins).await.unwrap_err();
    assert!(error.contains("but sha256 is set to 0000"), "{error}");
    assert!(authenticator(&plugins, "team").why_disabled().is_none());
}

/// The built-in plugin with this self-test in its manifest.
fn with_self_test(plugin: &str, cases: &str) -> Vec<u8> {
    let manifest = format!(r#"{{ "name": "{plugin}", "self_test": {cases} }}"#);
    Manifest::embed(portcullis_plugins::find(plugin).unwrap(), manifest.as_bytes()).unwrap()
}

const GOOD: &str = r#"[
    { "name": "nobody", "expect": { "verdict": "pass" } },
    { "name": "no colon", "request": { "headers": { "Authorization": "Basic eA==" } }, "expect": { "status": 401, "verdict": "reject" } }
]"#;

#[tokio::test]
async fn a_version_that_fails_its_self_test_is_not_taken_up() {
    // Its authenticator has the only place for calls, and the next one tests itself all the same.
    let mut folder = Folder::new(&[("team.wasm", &with_self_test("simple", GOOD))]);
    folder.engine = Engine::builder().concurrency(1).build().unwrap();
    let mut plugins = folder.open().await;
    let team = authenticator(&plugins, "team");
    assert!(team.why_disabled().is_none() && plugins.warnings().is_empty());
    let many = format!("[{}]", [r#"{ "name": "a", "expect": { "status": 401 } }"#; 9].join(","));
    for (cases, told) in [
        (
            GOOD.replace("pass", "grant").as_str(),
            "team.wasm: its self-test \"nobody\" fails: verdict: expected grant, found pass (the plugin passes: ",
        ),
        (
            GOOD.replace("\"status\": 401", "\"status\": 200").as_str(),
            "its self-test \"no colon\" fails: status: expected 200, found 401",
        ),
        (
            GOOD.replace("verdict", "verdit").as_str(),
            "its manifest: self_test[0].expect.verdit: unknown key; did you mean \"verdict\"?",
        ),
        (
            r#"[{ "name": null, "expect": {} }]"#,
            "its manifest: self_test[0].name: is null, which is no value here: leave it out",
        ),
        (
            r#"{ "name": "a" }"#,
            "its manifest: self_test: expected a list, found a table",
        ),
        ("[]", "its manifest: self_test: there is no case"),
        (
            &many,
            "its manifest: self_test: has 9 cases, and at most 8 are accepted",
        ),
    ] {
        folder.write("team.wasm", &with_self_test("simple", cases));
        let error = next(&mut plugins).await.unwrap_err();
        assert!(error.contains(told), "{error}");
        assert!(authenticator(&plugins, "team").is(&team));
    }
    folder.write(
        "team.wasm",
        &with_self_test("simple", r#"[{ "name": "nobody", "expect": { "status": 401 } }]"#),
    );
    assert_eq!(next(&mut plugins).await.unwrap(), ["~plugin team: component"]);
}

#[tokio::test]
async fn a_plugin_that_fails_its_self_test_at_the_start_is_disabled_until_it_is_mended() {
    let folder = Folder::new(&[("team.wasm", &with_self_test("simple", &GOOD.replace("pass", "grant")))]);
    let mut plugins = folder.open().await;
    let why = plugins.warnings().iter().map(ToString::to_string).collect::<String>();
    assert!(
        why.contains("its self-test \"nobody\" fails") && why.contains("so team is disabled"),
        "{why}"
    );
    assert!(authenticator(&plugins, "team").why_disabled().is_some());
    folder.write("team.wasm", &with_self_test("simple", GOOD));
    assert_eq!(next(&mut plugins).await.unwrap(), ["~plugin team: component"]);
    assert!(authenticator(&plugins, "team").why_disabled().is_none());
}

#[tokio::test]
async fn a_self_test_has_the_settings_of_the_operator_and_asks_no_server() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let address = server.local_addr().unwrap();
    let cases = r#"[{ "name": "a token", "request": { "headers": { "Authorization": "token x" } }, "expect": { "verdict": "grant" } }]"#;
    let settings = format!(
        "[settings]\napi_url = 'http://{address}'\nallow_any_token = true\n[grants]\nhttp = ['http://{address}']\n"
    );
    let folder = Folder::new(&[
        ("hub.wasm", &with_self_test("jupyterhub", cases)),
        ("hub.toml", settings.as_bytes()),
    ]);
    let plugins = folder.open().await;
    let why = plugins.warnings().iter().map(ToString::to_string).collect::<String>();
    let denied = "requests to other servers are denied in a self-test, and it sent 1";
    assert!(
        why.contains("verdict: expected grant, found unavailable") && why.contains(denied),
        "{why}"
    );
    assert_eq!(server.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn all_mistakes_at_the_start_are_told_together() {
    let folder = Folder::new(&[
        ("a.wasm", b"x"),
        ("b.wasm", simple()),
        ("b.toml", b"x = 1\n"),
        ("c.toml", b""),
    ]);
    let error = folder.directory().open().await.unwrap_err().to_string();
    for told in [
        "a.wasm: ",
        "b.toml:1: x: unknown key",
        "c.toml: describes a plugin that doesn't exist",
    ] {
        assert!(error.contains(told), "{error}");
    }
    let absent = PluginDirectory::new(folder.path("absent"), &folder.engine);
    let error = absent.open().await.unwrap_err().to_string();
    assert!(error.contains("absent"), "{error}");
}

#[tokio::test]
async fn what_is_not_needed_stops_nothing_and_what_is_needed_must_be_there() {
    let folder = Folder::new(&[("team.wasm", simple()), ("other.wasm", simple())]);
    folder.write("stray.toml", b"[settings]\n");
    let mut plugins = folder.directory().needed(["team"]).open().await.unwrap();
    let team = authenticator(&plugins, "team");
    let told = |plugins: &Plugins| Vec::from_iter(plugins.warnings().iter().map(ToString::to_string));
    assert!(
        told(&plugins)[0].contains("stray.toml: describes a plugin that doesn't exist"),
        "{:?}",
        told(&plugins)
    );
    fs::remove_file(folder.path("stray.toml")).unwrap();
    assert_eq!(next(&mut plugins).await.unwrap(), Vec::<String>::new());

    // Mistakes of another one, while something that is right appears beside it.
    folder.write("other.toml", b"[settings]\nrealms = 'B'\n");
    folder.write("third.wasm", simple());
    assert_eq!(next(&mut plugins).await.unwrap(), ["-plugin other", "+plugin third"]);
    assert!(
        told(&plugins)[0].contains("other.toml:2: settings.realms: unknown key"),
        "{:?}",
        told(&plugins)
    );
    folder.write("other.toml", b"[limit]\n");
    folder.write("fourth.wasm", simple());
    assert_eq!(next(&mut plugins).await.unwrap(), ["+plugin fourth"]);
    assert!(
        told(&plugins)[0].contains("other.toml:1: limit: unknown key"),
        "{:?}",
        told(&plugins)
    );
    folder.write("other.toml", b"");
    assert_eq!(next(&mut plugins).await.unwrap(), ["+plugin other"]);
    assert_eq!(told(&plugins), Vec::<String>::new());

    // The needed one.
    folder.write("team.toml", b"[limit]\n");
    let error = next(&mut plugins).await.unwrap_err();
    assert!(error.contains("team.toml:1: limit: unknown key"), "{error}");
    fs::remove_file(folder.path("team.toml")).unwrap();
    assert_eq!(next(&mut plugins).await.unwrap(), Vec::<String>::new());
    fs::rename(folder.path("team.wasm"), folder.path("away")).unwrap();
    let error = next(&mut plugins).await.unwrap_err();
    assert!(error.contains("has no team.wasm, and this plugin is needed"), "{error}");
    assert!(authenticator(&plugins, "team").is(&team));
}
