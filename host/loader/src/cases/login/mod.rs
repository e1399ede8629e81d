//! `[[logins]]`: calls of a login, one after the other, with what is expected of each. What one call returns, the next one gets,
//! as in a gateway: the memo of `begin`, and what a session keeps.

mod ask;
mod expectation;

use std::collections::HashMap;

use portcullis::Flow;

use super::MAX_CASES;
use super::name;
use super::servers;
use super::servers::PlayedServer;
use crate::config::error::Location;
use crate::config::error::unknown;
use crate::config::reader::Item;
use crate::config::reader::Table;

pub use ask::LoginAnswer;
pub use ask::LoginOutcome;
pub use ask::Session;
pub use ask::ask_login;
pub use expectation::LoginExpectation;

/// The maximum number of calls of a case.
const MAX_CALLS: usize = 100;

/// The most parameters of a call. A gateway passes on no more.
const MAX_PARAMETERS: usize = 64;

/// The `state` of a flow that names none. It looks as those of a gateway do.
const STATE: &str = "0123456789abcdefghijkl";

/// Calls of a login, and what is expected of each.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoginCase {
    /// A name without control characters, which no other case has.
    pub name: String,
    /// The calls, in order: at least one.
    pub calls: Vec<LoginCall>,
    /// The servers that are played in this case. Their responses come before those of the whole file.
    pub servers: Vec<PlayedServer>,
}

/// A call, and what is expected of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoginCall {
    /// The function with its arguments.
    pub function: Function,
    /// What is expected.
    pub expect: LoginExpectation,
}

/// A function of a login with its arguments. `None` stands for what an earlier call of the case has returned.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a login has no other functions")]
pub enum Function {
    /// Where does the browser go?
    Begin(Flow),
    /// It comes back, in the flow that was begun last.
    Finish {
        /// What `begin` returned.
        memo: Option<Vec<u8>>,
        /// The parameters of the callback, without `state`.
        parameters: Vec<(String, String)>,
    },
    /// Does the session still hold?
    Renew {
        /// What the session keeps.
        keep: Option<Vec<u8>>,
    },
    /// Where does the provider sign the user out?
    End {
        /// What the session keeps.
        keep: Option<Vec<u8>>,
        /// Where the browser should come back to.
        return_to: String,
    },
    /// The provider says that sessions are over.
    Notice {
        /// The parameters of its form.
        parameters: Vec<(String, String)>,
    },
}

impl Function {
    const NAMES: [&'static str; 5] = ["begin", "finish", "renew", "end", "notice"];

    /// The name of the function.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Begin(_) => "begin",
            Self::Finish { .. } => "finish",
            Self::Renew { .. } => "renew",
            Self::End { .. } => "end",
            Self::Notice { .. } => "notice",
        }
    }
}

/// A flow as that of a gateway, for the login of this name.
pub fn flow(login: &str) -> Flow {
    Flow {
        state: STATE.to_owned(),
        redirect_uri: page(login, "callback"),
        silent: false,
    }
}

/// Where a browser lands after a logout, as at a gateway.
pub fn signed_out(login: &str) -> String {
    page(login, "signed-out")
}

fn page(login: &str, page: &str) -> String {
    format!("https://gateway.example/.portcullis/login/{login}/{page}")
}

/// Reads a list of cases for the login of this name. `names` are the names of all other cases, with their places.
pub(super) fn read(item: Item<'_>, login: &str, names: &mut HashMap<String, Location>) -> Vec<LoginCase> {
    let place = item.place.clone();
    let items = item.list();
    if items.len() > MAX_CASES {
        place.report(format!("{} cases, and at most {MAX_CASES} are accepted", items.len()));
    }
    let items = items.into_iter().take(MAX_CASES);
    items
        .filter_map(|item| read_case(item.table()?, login, names))
        .collect()
}

fn read_case(mut table: Table<'_>, login: &str, names: &mut HashMap<String, Location>) -> Option<LoginCase> {
    let name = name(&mut table, names);
    let calls = table.require("calls").map(|item| {
        let place = item.place.clone();
        let items = item.list();
        if items.is_empty() || items.len() > MAX_CALLS {
            place.report(format!("{} calls, and 1 to {MAX_CALLS} are accepted", items.len()));
        }
        let items = items.into_iter().take(MAX_CALLS);
        items.filter_map(|item| read_call(item.table()?, login)).collect()
    });
    let servers = table.take("servers").map(servers::read);
    table.finish();
    Some(LoginCase {
        name: name?,
        calls: calls?,
        servers: servers.unwrap_or_default(),
    })
}

fn read_call(mut table: Table<'_>, login: &str) -> Option<LoginCall> {
    let function = table.require("function").and_then(|item| {
        let place = item.place.clone();
        let text = item.text()?;
        let known = Function::NAMES.into_iter().find(|name| *name == text);
        if known.is_none() {
            place.report(unknown("function", &text, Function::NAMES));
        }
        known
    });
    let function = function.and_then(|name| arguments(name, &mut table, login));
    let expect = match table.take("expect") {
        Some(item) => expectation::read(item),
        None => Some(LoginExpectation::default()),
    };
    // Without its function, nobody knows which keys it has.
    if function.is_some() {
        table.finish();
    }
    Some(LoginCall {
        function: function?,
        expect: expect?,
    })
}

fn arguments(name: &str, table: &mut Table<'_>, login: &str) -> Option<Function> {
    let mut text = |key| table.take(key).and_then(Item::text);
    Some(match name {
        "begin" => {
            let usual = flow(login);
            Function::Begin(Flow {
                state: text("state").unwrap_or(usual.state),
                redirect_uri: text("redirect_uri").unwrap_or(usual.redirect_uri),
                silent: table.take("silent").and_then(Item::boolean) == Some(true),
            })
        }
        "finish" => Function::Finish {
            memo: text("memo").map(String::into_bytes),
            parameters: parameters(table.take("parameters"))?,
        },
        "renew" => Function::Renew {
            keep: text("keep").map(String::into_bytes),
        },
        "end" => Function::End {
            keep: text("keep").map(String::into_bytes),
            return_to: text("return_to").unwrap_or_else(|| signed_out(login)),
        },
        _ => Function::Notice {
            parameters: parameters(table.take("parameters"))?,
        },
    })
}

/// Reads a table of parameters. Each is there once, as a gateway makes sure.
fn parameters(item: Option<Item<'_>>) -> Option<Vec<(String, String)>> {
    let Some(item) = item else {
        return Some(Vec::new());
    };
    let place = item.place.clone();
    let entries = Vec::from_iter(item.table()?.into_entries());
    if entries.len() > MAX_PARAMETERS {
        place.report(format!(
            "{} parameters, and a gateway passes on at most {MAX_PARAMETERS}",
            entries.len()
        ));
        return None;
    }
    let read = entries.into_iter().map(|(name, item)| {
        if name == "state" {
            item.place.report("isn't passed on: the gateway has checked it");
            return None;
        }
        item.text().map(|text| (name, text))
    });
    // All of them are read, so that each mistake is told.
    Vec::from_iter(read).into_iter().collect()
}

#[cfg(test)]
mod tests;
