//! Pulls from servers that play a registry, most of them a hostile one.

mod hostile;
mod server;
mod store;

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;

use crate::Credentials;
use crate::Digest;
use crate::Host;
use crate::Options;
use crate::Reference;
use crate::Registries;

/// Options for a registry without TLS.
fn options(address: &str) -> Options {
    let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let tls = Arc::new(tls);
    let mut options = Options::new(Arc::new(move || Ok(Arc::clone(&tls))));
    let host = Host {
        plain_http: true,
        credentials: Some(Credentials::Password {
            username: "user".to_owned(),
            password: "secret".to_owned(),
        }),
        ..Host::default()
    };
    options.hosts.insert(address.to_owned(), host);
    options
}

fn reference(address: &str) -> Reference {
    format!("oci://{address}/team/badge:1.0").parse().unwrap()
}

/// Pulls what the tag 1.0 names. Returns the component, or the error.
async fn pull(address: &str) -> Result<Vec<u8>, String> {
    pull_with(&Registries::new(options(address)), address).await
}

async fn pull_with(registries: &Registries, address: &str) -> Result<Vec<u8>, String> {
    let reference = reference(address);
    let pulled = async {
        let digest = registries.resolve(&reference).await?;
        registries.pull(&reference, digest).await
    };
    let pulled = pulled
        .await
        .map_err(|error| error.to_string().replace(address, "HOST"))?;
    assert_eq!(pulled.component, Digest::of(&pulled.wasm));
    Ok(pulled.wasm.to_vec())
}
