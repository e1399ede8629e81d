//! Two configurations are compared by the digests of their values, which cover the files that they name.

use std::fs;

use super::*;
use crate::config::Digests;
use crate::testing::write;

/// A configuration in a folder with the files that it names.
const BEFORE: &str = r#"
[server]
listen = "127.0.0.1:8000"
[plugins]
directory = "plugins"
[authenticators.a]
plugin = "simple"
settings = { realm = "x", password = "file:password", list = [1, 2] }
[authenticators.a.http_headers]
[upstreams.u]
servers = ["https://u.example"]
ca = "ca.pem"
[[routes]]
path = "/"
public = true
upstream = "u"
"#;

fn digests(folder: &Path, text: &str) -> Digests {
    Draft::parse(&folder.join("portcullis.toml"), text, &Environment::from([])).digests
}

#[test]
fn a_change_is_told_by_the_key_of_the_value() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::create_dir(folder.join("plugins")).unwrap();
    fs::write(folder.join("plugins/d.wasm"), "").unwrap();
    fs::write(folder.join("plugins/d.toml"), "[settings]\nkey = 1\n").unwrap();
    write(&folder.join("password"), "one", 0o600);
    fs::write(folder.join("ca.pem"), "one").unwrap();
    let before = digests(folder, BEFORE);
    assert!(before.changed_keys(&digests(folder, BEFORE)).is_empty());
    for (old, new, expected) in [
        ("realm = \"x\"", "realm = \"y\"", "authenticators.a.settings.realm"),
        ("realm = \"x\"", "realm = 1", "authenticators.a.settings.realm"),
        ("realm = \"x\", ", "", "authenticators.a.settings.realm"),
        (
            "list = [1, 2] }",
            "list = [1, 2] }\n[authenticators.a.limits]\nrate = \"1/s\"",
            "authenticators.a.limits.rate",
        ),
        ("[1, 2]", "[2, 1]", "authenticators.a.settings.list"),
        ("[1, 2]", "[]", "authenticators.a.settings.list"),
        ("[1, 2]", "\"\"", "authenticators.a.settings.list"),
        ("[authenticators.a.http_headers]\n", "", "authenticators.a.http_headers"),
        ("plugin = \"simple\"", "plugin = \"simple\" # why", ""),
        ("127.0.0.1:8000\"", "127.0.0.1:8001\"", "server.listen"),
        ("public = true", "public = false", "routes"),
    ] {
        let changed = before.changed_keys(&digests(folder, &BEFORE.replace(old, new)));
        assert_eq!(changed.join(" "), expected, "{new}");
    }
    for (file, expected) in [
        ("password", "authenticators.a.settings.password"),
        ("ca.pem", "upstreams.u.ca"),
        ("plugins/d.toml", "authenticators.d.settings.key"),
        // Its digest is compared when it is loaded.
        ("plugins/d.wasm", ""),
    ] {
        let content = fs::read_to_string(folder.join(file)).unwrap();
        fs::write(
            folder.join(file),
            content.replace('1', "2").replace("one", "two") + "\n",
        )
        .unwrap();
        let changed = before.changed_keys(&digests(folder, BEFORE));
        assert_eq!(changed.join(" "), expected, "{file}");
        fs::write(folder.join(file), content).unwrap();
    }
}

#[test]
fn a_text_isnt_taken_for_a_number_that_looks_like_it() {
    let folder = tempfile::tempdir().unwrap();
    let of = |value: &str| digests(folder.path(), &format!("[server]\nmax_headers = {value}\n"));
    let values = [
        "1", "\"1\"", "1.0", "true", "\"true\"", "[1]", "[[1]]", "{}", "[]", "\"\"",
    ];
    for (index, value) in values.iter().enumerate() {
        for other in values.iter().skip(index + 1) {
            assert_ne!(of(value), of(other), "{value} {other}");
        }
    }
}

#[test]
fn every_file_that_is_read_is_watched_also_one_that_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("plugins")).unwrap();
    fs::write(folder.path().join("plugins/d.wasm"), "").unwrap();
    let text = format!(
        "{BEFORE}[server.tls]\ncert = \"c.pem\"\nkey = \"k.pem\"\n[negotiate.n]\nkeytab = \"n.keytab\"\nkrb5_config = \
         \"krb5.conf\"\n[session]\nkeys = [\"file:session\"]\n[authenticators.f]\nplugin = \"./f.wasm\"\nhttp_headers = \
         {{ \"https://f.example\" = {{ authorization = \"Bearer file:token\" }} }}\ngrants = {{ http = [\"https://f.example\"] \
         }}\n"
    );
    let path = folder.path().join("portcullis.toml");
    fs::write(&path, text.replace("[authenticators.a.http_headers]\n", "")).unwrap();
    let draft = Draft::read(&path, &Environment::from([]));
    let names = draft.watched.iter().map(|(path, _)| {
        let inner = path.strip_prefix(folder.path()).unwrap();
        inner.display().to_string()
    });
    let mut names = Vec::from_iter(names);
    names.sort();
    let expected = "c.pem ca.pem f.wasm f.wasm.minisig k.pem krb5.conf n.keytab password plugins plugins/d.toml \
                    plugins/d.wasm plugins/d.wasm.minisig portcullis.toml session token";
    assert_eq!(names.join(" "), expected);
    let missing = Draft::read(&folder.path().join("gone.toml"), &Environment::from([])).watched;
    assert_eq!(missing.len(), 1);
}
