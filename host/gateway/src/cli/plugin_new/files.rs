//! The files of a new project: those of a template with the plugin's name, and copies of the SDK or the helper module and of the
//! contract.

use std::fmt;
use std::path::PathBuf;

use portcullis::Role;

use super::name::PluginName;

/// The templates, the SDK and the contract, each as a list of paths and contents.
mod embedded {
    include!(concat!(env!("OUT_DIR"), "/templates.rs"));
}

/// The language of a project.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Language {
    JavaScript,
    Python,
    Rust {
        /// The path of the SDK. `None` for a copy in the project.
        sdk: Option<String>,
    },
}

/// A file of a project.
#[derive(Debug)]
pub(super) struct File {
    /// The path below the project's folder.
    pub(super) path: PathBuf,
    /// The content.
    pub(super) content: String,
}

impl Language {
    /// The commands that show the plugin at work, in the project's folder.
    pub(super) fn commands(&self, name: &PluginName) -> Vec<String> {
        let test = |component: &str| format!("portcullis plugin test {component} cases.toml");
        let built = format!("{name}.wasm");
        match self {
            Self::JavaScript => ["npm ci", "npm run build", "npm test"].map(str::to_owned).to_vec(),
            Self::Python => vec![
                "pip install -r requirements.txt".to_owned(),
                "sh build.sh".to_owned(),
                test(&built),
            ],
            Self::Rust { .. } => vec![
                "cargo test".to_owned(),
                "cargo build --release --target wasm32-wasip2".to_owned(),
                test(&format!("target/wasm32-wasip2/release/{}.wasm", name.snake())),
            ],
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::JavaScript => "JavaScript",
            Self::Python => "Python",
            Self::Rust { .. } => "Rust",
        })
    }
}

/// All files of a project: those of an authenticator, of which another role has some of its own.
pub(super) fn of(name: &PluginName, language: &Language, role: Role) -> Vec<File> {
    let (template, helper) = match language {
        Language::JavaScript => (embedded::JAVASCRIPT, Some(embedded::JAVASCRIPT_HELPER)),
        Language::Python => (embedded::PYTHON, Some(embedded::PYTHON_HELPER)),
        Language::Rust { .. } => (embedded::RUST, None),
    };
    let named = |text: &str| {
        let text = text.replace("my-plugin", name.as_str());
        text.replace("my_plugin", &name.snake())
            .replace("MyPlugin", &name.camel())
    };
    let mut files = Vec::new();
    let own = match (language, role) {
        (Language::JavaScript, Role::Authorizer) => embedded::JAVASCRIPT_AUTHORIZER,
        (Language::JavaScript, Role::Login) => embedded::JAVASCRIPT_LOGIN,
        (Language::Python, Role::Authorizer) => embedded::PYTHON_AUTHORIZER,
        (Language::Python, Role::Login) => embedded::PYTHON_LOGIN,
        (Language::Rust { .. }, Role::Authorizer) => embedded::RUST_AUTHORIZER,
        (Language::Rust { .. }, Role::Login) => embedded::RUST_LOGIN,
        _ => &[],
    };
    for (path, content) in template {
        let replaced = own.iter().find(|(own, _)| own == path);
        let mut content = named(replaced.map_or(content, |(_, content)| content));
        match (language, *path) {
            (Language::Rust { .. }, "Cargo.lock") => {
                if role == Role::Login {
                    content = content.replace(AUTHENTICATOR_NEEDS, LOGIN_NEEDS);
                }
                content = sorted(&content);
            }
            (Language::Rust { sdk: Some(sdk) }, "Cargo.toml") => content = content.replace(SDK, sdk),
            (Language::Rust { sdk: Some(_) }, "README.md") => {
                content = content
                    .lines()
                    .filter(|line| !line.starts_with("| `vendor`"))
                    .fold(String::new(), |text, line| text + line + "\n");
            }
            _ => {}
        }
        let path = PathBuf::from(named(path));
        files.push(File { path, content });
    }
    let mut copy = |folder: &str, list: &[(&str, &str)]| {
        let needed = list.iter().filter(|(path, _)| {
            let mut helpers = ROLE_HELPERS.iter();
            helpers.all(|(of, start)| *of == role || !path.starts_with(start))
        });
        files.extend(needed.map(|(path, content)| File {
            path: PathBuf::from(folder).join(path),
            content: (*content).to_owned(),
        }));
    };
    if let Some(helper) = helper {
        copy("", helper);
        copy("wit", embedded::WIT);
    }
    if *language == (Language::Rust { sdk: None }) {
        copy(SDK, embedded::SDK);
        copy("vendor/portcullis", &[("Cargo.toml", embedded::SDK_WORKSPACE)]);
    }
    files
}

/// The crates that a plugin in Rust depends on, in its `Cargo.lock`.
const AUTHENTICATOR_NEEDS: &str = "dependencies = [\n \"portcullis-sdk\",\n]";

/// Those of a login, which reads JSON.
const LOGIN_NEEDS: &str = "dependencies = [\n \"portcullis-sdk\",\n \"serde_json\",\n]";

/// The roles with a helper module of their own, and how the names of its files begin.
const ROLE_HELPERS: [(Role, &str); 2] = [
    (Role::Authorizer, "portcullis_authorizer."),
    (Role::Login, "portcullis_login."),
];

/// The copy of the SDK in a project.
const SDK: &str = "vendor/portcullis/sdk";

/// A `Cargo.lock` whose packages are in cargo's order again, although one has another name: with `--locked`, cargo refuses any
/// other order.
fn sorted(lock: &str) -> String {
    const START: &str = "\n[[package]]\n";
    let mut parts = lock.split(START);
    let head = parts.next().unwrap_or_default().to_owned();
    let mut packages = Vec::from_iter(parts.map(str::trim_end));
    packages.sort_by_key(|package| package.lines().next());
    packages
        .iter()
        .fold(head, |text, package| text + START + package + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANGUAGES: [Language; 3] = [Language::JavaScript, Language::Python, Language::Rust { sdk: None }];

    #[test]
    fn a_project_has_the_name_everywhere_and_the_contract_of_this_program() {
        let name: PluginName = "zebra-key".parse().unwrap();
        for language in LANGUAGES {
            let files = of(&name, &language, Role::Authenticator);
            let content = |path: &str| {
                let file = files.iter().find(|file| file.path.ends_with(path));
                file.unwrap_or_else(|| panic!("{language} has no {path}"))
                    .content
                    .as_str()
            };
            for file in files.iter().filter(|file| !file.path.starts_with("vendor")) {
                let text = format!("{} {}", file.path.display(), file.content).to_lowercase();
                assert!(
                    !text.contains("my-plugin") && !text.contains("my_plugin"),
                    "{}",
                    file.path.display()
                );
            }
            assert!(content("wit/world.wit").contains(portcullis::CONTRACT));
            assert!(content("README.md").contains("portcullis plugin dev"));
            assert!(content("build.toml").contains("name = \"zebra-key\""));
            assert!(content("zebra-key.toml").contains("x-api-key"));
            assert!(content("cases.toml").contains("open sesame"));
            match language {
                Language::JavaScript => assert!(content("portcullis.js").contains("export function exported")),
                Language::Python => assert!(content("portcullis.py").contains("def export")),
                Language::Rust { .. } => {}
            }
        }
    }

    #[test]
    fn an_authorizer_has_files_of_its_own_among_those_of_an_authenticator() {
        let name: PluginName = "editors".parse().unwrap();
        let language = Language::Rust { sdk: None };
        let [authenticator, authorizer] =
            [Role::Authenticator, Role::Authorizer].map(|role| of(&name, &language, role));
        let paths = |files: &[File]| Vec::from_iter(files.iter().map(|file| file.path.clone()));
        assert_eq!(
            paths(&authenticator),
            paths(&authorizer),
            "each file takes the place of one"
        );
        let pairs = authenticator.iter().zip(&authorizer);
        let changed = pairs.filter(|(one, other)| one.content != other.content).count();
        assert_eq!(changed, embedded::RUST_AUTHORIZER.len(), "its own");
    }

    #[test]
    fn a_login_has_files_of_its_own_among_those_of_an_authenticator() {
        let name: PluginName = "forge".parse().unwrap();
        let language = Language::Rust { sdk: None };
        let [authenticator, login] = [Role::Authenticator, Role::Login].map(|role| of(&name, &language, role));
        let paths = |files: &[File]| Vec::from_iter(files.iter().map(|file| file.path.clone()));
        assert_eq!(paths(&authenticator), paths(&login), "each file takes the place of one");
        let same = authenticator
            .iter()
            .zip(&login)
            .filter(|(one, other)| one.content == other.content);
        assert_eq!(
            authenticator.len() - same.count(),
            embedded::RUST_LOGIN.len() + 1,
            "its own, and the lock"
        );
        let lock = login.iter().find(|file| file.path.ends_with("Cargo.lock")).unwrap();
        assert!(lock.content.contains(LOGIN_NEEDS));
    }

    #[test]
    fn another_role_in_another_language_has_the_helper_module_for_that_role() {
        let name: PluginName = "forge".parse().unwrap();
        for (language, role, own, expected) in [
            (
                Language::JavaScript,
                Role::Authorizer,
                embedded::JAVASCRIPT_AUTHORIZER,
                vec!["portcullis_authorizer.d.ts", "portcullis_authorizer.js"],
            ),
            (
                Language::JavaScript,
                Role::Login,
                embedded::JAVASCRIPT_LOGIN,
                vec!["portcullis_login.d.ts", "portcullis_login.js"],
            ),
            (
                Language::Python,
                Role::Authorizer,
                embedded::PYTHON_AUTHORIZER,
                vec!["portcullis_authorizer.py"],
            ),
            (
                Language::Python,
                Role::Login,
                embedded::PYTHON_LOGIN,
                vec!["portcullis_login.py"],
            ),
        ] {
            let [authenticator, other] = [Role::Authenticator, role].map(|role| of(&name, &language, role));
            let helpers = |files: &[File]| {
                let names = files.iter().filter_map(|file| file.path.to_str().map(str::to_owned));
                Vec::from_iter(names.filter(|name| name.starts_with("portcullis_")))
            };
            assert!(helpers(&authenticator).is_empty(), "{language}");
            assert_eq!(helpers(&other), expected, "{language}");
            let changed = authenticator.iter().filter(|file| {
                let same = other.iter().find(|other| other.path == file.path).unwrap();
                same.content != file.content
            });
            assert_eq!(
                changed.count(),
                own.len(),
                "{language}, {role}: each takes the place of one"
            );
        }
    }

    #[test]
    fn the_sdk_can_be_elsewhere() {
        let name: PluginName = "keys".parse().unwrap();
        let sdk = Some("/elsewhere/sdk".to_owned());
        let files = of(&name, &Language::Rust { sdk }, Role::Authenticator);
        assert!(files.iter().all(|file| !file.path.starts_with("vendor")));
        let manifest = files.iter().find(|file| file.path.ends_with("Cargo.toml")).unwrap();
        assert!(
            manifest
                .content
                .contains("portcullis-sdk = { path = \"/elsewhere/sdk\" }")
        );
        let page = files.iter().find(|file| file.path.ends_with("README.md")).unwrap();
        assert!(!page.content.contains("vendor"));
    }

    #[test]
    fn a_lock_is_in_the_order_of_names() {
        let lock = "# head\nversion = 4\n\n[[package]]\nname = \"z\"\na = 1\n\n[[package]]\nname = \"b\"\n";
        let expected = "# head\nversion = 4\n\n[[package]]\nname = \"b\"\n\n[[package]]\nname = \"z\"\na = 1\n";
        assert_eq!(sorted(lock), expected);
    }
}
