//! What was pulled once needs no registry.

use super::options;
use super::pull_with;
use super::reference;
use super::server::Server;
use super::server::honest;
use super::server::manifest;
use crate::Digest;
use crate::Registries;
use crate::Store;

#[tokio::test]
async fn a_pinned_component_comes_from_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(honest(b"component")).await;
    let mut options = options(&server.address);
    options.store = Some(Store::new(folder.path()));
    let registries = Registries::new(options);
    pull_with(&registries, &server.address).await.unwrap();
    let asked = server.heads().len();
    let digest = Digest::of(manifest(b"component").as_bytes());
    let reference = reference(&server.address);
    registries.pull(&reference, digest).await.unwrap();
    assert_eq!(server.heads().len(), asked);

    // What is damaged is pulled again.
    let file = folder.path().join("sha256").join(Digest::of(b"component").hex());
    std::fs::write(&file, "compOnent").unwrap();
    let pulled = registries.pull(&reference, digest).await.unwrap();
    assert_eq!(&*pulled.wasm, b"component");
    assert_eq!(server.heads().len(), asked + 1);
    assert_eq!(std::fs::read(&file).unwrap(), b"component");
}

#[tokio::test]
async fn a_store_that_cannot_be_written_is_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let server = Server::start(honest(b"component")).await;
    let mut options = options(&server.address);
    options.store = Some(Store::new(file));
    assert_eq!(
        pull_with(&Registries::new(options), &server.address).await.unwrap(),
        b"component"
    );
}
