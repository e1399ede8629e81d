//! Password hashes that are slow on purpose: bcrypt, Argon2 and scrypt. A hash says itself what it costs to check a password
//! against it, so its cost is read and bounded before.

use argon2::Argon2;
use argon2::password_hash::Error;
use argon2::password_hash::PasswordVerifier;
use argon2::password_hash::phc::PasswordHash;
use bcrypt::HashParts;
use scrypt::Scrypt;

/// The longest hash, in bytes. Those of common programs have at most 200.
const MAX_HASH: usize = 512;

/// The most memory for checking one password, in KiB: four times the default of Argon2 in most programs.
const MAX_MEMORY: u64 = 256 << 10;

/// The most memory that checking one password goes through, in KiB: about a second of one processor.
const MAX_WORK: u64 = 1 << 20;

/// The highest cost of bcrypt, about two seconds of one processor.
const MAX_BCRYPT: u32 = 15;

/// A password hash that can be checked within the bounds.
#[derive(Debug)]
pub(super) struct SlowHash {
    kind: Kind,
    /// What a check needs, in KiB.
    memory: u64,
}

#[derive(Debug)]
enum Kind {
    Argon2(PasswordHash),
    Bcrypt(String),
    Scrypt(PasswordHash),
}

impl SlowHash {
    /// Reads a hash of bcrypt in its usual form (`$2b$…`), or one of Argon2 or scrypt as a
    /// [PHC string](https://github.com/P-H-C/phc-string-format).
    ///
    /// # Errors
    ///
    /// Returns an error if the hash is of another kind, can't be read, or would cost too much. It doesn't repeat the hash.
    pub(super) fn parse(hash: &str) -> Result<Self, String> {
        if hash.len() > MAX_HASH {
            return Err(format!("the hash is longer than {MAX_HASH} bytes"));
        }
        if hash.starts_with("$2") {
            let parts: HashParts = hash.parse().map_err(|_| unreadable())?;
            return match parts.get_cost() {
                0..=MAX_BCRYPT => Ok(Self {
                    kind: Kind::Bcrypt(hash.to_owned()),
                    memory: 4,
                }),
                cost => Err(format!(
                    "the cost of the hash is {cost}, and at most {MAX_BCRYPT} is accepted"
                )),
            };
        }
        let hash = PasswordHash::new(hash).map_err(|_| unreadable())?;
        if hash.hash.is_none() || hash.salt.is_none() {
            return Err(unreadable());
        }
        match hash.algorithm.as_str() {
            "argon2d" | "argon2i" | "argon2id" => {
                let params = argon2::Params::try_from(&hash).map_err(|_| unreadable())?;
                let memory = bounded(params.m_cost().into(), params.t_cost().into())?;
                Ok(Self {
                    kind: Kind::Argon2(hash),
                    memory,
                })
            }
            "scrypt" => {
                let params = scrypt::Params::try_from(&hash).map_err(|_| unreadable())?;
                let memory = params.n().saturating_mul(params.r().into()) / 8;
                let memory = bounded(memory, params.p().into())?;
                Ok(Self {
                    kind: Kind::Scrypt(hash),
                    memory,
                })
            }
            _ => Err(unreadable()),
        }
    }

    /// The memory for a check, in bytes.
    pub(super) fn memory(&self) -> usize {
        usize::try_from(self.memory << 10).unwrap_or(usize::MAX)
    }

    /// Whether it is the hash of this password. bcrypt looks at the first 72 bytes of a password only, as it does everywhere.
    ///
    /// # Errors
    ///
    /// Returns an error if the hash turns out to be unusable.
    pub(super) fn is_of(&self, password: &[u8]) -> Result<bool, String> {
        let verified = match &self.kind {
            Kind::Bcrypt(hash) => return bcrypt::verify(password, hash).map_err(|_| unreadable()),
            Kind::Argon2(hash) => Argon2::default().verify_password(password, hash),
            Kind::Scrypt(hash) => Scrypt::new().verify_password(password, hash),
        };
        match verified {
            Ok(()) => Ok(true),
            Err(Error::PasswordInvalid) => Ok(false),
            Err(_) => Err(unreadable()),
        }
    }
}

fn bounded(memory: u64, passes: u64) -> Result<u64, String> {
    if memory > MAX_MEMORY {
        return Err(format!(
            "the hash needs {memory} KiB of memory, and at most {MAX_MEMORY} are accepted"
        ));
    }
    if memory.saturating_mul(passes) > MAX_WORK {
        return Err(format!(
            "the hash goes through {memory} KiB {passes} times, and at most {MAX_WORK} KiB together are accepted"
        ));
    }
    Ok(memory)
}

fn unreadable() -> String {
    "the hash is none of bcrypt, Argon2 or scrypt, or can't be read".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &[u8] = b"password";

    /// From the tests of the reference implementation of Argon2, from passlib, and from `htpasswd -nbBC 4`.
    const HASHES: [&str; 4] = [
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8",
        "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
        "$2y$04$BDEnD8zse/4tL51bx.qCWuf9TjmVqXy42CpJOPSlrwLy1ltbogvC.",
    ];

    #[test]
    fn a_hash_is_that_of_one_password() {
        for text in HASHES {
            let hash = SlowHash::parse(text).unwrap();
            assert_eq!(hash.is_of(PASSWORD), Ok(true), "{text}");
            for other in [&b"Password"[..], b"password ", b""] {
                assert_eq!(hash.is_of(other), Ok(false), "{text}");
            }
        }
    }

    #[test]
    fn a_hash_that_costs_too_much_is_not_checked() {
        for (text, expected) in [
            (
                "$argon2id$v=19$m=262145,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
                "262145 KiB of memory",
            ),
            (
                "$argon2id$v=19$m=65536,t=17,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
                "65536 KiB 17 times",
            ),
            (
                "$scrypt$ln=19,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
                "524288 KiB of memory",
            ),
            (
                "$scrypt$ln=16,r=8,p=17$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
                "65536 KiB 17 times",
            ),
            (
                "$2b$16$EGdrhbKUv8Oc9vGiXX0HQOxSg445d458Muh7DAHskb6QbtCvdxcie",
                "cost of the hash is 16",
            ),
            (&"$".repeat(MAX_HASH + 1), "longer than 512 bytes"),
        ] {
            let error = SlowHash::parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        for text in [
            "$argon2id$v=19$m=262144,t=4,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$scrypt$ln=18,r=8,p=4$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
            "$2b$15$EGdrhbKUv8Oc9vGiXX0HQOxSg445d458Muh7DAHskb6QbtCvdxcie",
        ] {
            assert!(SlowHash::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_no_such_hash_is_an_error() {
        for text in [
            "",
            "password",
            "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
            "$apr1$abc$def",
            "$6$rounds=5000$abc$def",
            "$2b$",
            "$2b$04$short",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ",
            "$argon2id$v=19$m=0,t=0,p=0$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$pbkdf2-sha256$i=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$scrypt$ln=63,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
        ] {
            assert_eq!(SlowHash::parse(text).unwrap_err(), unreadable(), "{text}");
        }
    }
}
