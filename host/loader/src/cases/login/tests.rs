//! Cases of a login in files of `plugin test`, good and bad.

use std::fs;
use std::time::Duration;

use portcullis::Role;

use super::Function;
use super::LoginExpectation;
use crate::cases::CasesFile;
use crate::config::document::Environment;
use crate::config::plugin::PluginSource;

fn read(text: &str) -> Result<CasesFile, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cases.toml");
    fs::write(&path, text).unwrap();
    let plugin = PluginSource::BuiltIn("jupyterhub".to_owned());
    let read = CasesFile::read(&path, plugin, Role::Login, &Environment::from([]));
    read.map_err(|errors| errors.to_string().replace(&format!("{}/", folder.path().display()), ""))
}

fn calls(calls: &str) -> Result<CasesFile, String> {
    read(&format!("[[logins]]\nname = 'a'\ncalls = [{calls}]"))
}

#[test]
fn what_is_not_written_is_as_at_a_gateway() {
    let file =
        calls("{ function = 'begin' }, { function = 'finish' }, { function = 'renew' }, { function = 'end' }").unwrap();
    let [case] = file.logins.as_slice() else {
        panic!("{file:?}")
    };
    assert!(file.cases.is_empty() && case.servers.is_empty());
    assert!(case.calls.iter().all(|call| call.expect == LoginExpectation::default()));
    let functions = Vec::from_iter(case.calls.iter().map(|call| &call.function));
    let [
        Function::Begin(flow),
        Function::Finish { memo, parameters },
        Function::Renew { keep },
        Function::End { return_to, .. },
    ] = functions.as_slice()
    else {
        panic!("{functions:?}")
    };
    assert_eq!(flow.state.len(), 22);
    assert_eq!(
        flow.redirect_uri,
        "https://gateway.example/.portcullis/login/jupyterhub/callback"
    );
    assert!(!flow.silent && memo.is_none() && parameters.is_empty() && keep.is_none());
    assert_eq!(
        return_to,
        "https://gateway.example/.portcullis/login/jupyterhub/signed-out"
    );
}

#[test]
fn every_key_has_its_effect() {
    let file = read(
        r#"
        [[logins]]
        name = "all of them"
        servers = [{ url = "https://id.example" }]
        [[logins.calls]]
        function = "begin"
        state = "s"
        redirect_uri = "https://a.example/b"
        silent = true
        expect = { location = "https://id.example/a", query = { prompt = "none", scope = ["a", "b"], nonce = [] } }
        [[logins.calls]]
        function = "finish"
        memo = "m"
        parameters = { code = "c", iss = "" }
        expect = { outcome = "ok", user = "alice", groups = ["g"], attributes = { a = "b" }, renew_after = "5m", keep = "k" }
        [[logins.calls]]
        function = "renew"
        keep = "k"
        expect = { outcome = "unauthenticated", why = "gone", calls = ["GET https://id.example/me"] }
        [[logins.calls]]
        function = "end"
        keep = "k"
        return_to = "https://a.example/out"
        expect = { location = "" }
        [[logins.calls]]
        function = "notice"
        parameters = { logout_token = "t" }
        expect = { handles = ["sid:1"] }
        "#,
    )
    .unwrap();
    let case = &file.logins[0];
    assert_eq!(
        (case.name.as_str(), case.servers.len(), case.calls.len()),
        ("all of them", 1, 5)
    );
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    match &case.calls[0].function {
        Function::Begin(flow) => assert_eq!(
            (flow.state.as_str(), flow.redirect_uri.as_str(), flow.silent),
            ("s", "https://a.example/b", true)
        ),
        other => panic!("{other:?}"),
    }
    match &case.calls[1].function {
        Function::Finish { memo, parameters } => {
            assert_eq!(memo.as_deref(), Some(&b"m"[..]));
            assert_eq!(parameters, &[pair("code", "c"), pair("iss", "")]);
        }
        other => panic!("{other:?}"),
    }
    let expect = Vec::from_iter(case.calls.iter().map(|call| &call.expect));
    assert_eq!(expect[0].location.as_deref(), Some("https://id.example/a"));
    let texts = |texts: &[&str]| Vec::from_iter(texts.iter().map(|text| (*text).to_owned()));
    let query = [
        ("prompt", texts(&["none"])),
        ("scope", texts(&["a", "b"])),
        ("nonce", texts(&[])),
    ];
    assert_eq!(expect[0].query, query.map(|(name, values)| (name.to_owned(), values)));
    assert_eq!(
        (expect[1].outcome, expect[1].user.user.as_deref()),
        (Some("ok"), Some("alice"))
    );
    assert_eq!(
        (expect[1].renew_after, expect[1].keep.as_deref()),
        (Some(Duration::from_secs(300)), Some("k"))
    );
    assert_eq!(
        (expect[2].outcome, expect[2].why.as_deref()),
        (Some("unauthenticated"), Some("gone"))
    );
    assert_eq!(expect[2].user.calls.as_ref().map(Vec::len), Some(1));
    assert_eq!(expect[3].location.as_deref(), Some(""));
    assert_eq!(expect[4].handles, Some(texts(&["sid:1"])));
}

#[test]
fn a_mistake_is_reported_with_its_place() {
    let one = |call: &str| calls(call).err().unwrap_or_default();
    for (call, expected) in [
        ("", "cases.toml:3: logins[0].calls: 0 calls, and 1 to 100 are accepted"),
        ("{}", "logins[0].calls[0]: the key \"function\" is missing"),
        (
            "{ function = 'begn' }",
            "calls[0].function: unknown function; did you mean \"begin\"?",
        ),
        ("{ function = 'begin', code = 'c' }", "calls[0].code: unknown key"),
        ("{ function = 'finish', keep = 'k' }", "calls[0].keep: unknown key"),
        (
            "{ function = 'begin', silent = 1 }",
            "calls[0].silent: expected true or false, found an integer",
        ),
        (
            "{ function = 'finish', parameters = { code = 1 } }",
            "parameters.code: expected a string, found an integer",
        ),
        (
            "{ function = 'finish', parameters = { state = 's' } }",
            "parameters.state: isn't passed on: the gateway has checked it",
        ),
        (
            "{ function = 'renew', expect = { outcome = 'reject' } }",
            "expect.outcome: unknown outcome; expected one of ok, not_mine, unauthenticated",
        ),
        (
            "{ function = 'renew', expect = { status = 200 } }",
            "expect.status: unknown key",
        ),
        (
            "{ function = 'renew', expect = { renew_after = '0s' } }",
            "expect.renew_after: must be 1s to",
        ),
        (
            "{ function = 'begin', expect = { query = { a = 1 } } }",
            "expect.query.a: expected a string, found an integer",
        ),
    ] {
        let found = one(call);
        assert!(found.contains(expected), "{call}\nexpected {expected}\nfound {found}");
    }
    let many = Vec::from_iter((0..65).map(|number| format!("p{number} = ''"))).join(", ");
    let found = one(&format!("{{ function = 'notice', parameters = {{ {many} }} }}"));
    assert!(
        found.contains("65 parameters, and a gateway passes on at most 64"),
        "{found}"
    );
    let named = "name = 'a'\ncalls = [{ function = 'begin' }]\n";
    let twice = read(&format!(
        "[[cases]]\nname = 'a'\nexpect.status = 200\n[[logins]]\n{named}"
    ));
    let found = twice.unwrap_err();
    assert!(
        found.contains("\"a\" is also the name of the case at cases.toml:2: cases[0].name"),
        "{found}"
    );
}
