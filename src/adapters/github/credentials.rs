//! Reads credentials for GitHub from a Secret.

use std::collections::BTreeMap;

use octocrab::auth::create_jwt;
use octocrab::jsonwebtoken::EncodingKey;
use octocrab::models::AppId;
use secrecy::SecretString;
use sha2::{Digest, Sha256};

use crate::ports::ForgeError;

/// The identity that Matinee has on GitHub.
pub(super) enum Identity {
    /// A token of a user.
    Token(SecretString),
    /// A GitHub App.
    App(App),
}

/// A GitHub App.
pub(super) struct App {
    id: u64,
    key: EncodingKey,
    /// The only installation to use; `None` when the repository determines it.
    pub installation: Option<u64>,
}

impl App {
    /// Returns a signed token that authenticates as the App itself for some minutes.
    pub fn jwt(&self) -> Result<SecretString, ForgeError> {
        let jwt = create_jwt(AppId(self.id), &self.key)
            .map_err(|error| ForgeError::Credentials(format!("privateKey can't sign: {error}")))?;
        Ok(SecretString::from(jwt))
    }
}

/// The parsed content of a Secret.
pub(super) struct Credentials {
    pub identity: Identity,
    /// Digest of the Secret's data, to detect changes.
    pub digest: [u8; 32],
}

/// Parses the data of the Secret `name`. Errors name the Secret and the key, never the contents.
pub(super) fn parse(name: &str, data: &BTreeMap<String, Vec<u8>>) -> Result<Credentials, ForgeError> {
    let wrong = |what: &str| ForgeError::Credentials(format!("Secret \"{name}\": {what}"));
    let text = |key: &str| match data.get(key).map(|bytes| std::str::from_utf8(bytes)) {
        None => Ok(None),
        Some(Ok(text)) if text.trim().is_empty() => Err(wrong(&format!("\"{key}\" is empty"))),
        Some(Ok(text)) => Ok(Some(text.trim())),
        Some(Err(_)) => Err(wrong(&format!("\"{key}\" is not text"))),
    };
    let number = |key: &str| match text(key)?.map(str::parse::<u64>) {
        None => Ok(None),
        Some(Ok(number)) if number > 0 => Ok(Some(number)),
        Some(_) => Err(wrong(&format!("\"{key}\" is not a number"))),
    };
    let identity = match (text("token")?, number("appId")?, text("privateKey")?) {
        (Some(token), None, None) => {
            if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(wrong("\"token\" has characters that are invalid in a token"));
            }
            Identity::Token(SecretString::from(token))
        }
        (None, Some(id), Some(pem)) => {
            let key = EncodingKey::from_rsa_pem(pem.as_bytes())
                .map_err(|_| wrong("\"privateKey\" is not an RSA key in PEM format"))?;
            Identity::App(App { id, key, installation: number("installationId")? })
        }
        (None, Some(_), None) => return Err(wrong("\"privateKey\" is missing beside \"appId\"")),
        (None, None, Some(_)) => return Err(wrong("\"appId\" is missing beside \"privateKey\"")),
        (None, None, None) => {
            return Err(wrong("it has neither \"token\" nor \"appId\" and \"privateKey\": add one of them"));
        }
        (Some(_), _, _) => {
            return Err(wrong("it has both \"token\" and an App's keys: remove one of them"));
        }
    };
    let mut digest = Sha256::new();
    for (key, value) in data {
        for part in [key.as_bytes(), value] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
    }
    Ok(Credentials { identity, digest: digest.finalize().into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Credentials, ForgeError> {
        let data = pairs.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
        parse("github", &data)
    }

    #[test]
    fn token_is_read_without_trailing_newline() {
        use secrecy::ExposeSecret;
        let read = read(&[("token", "ghs_x\n")]).unwrap();
        assert!(matches!(read.identity, Identity::Token(token) if token.expose_secret() == "ghs_x"));
    }

    #[test]
    fn mistakes_name_the_key_and_never_the_value() {
        for (pairs, expected) in [
            (&[][..], "add one of them"),
            (&[("token", " \n")], "\"token\" is empty"),
            (&[("token", "s3cret with space")], "\"token\" has characters"),
            (&[("appId", "1")], "\"privateKey\" is missing"),
            (&[("privateKey", "s3cret")], "\"appId\" is missing"),
            (&[("appId", "s3cret"), ("privateKey", "s3cret")], "\"appId\" is not a number"),
            (&[("appId", "1"), ("privateKey", "s3cret")], "\"privateKey\" is not an RSA key"),
            (&[("appId", "1"), ("privateKey", "s3cret"), ("token", "s3cret")], "both"),
        ] {
            let error = read(pairs).err().unwrap().to_string();
            assert!(error.contains(expected) && error.contains("Secret \"github\""), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn another_content_has_another_digest() {
        let digest = |pairs| read(pairs).unwrap().digest;
        assert_eq!(digest(&[("token", "a")]), digest(&[("token", "a")]));
        assert_ne!(digest(&[("token", "a")]), digest(&[("token", "b")]));
        assert_ne!(digest(&[("token", "a")]), digest(&[("token", "a"), ("x", "y")]));
    }
}
