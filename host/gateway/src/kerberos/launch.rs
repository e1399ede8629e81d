//! Starts helper processes. A helper inherits no environment variable of the gateway, and it has a folder for the replay
//! cache, in which helpers record the tokens that they have accepted.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use tempfile::NamedTempFile;

use crate::config::NegotiateConfig;

/// The settings with which all helpers of an acceptor are started.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) acceptor: String,
    helper: PathBuf,
    service: String,
    environment: Vec<(&'static str, OsString)>,
}

impl Launch {
    /// Creates the replay cache and the Kerberos configuration on disk.
    pub(super) fn prepare(config: &NegotiateConfig) -> Result<Self, String> {
        let folder = &config.replay_cache;
        let unusable =
            |error: io::Error| format!("the folder {} (replay_cache) can't be used: {error}", folder.display());
        make_private(folder).map_err(unusable)?;
        let own = write_krb5_config(folder).map_err(unusable)?;
        let mut krb5_config = own.into_os_string();
        if let Some(theirs) = &config.krb5_config {
            krb5_config.push(":");
            krb5_config.push(theirs);
        }
        let mut keytab = OsString::from("FILE:");
        keytab.push(&config.keytab);
        Ok(Self {
            acceptor: config.name.clone(),
            helper: config.helper.clone(),
            service: config.service.clone(),
            environment: vec![
                ("KRB5_KTNAME", keytab),
                ("KRB5_CONFIG", krb5_config),
                ("KRB5CCNAME", "MEMORY:".into()),
                ("KRB5RCACHENAME", "dfl:".into()),
                ("KRB5RCACHEDIR", folder.clone().into_os_string()),
                // Load no mechanisms besides the built-in ones.
                ("GSS_MECH_CONFIG", "/dev/null".into()),
            ],
        })
    }

    /// Starts a helper with this end of a socket as its standard input.
    pub(super) fn spawn(&self, socket: UnixStream) -> Result<Child, String> {
        let spawned = Command::new(&self.helper)
            .arg(&self.service)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            // In a process group of its own, a helper isn't ended by Ctrl-C while the gateway still serves its last
            // requests. If the gateway dies while a helper is stopped, the group is orphaned and gets SIGHUP (POSIX, 3.264).
            .process_group(0)
            .stdin(OwnedFd::from(socket))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        spawned.map_err(|error| format!("{} can't be started: {error}", self.helper.display()))
    }
}

/// Creates the folder of the replay cache, or checks that no other user can change what it records.
fn make_private(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let metadata = fs::metadata(folder)?;
    if metadata.mode() & 0o077 != 0 {
        let mode = metadata.mode() & 0o7777;
        let message = format!(
            "it is accessible to other users (mode {mode:04o}); run: chmod 700 {}",
            folder.display()
        );
        return Err(io::Error::other(message));
    }
    // The owner of a new file is this process's user. The system call that returns it directly needs unsafe code.
    if NamedTempFile::new_in(folder)?.as_file().metadata()?.uid() != metadata.uid() {
        return Err(io::Error::other("it belongs to another user"));
    }
    Ok(())
}

/// Writes the settings that take precedence over all others of the library. The file is replaced atomically.
fn write_krb5_config(folder: &Path) -> io::Result<PathBuf> {
    let path = folder.join("krb5.conf");
    let file = NamedTempFile::new_in(folder)?;
    fs::write(file.path(), KRB5_CONFIG)?;
    file.persist(&path).map_err(|error| error.error)?;
    Ok(path)
}

/// Turns off DNS lookups, so that helpers need no network, and sets by how much clocks may differ.
const KRB5_CONFIG: &str = "\
# Written by Portcullis at every start.
[libdefaults]
  clockskew = 300
  dns_canonicalize_hostname = false
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_uri_lookup = false
  rdns = false
";
