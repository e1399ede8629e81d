//! `portcullis config show`: prints what is in effect, and where each value comes from. Secrets are never printed: the schema of the
//! configuration, and those of the plugins, say what is one.

mod entries;
mod schemas;

use std::error::Error;
use std::io::Write;

use clap::Args;
use portcullis::Plugin;
use serde_json::Value;
use serde_json::json;

use self::entries::Entries;
use self::entries::PluginSchemas;
use crate::cli::ConfigFile;
use crate::cli::engine;
use crate::config::ConfigErrors;
use crate::config::Draft;
use crate::config::Environment;
use crate::config::ListenAddress;
use crate::config::PluginConfig;
use crate::config::PluginSource;
use crate::config::described;
use crate::config::schema;
use crate::generation::Generation;
use crate::proxy::Proxy;

/// Arguments of `config show`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Print a list of objects with the members "key", "value" and "source"
    #[arg(long)]
    json: bool,
    /// Where `serve` is told to listen, overriding the configuration
    #[arg(long, env = "PORTCULLIS_LISTEN", value_name = "ADDRESS", value_delimiter = ',')]
    listen: Vec<ListenAddress>,
    #[command(flatten)]
    config: ConfigFile,
}

pub(super) async fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let environment = Environment::of_process();
    let (draft, located) = Draft::read_located(arguments.config.path.as_deref(), &environment);
    let Some(located) = located else {
        return Err(ConfigErrors::new(draft.errors).into());
    };
    let dropped_in = draft.config.plugin_entries.iter().filter(|entry| entry.is_dropped_in);
    let dropped_in = Vec::from_iter(dropped_in.cloned());
    let has_session = draft.config.session.is_some();
    let (_engine, generation) = engine::load(draft, &Proxy::idle()).await?;
    let (schema, plugins) = (schema(), plugin_schemas(&generation).await);
    let mut entries = Entries::new(&schema, &plugins);
    entries.add(Some(&located), &[]);
    for plugin in &dropped_in {
        add_dropped_in(&mut entries, plugin, &environment);
    }
    entries.add_secrets_of(&environment, has_session);
    if !arguments.listen.is_empty() {
        let listen = arguments.listen.iter().map(ToString::to_string);
        entries.replace("server.listen", listen.collect(), "--listen or PORTCULLIS_LISTEN");
    }
    let entries = entries.into_vec();
    if arguments.json {
        let object = |entry: &entries::Entry| json!({ "key": entry.key, "value": entry.value, "source": entry.source });
        writeln!(output, "{:#}", Value::Array(entries.iter().map(object).collect()))?;
        return Ok(());
    }
    for entry in entries {
        writeln!(output, "{} = {}  # {}", entry.key, entry.value, entry.source)?;
    }
    Ok(())
}

/// Adds a plugin of the plugin directory, with its `NAME.toml` if there is one.
fn add_dropped_in(entries: &mut Entries<'_>, plugin: &PluginConfig, environment: &Environment) {
    let PluginSource::File(wasm) = &plugin.plugin else {
        return;
    };
    let path = [plugin.section(), plugin.name.as_str()];
    let component = wasm.display().to_string().into();
    entries.push(&[path.as_slice(), &["plugin"]].concat(), component, "plugins.directory");
    entries.add(described(wasm, environment).as_ref(), &path);
}

/// The schemas of the settings of all plugins that can be asked.
async fn plugin_schemas(generation: &Generation) -> PluginSchemas {
    let mut schemas = PluginSchemas::new();
    for plugin in generation.plugins() {
        if let Some(schema) = plugin_schema(plugin).await {
            schemas.insert(plugin.name().to_owned(), schema);
        }
    }
    schemas
}

async fn plugin_schema(plugin: &Plugin) -> Option<Value> {
    let (component, limits) = (plugin.component()?, plugin.limits()?);
    component.settings_schema(limits.memory).await.ok()
}
