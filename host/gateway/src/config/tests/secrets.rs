//! References to files and variables, and secrets, which never appear in errors or logs.

use std::fs;
use std::path::Path;

use super::KEY;
use super::errors_in;
use crate::config::Draft;
use crate::config::Environment;
use crate::testing::write;

const ROUTE: &str = "[[routes]]\npath = \"/\"\npublic = true\nupstream = \"portcullis:whoami\"\n";

#[test]
fn a_secret_is_read_from_a_file_or_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("cookie.key"), &format!("{KEY}\n"), 0o600);
    let text = format!("[session]\nkeys = [\"file:cookie.key\", \"env:OLD\"]\n{ROUTE}");
    let path = folder.path().join("portcullis.toml");
    let Draft { config, errors, .. } = Draft::parse(&path, &text, &Environment::from([("OLD", KEY)]));
    assert_eq!(errors, []);
    assert_eq!(config.session.unwrap().keys.len(), 2);
}

#[test]
fn a_session_key_that_is_short_or_missing_is_reported() {
    for (reference, expected) in [
        (
            "env:SHORT",
            "expected 32 random bytes as 64 hexadecimal digits: `portcullis keygen` makes them",
        ),
        ("env:NOT_SET", "the environment variable \"NOT_SET\" is not set"),
        (
            "file:/nowhere/key",
            "/nowhere/key can't be opened: No such file or directory (os error 2)",
        ),
    ] {
        let text = format!("[session]\nkeys = [\"{reference}\"]\n{ROUTE}");
        let errors = errors_in(Path::new("p.toml"), &text, &Environment::from([("SHORT", "abcd")]));
        assert_eq!(errors, [format!("p.toml:2: session.keys[0]: {expected}")]);
    }
}

#[test]
fn session_keys_default_to_the_environment() {
    for (section, line) in [("[session]\n", ":1: session"), ("", "")] {
        for variable in ["PORTCULLIS_COOKIE_SECRET", "DASK_GATEWAY_COOKIE_SECRET"] {
            let text = format!("{section}{ROUTE}");
            let read = |value| Draft::parse(Path::new("p.toml"), &text, &Environment::from([(variable, value)]));
            let Draft { config, errors, .. } = read(KEY);
            assert_eq!(errors, []);
            let session = config.session.unwrap();
            assert_eq!(
                (session.keys.len(), session.max_age.as_secs(), session.secure),
                (1, 12 * 3600, None)
            );
            let error = read("secret").errors.first().unwrap().to_string();
            assert!(error.starts_with(&format!("p.toml{line}: {variable}: ")), "{error}");
            assert!(!error.contains("\"secret\""), "{error}");
        }
    }
    assert!(
        Draft::parse(Path::new("p.toml"), ROUTE, &Environment::from([]))
            .config
            .session
            .is_none()
    );
}

#[test]
fn the_session_cookie_can_not_be_granted() {
    for (session, cookie, refused) in [
        ("", "portcullis", true),
        ("", "__Host-portcullis", true),
        ("cookie = \"who\"\n", "who", true),
        ("cookie = \"who\"\n", "portcullis", false),
    ] {
        let text = format!(
            "[session]\nkeys = [\"env:KEY\"]\n{session}[authenticators.a]\nplugin = \"x\"\n\
             grants.cookies = [\"{cookie}\"]\n{ROUTE}"
        );
        let found = errors_in(Path::new("p.toml"), &text, &Environment::from([("KEY", KEY)]));
        let is_that = |error: &String| error.contains("authenticators.a") && error.contains("session cookie");
        assert_eq!(
            (found.iter().any(is_that), found.len()),
            (refused, usize::from(refused)),
            "{cookie}: {found:?}"
        );
    }
}

#[test]
fn a_secret_may_be_read_by_its_owner_and_its_group() {
    let folder = tempfile::tempdir().unwrap();
    // Kubernetes mounts secrets in this way, as a link to a file behind another link.
    let data = folder.path().join("..data");
    fs::create_dir(folder.path().join("..2026")).unwrap();
    std::os::unix::fs::symlink("..2026", &data).unwrap();
    std::os::unix::fs::symlink("..data/cookie.key", folder.path().join("cookie.key")).unwrap();
    for mode in [0o400, 0o600, 0o440, 0o640] {
        let key = data.join("cookie.key");
        let _ = fs::remove_file(&key);
        write(&key, KEY, mode);
        let text = format!("[session]\nkeys = [\"file:cookie.key\"]\n{ROUTE}");
        let errors = errors_in(&folder.path().join("p.toml"), &text, &Environment::from([]));
        assert_eq!(errors, [""; 0], "{mode:04o}");
    }
}

#[test]
fn a_secret_file_that_is_accessible_to_others_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("cookie.key");
    let path = folder.path().join("p.toml");
    for mode in [0o604, 0o620, 0o644, 0o660, 0o666] {
        write(&key, KEY, mode);
        let text = format!("[session]\nkeys = [\"file:cookie.key\"]\n{ROUTE}");
        let (path, key) = (path.display(), key.display());
        assert_eq!(
            errors_in(&folder.path().join("p.toml"), &text, &Environment::from([])),
            [format!(
                "{path}:2: session.keys[0]: {key} is accessible to other users (mode {mode:04o}); run: chmod 600 {key}, or \
                 640 if its group needs to read it; in Kubernetes, set defaultMode: 0440 on the secret and an fsGroup on the \
                 pod"
            )]
        );
    }
}

#[test]
fn a_secret_in_the_configuration_is_rejected_and_not_repeated() {
    let text = format!("[session]\nkeys = [\"{KEY}\"]\n{ROUTE}identity.basic_password = \"hunter2\"\n");
    let errors = errors_in(Path::new("p.toml"), &text, &Environment::from([]));
    assert_eq!(
        errors,
        [
            "p.toml:2: session.keys[0]: a secret can't be written in the configuration: use \"file:PATH\" or \"env:NAME\"",
            "p.toml:7: routes[0].identity.basic_password: a secret can't be written in the configuration: use \"file:PATH\" \
             or \"env:NAME\"",
        ]
    );
}

#[test]
fn a_broken_reference_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("binary"), [0xff]).unwrap();
    fs::write(folder.path().join("large"), vec![b'x'; (1 << 20) + 1]).unwrap();
    let text = r#"
[authenticators.a]
plugin = "x"
settings.a = "env:ABSENT"
settings.b = ["file:absent"]
settings.c = { d = "file:binary" }
settings.e = "file:large"
grants.http = ["env:ABSENT"]
"#;
    let errors = errors_in(
        &folder.path().join("p.toml"),
        &format!("{text}{ROUTE}"),
        &Environment::from([]),
    );
    let expected = [
        "p.toml:4: authenticators.a.settings.a: the environment variable \"ABSENT\" is not set",
        "p.toml:5: authenticators.a.settings.b[0]: FOLDER/absent can't be opened: No such file or directory (os error 2)",
        "p.toml:6: authenticators.a.settings.c.d: FOLDER/binary is not UTF-8",
        "p.toml:7: authenticators.a.settings.e: FOLDER/large is larger than 1048576 bytes",
        "p.toml:8: authenticators.a.grants.http[0]: the environment variable \"ABSENT\" is not set",
    ];
    let folder = folder.path().display().to_string();
    let errors = Vec::from_iter(errors.iter().map(|error| {
        error
            .replace(&format!("{folder}/p.toml"), "p.toml")
            .replace(&folder, "FOLDER")
    }));
    assert_eq!(errors, expected);
}

#[test]
fn settings_may_refer_to_a_public_file() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("keys.json"), "{\"keys\": []}\r\n", 0o644);
    let text = format!("[authenticators.a]\nplugin = \"x\"\nsettings.jwks = \"file:keys.json\"\n{ROUTE}");
    let draft = Draft::parse(&folder.path().join("p.toml"), &text, &Environment::from([]));
    assert_eq!(draft.errors, []);
    let authenticator = draft.config.plugin_entries.first().unwrap();
    assert_eq!(
        authenticator.settings.value(),
        &serde_json::json!({"jwks": "{\"keys\": []}"})
    );
}

#[test]
fn debug_shows_no_secret() {
    let text = r#"
[session]
keys = ["env:KEY"]
[authenticators.a]
plugin = "x"
settings.x = "env:PASSWORD"
[[routes]]
path = "/"
authenticators = ["a"]
upstream = "http://x"
identity.basic_password = "env:PASSWORD"
"#;
    let draft = Draft::parse(
        Path::new("p.toml"),
        text,
        &Environment::from([("KEY", KEY), ("PASSWORD", "hunter2")]),
    );
    assert_eq!(draft.errors, []);
    let shown = format!("{draft:?}");
    assert!(
        !shown.contains("hunter2") && !shown.contains(KEY) && !shown.contains("0, 1, 2, 3"),
        "{shown}"
    );
}
