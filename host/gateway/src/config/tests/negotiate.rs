//! Valid and invalid `[negotiate.NAME]` sections.

use std::path::Path;
use std::time::Duration;

use crate::config::ChannelBindings;
use crate::config::Draft;
use crate::config::Environment;
use crate::testing::write;

const REST: &str = "\n[[routes]]\npath = \"/\"\npublic = true\nupstream = \"portcullis:whoami\"\n";

fn draft(folder: &Path, text: &str, home: &str) -> Draft {
    write(&folder.join("http.keytab"), "\u{5}\u{2}", 0o600);
    let environment = Environment::from([("HOME", home)]);
    Draft::parse(&folder.join("portcullis.toml"), &format!("{text}{REST}"), &environment)
}

#[test]
fn every_key_is_read_and_only_the_keytab_is_required() {
    let folder = tempfile::tempdir().unwrap();
    let full = "[negotiate.http]\nkeytab = \"http.keytab\"\nservice = \"HTTP@gateway.example\"\nhelper = \"/bin/sh\"\n\
                workers = 5\ndeadline = \"1s\"\nchannel_bindings = \"require\"\nreplay_cache = \"replay\"\n\
                krb5_config = \"http.keytab\"\n[negotiate.short]\nkeytab = \"http.keytab\"\nhelper = \"/bin/sh\"\n";
    let Draft { config, errors, .. } = draft(folder.path(), full, "/home/p");
    assert_eq!(errors, []);
    let [full, short] = config.negotiate.as_slice() else {
        panic!("{:?}", config.negotiate)
    };
    assert_eq!(
        (full.name.as_str(), full.service.as_str()),
        ("http", "HTTP@gateway.example")
    );
    assert_eq!((full.workers, full.deadline), (5, Duration::from_secs(1)));
    assert_eq!(full.channel_bindings, ChannelBindings::Require);
    assert_eq!(full.keytab, folder.path().join("http.keytab"));
    assert_eq!(full.replay_cache, folder.path().join("replay"));
    assert_eq!(full.krb5_config, Some(folder.path().join("http.keytab")));

    assert_eq!((short.name.as_str(), short.service.as_str()), ("short", "HTTP"));
    assert_eq!((short.workers, short.deadline), (2, Duration::from_secs(2)));
    assert_eq!(short.channel_bindings, ChannelBindings::IfSent);
    assert_eq!(short.replay_cache, Path::new("/home/p/.local/state/portcullis/replay"));
    assert_eq!(short.krb5_config, None);
}

#[test]
fn mistakes_in_names_paths_and_the_environment_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let least = "keytab = \"http.keytab\"\nhelper = \"/bin/sh\"\n";
    for (text, home, expected) in [
        (
            format!("[negotiate.http]\n{least}"),
            "",
            "there is no folder for the replay cache",
        ),
        (
            format!("[negotiate.\"a b\"]\n{least}"),
            "/home/p",
            "an acceptor's name must be",
        ),
        (
            format!("[negotiate.http]\n{least}replay_cache = \"a:b\""),
            "/home/p",
            "the path can't contain a colon",
        ),
        (
            format!("[negotiate.http]\n{least}[authenticators.a]\nplugin = \"kerberos\"\ngrants.negotiate = \"x\""),
            "/home/p",
            "grants.negotiate names \"x\"",
        ),
    ] {
        let errors = draft(folder.path(), &text, home).errors;
        assert_eq!(errors.len(), 1, "{text}: {errors:?}");
        assert!(errors[0].to_string().contains(expected), "{text}: {errors:?}");
    }
}
