//! The folder that `plugin dev` serves from: a configuration, and a plugin directory with the last build that worked.

use std::fs;
use std::io;
use std::path::PathBuf;

use portcullis::Component;
use portcullis::Role;
use tempfile::TempDir;

use crate::config::PluginProject;

/// The folder. It disappears when this is dropped.
#[derive(Debug)]
pub(super) struct Stage(TempDir);

impl Stage {
    /// A folder whose configuration has the plugin in front of the page that shows the user.
    pub(super) fn new(project: &PluginProject) -> io::Result<Self> {
        let stage = Self(tempfile::Builder::new().prefix("portcullis-dev-").tempdir()?);
        fs::create_dir(stage.plugins())?;
        stage.write_config(&project.name, Role::Authenticator)?;
        Ok(stage)
    }

    /// Puts the plugin in front of the page that shows the user. Before an authorizer, the built-in `simple` takes anybody's word for
    /// who they are.
    fn write_config(&self, name: &str, role: Role) -> io::Result<()> {
        let asked = match role {
            Role::Authorizer => format!("authenticators = [\"anybody\"]\nauthorizers = [\"{name}\"]"),
            _ => format!("authenticators = [\"{name}\"]"),
        };
        let others = match role {
            Role::Authorizer => "[authenticators.anybody]\nplugin = \"simple\"\n",
            _ => "",
        };
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[plugins]\ndirectory = \"plugins\"\n{others}[[routes]]\npath = \
             \"/\"\n{asked}\nupstream = \"portcullis:whoami\"\n"
        );
        fs::write(self.config(), config)
    }

    /// The configuration.
    pub(super) fn config(&self) -> PathBuf {
        self.0.path().join("portcullis.toml")
    }

    fn plugins(&self) -> PathBuf {
        self.0.path().join("plugins")
    }

    /// Copies what was built, and the settings beside it. Each file is replaced at once.
    pub(super) fn take_up(&self, project: &PluginProject) -> io::Result<()> {
        let place = |extension: &str| self.plugins().join(format!("{}.{extension}", project.name));
        let config = project.config();
        if config.exists() {
            self.replace(&config, place("toml"))?;
        } else if place("toml").exists() {
            fs::remove_file(place("toml"))?;
        }
        // What can't be read is told when it is loaded.
        let role = fs::read(&project.component).ok();
        let role = role.and_then(|wasm| Component::role_of(&wasm).ok());
        self.write_config(&project.name, role.unwrap_or(Role::Authenticator))?;
        self.replace(&project.component, place("wasm"))
    }

    fn replace(&self, from: &PathBuf, to: PathBuf) -> io::Result<()> {
        let at = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", from.display()));
        let content = fs::read(from).map_err(at)?;
        if fs::read(&to).is_ok_and(|known| known == content) {
            return Ok(());
        }
        let partial = self.0.path().join("partial");
        fs::write(&partial, content)?;
        fs::rename(&partial, to)
    }
}
