//! Where `serve` has its configuration from: a file, or the built-in one, and the command line. A reload reads it again.

use portcullis_loader::remote::Unpinned;

use crate::cli::ConfigFile;
use crate::config::Config;
use crate::config::Draft;
use crate::config::ListenAddress;
use crate::machine;

/// The source of a configuration.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) file: ConfigFile,
    /// The addresses of the public listener. Empty if the file decides.
    pub(super) listen: Vec<ListenAddress>,
    /// How many files the process may open. `None` if the system doesn't report it.
    pub(super) open_files: Option<u64>,
}

impl Source {
    /// Reads the configuration.
    pub(super) fn read(&self) -> Draft {
        let mut draft = self.file.read();
        draft.unpinned = Unpinned::Pin;
        draft.config.state.is_kept = true;
        if !self.listen.is_empty() {
            draft.config.server.listen.addresses.clone_from(&self.listen);
            draft.digests.remove(&["server", "listen"]);
            draft.validate_systemd_sockets();
        }
        self.bound_connections(&mut draft.config);
        draft
    }

    /// Sets the maximum number of connections if it isn't configured.
    fn bound_connections(&self, config: &mut Config) {
        let listen = config.listen();
        let connections = config.server.max_connections;
        if connections.is_some_and(|connections| !machine::allows(&listen, self.open_files, connections)) {
            tracing::warn!(
                open_files = self.open_files,
                "server.max_connections needs more open files than the process may have, because each connection may need \
                 a second one to the upstream: raise the limit (ulimit -n, LimitNOFILE=)"
            );
        }
        let default = || machine::connections(&listen, self.open_files);
        config.server.max_connections = Some(connections.unwrap_or_else(default));
    }
}
