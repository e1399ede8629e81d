//! Runs the commands as an operator would, with configurations and plugins on disk.

use std::fs;

use clap::Parser;
use tempfile::TempDir;

use super::CommandLine;
use super::run;
use crate::testing;
use crate::testing::simple;
use crate::testing::write;

/// Makes a folder with a configuration, a plugin and a secret.
fn folder() -> TempDir {
    let folder = testing::folder(
        r#"
[plugins]
cache_directory = "cache"
[authenticators.keys]
plugin = "simple.wasm"
grants.headers = []
[authenticators.people]
plugin = "simple"
[[routes]]
path = "/"
authenticators = ["keys", "people"]
upstream = "http://127.0.0.1:9/base"
identity.basic_password = "file:password"
[[routes]]
path = "/open"
public = true
upstream = "portcullis:whoami"
[[routes]]
path = "/half"
authenticators = ["people"]
optional = true
allow_encoded_slash = true
upstream = "portcullis:whoami"
"#,
    );
    write(&folder.path().join("password"), "upstream-secret\n", 0o600);
    folder
}

/// Runs a command and returns its output or its error. In the arguments and the result, FOLDER stands for the folder.
fn command(folder: &TempDir, arguments: &[&str]) -> Result<String, String> {
    let path = folder.path().display().to_string();
    let arguments = arguments.iter().map(|argument| argument.replace("FOLDER", &path));
    let line = CommandLine::try_parse_from(["portcullis".to_owned()].into_iter().chain(arguments)).unwrap();
    let mut output = Vec::new();
    let result = run(line, &mut output);
    let shown = |text: String| text.replace(&path, "FOLDER");
    result
        .map(|_| shown(String::from_utf8(output).unwrap()))
        .map_err(|error| shown(error.to_string()))
}

fn explain(folder: &TempDir, arguments: &[&str]) -> String {
    command(
        folder,
        &[&["explain", "--config", "FOLDER/portcullis.toml"], arguments].concat(),
    )
    .unwrap()
}

#[test]
fn check_counts_routes_and_authenticators() {
    assert_eq!(
        command(&folder(), &["check", "--config", "FOLDER/portcullis.toml"]).unwrap(),
        "FOLDER/portcullis.toml: good: 3 routes, 2 authenticators, no sessions\n  FOLDER/portcullis.toml:5: \
         authenticators.keys.plugin: grants.headers doesn't have the header \"authorization\", which the plugin asks for, so it is \
         never seen\n  /open is public, and / is protected\n  \
         /half is optional, and / is protected\n"
    );
}

#[test]
fn check_reports_every_mistake() {
    let folder = folder();
    let path = folder.path().join("portcullis.toml");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        config
            .replace("optional", "optionel")
            .replace("plugin = \"simple\"", "plugin = \"simpel\""),
    )
    .unwrap();
    let error = command(&folder, &["check", "--config", "FOLDER/portcullis.toml"]).unwrap_err();
    assert_eq!(error.lines().count(), 2, "{error}");
    assert!(
        error.contains("FOLDER/portcullis.toml:8: authenticators.people.plugin: "),
        "{error}"
    );
    assert!(
        error.contains("FOLDER/portcullis.toml:21: routes[2].optionel: unknown key; did you mean \"optional\"?"),
        "{error}"
    );
    let gone = command(&folder, &["check", "--config", "FOLDER/gone.toml"]).unwrap_err();
    assert!(gone.starts_with("FOLDER/gone.toml: can't be opened: "), "{gone}");
}

#[test]
fn explain_shows_what_each_authenticator_read_and_what_the_upstream_gets() {
    let folder = folder();
    let output = explain(
        &folder,
        &[
            "GET",
            "http://h/x?token=t",
            "-H",
            "Authorization: Basic YWxpY2U6cGFzc3dvcmQ=",
        ],
    );
    for expected in [
        "route       /, protected, to http://127.0.0.1:9/base\n",
        "asks        keys people\n",
        "keys        passes: no credentials of its kind",
        "asked header authorization: not granted\n",
        "people      grants user \"alice\"",
        "asked header authorization: 26 bytes\n",
        "forwarded   with these headers\n",
        "x-forwarded-user: alice\n",
        "authorization: (not shown)\n",
    ] {
        assert!(output.contains(expected), "{expected}\n{output}");
    }
    for secret in ["YWxpY2U6", "cGFzc3dvcmQ", "token=t", "upstream-secret"] {
        assert!(!output.contains(secret), "{output}");
    }
}

#[test]
fn explain_shows_the_result_of_a_request() {
    let folder = folder();
    for (arguments, expected) in [
        (
            &["GET", "http://h/x"][..],
            "answer      401 Unauthorized\n            www-authenticate: Basic ",
        ),
        (
            &["GET", "https://h/open/x"],
            "route       /open, public, to portcullis:whoami\nwarning     /open is public, and / is protected\nforwarded   \
             without a user\n",
        ),
        (&["GET", "http://h/half"], "forwarded   without a user\n"),
        (
            &["GET", "http://h/half", "-H", "authorization: Basic !"],
            "answer      401 Unauthorized\n",
        ),
        (
            &["GET", "http://h/open/../x"],
            "answer      400 Bad Request: the path has ",
        ),
        (
            &["GET", "http://h/open/a%2Fb"],
            "answer      400 Bad Request: the path has an encoded slash\n",
        ),
        (
            &["GET", "http://h/half/a%2Fb"],
            "path        an encoded slash is accepted if every reading of the path leads to this route\n",
        ),
        (
            &["GET", "http://h/half%2Fb"],
            "answer      400 Bad Request: the path leads to different routes, ",
        ),
        (
            &["GET", "http://h/x", "-H", "Host: a b"],
            "answer      400 Bad Request: the Host header is not a host",
        ),
        (
            &["TRACE", "http://h/x"],
            "answer      405 Method Not Allowed: the method is not served\n",
        ),
        (
            &["POST", "http://h/.portcullis/logout"],
            "answer      one of the gateway's own pages\n",
        ),
    ] {
        let output = explain(&folder, arguments);
        assert!(output.contains(expected), "{arguments:?}\n{output}");
    }
}

#[test]
fn inspect_describes_a_component() {
    let folder = folder();
    let inspect = |name: &str| {
        let file = format!("FOLDER/{name}");
        command(
            &folder,
            &["plugin", "inspect", &file, "--config", "FOLDER/portcullis.toml"],
        )
    };
    let output = inspect("simple.wasm").unwrap();
    let compiled = || fs::read_dir(folder.path().join("cache")).unwrap().count();
    assert_eq!(compiled(), 1, "the compiled component is cached");
    assert_eq!(inspect("simple.wasm").unwrap(), output);
    assert_eq!(compiled(), 1, "the cached component is used again");
    let component = simple();
    for expected in [
        "contract  portcullis:auth@0.2.0\n",
        &format!("sha256    {}\n", portcullis::Digest::of(component)),
        &format!("size      {} bytes\n", component.len()),
        "imports   ",
        "portcullis:auth/types@0.2.0\n",
        "\"password\"",
    ] {
        assert!(output.contains(expected), "{expected}\n{output}");
    }
    fs::write(folder.path().join("note.wasm"), "hello").unwrap();
    for name in ["note.wasm", "gone.wasm"] {
        let error = inspect(name).unwrap_err();
        assert!(error.starts_with(&format!("FOLDER/{name}: ")), "{error}");
    }
}

#[test]
fn a_mistake_on_the_command_line_is_a_usage_error() {
    for arguments in [
        &["sreve"][..],
        &["serve", "--listen", "localhost"],
        &["explain", "GET"],
        &["explain", "GET", "/path"],
        &["explain", "GET", "ftp://h/"],
        &["check", "--log-level", "inof"],
    ] {
        let error = CommandLine::try_parse_from(["portcullis"].iter().chain(arguments)).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{arguments:?}");
    }
    let arguments = ["portcullis", "explain", "GET", "http://h/", "-H", "X-Key: the-secret"];
    assert!(!format!("{:?}", CommandLine::try_parse_from(arguments).unwrap()).contains("the-secret"));
}
