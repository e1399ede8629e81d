//! Plugins in the plugin directory, with and without a `NAME.toml`.

use std::fs;
use std::path::Path;

use super::errors_in;
use crate::config::Draft;
use crate::config::Environment;
use crate::config::PluginSource;

const TEXT: &str = r#"
[plugins]
directory = "plugins"
[authenticators.a]
plugin = "simple"
[[routes]]
path = "/"
authenticators = ["a", "hub"]
upstream = "portcullis:whoami"
"#;

/// Makes a folder with a plugin directory that contains these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("plugins")).unwrap();
    for (name, text) in files {
        fs::write(folder.path().join("plugins").join(name), text).unwrap();
    }
    folder
}

fn errors(folder: &Path) -> Vec<String> {
    let errors = errors_in(&folder.join("p.toml"), TEXT, &Environment::from([]));
    errors
        .iter()
        .map(|error| error.replace(&format!("{}/", folder.display()), ""))
        .collect()
}

#[test]
fn a_plugin_in_the_directory_is_an_authenticator_with_the_name_of_its_file() {
    let folder = folder(&[
        ("hub.wasm", ""),
        (
            "hub.toml",
            "settings.url = \"env:URL\"\nsettings.file = \"file:x\"\n[grants]\nheaders = []\n",
        ),
        ("x", "beside the description"),
        ("plain.wasm", ""),
        (".hidden.wasm", ""),
        ("README.md", ""),
    ]);
    let draft = Draft::parse(
        &folder.path().join("p.toml"),
        TEXT,
        &Environment::from([("URL", "http://hub")]),
    );
    assert_eq!(draft.errors, []);
    let authenticators = draft.config.plugin_entries;
    let names = Vec::from_iter(authenticators.iter().map(|authenticator| authenticator.name.as_str()));
    assert_eq!(names, ["a", "hub", "plain"]);
    let [_, hub, plain] = authenticators.as_slice() else {
        panic!()
    };
    assert_eq!(hub.plugin, PluginSource::File(folder.path().join("plugins/hub.wasm")));
    assert_eq!(
        hub.settings.value(),
        &serde_json::json!({"url": "http://hub", "file": "beside the description"})
    );
    assert!(hub.grants.headers.is_empty());
    assert_eq!(plain.grants, portcullis::Grants::default());
}

#[test]
fn a_mistake_names_its_file() {
    for (files, expected) in [
        (
            &[("hub.wasm", ""), ("hub.toml", "plugin = \"x\"\n[grant]\n")][..],
            &[
                "plugins/hub.toml:1: plugin: isn't allowed here: the plugin is plugins/hub.wasm",
                "plugins/hub.toml:2: grant: unknown key; did you mean \"grants\"?",
            ][..],
        ),
        (
            &[("hub.wasm", ""), ("hub.toml", "=")],
            &["plugins/hub.toml:1: not TOML: expected a table key, found an equals"],
        ),
        (
            &[("hub.wasm", ""), ("hob.toml", "")],
            &["plugins/hob.toml: describes a plugin that doesn't exist: plugins/hob.wasm"],
        ),
        (
            &[("hub.wasm", ""), ("a b.wasm", "")],
            &[
                "plugins/a b.wasm: the plugin's name must be 1 to 64 letters, digits, - and _, beginning with a letter or digit",
            ],
        ),
        (
            &[("hub.wasm", ""), ("a.wasm", "")],
            &["p.toml:4: authenticators.a: plugins/a.wasm in the plugin directory has the same name"],
        ),
        (
            &[("hub.wasm", ""), ("UP.WASM", ""), ("up.Toml", "")],
            &[
                "plugins/UP.WASM: would be ignored: the name of a plugin's file ends in .wasm",
                "plugins/up.Toml: would be ignored: the name of a plugin's file ends in .toml",
            ],
        ),
        (
            &[("hup.wasm", "")],
            &["p.toml:8: routes[0].authenticators[1]: unknown authenticator \"hub\"; did you mean \"hup\"?"],
        ),
    ] {
        assert_eq!(errors(folder(files).path()), expected);
    }
}
