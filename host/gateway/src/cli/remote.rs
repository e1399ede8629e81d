//! Components of registries for the commands of `portcullis plugin`: with the registries, the store and the pins of a
//! configuration, if one is given.

use portcullis_loader::remote::Fetched;
use portcullis_loader::remote::Remote;
use portcullis_loader::remote::Unpinned;
use portcullis_loader::signature::Signature;
use portcullis_loader::signature::TrustedKeys;
use portcullis_registry::Reference;

use crate::cli::ConfigFile;
use crate::cli::inspect;
use crate::config::ConfigErrors;
use crate::config::Draft;

/// What a configuration says about registries. Its other mistakes don't matter here.
pub(super) struct Configured {
    pub(super) remote: Remote,
    pub(super) draft: Draft,
}

impl Configured {
    pub(super) fn read(file: &ConfigFile) -> Self {
        let draft = file.read();
        let config = &draft.config;
        let registries = config.registries.registries(config.plugins.pulling());
        let remote = Remote::new(registries, draft.lock.clone(), Unpinned::Warn);
        Self { remote, draft }
    }

    /// An error about a reference. Mistakes in the sections of registries may be its reason, so they are named too.
    pub(super) fn error(self, reference: &Reference, why: impl std::fmt::Display) -> String {
        let mut errors = self.draft.errors;
        errors.retain(|error| error.to_string().contains(": registries."));
        match errors.is_empty() {
            true => format!("{reference}: {why}"),
            false => format!("{reference}: {why}\n{}", ConfigErrors::new(errors)),
        }
    }
}

/// Gets a component, by its pin if it has one. It must be signed by one of the keys if there are any.
pub(super) async fn fetched(
    reference: &Reference,
    trust: Option<&TrustedKeys>,
    config: &ConfigFile,
) -> Result<Fetched, String> {
    let configured = Configured::read(config);
    let fetched = configured.remote.fetch_alone(reference, trust).await;
    fetched.map_err(|why| configured.error(reference, why))
}

/// Gets a component, and what there is to say about its signature.
pub(super) async fn inspected(
    reference: &Reference,
    trust: Option<&TrustedKeys>,
    config: &ConfigFile,
) -> Result<(Fetched, String), String> {
    let fetched = fetched(reference, trust, config).await?;
    let signature = match &fetched.signer {
        Some(signer) => inspect::verified(signer),
        None => {
            let found = Configured::read(config)
                .remote
                .signature(reference, fetched.manifest)
                .await;
            match found.map(|found| found.map(|bytes| Signature::parse(&bytes))) {
                Ok(Some(Ok(signature))) => inspect::unverified(&signature),
                Ok(None) => "none".to_owned(),
                Ok(Some(Err(why))) => format!("in the registry {why}"),
                Err(why) => why,
            }
        }
    };
    Ok((fetched, signature))
}
