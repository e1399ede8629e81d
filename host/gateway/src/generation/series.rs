//! The series of metrics that a generation has.

use crate::admin::Exported;
use crate::generation::Generation;
use crate::tls::Certificate;

impl Generation {
    /// What exists in this generation, for metrics.
    pub(crate) fn exported(&self) -> Exported {
        let upstreams = self.upstreams.values();
        let servers = upstreams.flat_map(|upstream| {
            let servers = upstream.config.servers.iter();
            servers.map(|server| (upstream.config.name.clone(), server.address.to_string()))
        });
        let tls = self.listen.tls();
        let certificates = tls.flat_map(|tls| tls.certificates.iter().map(Certificate::label));
        Exported::default()
            .only("authenticator", self.authenticators().map(|plugin| plugin.name()))
            .only("authorizer", self.authorizers().map(|plugin| plugin.name()))
            .only("acceptor", self.acceptors.keys())
            .only("certificate", certificates)
            // What no route serves has an empty name.
            .only("route", self.routes.iter().map(|route| route.name.as_str()).chain([""]))
            .only_servers(servers)
    }
}
