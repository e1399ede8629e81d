//! What holds for every login. Whatever a browser brings back, and whatever anybody calls a notice, leads to an answer within the
//! contract and lets nobody in. What goes to the browser stays within the bounds and the grants.

use std::error::Error;
use std::time::Instant;

use portcullis::Component;
use portcullis::Flow;
use portcullis::GrantKey;
use portcullis::Login;
use portcullis_loader::AskedPlugin;
use portcullis_loader::cases::Function;
use portcullis_loader::cases::LoginAnswer;
use portcullis_loader::cases::LoginExpectation;
use portcullis_loader::cases::Session;
use portcullis_loader::cases::flow;
use portcullis_loader::cases::signed_out;

use crate::config::CasesFile;

use super::checks::Check;
use super::checks::MAX_FAILURES;
use super::checks::build;
use super::checks::repeated;
use super::input;

/// A call, and what is odd about it.
#[derive(Clone, Debug)]
struct OddCall {
    what: String,
    function: Function,
}

/// The checks. None if the plugin is no login. No server is granted. A browser may be sent where the file says, and where the manifest
/// and the settings say that the plugin will send it.
pub(super) async fn checks(component: &Component, file: &CasesFile) -> Result<Vec<Check>, Box<dyn Error>> {
    let mut config = file.plugin.clone();
    let asking = build(component, &config).await?;
    let named = asking
        .asked_grants()
        .iter()
        .filter(|asked| asked.key == GrantKey::Login);
    config
        .grants
        .login
        .extend(named.filter_map(|asked| asked.name.parse().ok()));
    asking.retire();
    let authenticator = build(component, &config).await?;
    let Some(login) = authenticator.login() else {
        return Ok(Vec::new());
    };
    let odd = odd_calls(&login).await;
    let (answers, answered) = answered(&login, &odd).await;
    authenticator.retire();
    let has_failed = !answered.failures.is_empty();
    let mut checks = vec![answered];
    if !has_failed {
        let again = build(component, &config).await?;
        checks.push(
            same(
                "the same call of the login gets the same answer",
                &again,
                &odd,
                &answers,
            )
            .await,
        );
        let name = "a copy of a configured instance answers the calls of the login in the same way";
        let copying = build(component, &config).await?;
        let made = copying.clone();
        checks.push(
            match tokio::task::spawn_blocking(move || made.copy_configured()).await? {
                Ok(_) => same(name, &copying, &odd, &answers).await,
                Err(why) => Check {
                    name: name.to_owned(),
                    note: Some(format!("there is none, so each call configures the plugin: {why}")),
                    ..Check::default()
                },
            },
        );
    }
    Ok(checks)
}

/// Every call is answered within the contract, and none lets anybody in or ends a session.
async fn answered(login: &Login, odd: &[OddCall]) -> (Vec<LoginAnswer>, Check) {
    let start = Instant::now();
    let (mut answers, mut failures) = (Vec::new(), Vec::new());
    for call in odd {
        let answer = ask(login, call).await;
        if let Some(why) = wrong(&answer) {
            failures.push(format!("{}: {why}", call.what));
        }
        answers.push(answer);
        if failures.len() >= MAX_FAILURES {
            break;
        }
    }
    let check = Check {
        name: format!(
            "{} calls of the login are answered and let nobody in: empty, malformed and huge ones",
            answers.len()
        ),
        failures,
        note: None,
        elapsed: start.elapsed(),
    };
    (answers, check)
}

async fn ask(login: &Login, call: &OddCall) -> LoginAnswer {
    Session::new(login.name())
        .call(login, &input::plain(), &call.function)
        .await
}

/// What is wrong with an answer to a call that no provider has caused.
fn wrong(answer: &LoginAnswer) -> Option<String> {
    if is_failure(answer) {
        return Some(answer.sentence.clone());
    }
    match (answer.function, answer.outcome) {
        ("finish", LoginExpectation::OK) => Some(format!(
            "it lets somebody in whom no provider knows: {}",
            answer.sentence
        )),
        ("notice", LoginExpectation::OK) if !answer.handles.is_empty() => {
            Some(format!("it takes anybody's word for a notice: {}", answer.sentence))
        }
        _ => None,
    }
}

/// Whether the plugin failed, or broke a rule of the contract.
pub(super) fn is_failure(answer: &LoginAnswer) -> bool {
    matches!(answer.outcome, "fail" | "turned_away")
}

/// Another instance gives the same answers. Where it sends a browser, random numbers differ.
async fn same(name: &str, plugin: &AskedPlugin, odd: &[OddCall], answers: &[LoginAnswer]) -> Check {
    let shown = |answer: &LoginAnswer| {
        let place = answer.location.as_deref().unwrap_or_default();
        let place = place.split('?').next().unwrap_or_default().to_owned();
        let user = answer.user.as_ref().map(|user| user.name().to_owned());
        format!("{} {place:?} {user:?} {:?}", answer.outcome, answer.handles)
    };
    let (login, shown) = (&plugin.login(), &shown);
    let asked = odd.iter().zip(answers).map(|(call, before)| async move {
        let [one, other] = [shown(before), shown(&ask(login.as_ref()?, call).await)];
        (one != other).then(|| format!("{}: first {one}, then {other}", call.what))
    });
    repeated(name, plugin, asked).await
}

/// All odd calls.
async fn odd_calls(login: &Login) -> Vec<OddCall> {
    let mut calls = Vec::new();
    let mut add = |what: String, function: Function| calls.push(OddCall { what, function });
    for (what, flow) in flows(login.name()) {
        add(format!("begin with {what}"), Function::Begin(flow));
    }
    let mut begun = Session::new(login.name());
    begun
        .call(login, &input::plain(), &Function::Begin(flow(login.name())))
        .await;
    let parameters = parameters();
    for (what, parameters) in &parameters {
        let (memo, parameters) = (Some(begun.memo.clone()), parameters.clone());
        add(format!("finish with {what}"), Function::Finish { memo, parameters });
    }
    let code = vec![("code".to_owned(), "conformance".to_owned())];
    for (what, memo) in memos(&begun.memo) {
        let (memo, parameters) = (Some(memo), code.clone());
        add(format!("finish with {what}"), Function::Finish { memo, parameters });
    }
    for (what, keep) in keeps() {
        add(
            format!("renew with {what}"),
            Function::Renew {
                keep: Some(keep.clone()),
            },
        );
        let return_to = signed_out(login.name());
        let keep = Some(keep);
        add(format!("end with {what}"), Function::End { keep, return_to });
    }
    let (keep, return_to) = (None, signed_out(login.name()));
    add("end of nothing kept".to_owned(), Function::End { keep, return_to });
    for (what, parameters) in parameters {
        add(format!("notice with {what}"), Function::Notice { parameters });
    }
    calls
}

/// The gateway makes the state and checks the origin, so that these differ in length only.
fn flows(login: &str) -> Vec<(&'static str, Flow)> {
    let usual = || flow(login);
    let silent = Flow {
        silent: true,
        ..usual()
    };
    let long = Flow {
        redirect_uri: format!("https://{}.example/.portcullis/login/{login}/callback", "a".repeat(200)),
        ..usual()
    };
    vec![
        ("a usual flow", usual()),
        ("a silent flow", silent),
        ("a long address", long),
    ]
}

/// The parameters of a callback or a notice: what a gateway passes on, and a name that is there twice, which it doesn't.
fn parameters() -> Vec<(String, Vec<(String, String)>)> {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let huge = 60 << 10;
    let values = [
        ("empty", String::new()),
        ("a space", " ".to_owned()),
        ("control characters", "\0\u{1}\r\nSet-Cookie: a=b\u{7f}".to_owned()),
        ("UTF-8", "ü€😀\u{202e}".to_owned()),
        ("malformed percent-encoding", "%%%2%zz%00%ff".to_owned()),
        ("HTML", "<script>alert(1)</script>\"'&".to_owned()),
        ("60 KiB", "a".repeat(huge)),
        ("60 KiB of brackets", "[".repeat(huge)),
        ("a token without a signature", "e30.e30.".to_owned()),
        ("a token of arrays", "W10.W10.W10".to_owned()),
        (
            "a token whose header is deep JSON",
            format!("{}.e30.e30", "W1tb".repeat(4 << 10)),
        ),
    ];
    let mut all = vec![("nothing".to_owned(), Vec::new())];
    for name in ["code", "error", "iss", "logout_token"] {
        for (what, value) in &values {
            all.push((format!("{name}: {what}"), vec![pair(name, value)]));
        }
    }
    let many = (0..64).map(|number| (format!("p{number}"), "a".repeat(1000)));
    all.extend([
        (
            "a code and an error".to_owned(),
            vec![pair("code", "a"), pair("error", "access_denied")],
        ),
        (
            "the error login_required".to_owned(),
            vec![pair("error", "login_required")],
        ),
        (
            "an error with a description".to_owned(),
            vec![pair("error", "server_error"), pair("error_description", "<b>\r\n")],
        ),
        ("a code twice".to_owned(), vec![pair("code", "a"), pair("code", "b")]),
        ("an empty name".to_owned(), vec![pair("", "a")]),
        (
            "a name of 60 KiB".to_owned(),
            vec![(("a").repeat(huge), "b".to_owned())],
        ),
        ("64 parameters".to_owned(), many.collect()),
    ]);
    all
}

/// What `finish` may get as a memo if an older version of the plugin has begun the flow. `begun` is one of this version.
fn memos(begun: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("an empty memo", Vec::new()),
        ("half a memo", begun.get(..begun.len() / 2).unwrap_or_default().to_vec()),
        ("a memo and more", [begun.get(..511).unwrap_or(begun), b"a"].concat()),
        ("a memo that isn't UTF-8", vec![0xff; 64]),
        ("a memo of zeros", vec![0; 512]),
        ("a memo of 512 letters", vec![b'a'; 512]),
    ]
}

/// What `renew` and `end` may get if an older version of the plugin has started the session.
fn keeps() -> Vec<(&'static str, Vec<u8>)> {
    let most = 2 << 10;
    vec![
        ("nothing in what is kept", Vec::new()),
        ("something kept that isn't UTF-8", vec![0xff; 64]),
        ("zeros kept", vec![0; most]),
        ("2 KiB kept", vec![b'a'; most]),
        ("control characters kept", b"\r\nSet-Cookie: a=b".to_vec()),
        ("deep JSON kept", vec![b'['; most]),
        ("an empty object kept", b"{}".to_vec()),
        ("null kept", b"null".to_vec()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_would_pass_all_of_it_on() {
        let mut names = Vec::new();
        for (what, parameters) in parameters() {
            let bytes: usize = parameters.iter().map(|(name, value)| name.len() + value.len()).sum();
            assert!(parameters.len() <= 64 && bytes <= 64 << 10, "{what}");
            names.push(what);
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(memos(&[0; 512]).iter().all(|(_, memo)| memo.len() <= 512));
        assert!(keeps().iter().all(|(_, keep)| keep.len() <= 2 << 10));
    }
}
