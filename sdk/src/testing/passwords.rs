//! Verifies passwords as the gateway does, with the same libraries, but without its bounds.

use argon2::Argon2;
use argon2::password_hash::Error;
use argon2::password_hash::PasswordVerifier;
use argon2::password_hash::phc::PasswordHash;
use scrypt::Scrypt;

pub(super) fn verify(password: &[u8], hash: &str) -> Result<bool, String> {
    let unreadable = || "the hash is none of bcrypt, Argon2 or scrypt, or can't be read".to_owned();
    if hash.starts_with("$2") {
        return bcrypt::verify(password, hash).map_err(|_| unreadable());
    }
    let hash = PasswordHash::new(hash).map_err(|_| unreadable())?;
    let verified = match hash.algorithm.as_str() {
        "scrypt" => Scrypt::new().verify_password(password, &hash),
        _ => Argon2::default().verify_password(password, &hash),
    };
    match verified {
        Ok(()) => Ok(true),
        Err(Error::PasswordInvalid) => Ok(false),
        Err(_) => Err(unreadable()),
    }
}
