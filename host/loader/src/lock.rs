//! `portcullis.lock`, beside the configuration file: which version of a plugin a tag stands for. A tag is pinned when it is
//! first used, so that a tag that moves in the registry changes nothing here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::fs::Permissions;
use std::io;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use portcullis_registry::Digest;
use portcullis_registry::Reference;
use toml_span::DeserError;
use toml_span::Deserialize;
use toml_span::Value;
use toml_span::de_helpers::TableHelper;
use toml_span::de_helpers::parse;

use crate::files::Unreadable;
use crate::files::read_guarded;

/// The maximum size of the file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// What a tag stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "an entry of the file is these two digests")]
pub struct Pin {
    /// The digest of the manifest.
    pub manifest: Digest,
    /// The SHA-256 of the component.
    pub component: Digest,
}

/// The pins of a configuration, by reference.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Lock(BTreeMap<Reference, Pin>);

impl Lock {
    /// Reads the file. One that doesn't exist has no pins.
    ///
    /// # Errors
    ///
    /// The text is a sentence that names the file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let error = |why: &dyn std::fmt::Display| format!("{} {why}", path.display());
        // It decides which plugins run, as a configuration does.
        let bytes = match read_guarded(path, MAX_FILE) {
            Ok(bytes) => bytes,
            Err(Unreadable::Broken(_)) if !path.exists() => return Ok(Self::default()),
            Err(why) => return Err(error(&why)),
        };
        let text = str::from_utf8(&bytes).map_err(|_| error(&"is not UTF-8"))?;
        let mut root = toml_span::parse(text).map_err(|why| error(&format!("is not TOML: {why}")))?;
        let lock = Self::deserialize(&mut root);
        lock.map_err(|why| {
            error(&format!(
                "can't be used: {why}; write the entry anew with `portcullis plugin pull --update`"
            ))
        })
    }

    /// What a reference is pinned to. `None` if it hasn't been used yet.
    pub fn pin(&self, reference: &Reference) -> Option<Pin> {
        self.0.get(reference).copied()
    }

    /// Adds pins to the file. A reference that has another pin already, perhaps since a moment ago by another process, keeps
    /// it, and that is an error; with `replace`, it gets the new one.
    ///
    /// # Errors
    ///
    /// The text is a sentence that names the file and says what to do.
    pub fn add(path: &Path, pins: &BTreeMap<Reference, Pin>, replace: bool) -> Result<(), String> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| Path::new("."));
        // Where a folder can't be locked, only the last of two processes that write at once has its pins kept, and the other
        // pins its own again at its next reload.
        let guard = File::open(folder).ok().filter(|folder| folder.lock().is_ok());
        let mut lock = Self::read(path)?;
        for (reference, pin) in pins {
            match lock.0.get(reference) {
                Some(known) if known == pin => {}
                Some(known) if !replace => {
                    return Err(format!(
                        "{} says {} since a moment ago, and the tag stands for {} now: reload",
                        path.display(),
                        known.manifest,
                        pin.manifest
                    ));
                }
                _ => _ = lock.0.insert(reference.clone(), *pin),
            }
        }
        let written = write(folder, path, &lock.text());
        drop(guard);
        written.map_err(|why| {
            format!(
                "{} can't be written ({why}), and without it the tag could change its meaning: let this program write to the \
                 folder, or run `portcullis plugin pull REFERENCE --config FILE` where it can be written and bring the file \
                 here with the configuration, or name the version by its digest",
                path.display()
            )
        })
    }

    fn text(&self) -> String {
        let mut text = HEADER.to_owned();
        for (reference, Pin { manifest, component }) in &self.0 {
            // Nothing in a reference needs an escape. Writing to a string can't fail.
            let _ = write!(
                text,
                "\n[[plugins]]\nreference = \"{reference}\"\nmanifest = \"{manifest}\"\ncomponent = \"{component}\"\n"
            );
        }
        text
    }
}

const HEADER: &str = "\
# Which version of a plugin a tag stands for. Portcullis writes this file when it first uses a tag; keep it with the
# configuration. `portcullis plugin pull --update REFERENCE` changes an entry.
";

/// Writes a file aside, and then gives it its name.
fn write(folder: &Path, path: &Path, text: &str) -> io::Result<()> {
    let mut builder = tempfile::Builder::new();
    builder
        .prefix(".portcullis.lock-")
        .permissions(Permissions::from_mode(0o644));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

impl<'de> Deserialize<'de> for Lock {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let mut root = TableHelper::new(value)?;
        let entries: Vec<Entry> = root.optional("plugins").unwrap_or_default();
        root.finalize(None)?;
        Ok(Self(
            entries
                .into_iter()
                .map(|Entry(reference, pin)| (reference, pin))
                .collect(),
        ))
    }
}

struct Entry(Reference, Pin);

impl<'de> Deserialize<'de> for Entry {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let mut table = TableHelper::new(value)?;
        let mut required = |key: &'static str| match table.take(key) {
            Some((_, value)) => Ok(value),
            None => Err(DeserError::from(toml_span::Error {
                kind: toml_span::ErrorKind::MissingField(key),
                span: value.span,
                line_info: None,
            })),
        };
        let reference = parse(&mut required("reference")?)?;
        let manifest = parse(&mut required("manifest")?)?;
        let component = parse(&mut required("component")?)?;
        table.finalize(None)?;
        Ok(Self(reference, Pin { manifest, component }))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::document::lock_beside;

    use super::*;

    fn pin(text: &str) -> Pin {
        Pin {
            manifest: Digest::of(text.as_bytes()),
            component: Digest::of(b"component"),
        }
    }

    #[test]
    fn a_pin_is_kept_until_it_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = lock_beside(&folder.path().join("portcullis.toml"));
        assert_eq!(Lock::read(&path).unwrap(), Lock::default());
        let [a, b]: [Reference; 2] = ["oci://r.example/a:1", "oci://r.example/b:1"].map(|text| text.parse().unwrap());
        let pins = |reference: &Reference, text: &str| BTreeMap::from([(reference.clone(), pin(text))]);
        Lock::add(&path, &pins(&b, "one"), false).unwrap();
        Lock::add(&path, &pins(&a, "one"), false).unwrap();
        Lock::add(&path, &pins(&a, "one"), false).unwrap();
        let error = Lock::add(&path, &pins(&a, "two"), false).unwrap_err();
        assert!(error.contains("since a moment ago"), "{error}");
        assert_eq!(Lock::read(&path).unwrap().pin(&a), Some(pin("one")));
        Lock::add(&path, &pins(&a, "two"), true).unwrap();
        let lock = Lock::read(&path).unwrap();
        assert_eq!([lock.pin(&a), lock.pin(&b)], [Some(pin("two")), Some(pin("one"))]);
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_no_lock_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("portcullis.lock");
        let digest = Digest::of(b"");
        for (text, expected) in [
            ("garbage", "is not TOML"),
            ("plugins = 1", "can't be used"),
            ("other = 1", "can't be used"),
            ("[[plugins]]\n", "can't be used: missing field 'reference'"),
            (
                &format!("[[plugins]]\nreference = \"x\"\nmanifest = \"{digest}\"\ncomponent = \"{digest}\""),
                "doesn't begin with oci://",
            ),
            (
                "[[plugins]]\nreference = \"oci://a/b:1\"\nmanifest = \"sha256:00\"\n",
                "expected \"sha256:\" and 64",
            ),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Lock::read(&path).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(error.contains("portcullis.lock"), "{error}");
        }
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        let error = Lock::read(&path).unwrap_err();
        assert!(error.contains("is writable for every user"), "{error}");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error_that_says_what_to_do() {
        let pins = BTreeMap::from([("oci://r.example/a:1".parse().unwrap(), pin("one"))]);
        let error = Lock::add(Path::new("/proc/portcullis.lock"), &pins, false).unwrap_err();
        assert!(error.contains("portcullis plugin pull"), "{error}");
    }
}
