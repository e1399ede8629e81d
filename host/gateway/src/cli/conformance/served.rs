//! Cases in which a plugin asks servers: requests about which it is asked, and attempts to log in.

use portcullis_loader::AskedPlugin;
use portcullis_loader::cases::Case;
use portcullis_loader::cases::LoginCase;
use portcullis_loader::cases::LoginExpectation;
use portcullis_loader::cases::PlayedServer;
use portcullis_loader::cases::Session;
use portcullis_loader::cases::answer;

use super::checks::is_failure;
use super::input;
use super::logins;

/// A case of a file, of either kind.
pub(super) trait ServedCase {
    /// How the checks speak of cases of this kind.
    const WORDS: Words;

    fn name(&self) -> &str;

    /// The servers that are played in this case only.
    fn servers(&self) -> &[PlayedServer];

    /// Asks the plugin everything that the case asks.
    async fn ask(&self, plugin: &AskedPlugin) -> Vec<Heard>;
}

/// What the checks of one kind of cases are called, and what they say.
pub(super) struct Words {
    pub(super) answered: &'static str,
    pub(super) asks_none: &'static str,
    pub(super) asked: &'static str,
    /// What follows the number of bad answers.
    pub(super) bad: &'static str,
    /// What happens although a server says nothing of use.
    pub(super) lenient: &'static str,
}

/// What the checks need to know of an answer.
pub(super) struct Heard {
    /// How the plugin failed. `None` if it answered.
    pub(super) failure: Option<String>,
    /// How many of its requests no grant covers.
    pub(super) denied: u32,
    /// Whether somebody is let in.
    pub(super) is_good: bool,
}

impl ServedCase for Case {
    const WORDS: Words = Words {
        answered: "every case is answered while the servers that the file plays answer",
        asks_none: "the plugin asks no server in any of them",
        asked: "it asks no server but those that its manifest and its settings name",
        bad: "bad answers of servers lead to an answer: none, garbage, errors and huge ones",
        lenient: "a request is let through",
    };

    fn name(&self) -> &str {
        &self.name
    }

    fn servers(&self) -> &[PlayedServer] {
        &self.servers
    }

    async fn ask(&self, plugin: &AskedPlugin) -> Vec<Heard> {
        let mut heard = Vec::new();
        let then = self.then.iter().map(|then| (&then.request, &then.user));
        for (request, user) in std::iter::once((&self.request, &self.user)).chain(then) {
            let answer = answer(plugin, request, user.as_ref()).await;
            heard.push(Heard {
                failure: is_failure(&answer).then(|| format!("the plugin {}", answer.sentence)),
                denied: answer.denied,
                is_good: answer.lets_pass(),
            });
        }
        heard
    }
}

impl ServedCase for LoginCase {
    const WORDS: Words = Words {
        answered: "every case of the login is answered while the servers that the file plays answer",
        asks_none: "the login asks no server in any of them",
        asked: "the login asks no server but those that its manifest and its settings name",
        bad: "bad answers of servers lead to an answer of the login",
        lenient: "a case ends well",
    };

    fn name(&self) -> &str {
        &self.name
    }

    fn servers(&self) -> &[PlayedServer] {
        &self.servers
    }

    async fn ask(&self, plugin: &AskedPlugin) -> Vec<Heard> {
        let mut heard = Vec::new();
        let Some(login) = plugin.login() else {
            return heard;
        };
        let mut session = Session::new(login.name());
        for call in &self.calls {
            let answer = session.call(&login, &input::plain(), &call.function).await;
            heard.push(Heard {
                failure: logins::is_failure(&answer).then(|| format!("{}: {}", answer.function, answer.sentence)),
                denied: answer.denied,
                is_good: answer.outcome == LoginExpectation::OK,
            });
        }
        heard
    }
}
