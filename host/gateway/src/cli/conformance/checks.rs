//! The checks of a plugin. Each has a name that says what holds, and the failures say where it doesn't.

use std::collections::BTreeSet;
use std::error::Error;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use portcullis::Authenticator;
use portcullis::Authorizer;
use portcullis::Component;
use portcullis::ConfigureError;
use portcullis::GrantKey;
use portcullis::InRole;
use portcullis::KeepInstances;
use portcullis::Plugin;
use portcullis::PluginBuilder;
use portcullis::Role;
use portcullis::check_settings_schema;
use portcullis::decision::Attribute;
use portcullis_loader::AskedPlugin;
use portcullis_loader::cases;
use portcullis_loader::cases::Answer;

use crate::config::CasesFile;
use crate::config::ConfigErrors;
use crate::config::PluginConfig;
use crate::generation::build_alone;

use super::input;
use super::input::OddRequest;

/// The most failures of one check. A plugin that hangs would otherwise hang for every request.
pub(super) const MAX_FAILURES: usize = 5;

/// A check and its result.
#[derive(Debug, Default)]
pub(super) struct Check {
    /// What holds if it has passed.
    pub(super) name: String,
    /// Where it doesn't hold.
    pub(super) failures: Vec<String>,
    /// What couldn't be checked, and why.
    pub(super) note: Option<String>,
    /// How long the check took.
    pub(super) elapsed: Duration,
}

/// Runs all checks, in an order in which each can rely on those before it. Those that need an answer are left out if there is
/// none. `kept` is which instances the file wants kept: one check is about them, and all others have new ones.
pub(super) async fn all(
    component: &Component,
    file: &mut CasesFile,
    kept: Option<KeepInstances>,
) -> Result<Vec<Check>, Box<dyn Error>> {
    let mut checks = vec![schema(component, file).await, settings(component, file).await];
    checks.extend(self_test(component, file).await);
    let known = Vec::from_iter(file.cases.iter().map(|case| OddRequest {
        what: format!("case {:?}", case.name),
        request: Arc::clone(&case.request),
        user: case.user.clone(),
    }));
    let (odd, answers, answering) = requests(&build(component, &file.plugin).await?, &known).await;
    let answered = answering.failures.is_empty();
    checks.push(answering);
    if answered {
        let again = build(component, &file.plugin).await?;
        checks.push(same("the same request gets the same answer", &again, &odd, &answers).await);
        checks.push(copied(&build(component, &file.plugin).await?, &odd, &answers).await?);
        if kept.is_some() {
            file.plugin.instances = kept;
            let keeping = build(component, &file.plugin).await?;
            file.plugin.instances = None;
            checks.push(
                same(
                    "an instance that is kept gives the same answers",
                    &keeping,
                    &odd,
                    &answers,
                )
                .await,
            );
        }
    }
    checks.push(asked(&build(component, &file.plugin).await?, component, &answers));
    Ok(checks)
}

/// Builds the plugin. Its settings are known to be good.
pub(super) async fn build(component: &Component, config: &PluginConfig) -> Result<AskedPlugin, Box<dyn Error>> {
    let (built, _) = build_alone(config, component).await.map_err(ConfigErrors::new)?;
    Ok(built)
}

/// The schema of the settings can be read, and is the same each time.
async fn schema(component: &Component, file: &CasesFile) -> Check {
    let start = Instant::now();
    let memory = file.plugin.limits.memory;
    let mut failures = Vec::new();
    match (
        component.settings_schema(memory).await,
        component.settings_schema(memory).await,
    ) {
        (Ok(one), Ok(other)) => {
            failures.extend(check_settings_schema(&one).err().map(|error| error.to_string()));
            if one != other {
                failures.push("settings-schema returns another schema at the second call".to_owned());
            }
        }
        (Err(error), _) | (_, Err(error)) => failures.push(error.to_string()),
    }
    Check {
        name: "the schema of the settings can be checked".to_owned(),
        failures,
        note: None,
        elapsed: start.elapsed(),
    }
}

/// Configures the plugin with these settings.
async fn configured<R: InRole + Deref<Target = Plugin>>(
    config: &PluginConfig,
    component: &Component,
    settings: &serde_json::Value,
) -> Result<(), ConfigureError> {
    let builder = PluginBuilder::<R>::new(&config.name, component)
        .settings(settings.clone())
        .grants(config.grants.clone())
        .limits(config.limits);
    builder.build().await.map(|built| built.retire())
}

/// Settings that the schema allows are accepted or refused with a reason.
async fn settings(component: &Component, file: &CasesFile) -> Check {
    let start = Instant::now();
    let config = &file.plugin;
    let odd = input::settings(config.settings.value());
    let mut failures = Vec::new();
    for (what, settings) in &odd {
        let built = match config.role {
            Role::Authorizer => configured::<Authorizer>(config, component, settings).await,
            _ => configured::<Authenticator>(config, component, settings).await,
        };
        match built {
            Ok(()) => {}
            Err(ConfigureError::Settings(_)) => {}
            Err(ConfigureError::Rejected(why)) if !why.trim().is_empty() => {}
            Err(ConfigureError::Rejected(_)) => failures.push(format!("{what}: refused without a reason")),
            Err(error) => failures.push(format!("{what}: {error}")),
        }
        if failures.len() >= MAX_FAILURES {
            break;
        }
    }
    Check {
        name: format!("{} odd settings are accepted, or refused with a reason", odd.len()),
        failures,
        note: None,
        elapsed: start.elapsed(),
    }
}

/// The self-test in the manifest passes with the settings of the file. `None` if there is none.
async fn self_test(component: &Component, file: &CasesFile) -> Option<Check> {
    let start = Instant::now();
    component.manifest()?.self_test.as_ref()?;
    let tested = portcullis_loader::run_self_test(&file.plugin, component).await;
    Some(Check {
        name: "its self-test passes".to_owned(),
        failures: tested.err().into_iter().collect(),
        note: None,
        elapsed: start.elapsed(),
    })
}

/// Every request is answered within the contract. What is read of one shows where the next ones are odd.
async fn requests(plugin: &AskedPlugin, known: &[OddRequest]) -> (Vec<OddRequest>, Vec<Answer>, Check) {
    let start = Instant::now();
    let (mut odd, mut answers, mut failures) = (
        input::requests(plugin.role(), &[], known.to_vec()),
        Vec::new(),
        Vec::new(),
    );
    let mut read = Vec::new();
    while let Some(next) = odd.get(answers.len()) {
        let answer = ask(plugin, next).await;
        if is_failure(&answer) {
            failures.push(format!("{}: the plugin {}", next.what, answer.sentence));
        }
        let before = read.len();
        for (attribute, _) in &answer.reads {
            if !read.contains(attribute) {
                read.push(attribute.clone());
            }
        }
        answers.push(answer);
        if failures.len() >= MAX_FAILURES || odd.len() >= MAX_REQUESTS {
            break;
        }
        let more = input::requests(plugin.role(), read.get(before..).unwrap_or_default(), Vec::new());
        // The first is the one without anything, which was asked already.
        odd.extend(more.into_iter().skip(1));
    }
    let check = Check {
        name: format!(
            "{} requests are answered: plain, empty, malformed and huge ones",
            answers.len()
        ),
        failures,
        note: None,
        elapsed: start.elapsed(),
    };
    (odd, answers, check)
}

/// The most requests: a plugin could ask for another header each time.
const MAX_REQUESTS: usize = 2000;

async fn ask(plugin: &AskedPlugin, odd: &OddRequest) -> Answer {
    cases::answer(plugin, &odd.request, odd.user.as_ref()).await
}

/// Whether the plugin failed, or broke a rule of the contract.
pub(super) fn is_failure(answer: &Answer) -> bool {
    matches!(answer.verdict, "fail" | "turned_away")
}

/// Another instance gives the same answers.
async fn same(name: &str, plugin: &AskedPlugin, odd: &[OddRequest], answers: &[Answer]) -> Check {
    let asked = odd.iter().zip(answers).map(async |(request, before)| {
        let difference = difference(before, &ask(plugin, request).await)?;
        Some(format!("{}: {difference}", request.what))
    });
    repeated(name, plugin, asked).await
}

/// Asks a plugin again, and lets it go. `differences` are how the new answers differ from those before.
pub(super) async fn repeated(
    name: &str,
    plugin: &AskedPlugin,
    differences: impl Iterator<Item = impl Future<Output = Option<String>>>,
) -> Check {
    let start = Instant::now();
    let mut failures = Vec::new();
    for difference in differences {
        failures.extend(difference.await);
        if failures.len() >= MAX_FAILURES {
            break;
        }
    }
    plugin.retire();
    Check {
        name: name.to_owned(),
        failures,
        note: None,
        elapsed: start.elapsed(),
    }
}

/// What differs between two answers to one request.
fn difference(one: &Answer, other: &Answer) -> Option<String> {
    let of = |answer: &Answer| {
        [
            ("verdict", answer.verdict.to_owned()),
            ("status", answer.status.as_u16().to_string()),
            ("user", format!("{:?}", answer.user)),
            ("permit", format!("{:?}", answer.permit)),
            ("challenges", answer.challenges.join(", ")),
            (
                "reads",
                answer.reads.iter().map(|(read, _)| format!("{read} ")).collect(),
            ),
        ]
    };
    let pairs = of(one).into_iter().zip(of(other));
    let differing = pairs.filter(|((_, one), (_, other))| one != other);
    let (key, one, other) = differing.map(|((key, one), (_, other))| (key, one, other)).next()?;
    Some(format!("{key}: first {one}, then {other}"))
}

/// A copy of a configured instance gives the same answers.
async fn copied(plugin: &AskedPlugin, odd: &[OddRequest], answers: &[Answer]) -> Result<Check, Box<dyn Error>> {
    let name = "a copy of a configured instance gives the same answers";
    let copying = plugin.clone();
    let copied = tokio::task::spawn_blocking(move || copying.copy_configured()).await?;
    Ok(match copied {
        Ok(_) => same(name, plugin, odd, answers).await,
        Err(why) => Check {
            name: name.to_owned(),
            note: Some(format!("there is none, so each call configures the plugin: {why}")),
            ..Check::default()
        },
    })
}

/// Nothing is asked for but what the manifest or the settings name.
fn asked(plugin: &AskedPlugin, component: &Component, answers: &[Answer]) -> Check {
    let name = "it asks for nothing but what its manifest and its settings name".to_owned();
    if component.manifest().is_none_or(|manifest| manifest.grants.is_none()) {
        let note = "it has no manifest that says what it asks for".to_owned();
        return Check {
            name,
            note: Some(note),
            ..Check::default()
        };
    }
    let names = |key: GrantKey| {
        let asked = plugin.asked_grants().iter();
        asked
            .filter(move |asked| asked.key == key)
            .map(|asked| asked.name.as_str())
    };
    let is_named = |key: GrantKey, name: &str| {
        names(key).any(|asked| asked == "*" || asked.is_empty() || asked.eq_ignore_ascii_case(name))
    };
    let mut failures = BTreeSet::new();
    for (read, _) in answers.iter().flat_map(|answer| &answer.reads) {
        let is_good = match read {
            Attribute::Header(name) => is_named(GrantKey::Headers, name),
            Attribute::Cookie(name) => is_named(GrantKey::Cookies, name),
            Attribute::Negotiate(name) => is_named(GrantKey::Negotiate, name),
            Attribute::ClientCertificate => is_named(GrantKey::ClientCertificate, ""),
            Attribute::Query => names(GrantKey::Query).next().is_some(),
            _ => true,
        };
        if !is_good {
            failures.insert(format!("it asks for {read}"));
        }
    }
    if answers.iter().any(|answer| answer.denied > 0) && names(GrantKey::Http).next().is_none() {
        failures.insert("it sends requests to other servers".to_owned());
    }
    Check {
        name,
        failures: failures.into_iter().take(MAX_FAILURES).collect(),
        ..Check::default()
    }
}
