//! The built-in plugins, compiled to components and embedded. They run in the same sandbox as components from files.

use std::sync::LazyLock;

/// Declares the built-in plugins, each of which the build script has made and compressed.
macro_rules! built_in {
    ($($(#[$when:meta])? $name:literal),+ $(,)?) => {
        /// The names of the built-in plugins, sorted.
        pub const NAMES: &[&str] = &[$($(#[$when])? $name),+];

        static COMPONENTS: [LazyLock<Vec<u8>>; NAMES.len()] = [
            $(
                $(#[$when])?
                LazyLock::new(|| decompressed(include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".wasm.zlib"))))
            ),+
        ];
    };
}

built_in![
    #[cfg(feature = "cedar")]
    "cedar",
    "jupyterhub",
    "jwt",
    "kerberos",
    "oidc",
    "simple",
];

/// The names of those that this build was made without: features of this crate, and of the gateway.
pub const LEFT_OUT: &[&str] = &[
    #[cfg(not(feature = "cedar"))]
    "cedar",
];

/// The component of the built-in plugin with this name. `None` if there is none.
///
/// It is embedded compressed, and stays in memory once it was asked for: the largest takes 20 ms, and the others 3 ms at most.
pub fn find(name: &str) -> Option<&'static [u8]> {
    let (_, component) = NAMES.iter().zip(&COMPONENTS).find(|(known, _)| **known == name)?;
    Some(component)
}

/// What the build script has compressed. A test finds out if it isn't a component.
fn decompressed(bytes: &[u8]) -> Vec<u8> {
    miniz_oxide::inflate::decompress_to_vec_zlib(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use wasmparser::Parser;
    use wasmparser::Payload;

    use super::*;

    fn imports(component: &[u8]) -> BTreeSet<String> {
        let outermost = Parser::new(0).parse_all(component).scan(0_usize, |depth, payload| {
            let payload = payload.unwrap();
            match payload {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => *depth += 1,
                Payload::End(_) => *depth = depth.saturating_sub(1),
                _ => {}
            }
            Some((*depth, payload))
        });
        outermost
            .filter_map(|(depth, payload)| match payload {
                Payload::ComponentImportSection(section) if depth == 0 => Some(section),
                _ => None,
            })
            .flat_map(|section| section.into_iter().map(|import| import.unwrap().name.name.to_owned()))
            .map(|name| name.split('@').next().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn every_authenticator_is_a_component() {
        for name in NAMES {
            let component = find(name).unwrap();
            assert_eq!(
                component[..8],
                *b"\0asm\x0d\0\x01\0",
                "{name} starts as a component does"
            );
        }
        assert!(NAMES.is_sorted());
        assert_eq!(find("none"), None);
    }

    #[test]
    fn an_authenticator_imports_what_it_needs_and_nothing_else() {
        // A panic is logged.
        let every = ["portcullis:auth/types", "wasi:logging/logging"];
        let fetches = ["portcullis:auth/outbound", "wasi:clocks/monotonic-clock"];
        let remembers = ["portcullis:auth/cache", "wasi:clocks/wall-clock"];
        // It waits for another call that fetches the same keys.
        let verifies = ["portcullis:auth/crypto", "wasi:io/poll"];
        let cases = [
            ("simple", every.to_vec()),
            // Each attempt to log in draws random numbers.
            (
                "jupyterhub",
                [
                    every.to_vec(),
                    fetches.to_vec(),
                    remembers.to_vec(),
                    vec!["wasi:random/random"],
                ]
                .concat(),
            ),
            (
                "jwt",
                [every.to_vec(), fetches.to_vec(), remembers.to_vec(), verifies.to_vec()].concat(),
            ),
            (
                "oidc",
                [
                    every.to_vec(),
                    fetches.to_vec(),
                    remembers.to_vec(),
                    verifies.to_vec(),
                    vec!["portcullis:auth/signing", "wasi:random/random"],
                ]
                .concat(),
            ),
            // The seed is for hash maps, and the clock for policies about the time.
            #[cfg(feature = "cedar")]
            (
                "cedar",
                [
                    every.to_vec(),
                    vec!["wasi:clocks/wall-clock", "wasi:random/insecure-seed"],
                ]
                .concat(),
            ),
            // The seed is for the hash map of group names in regular expressions.
            (
                "kerberos",
                [every, ["portcullis:auth/negotiate", "wasi:random/insecure-seed"]].concat(),
            ),
        ];
        for (name, expected) in cases {
            assert_eq!(
                imports(find(name).unwrap()),
                expected.into_iter().map(str::to_owned).collect(),
                "{name}"
            );
        }
    }
}
