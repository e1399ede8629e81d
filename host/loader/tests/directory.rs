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
    plugins.current().load().get(name).unwrap().clone()
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
    assert!(set.get("guests").is_none());
    // Nothing of it has changed all the time.
    assert!(set.get("team").unwrap().is(&team));
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
        assert!(plugins.current().load().get("third").is_none());

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
