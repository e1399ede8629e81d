//! What the programs in `src/bin` share: a gate with the built-in authenticator `simple`, which takes every password.

use std::error::Error;

use portcullis::Authenticator;
use portcullis::Chain;
use portcullis::Component;
use portcullis::Engine;
use portcullis::Gate;

/// A gate without sessions.
///
/// # Errors
///
/// Returns an error if the engine doesn't start or the plugin can't be configured.
pub async fn gate() -> Result<Gate, Box<dyn Error>> {
    let engine = Engine::builder().build()?;
    let component = Component::new(&engine, portcullis_plugins::find("simple").ok_or("no such plugin")?)?;
    let simple = Authenticator::builder("simple", &component).build().await?;
    Ok(Gate::new(Chain::new([simple]), None))
}
