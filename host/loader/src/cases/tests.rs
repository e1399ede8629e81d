//! Files of `plugin test`, good and bad.

use std::fs;

use http::Method;
use http::StatusCode;
use http::uri::Scheme;
use portcullis::Manifest;
use portcullis::Role;
use portcullis::decision::Attribute;

use crate::config::document::Environment;
use crate::config::plugin::PluginSource;

use super::CasesFile;
use super::Expectation;

fn read(text: &str) -> Result<CasesFile, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cases.toml");
    fs::write(&path, text).unwrap();
    let plugin = PluginSource::BuiltIn("simple".to_owned());
    let read = CasesFile::read(&path, plugin, Role::Authenticator, &Environment::from([]));
    read.map_err(|errors| errors.to_string().replace(&format!("{}/", folder.path().display()), ""))
}

#[test]
fn what_is_not_written_is_a_plain_get_from_this_machine() {
    let file = read("[[cases]]\nname = 'a'\nexpect.status = 200").unwrap();
    let request = &file.cases[0].request;
    assert_eq!(request.method, Method::GET);
    assert_eq!(
        (request.scheme.clone(), request.authority.as_deref()),
        (Scheme::HTTP, Some("localhost"))
    );
    assert_eq!((request.path.as_str(), request.query.as_deref()), ("/", None));
    assert_eq!(request.client_address.unwrap().to_string(), "127.0.0.1");
    assert_eq!(Vec::from_iter(request.headers.iter()).len(), 1, "{:?}", request.headers);
    assert_eq!(request.headers["host"], "localhost");
}

#[test]
fn every_key_has_its_effect() {
    let file = read(
        r#"
        [settings]
        password = "p"
        [grants]
        headers = ["x-key"]
        [limits]
        deadline = "1s"
        [[cases]]
        name = "all of them"
        request = { method = "PUT", url = "https://gateway.example:8443/a/b?c=d", headers = { X-Key = ["1", "2"] }, client = "::1" }
        [cases.expect]
        status = 403
        verdict = "turned_away"
        user = "alice"
        groups = ["staff"]
        attributes = { email = "a@x", rooms = ["1", "2"] }
        challenge = "Basic"
        reads = ["authority", "client-address", "client-certificate", "cookie C", "header X-Key", "method", "negotiate n",
            "path", "query", "scheme"]
        "#,
    )
    .unwrap();
    assert_eq!(file.plugin.name, "simple");
    assert_eq!(file.plugin.settings.value()["password"], "p");
    assert_eq!(file.plugin.grants.headers, ["x-key"]);
    assert_eq!(file.plugin.limits.deadline.as_secs(), 1);
    let [case] = file.cases.as_slice() else {
        panic!("{file:?}")
    };
    let request = &case.request;
    assert_eq!((&request.method, &request.scheme), (&Method::PUT, &Scheme::HTTPS));
    assert_eq!(request.authority.as_deref(), Some("gateway.example:8443"));
    assert_eq!((request.path.as_str(), request.query.as_deref()), ("/a/b", Some("c=d")));
    assert_eq!(request.client_address.unwrap().to_string(), "::1");
    assert_eq!(Vec::from_iter(request.headers.get_all("x-key")), ["1", "2"]);
    let texts = |texts: &[&str]| Vec::from_iter(texts.iter().map(|text| (*text).to_owned()));
    let expected = Expectation {
        status: Some(StatusCode::FORBIDDEN),
        verdict: Some("turned_away"),
        user: Some("alice".to_owned()),
        groups: Some(texts(&["staff"])),
        attributes: vec![
            ("email".to_owned(), texts(&["a@x"])),
            ("rooms".to_owned(), texts(&["1", "2"])),
        ],
        challenge: Some("Basic".to_owned()),
        reads: Some(vec![
            Attribute::Authority,
            Attribute::ClientAddress,
            Attribute::ClientCertificate,
            Attribute::Cookie("C".to_owned()),
            Attribute::Header("x-key".to_owned()),
            Attribute::Method,
            Attribute::Negotiate("n".to_owned()),
            Attribute::Path,
            Attribute::Query,
            Attribute::Scheme,
        ]),
        calls: None,
    };
    assert_eq!(case.expect, expected);
}

#[test]
fn a_mistake_is_reported_with_its_place() {
    let case = |rest: &str| format!("[[cases]]\nname = 'a'\n{rest}");
    let expecting = |rest: &str| case(&format!("expect.status = 200\n{rest}"));
    let served = |response: &str| {
        let server = "[[servers]]\nurl = 'https://id.example'\n[[servers.responses]]\n";
        format!("{server}{response}\n{}", expecting(""))
    };
    for (text, expected) in [
        (
            String::new(),
            "cases.toml: there is no case: add [[cases]], or [[logins]] for a login",
        ),
        ("cases = []".to_owned(), "cases.toml:1: cases: there is no case"),
        (
            "cases = 1".to_owned(),
            "cases.toml:1: cases: expected a list, found an integer",
        ),
        ("[[cases".to_owned(), "cases.toml:1: not TOML"),
        (case(""), "cases.toml:1: cases[0]: the key \"expect\" is missing"),
        (case("expect = {}"), "cases.toml:3: cases[0].expect: expects nothing"),
        (
            case("expect.attributes = {}"),
            "cases.toml:3: cases[0].expect: expects nothing",
        ),
        (
            case("expect.stauts = 1"),
            "expect.stauts: unknown key; did you mean \"status\"?",
        ),
        (case("expect.status = 600"), "expect.status: must be 100 to 599"),
        (
            case("expect.verdict = 'deny'"),
            "expect.verdict: unknown verdict; expected one of grant, pass, reject",
        ),
        (
            case("expect.verdict = 'Grant'"),
            "expect.verdict: unknown verdict; did you mean \"grant\"?",
        ),
        (
            case("expect.groups = 'staff'"),
            "expect.groups: expected a list, found a string",
        ),
        (
            case("expect.groups = [1]"),
            "expect.groups[0]: expected a string, found an integer",
        ),
        (
            case("expect.attributes.email = 1"),
            "expect.attributes.email: expected a string, found an integer",
        ),
        (
            case("expect.reads = ['headers a']"),
            "expect.reads[0]: \"headers a\" is not what `explain` prints",
        ),
        (
            case("expect.reads = ['address']"),
            "expect.reads[0]: \"address\" is not what `explain` prints",
        ),
        (
            "[[cases]]\nexpect.status = 1".to_owned(),
            "cases.toml:1: cases[0]: the key \"name\" is missing",
        ),
        (
            format!("{0}\n{0}", case("expect.status = 200")),
            "cases.toml:5: cases[1].name: \"a\" is also the name of the case at cases.toml:2: cases[0].name",
        ),
        (
            "[[cases]]\nname = \"a\\nb\"\nexpect.status = 200".to_owned(),
            "cases[0].name: \"a\\nb\" is not a name",
        ),
        (
            "[[cases]]\nname = ''\nexpect.status = 200".to_owned(),
            "cases[0].name: \"\" is not a name",
        ),
        (
            format!("[[cases]]\nname = '{}'\nexpect.status = 200", "x".repeat(257)),
            "is not a name: 1 to 256 bytes",
        ),
        (
            expecting("requests = {}"),
            "cases[0].requests: unknown key; did you mean \"request\"?",
        ),
        (
            expecting("request = 1"),
            "cases[0].request: expected a table, found an integer",
        ),
        (expecting("request.body = ''"), "cases[0].request.body: unknown key"),
        (
            expecting("request.method = 'A B'"),
            "request.method: \"A B\" is not a method",
        ),
        (
            expecting("request.url = '/a'"),
            "request.url: \"/a\" is not an http or https URL",
        ),
        (
            expecting("request.url = 'ftp://h/'"),
            "request.url: \"ftp://h/\" is not an http or https URL",
        ),
        (
            expecting("request.url = 'http://u@h/'"),
            "request.url: \"http://u@h/\" is not an http or https URL",
        ),
        (
            expecting("request.url = 'http://h/#f'"),
            "request.url: \"http://h/#f\" is not an http or https URL",
        ),
        (
            expecting("request.client = 'localhost'"),
            "request.client: \"localhost\" is not an IP address",
        ),
        (
            expecting("request.headers.'a b' = ''"),
            "request.headers.\"a b\": is not a header name",
        ),
        (
            expecting("request.headers.a = \"se\\ncret\""),
            "request.headers.a: has a control character",
        ),
        (
            expecting("request.headers.Host = 'h'"),
            "request.headers.Host: isn't allowed here",
        ),
        (
            format!("plugin = 'x'\n{}", expecting("")),
            "cases.toml:1: plugin: isn't allowed here",
        ),
        (
            format!("sha256 = '{}'\n{}", "0".repeat(64), expecting("")),
            "sha256: isn't allowed here",
        ),
        (
            format!("grants.negotiate = 'n'\n{}", expecting("")),
            "cases.toml: grants.negotiate: names the acceptor",
        ),
        (
            format!("grants.header = []\n{}", expecting("")),
            "cases.toml:1: grants.header: unknown key",
        ),
        (
            format!("[[servers]]\n{}", expecting("")),
            "cases.toml:1: servers[0]: the key \"url\" is missing",
        ),
        (
            format!("[[servers]]\nurl = 'https://id.example/keys'\n{}", expecting("")),
            "servers[0].url: \"https://id.example/keys\" is not the URL of a server without a path",
        ),
        (
            format!(
                "[[servers]]\nurl = 'https://id.example'\nresponse = []\n{}",
                expecting("")
            ),
            "servers[0].response: unknown key; did you mean \"responses\"?",
        ),
        (served("status = 101"), "responses[0].status: must be 200 to 599"),
        (served("path = 'keys'"), "responses[0].path: \"keys\" is not a path"),
        (served("times = 0"), "responses[0].times: must be 1 to 1000"),
        (served("delay = '2m'"), "responses[0].delay: must be 0s to 1m"),
        (
            served("headers.Content-Length = '1'"),
            "headers: has content-length, which follows from the body",
        ),
        (
            served("body = ''\njson = {}"),
            "responses[0]: has more than one of body, json and file",
        ),
        (served("file = 'no'"), "responses[0].file: can't be opened"),
        (
            served("hang_up = true\nstatus = 200"),
            "responses[0]: a server that hangs up sends nothing",
        ),
        (
            case("expect.calls = ['/keys']"),
            "expect.calls[0]: \"/keys\" is not a method and a URL",
        ),
        (
            case("expect.calls = [{ method = 'GET' }]"),
            "expect.calls[0]: the key \"url\" is missing",
        ),
        (
            case("expect.status = 200\n[[cases.then]]\nrequest.method = 'GET'"),
            "then[0]: the key \"expect\" is missing",
        ),
    ] {
        let found = read(&text).err().unwrap_or_default();
        assert!(found.contains(expected), "{text}\nexpected {expected}\nfound {found}");
        assert!(!found.contains("secret"), "{found}");
    }
}

#[test]
fn the_file_is_bounded() {
    let cases = |count: usize| {
        let cases = (0..count).map(|number| format!("[[cases]]\nname = '{number}'\nexpect.status = 200\n"));
        String::from_iter(cases)
    };
    assert_eq!(read(&cases(1000)).unwrap().cases.len(), 1000);
    let error = read(&cases(1001)).unwrap_err();
    assert!(
        error.ends_with(": 1001 cases, and at most 1000 are accepted"),
        "{error}"
    );
    let large = format!("# {}\n{}", "x".repeat(1024 * 1024), cases(1));
    assert_eq!(read(&large).unwrap_err(), "cases.toml: is larger than 1048576 bytes");
    let names = String::from_iter((0..40_000).map(|number| format!("x{number:x} = ''\n")));
    let many = format!("{}[cases.request.headers]\n{names}", cases(1));
    let error = read(&many).unwrap_err();
    assert!(error.contains("is one header too many"), "{}", &error[..200]);
}

#[test]
fn all_mistakes_are_reported_together() {
    let error = read("[grants]\nx = 1\n[[cases]]\nname = ''\nexpect.status = 1\nrequest.method = ''\n").unwrap_err();
    assert_eq!(error.lines().count(), 4, "{error}");
}

#[test]
fn a_self_test_is_refused_whose_cases_cannot_be_asked() {
    let case = r#"{ "name": "a", "expect": { "status": 401 } }"#;
    let numbered = |number: usize| case.replace("\"a\"", &format!("\"a{number}\""));
    let many = |number| Vec::from_iter((0..number).map(numbered)).join(",");
    let server = r#"{ "name": "a", "expect": { "status": 401 }, "servers": [{ "url": "https://id.example" }] }"#;
    let further = r#"{ "name": "a", "expect": { "status": 401 }, "then": [{ "expect": { "status": 401 } }] }"#;
    for (cases, expected) in [
        (case.to_owned(), ""),
        (further.to_owned(), ""),
        (many(8), ""),
        (many(9), "has 9 cases, and at most 8 are accepted"),
        (String::new(), "there is no case"),
        (
            server.to_owned(),
            "the case \"a\" has servers, and a self-test can't ask any",
        ),
        (
            case.replace("status", "state"),
            "self_test[0].expect.state: unknown key",
        ),
    ] {
        let manifest = format!(r#"{{ "name": "tested", "self_test": [{cases}] }}"#);
        let manifest = Manifest::parse(manifest.as_bytes()).unwrap();
        let told = super::self_test(Some(&manifest), Role::Authenticator)
            .map_or_else(|errors| errors.to_string(), |_| String::new());
        match expected {
            "" => assert_eq!(told, "", "{cases}"),
            _ => assert!(told.contains(expected), "{cases}: {told}"),
        }
    }
}
