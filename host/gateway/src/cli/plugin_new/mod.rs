//! `portcullis plugin new`: writes the project of a new plugin, which builds, passes its tests and loads. The SDK and the
//! contract are those of this program, so that both fit each other and nothing needs to be published.

mod files;
mod name;

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use clap::Args;
use clap::ValueEnum;
use portcullis::Role;

use self::files::Language;
use self::name::PluginName;

/// Arguments of `plugin new`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The name of the plugin, in kebab-case or snake_case
    #[arg(value_name = "NAME")]
    name: PluginName,
    /// The language
    #[arg(long, value_enum, default_value_t = LanguageArgument::Rust)]
    lang: LanguageArgument,
    /// The role of the plugin: authenticator, authorizer or login
    #[arg(long, value_name = "ROLE", default_value = "authenticator", value_parser = role)]
    role: Role,
    /// The folder of the SDK for Rust, instead of the copy in this program
    #[arg(long, value_name = "PATH")]
    sdk: Option<PathBuf>,
    /// The folder of the project. It must be empty, if it exists. Default: NAME
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LanguageArgument {
    Rust,
    Javascript,
    Python,
}

/// Parses a role that a plugin can have.
fn role(text: &str) -> Result<Role, String> {
    match text {
        "authenticator" => Ok(Role::Authenticator),
        "login" => Ok(Role::Login),
        "authorizer" => Ok(Role::Authorizer),
        _ => Err("a plugin's role is \"authenticator\", \"authorizer\" or \"login\"".to_owned()),
    }
}

/// Writes the project. Nothing is left of it if a file can't be written.
pub(super) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let name = &arguments.name;
    let folder = arguments.folder.clone().unwrap_or_else(|| PathBuf::from(name.as_str()));
    let language = match (arguments.lang, &arguments.sdk) {
        (LanguageArgument::Rust, None) => Language::Rust { sdk: None },
        (LanguageArgument::Rust, Some(path)) => Language::Rust { sdk: Some(sdk(path)?) },
        (_, Some(_)) => return Err("--sdk is for Rust: the other languages need the contract only".into()),
        (LanguageArgument::Javascript, None) => Language::JavaScript,
        (LanguageArgument::Python, None) => Language::Python,
    };
    let at_folder = |error: &dyn std::fmt::Display| format!("{}: {error}", folder.display());
    let existed = folder.exists();
    if existed {
        let mut entries = folder.read_dir().map_err(|error| at_folder(&error))?;
        if entries.next().is_some() {
            return Err(at_folder(&"isn't empty, and nothing in it is overwritten").into());
        }
    }
    let written = files::of(name, &language, arguments.role);
    let written = written
        .iter()
        .try_for_each(|file| write(&folder.join(&file.path), &file.content));
    if let Err(error) = written {
        // Only what was written is removed: the folder was empty.
        let _ = fs::remove_dir_all(&folder);
        if existed {
            let _ = fs::create_dir(&folder);
        }
        return Err(error.into());
    }
    writeln!(output, "{} is a plugin in {language}. Next:", folder.display())?;
    writeln!(output, "  cd {}", folder.display())?;
    for command in language.commands(name) {
        writeln!(output, "  {command}")?;
    }
    Ok(())
}

/// The absolute path of a folder with the SDK.
fn sdk(path: &Path) -> Result<String, String> {
    let error = |why: &str| format!("--sdk {}: {why}", path.display());
    let absolute = path.canonicalize().map_err(|why| error(&why.to_string()))?;
    let manifest = fs::read_to_string(absolute.join("Cargo.toml"));
    let manifest = manifest.map_err(|why| error(&format!("Cargo.toml: {why}")))?;
    if !manifest.contains("name = \"portcullis-sdk\"") {
        return Err(error("Cargo.toml isn't that of portcullis-sdk"));
    }
    let text = absolute
        .to_str()
        .ok_or_else(|| error("the path isn't UTF-8, which Cargo.toml needs"))?;
    if text.contains(['"', '\\']) || text.contains(char::is_control) {
        return Err(error("the path has a quote, a backslash or a control character"));
    }
    Ok(text.to_owned())
}

fn write(path: &Path, content: &str) -> Result<(), String> {
    let folder = path.parent().unwrap_or(path);
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(path, content));
    written.map_err(|error| format!("{}: {error}", path.display()))
}
