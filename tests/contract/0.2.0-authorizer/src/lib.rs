//! An authorizer by the bindings of the contract's text alone. It permits a request if it is told all that the text says, and
//! otherwise says what it isn't told.

wit_bindgen::generate!({ path: "wit", world: "authorizer-plugin", generate_all });

use exports::portcullis::auth::authorizer;
use exports::portcullis::auth::authorizer::Denial;
use exports::portcullis::auth::authorizer::Permit;
use exports::portcullis::auth::authorizer::Principal;
use exports::portcullis::auth::plugin;
use portcullis::auth::types::Challenge;
use portcullis::auth::types::Request;
use portcullis::auth::types::Response;
use wasi::clocks::wall_clock;
use wasi::logging::logging;

struct Contract;

impl plugin::Guest for Contract {
    fn settings_schema() -> String {
        r#"{"type": "object", "properties": {"word": {"type": "string"}}, "additionalProperties": false}"#.to_owned()
    }

    fn configure(settings: String) -> Result<(), String> {
        if settings.contains("refused") {
            Err("word: it is refused".to_owned())
        } else {
            Ok(())
        }
    }
}

impl authorizer::Guest for Contract {
    fn authorize(request: &Request, principal: Option<Principal>) -> Result<Permit, Denial> {
        let Some(principal) = principal else {
            return Err(Denial::Forbidden(("there is no principal".to_owned(), None)));
        };
        match request.header("x-word").as_slice() {
            [] => all(request, &principal).map_err(|what| Denial::Unavailable(what.to_owned())),
            [word] if word == b"hidden" => Err(Denial::Hidden("not this word".to_owned())),
            [word] if word == b"respond" => Err(Denial::Respond(Response {
                status: 418,
                headers: Vec::new(),
                body: b"a teapot".to_vec(),
            })),
            _ => Err(Denial::Forbidden(("no such word".to_owned(), Some(challenge())))),
        }
    }
}

fn challenge() -> Challenge {
    Challenge {
        scheme: "Word".to_owned(),
        parameters: vec![("realm".to_owned(), "contract".to_owned())],
    }
}

fn all(request: &Request, principal: &Principal) -> Result<Permit, &'static str> {
    let must = |holds: bool, what| if holds { Ok(()) } else { Err(what) };
    must(request.method() == "GET", "method")?;
    must(request.path() == "/a", "path")?;
    must(request.route().is_none(), "route")?;
    must(principal.authenticator == "hub", "authenticator")?;
    let user = &principal.user;
    must(user.name == "alice", "name")?;
    must(user.groups == ["group"], "groups")?;
    must(user.admin, "admin")?;
    must(user.attributes == [("a".to_owned(), "b".to_owned())], "attributes")?;
    logging::log(logging::Level::Info, "contract", "it is told all");
    must(wall_clock::now().seconds > 0, "wall-clock")?;
    Ok(Permit {
        valid_for: Some(1),
        attributes: vec![("role".to_owned(), "owner".to_owned())],
    })
}

export!(Contract);
