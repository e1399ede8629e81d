//! An authorizer that answers as a header says, `X-Judge` unless its settings name another: with what the built-in ones never
//! send, and with what breaks the rules.
//!
//! `permit SECONDS NAME=VALUE…`, `members GROUP SECONDS`, `told`, `forbid WHY`, `challenge`, `hide`, `respond STATUS NAME=VALUE…`,
//! `unavailable`, `attributes COUNT BYTES`, `name BYTES`, `control`, `ask URL`, `panic`, `loop`.

use std::time::Duration;

use portcullis_sdk::Response;
use portcullis_sdk::http;
use portcullis_sdk::prelude::*;

/// Does what a header says.
pub struct Judge(Settings);

settings! {
    pub struct Settings {
        /// The header to obey.
        #[serde(default = "x_judge")]
        pub header: String,
        /// Whether it also obeys about requests without a user.
        #[serde(default)]
        pub anonymous: bool,
        /// Whether to panic before the first request.
        #[serde(default)]
        pub panic: bool,
    }
}

fn x_judge() -> String {
    "x-judge".to_owned()
}

impl Authorizer for Judge {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, SettingsError> {
        match settings.header.as_str() {
            "refused" => Err("header: it is refused".into()),
            _ => {
                assert!(!settings.panic, "requested by the test");
                Ok(Self(settings))
            }
        }
    }

    fn authorize(&self, request: &Request, principal: &Principal) -> Result<Permit, Denial> {
        self.obey(request, Some(principal))
    }

    fn authorize_anonymous(&self, request: &Request) -> Result<Permit, Denial> {
        match self.0.anonymous {
            true => self.obey(request, None),
            false => Err(Denial::forbidden("nobody is logged in", None)),
        }
    }
}

impl Judge {
    fn obey(&self, request: &Request, principal: Option<&Principal>) -> Result<Permit, Denial> {
        let values = request.header(&self.0.header);
        let script = values
            .first()
            .map(|value| String::from_utf8_lossy(value).into_owned())
            .unwrap_or_default();
        let words: Vec<&str> = script.split(' ').collect();
        match words.as_slice() {
            [""] => Ok(Permit::new()),
            ["permit", seconds, attributes @ ..] => Ok(pairs(attributes)
                .fold(for_seconds(seconds), |permit, (name, value)| {
                    permit.with_attribute(name, value)
                })),
            ["members", group, seconds] => match principal {
                Some(principal) if principal.user.is_in(group) => Ok(for_seconds(seconds)),
                _ => Err(Denial::forbidden(format!("not a member of {group}"), None)),
            },
            ["told"] => Ok(told(request, principal)),
            ["forbid", why @ ..] => Err(Denial::forbidden(why.join(" "), None)),
            ["challenge"] => Err(Denial::forbidden(
                "another scope is needed",
                Challenge::new("Bearer").with("error", "insufficient_scope"),
            )),
            ["hide"] => Err(Denial::hidden("requested by the test")),
            ["respond", status, headers @ ..] => {
                let page = Response::new(status.parse().unwrap_or(500)).with_body("a page of its own");
                Err(Denial::respond(
                    pairs(headers).fold(page, |page, (name, value)| page.with_header(name, value)),
                ))
            }
            ["unavailable"] => Err(Denial::unavailable("requested by the test")),
            ["attributes", count, bytes] => {
                let value = "v".repeat(number(bytes));
                Ok((0..number(count)).fold(Permit::new(), |permit, index| {
                    permit.with_attribute(format!("a{index}"), value.clone())
                }))
            }
            ["name", bytes] => Ok(Permit::new().with_attribute("n".repeat(number(bytes)), "")),
            ["control"] => Ok(Permit::new().with_attribute("role", "a\r\nX-Admin: 1")),
            // Whatever the server says, it permits.
            ["ask", url] => {
                let _ = http::get(*url).timeout(Duration::from_millis(100)).send();
                Ok(Permit::new())
            }
            ["panic"] => panic!("requested by the test"),
            ["loop"] => loop {
                std::hint::black_box(());
            },
            _ => Err(Denial::unavailable(format!("it doesn't know {script:?}"))),
        }
    }
}

/// What it is told, as attributes.
fn told(request: &Request, principal: Option<&Principal>) -> Permit {
    let permit = Permit::new().with_attribute("route", request.route().unwrap_or_default());
    let Some(Principal {
        user, authenticator, ..
    }) = principal
    else {
        return permit.with_attribute("user", "nobody");
    };
    permit
        .with_attribute("user", user.name.clone())
        .with_attribute("groups", user.groups.join(","))
        .with_attribute("admin", user.admin.to_string())
        .with_attribute("authenticator", authenticator.clone())
}

fn for_seconds(seconds: &str) -> Permit {
    Permit::new().valid_for(Duration::from_secs(seconds.parse().unwrap_or_default()))
}

fn number(text: &str) -> usize {
    text.parse().unwrap_or_default()
}

fn pairs<'w>(words: &'w [&str]) -> impl Iterator<Item = (&'w str, &'w str)> {
    words.iter().filter_map(|word| word.split_once('='))
}

portcullis_sdk::export!(Judge, authorizer, grants = { headers = ["*"] });
