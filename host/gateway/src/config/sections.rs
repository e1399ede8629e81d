//! Finds sections that contradict each other, although each is valid on its own. It runs after all of them have been read.

use portcullis::Engine;
use portcullis::Limits;
use portcullis_loader::config::error::Location;
use portcullis_loader::config::error::unknown;
use portcullis_loader::config::reader::Place;

use crate::config::Draft;
use crate::config::ListenAddress;
use crate::config::LoginConfig;

impl Draft {
    /// A socket of systemd belongs to one listener: two would share its clients at random.
    pub(crate) fn validate_systemd_sockets(&mut self) {
        let config = &self.config;
        let redirect = config.server.redirect.as_ref().map(|redirect| &redirect.listen);
        let forward_auth = config.forward_auth.as_ref().and_then(|front| front.listen.as_ref());
        let sections = [
            ("server", Some(&config.server.listen)),
            ("server.redirect", redirect),
            ("forward_auth", forward_auth),
            ("ext_authz", config.ext_authz.as_ref().map(|front| &front.listen)),
            ("admin", config.admin.as_ref().map(|admin| &admin.listen)),
        ];
        let mut known: Vec<(&ListenAddress, &str)> = Vec::new();
        for (section, listen) in sections {
            let addresses = listen.into_iter().flat_map(|listen| &listen.addresses);
            for address in addresses.filter(|address| matches!(address, ListenAddress::Systemd(_))) {
                if let Some((_, other)) = known
                    .iter()
                    .find(|(known, other)| *known == address && *other != section)
                {
                    let message = format!("{address} is used by {other} too: each listener needs a socket of its own");
                    self.errors
                        .push(Location::file(format!("{section}.listen")).error(message));
                }
                known.push((address, section));
            }
        }
    }

    /// No plugin can have more calls than all together, and each keeps a place.
    pub(super) fn validate_concurrency(&mut self, root: &Place<'_>) {
        let total = self.config.plugins.concurrency.unwrap_or(Engine::DEFAULT_CONCURRENCY) as usize;
        let entries = &self.config.plugin_entries;
        if entries.len() > total {
            root.report(format!(
                "there are {} authenticators and authorizers, and plugins.concurrency, {total}, has no place for each: set it to {} or more",
                entries.len(),
                entries.len()
            ));
        }
        let default = Limits::default().concurrency;
        let beyond = entries
            .iter()
            .filter(|entry| entry.limits.concurrency > total && entry.limits.concurrency != default);
        self.errors.extend(beyond.map(|entry| {
            let message = format!(
                "limits.concurrency is {}, but all plugins together may have {total} calls at once (plugins.concurrency)",
                entry.limits.concurrency
            );
            entry.location.error(message)
        }));
    }

    pub(super) fn validate_granted_acceptors(&mut self, known: &[String]) {
        let known = Vec::from_iter(known.iter().map(String::as_str));
        for entry in &self.config.plugin_entries {
            let granted = entry.grants.negotiate.as_deref();
            if let Some(name) = granted.filter(|name| !known.contains(name)) {
                let unknown = unknown("acceptor", name, known.iter().copied());
                let message = format!(
                    "grants.negotiate names {name:?}, but there is no [negotiate.NAME] of that name: {unknown}"
                );
                self.errors.push(entry.location.error(message));
            }
        }
    }

    /// A plugin that can read session cookies could impersonate their users.
    pub(super) fn validate_granted_cookies(&mut self) {
        let Some(session) = &self.config.session else { return };
        let is_session = |cookie: &String| cookie.strip_prefix("__Host-").unwrap_or(cookie) == session.cookie;
        let granted = self.config.plugin_entries.iter();
        let granted = granted.filter(|authenticator| authenticator.grants.cookies.iter().any(is_session));
        self.errors.extend(granted.map(|authenticator| {
            let message = "grants.cookies names the gateway's own session cookie, which can't be granted to a plugin";
            authenticator.location.error(message)
        }));
    }

    /// Who logs in comes back to an origin and gets a session.
    pub(super) fn validate_logins(&mut self) {
        let config = &self.config;
        let offering = config.plugin_entries.iter().filter(|own| own.login.is_some());
        for authenticator in offering {
            if config.login.is_none() {
                let message = "login = true needs the section [login], with the origins that browsers use";
                self.errors.push(authenticator.location.error(message));
            }
        }
        let is_insecure = config
            .session
            .as_ref()
            .is_some_and(|session| session.secure == Some(false));
        if is_insecure && config.login.as_ref().and_then(LoginConfig::is_secure) == Some(true) {
            let message = "secure = false contradicts the origins of [login], which have https";
            self.errors.push(Location::file("session").error(message));
        }
    }
}
