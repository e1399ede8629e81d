//! Checks the answers of a login before they are used. An answer out of bounds is never repaired: it is a failure of the plugin.

use std::time::Duration;

use super::Arrival;
use super::Departure;
use super::Handle;
use super::LoginError;
use crate::contract::exports::portcullis::auth::login;
use crate::contract::portcullis::auth::types::Refusal;
use crate::grants::Grants;
use crate::plugin::ConfiguredPlugin;
use crate::sandbox::PluginError;
use crate::sandbox::bounded;

/// The longest memo, in bytes. Three flows of a browser are in the `Cookie` field of one request.
const MAX_MEMO: usize = 512;

/// The most bytes that a session keeps for its plugin. A cookie has at most 4 KiB, with the user in it.
const MAX_KEEP: usize = 2 << 10;

/// The most handles of a session.
const MAX_HANDLES: usize = 4;

/// The most handles of a notice.
const MAX_NOTICED: usize = 16;

/// The longest URL that a browser is sent to, in bytes.
const MAX_LOCATION: usize = 8 << 10;

/// What a refusal is, or how it breaks the rules.
type Checked<T> = Result<Result<T, LoginError>, PluginError>;

pub(super) fn departure(grants: &Grants, answer: Result<login::Departure, Refusal>) -> Checked<Departure> {
    let login::Departure { location, memo } = match answer {
        Ok(departure) => departure,
        Err(why) => return refused(why),
    };
    if memo.len() > MAX_MEMO {
        return Err(PluginError::output("a memo of more than 512 bytes"));
    }
    Ok(Ok(Departure {
        location: permitted(grants, location)?,
        memo,
    }))
}

pub(super) fn way_out(grants: &Grants, answer: Option<String>) -> Checked<Option<String>> {
    answer.map(|location| permitted(grants, location)).transpose().map(Ok)
}

pub(super) fn arrival(plugin: &ConfiguredPlugin, answer: Result<login::Arrival, Refusal>) -> Checked<Arrival> {
    let login::Arrival { grant, keep, handles } = match answer {
        Ok(arrival) => arrival,
        Err(why) => return refused(why),
    };
    let sets_cookie = |name: &str| name.eq_ignore_ascii_case("set-cookie");
    if grant.response_headers.iter().any(|(name, _)| sets_cookie(name)) {
        return Err(PluginError::output("a Set-Cookie header in an arrival"));
    }
    let Some(seconds) = grant.valid_for.filter(|seconds| *seconds > 0) else {
        return Err(PluginError::output(
            "an arrival without valid-for, which says when the session must be renewed",
        ));
    };
    if keep.as_ref().is_some_and(|keep| keep.len() > MAX_KEEP) {
        return Err(PluginError::output("more than 2 KiB to keep"));
    }
    let handles = checked_handles(handles, MAX_HANDLES)?;
    Ok(match plugin.authenticated(grant)? {
        Ok(authenticated) => Ok(Arrival {
            authenticated,
            renew_after: Duration::from_secs(seconds.into()),
            keep,
            handles,
        }),
        Err(why) => Err(LoginError::Forbidden(why)),
    })
}

pub(super) fn handles_of_notice(answer: Result<Vec<String>, Refusal>) -> Checked<Vec<Handle>> {
    match answer {
        Ok(handles) => checked_handles(handles, MAX_NOTICED).map(Ok),
        Err(why) => refused(why),
    }
}

fn checked_handles(handles: Vec<String>, most: usize) -> Result<Vec<Handle>, PluginError> {
    if handles.len() > most {
        return Err(PluginError::output(format!("more than {most} handles")));
    }
    let handles = handles.into_iter().map(Handle::new);
    let handles: Option<Vec<_>> = handles.collect();
    handles.ok_or_else(|| PluginError::output("a handle that is empty, or longer than 128 bytes"))
}

fn permitted(grants: &Grants, location: String) -> Result<String, PluginError> {
    if location.len() > MAX_LOCATION {
        return Err(PluginError::output("a URL of more than 8 KiB for the browser"));
    }
    if grants.login.iter().any(|grant| grant.permits(&location)) {
        return Ok(location);
    }
    // The query may have secrets of the flow.
    let shown = bounded(location.split(['?', '#']).next().unwrap_or_default());
    Err(PluginError::output(format!(
        "it sends the browser to {shown:?}, which grants.login doesn't cover"
    )))
}

fn refused<T>(refusal: Refusal) -> Checked<T> {
    Ok(Err(match refusal {
        Refusal::NotMine(_) => LoginError::NotMine,
        Refusal::Unauthenticated((why, _)) => LoginError::Unauthenticated(bounded(&why)),
        Refusal::Forbidden((why, _)) => LoginError::Forbidden(bounded(&why)),
        Refusal::Unavailable(why) => LoginError::Unavailable(bounded(&why)),
        Refusal::Respond(_) => {
            return Err(PluginError::output(
                "a response of its own, which a login may not write",
            ));
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::Component;
    use crate::contract::portcullis::auth::types;
    use crate::engine::Engine;

    /// What no plugin of the SDK answers.
    #[tokio::test]
    async fn an_arrival_sets_no_cookie_and_says_when_it_must_be_renewed() {
        let engine = Engine::builder().build().unwrap();
        let component = Component::new(&engine, portcullis_plugins::find("simple").unwrap()).unwrap();
        let plugin = crate::plugin::PluginConfig::new("simple", crate::role::Role::Authenticator, &component)
            .configure()
            .await
            .unwrap();
        let keeping = |valid_for: Option<u32>, header: &str, keep: Option<Vec<u8>>| {
            let grant = types::Grant {
                user: types::User {
                    name: "alice".to_owned(),
                    groups: Vec::new(),
                    admin: false,
                    attributes: Vec::new(),
                },
                valid_for,
                response_headers: vec![(header.to_owned(), b"a=b".to_vec())],
            };
            let handles = Vec::new();
            arrival(&plugin, Ok(login::Arrival { grant, keep, handles }))
        };
        let answer = |valid_for: Option<u32>, header: &str| keeping(valid_for, header, None);
        assert!(keeping(Some(1), "x-a", Some(vec![0; 2048])).unwrap().is_ok());
        let error = keeping(Some(1), "x-a", Some(vec![0; 2049])).unwrap_err();
        assert!(error.to_string().contains("more than 2 KiB to keep"), "{error}");
        assert!(answer(Some(1), "x-a").unwrap().is_ok());
        for (valid_for, header, expected) in [
            (None, "x-a", "without valid-for"),
            (Some(0), "x-a", "without valid-for"),
            (Some(1), "set-cookie", "a Set-Cookie header in an arrival"),
            (Some(1), "Set-Cookie", "a Set-Cookie header in an arrival"),
            (Some(1), "connection", "which plugins may not set"),
        ] {
            let error = answer(valid_for, header).unwrap_err().to_string();
            assert!(error.contains(expected), "{valid_for:?} {header}: {error}");
        }
    }
}
