//! `[negotiate.NAME]`: an acceptor of Kerberos tokens, with the keys of the service and the helper program that uses them.
//! Authenticators refer to it by name in `grants.negotiate`.

mod helper;

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use portcullis_loader::config::document::Environment;
use portcullis_loader::config::error::Location;
use portcullis_loader::config::plugin::NAME_RULE;
use portcullis_loader::config::plugin::is_name;
use portcullis_loader::config::reader::Item;
use portcullis_loader::config::reader::Place;
use portcullis_loader::config::reader::Table;
use portcullis_loader::files::private_file;

/// An acceptor of Kerberos tokens.
#[derive(Clone, Debug)]
pub(crate) struct NegotiateConfig {
    /// The name, for grants and logs.
    pub(crate) name: String,
    /// The location of `keytab` in the configuration.
    pub(crate) location: Location,
    /// The file with the keys. Other users can't access it.
    pub(crate) keytab: PathBuf,
    /// The service whose keys are used, such as `HTTP` or `HTTP@gateway.example`.
    pub(crate) service: String,
    /// The helper program, which accepts tokens.
    pub(crate) helper: PathBuf,
    /// The maximum number of helper processes.
    pub(crate) workers: usize,
    /// How long a helper may take for one token.
    pub(crate) deadline: Duration,
    /// Whether tokens must be bound to their TLS connection.
    pub(crate) channel_bindings: ChannelBindings,
    /// The folder in which helpers record the tokens that they have accepted.
    pub(crate) replay_cache: PathBuf,
    /// A file with further settings of the Kerberos library.
    pub(crate) krb5_config: Option<PathBuf>,
}

/// How the channel bindings of a token are checked (RFC 5056, RFC 5929).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum ChannelBindings {
    /// If a token has channel bindings, they must be those of its connection.
    #[default]
    IfSent,
    /// Channel bindings are ignored.
    Off,
    /// A token must have the channel bindings of its connection.
    Require,
}

impl NegotiateConfig {
    /// Reads an entry of `[negotiate]`. Returns `None` if it has any mistake.
    pub(crate) fn read(name: String, item: Item<'_>, environment: &Environment) -> Option<Self> {
        let document = item.place.document();
        let before = document.error_count();
        if !is_name(&name) {
            item.place.report(format!("an acceptor's name must be {NAME_RULE}"));
        }
        let mut table = item.table()?;
        let keytab = table.require("keytab");
        let location = keytab
            .as_ref()
            .map_or(&table.place, |item| &item.place)
            .location()
            .clone();
        let keytab = keytab.and_then(keytab_file);
        table.default("service", DEFAULT_SERVICE);
        let service = match table.take("service") {
            Some(item) => item.parse("a service, such as \"HTTP\" or \"HTTP@gateway.example\"", service),
            None => Some(DEFAULT_SERVICE.to_owned()),
        };
        let helper = helper::find(&mut table, environment);
        let workers = table.number("workers", DEFAULT_WORKERS, 1..=MAX_WORKERS);
        let deadline = table.duration("deadline", DEFAULT_DEADLINE, MIN_DEADLINE..=MAX_DEADLINE);
        let channel_bindings = table.word(
            "channel_bindings",
            ChannelBindings::default(),
            &[
                ("off", ChannelBindings::Off),
                ("if-sent", ChannelBindings::IfSent),
                ("require", ChannelBindings::Require),
            ],
        );
        let replay_cache = replay_cache(&mut table, environment);
        let krb5_config = table.take("krb5_config").and_then(existing_file);
        table.finish();
        if document.error_count() > before {
            return None;
        }
        Some(Self {
            name,
            location,
            keytab: keytab?,
            service: service?,
            helper: helper?,
            workers,
            deadline,
            channel_bindings,
            replay_cache: replay_cache?,
            krb5_config,
        })
    }
}

/// Returns an absolute path, because the helper runs in another folder.
fn path(place: &Place<'_>, text: &str) -> Option<PathBuf> {
    absolute(place, &place.document().path(text))
}

fn absolute(place: &Place<'_>, path: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(path);
    absolute.map_err(|error| place.report(error.to_string())).ok()
}

fn keytab_file(item: Item<'_>) -> Option<PathBuf> {
    let place = item.place.clone();
    // The Kerberos library reads it for every token.
    let path = absolute(&place, &place.document().live_file(&item.text()?))?;
    match private_file(&path, MAX_KEYTAB) {
        // MIT krb5, "The Kerberos keytab file format": the first byte is 5, the second is the version.
        Ok(bytes) if matches!(*bytes, [5, 1 | 2, ..]) => Some(path),
        Ok(_) => {
            place.report(format!(
                "{} is not a keytab; `ktadd -k FILE PRINCIPAL` in kadmin makes one",
                path.display()
            ));
            None
        }
        Err(message) => {
            place.report(message);
            None
        }
    }
}

/// A service name with an optional host (RFC 2743, section 4.1).
fn service(text: &str) -> Option<String> {
    let part = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    };
    let sound = match text.split_once('@') {
        Some((service, host)) => part(service) && part(host),
        None => part(text),
    };
    (sound && text.len() <= 256).then(|| text.to_owned())
}

fn existing_file(item: Item<'_>) -> Option<PathBuf> {
    let place = item.place.clone();
    let path = absolute(&place, &place.document().file(&item.text()?))?;
    if path.display().to_string().contains(':') {
        place.report("the path can't contain a colon, because the Kerberos library treats it as a separator");
        return None;
    }
    match std::fs::File::open(&path) {
        Ok(_) => Some(path),
        Err(error) => {
            place.report(format!("{} can't be opened: {error}", path.display()));
            None
        }
    }
}

/// By default, all gateways of a user on a machine share one folder, so that a token is accepted by only one of them.
fn replay_cache(table: &mut Table<'_>, environment: &Environment) -> Option<PathBuf> {
    if let Some(item) = table.take("replay_cache") {
        let place = item.place.clone();
        return path(&place, &item.text()?).filter(|path| {
            let colon = path.display().to_string().contains(':');
            if colon {
                place.report("the path can't contain a colon, because the Kerberos library treats it as a separator");
            }
            !colon
        });
    }
    let of = |name: &str, below: &str| Some(Path::new(environment.variable(name)?).join(below));
    let folder = of("XDG_STATE_HOME", "portcullis/replay").or_else(|| of("HOME", ".local/state/portcullis/replay"));
    let folder = folder.filter(|folder| folder.is_absolute());
    if folder.is_none() {
        table.place.report(
            "there is no folder for the replay cache: set replay_cache to a folder that only the gateway uses, or set HOME",
        );
    }
    folder
}

/// The maximum size of a keytab, in bytes.
const MAX_KEYTAB: u64 = 1 << 20;
const DEFAULT_SERVICE: &str = "HTTP";
const DEFAULT_WORKERS: usize = 2;
const MAX_WORKERS: usize = 64;
const DEFAULT_DEADLINE: Duration = Duration::from_secs(2);
const MIN_DEADLINE: Duration = Duration::from_millis(10);
const MAX_DEADLINE: Duration = Duration::from_secs(30);
