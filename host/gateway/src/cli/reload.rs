//! `portcullis reload`: asks a running gateway to load its configuration again, and waits for the outcome.

use std::io::Write;
use std::time::Duration;

use http::Method;
use http::Request;
use http_body_util::Full;

use super::running::Outcome;
use super::running::RunningGateway;
use crate::admin;
use crate::cli::ConfigFile;

pub(super) async fn run(file: &ConfigFile, output: &mut impl Write) -> Outcome<()> {
    let gateway = RunningGateway::of(file, ", or send SIGHUP to the process and read its log")?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(admin::RELOAD)
        .header(admin::RELOAD_HEADER, "1")
        .body(Full::default())?;
    let text = gateway.ask(request, LIMIT).await?;
    Ok(output.write_all(text.as_bytes())?)
}

/// How long to wait. A gateway gives up a reload before, also if it is in the middle of another one.
const LIMIT: Duration = Duration::from_secs(540);
