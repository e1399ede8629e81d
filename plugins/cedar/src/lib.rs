//! The built-in authorizer `cedar`. It permits what policies in Cedar permit, and nothing else. The README of this crate lists the
//! settings.
//!
//! `policies` parses and validates what the operator wrote, against the schema of `schema`. `facts` makes questions of requests, and
//! `index` finds the policies that a question is about and evaluates them.

mod captures;
mod facts;
mod index;
mod members;
mod mentions;
mod methods;
mod mistakes;
mod place;
mod policies;
mod schema;
mod settings;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use cedar_policy::Effect;
use cedar_policy::PolicyId;
use portcullis_sdk::Authorizer;
use portcullis_sdk::Denial;
use portcullis_sdk::Permit;
use portcullis_sdk::Principal;
use portcullis_sdk::Request;
use portcullis_sdk::Response;
use portcullis_sdk::SettingsError;
use portcullis_sdk::log;

use captures::Captures;
use facts::Facts;
use facts::Unasked;
use index::Index;
use index::Verdict;
use members::Members;
use mentions::Mentions;
use mistakes::Mistakes;
use policies::Policies;
use schema::Additions;
use schema::OF_USER;

pub use settings::AttributeType;
pub use settings::Settings;
pub use settings::Texts;

/// How long a decision may be reused that depends on nothing but the request and the user. The gateway's limit is far less.
const REUSE: Duration = Duration::from_secs(3600);

/// The same for one that depends on the time: it may change that much too late.
const REUSE_IN_TIME: Duration = Duration::from_secs(1);

/// The most attributes of a permit.
const MAX_ATTRIBUTES: usize = 16;

/// Permits what policies permit.
#[derive(Debug)]
pub struct Cedar {
    facts: Facts,
    index: Index,
    /// What the policies tell clients. `None` if they may tell nothing.
    messages: Option<BTreeMap<PolicyId, String>>,
    anonymous: bool,
    hidden: bool,
}

impl Authorizer for Cedar {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, SettingsError> {
        if let Some(name) = settings.attributes.keys().find(|name| OF_USER.contains(&name.as_str())) {
            return Err(format!("attributes: users have an attribute {name:?} in any case").into());
        }
        if let Some(name) = settings.attributes.keys().find(|name| !is_name(name)) {
            return Err(
                format!("attributes: {name:?} has more than 256 bytes or a control character, or is empty").into(),
            );
        }
        let captures = Captures::parse(&settings.captures)?;
        let mut mistakes = Mistakes::default();
        let policies = Policies::parse(settings.policies.named("policies"), &mut mistakes);
        let additions = Additions {
            attributes: &settings.attributes,
            captures: captures.set(),
            anonymous: settings.anonymous,
        };
        policies.validate(schema::of_policies(additions, &policies.methods())?, &mut mistakes);
        let members = match &settings.entities {
            Some(json) => Members::read(json, &schema::of_entities(&settings.attributes)?, &mut mistakes),
            None => Members::default(),
        };
        let mut mentions = Mentions::default();
        for policy in policies.iter() {
            mentions.add(policy);
            for entity in std::mem::take(&mut mentions.of_literals) {
                let message = format!(
                    "policy {:?}: the attributes of {entity} aren't known, only those of the principal and the resource",
                    AsRef::<str>::as_ref(policy.id())
                );
                policies.note_message(policy.id(), &message, &mut mistakes);
            }
        }
        mistakes.into_result()?;
        let mut facts = Facts::new(mentions, members, settings.attributes, captures)?;
        let mut index = Index::default();
        let mut messages = settings.messages.then(BTreeMap::new);
        for policy in policies.iter() {
            facts.note_literals(policy);
            if let (Some(messages), Some(message)) = (&mut messages, policy.annotation("message")) {
                messages.insert(policy.id().clone(), message.to_owned());
            }
            index
                .add(policy.clone())
                .map_err(|error| SettingsError::from(format!("policies: {error}")))?;
        }
        Ok(Self {
            facts,
            index,
            messages,
            anonymous: settings.anonymous,
            hidden: settings.hidden,
        })
    }

    fn authorize(&self, request: &Request, principal: &Principal) -> Result<Permit, Denial> {
        self.decide(request, Some(principal))
    }

    fn authorize_anonymous(&self, request: &Request) -> Result<Permit, Denial> {
        match self.anonymous {
            true => self.decide(request, None),
            false => Err(Denial::forbidden("nobody is logged in (settings: anonymous)", None)),
        }
    }
}

portcullis_sdk::export!(Cedar, authorizer);

impl Cedar {
    fn decide(&self, request: &Request, principal: Option<&Principal>) -> Result<Permit, Denial> {
        let questions = self.facts.questions(request, principal).map_err(|why| match why {
            Unasked::Refused(why) => self.deny(why, None, principal.is_some()),
            Unasked::Failed(why) => Denial::unavailable(why),
        })?;
        let mut permits = BTreeSet::new();
        for question in questions {
            let verdict = self.index.ask(
                &question.request,
                &question.entities,
                &question.principals,
                &question.resources,
            );
            permits.extend(self.judge(verdict, principal.is_some())?);
        }
        let permit = Permit::new().valid_for(match self.facts.depend_on_time() {
            true => REUSE_IN_TIME,
            false => REUSE,
        });
        let names = permits.iter().take(MAX_ATTRIBUTES).map(AsRef::<str>::as_ref);
        Ok(names.fold(permit, |permit, name| permit.with_attribute("policy", name)))
    }

    /// The policies that permit it.
    fn judge(&self, verdict: Verdict, is_known: bool) -> Result<BTreeSet<PolicyId>, Denial> {
        if !verdict.forbids.is_empty() {
            let names = names(verdict.forbids.iter());
            let reason = match verdict.forbids.len() {
                1 => format!("the policy {names} forbids it"),
                _ => format!("the policies {names} forbid it"),
            };
            let messages = self.messages.as_ref();
            let message = messages.and_then(|messages| verdict.forbids.iter().find_map(|name| messages.get(name)));
            return Err(self.deny(reason, message, is_known));
        }
        let failed = |effect| verdict.failed.iter().filter(move |(_, (failed, _))| *failed == effect);
        // Cedar skips it, and might then permit what it forbids.
        if let Some((name, (_, why))) = failed(Effect::Forbid).next() {
            return Err(Denial::unavailable(format!(
                "the policy {} can't be evaluated: {why}",
                quoted(name)
            )));
        }
        if verdict.permits.is_empty() {
            let skipped = failed(Effect::Permit).next();
            let skipped = skipped.map(|(name, (_, why))| format!("; {} can't be evaluated: {why}", quoted(name)));
            let reason = format!("no policy permits it{}", skipped.unwrap_or_default());
            return Err(self.deny(reason, None, is_known));
        }
        Ok(verdict.permits)
    }

    fn deny(&self, reason: String, message: Option<&String>, is_known: bool) -> Denial {
        match (message, self.hidden) {
            // Who isn't logged in is told to log in.
            _ if !is_known => Denial::forbidden(reason, None),
            (Some(message), hidden) => {
                log::info(&reason);
                let response = Response::new(if hidden { 404 } else { 403 });
                let response = response.with_header("content-type", "text/plain; charset=utf-8");
                Denial::respond(response.with_body(message.as_bytes()))
            }
            (None, true) => Denial::hidden(reason),
            (None, false) => Denial::forbidden(reason, None),
        }
    }
}

fn is_name(name: &str) -> bool {
    (1..=256).contains(&name.len()) && !name.contains(char::is_control)
}

/// The most policies that a sentence names.
const MAX_NAMED: usize = 5;

fn names<'a>(policies: impl ExactSizeIterator<Item = &'a PolicyId>) -> String {
    let more = policies.len().saturating_sub(MAX_NAMED);
    let named = Vec::from_iter(policies.take(MAX_NAMED).map(quoted));
    match more {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

fn quoted(policy: &PolicyId) -> String {
    format!("{:?}", AsRef::<str>::as_ref(policy))
}
