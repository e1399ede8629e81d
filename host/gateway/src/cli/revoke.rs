//! `portcullis revoke`: asks a running gateway to end sessions, and to have everybody authenticated anew.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use clap::Subcommand;
use http::Method;
use http::Request;
use http::header;
use http_body_util::Full;
use portcullis::session::SessionId;

use super::running::Outcome;
use super::running::RunningGateway;
use crate::admin;
use crate::admin::Order;
use crate::admin::Yes;
use crate::cli::ConfigFile;

/// Arguments of `revoke`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Subcommand)]
enum What {
    /// End all sessions of a user
    User {
        /// The name, as the authenticator gives it
        name: String,
    },
    /// End one session
    Session {
        /// Its id: session_id in the audit log
        id: String,
    },
    /// End all sessions that an authenticator has begun
    Authenticator {
        /// Its name in the configuration
        name: String,
    },
    /// End all sessions
    All,
}

pub(super) async fn run(arguments: &Arguments, output: &mut impl Write) -> Outcome<()> {
    let file = &arguments.config;
    let order = match &arguments.what {
        What::User { name } => Order::User(name.clone()),
        What::Session { id } => Order::Session(id.parse::<SessionId>()?),
        What::Authenticator { name } => Order::Authenticator(name.clone()),
        What::All => Order::All(Yes),
    };
    let gateway = RunningGateway::of(file, "")?;
    let token = gateway.admin.token.as_ref().and_then(|token| token.bearer());
    let token = token.ok_or_else(|| {
        let name = file.name();
        format!("admin.token of {name} is missing or wrong, without which nothing can be revoked: `portcullis keygen` makes one")
    })?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(admin::REVOCATIONS)
        .header(header::AUTHORIZATION, token)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(serde_json::to_vec(&order)?.into()))?;
    let text = gateway.ask(request, LIMIT).await?;
    Ok(output.write_all(text.as_bytes())?)
}

/// How long to wait for the answer.
const LIMIT: Duration = Duration::from_secs(30);
