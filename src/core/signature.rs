//! Signature of a webhook: HMAC-SHA256 over the raw bytes of the body.
//! <https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries>

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Header with the signature. Matinee ignores `X-Hub-Signature`, which uses SHA-1.
pub const SIGNATURE_HEADER: &str = "x-hub-signature-256";

/// Fewest bytes of a secret: 128 bits. An attacker who has one delivery could guess a shorter
/// secret offline.
pub const SHORTEST_SECRET: usize = 16;

const SCHEME: &str = "sha256=";
const DIGEST_LENGTH: usize = 32;

/// A secret with which GitHub signs deliveries, or Slack its requests. Never printed, not even by
/// `{:?}`.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Vec<u8>);

/// Why a text can't be a webhook secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It is empty.
    #[error("it is empty")]
    Empty,
    /// Fewer than [`SHORTEST_SECRET`] bytes.
    #[error("it has {0} bytes, fewer than {SHORTEST_SECRET}")]
    Short(usize),
}

impl WebhookSecret {
    /// Reads the secret from a file's content, without line ends at its beginning and end.
    pub fn new(content: &[u8]) -> Result<Self, SecretError> {
        let is_line_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let start = content.iter().position(|byte| !is_line_end(byte)).ok_or(SecretError::Empty)?;
        let end = content.iter().rposition(|byte| !is_line_end(byte)).map_or(start, |last| last + 1);
        let secret = &content[start..end];
        if secret.iter().all(u8::is_ascii_whitespace) {
            return Err(SecretError::Empty);
        }
        if secret.len() < SHORTEST_SECRET {
            return Err(SecretError::Short(secret.len()));
        }
        Ok(Self(secret.to_vec()))
    }

    /// HMAC accepts keys of any length, so `None` doesn't occur; it would mean that no signature
    /// matches.
    fn mac(&self, parts: &[&[u8]]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        for part in parts {
            mac.update(part);
        }
        Some(mac)
    }

    /// Returns the hexadecimal digits of the signature of the concatenated parts.
    pub(in crate::core) fn digits(&self, parts: &[&[u8]]) -> String {
        self.mac(parts).map(|mac| hex::encode(mac.finalize().into_bytes())).unwrap_or_default()
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

/// Why a delivery isn't accepted as GitHub's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The header is missing.
    #[error("the header X-Hub-Signature-256 is missing: set a secret on the webhook")]
    Missing,
    /// The header isn't a signature.
    #[error("the header X-Hub-Signature-256 must be \"sha256=\" and 64 hexadecimal digits")]
    Malformed,
    /// None of the secrets gives this signature.
    #[error("the signature matches no configured secret: set the same secret on both sides")]
    Mismatch,
}

/// Signature from the header, not verified yet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; DIGEST_LENGTH]);

impl Signature {
    /// Parses the header's value. Callers can do so before they read the body.
    pub fn from_header(value: Option<&[u8]>) -> Result<Self, SignatureError> {
        let value = value.ok_or(SignatureError::Missing)?;
        Self::after_scheme(SCHEME, value).ok_or(SignatureError::Malformed)
    }

    /// Parses the hexadecimal digits of a digest, after a scheme such as `sha256=`.
    pub(in crate::core) fn after_scheme(scheme: &str, value: &[u8]) -> Option<Self> {
        let mut digest = [0; DIGEST_LENGTH];
        hex::decode_to_slice(value.strip_prefix(scheme.as_bytes())?, &mut digest).ok()?;
        Some(Self(digest))
    }

    /// Whether one of the secrets signed exactly the concatenated parts. Each comparison takes
    /// constant time.
    pub(in crate::core) fn is_by_one_of(&self, secrets: &[WebhookSecret], parts: &[&[u8]]) -> bool {
        secrets.iter().any(|secret| secret.mac(parts).is_some_and(|mac| mac.verify_slice(&self.0).is_ok()))
    }
}

impl fmt::Debug for Signature {
    // A valid signature would let a replay of the same body pass, so it must not appear in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(…)")
    }
}

/// Checks that one of the secrets signed exactly these bytes. Each comparison takes constant time.
pub fn verify(secrets: &[WebhookSecret], signature: &Signature, body: &[u8]) -> Result<(), SignatureError> {
    if signature.is_by_one_of(secrets, &[body]) { Ok(()) } else { Err(SignatureError::Mismatch) }
}

/// Returns the header's value for a body, as GitHub sends it. For tests, and to try a webhook by
/// hand.
pub fn sign(secret: &WebhookSecret, body: &[u8]) -> String {
    format!("{SCHEME}{}", secret.digits(&[body]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secret(text: &str) -> WebhookSecret {
        WebhookSecret::new(text.as_bytes()).unwrap()
    }

    fn check(secrets: &[WebhookSecret], header: &str, body: &[u8]) -> Result<(), SignatureError> {
        verify(secrets, &Signature::from_header(Some(header.as_bytes()))?, body)
    }

    /// The example in GitHub's documentation.
    #[test]
    fn the_documented_example_is_accepted() {
        let secrets = [secret("It's a Secret to Everybody")];
        let header = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(check(&secrets, header, b"Hello, World!"), Ok(()));
        assert_eq!(sign(&secrets[0], b"Hello, World!"), header);
        assert_eq!(check(&secrets, header, b"Hello, World?"), Err(SignatureError::Mismatch));
    }

    #[test]
    fn old_and_new_webhook_secret_verify_during_rotation() {
        let (old, new, other) =
            (secret("the old secret 1"), secret("the new secret 2"), secret("another secret 3"));
        let both = [new.clone(), old.clone()];
        for good in [&old, &new] {
            assert_eq!(check(&both, &sign(good, b"{}"), b"{}"), Ok(()));
        }
        assert_eq!(check(&both, &sign(&other, b"{}"), b"{}"), Err(SignatureError::Mismatch));
        assert_eq!(check(&[], &sign(&other, b"{}"), b"{}"), Err(SignatureError::Mismatch));
    }

    #[test]
    fn a_header_that_is_no_signature_is_refused_with_the_reason() {
        assert_eq!(Signature::from_header(None), Err(SignatureError::Missing));
        let digits = "a".repeat(64);
        for header in [
            String::new(),
            "sha256=".into(),
            digits.clone(),
            format!("sha1={digits}"),
            format!("sha256={digits}0"),
            format!("sha256={}", &digits[1..]),
            format!("sha256={}", "g".repeat(64)),
            format!("sha256= {digits}"),
        ] {
            assert_eq!(
                Signature::from_header(Some(header.as_bytes())),
                Err(SignatureError::Malformed),
                "{header}"
            );
        }
    }

    #[test]
    fn a_secret_is_what_stands_between_the_line_ends() {
        assert_eq!(
            WebhookSecret::new(b"0123456789abcdef\n"),
            WebhookSecret::new(b"\r\n0123456789abcdef\r\n")
        );
        assert_ne!(WebhookSecret::new(b" 0123456789abcdef"), WebhookSecret::new(b"0123456789abcdef"));
        for empty in [&b""[..], b"\n", b"\r\n\n", b"                    \n"] {
            assert_eq!(WebhookSecret::new(empty), Err(SecretError::Empty));
        }
        assert_eq!(WebhookSecret::new(b"0123456789abcde\n"), Err(SecretError::Short(15)));
    }

    #[test]
    fn neither_a_secret_nor_a_signature_is_ever_printed() {
        let secret = secret("It's a Secret to Everybody");
        let signature = Signature::from_header(Some(sign(&secret, b"{}").as_bytes()));
        let printed = format!("{secret:?} {signature:?}");
        assert!(!printed.contains("Everybody") && printed.len() < 50, "{printed}");
    }

    proptest! {
        #[test]
        fn only_the_same_secret_and_the_same_bytes_pass(
            key in prop::collection::vec(b'!'..=b'~', 16..80),
            body in prop::collection::vec(any::<u8>(), 0..300),
            flip in any::<prop::sample::Index>(),
            bit in 0..8_u8,
        ) {
            let secret = WebhookSecret::new(&key).unwrap();
            let header = sign(&secret, &body);
            prop_assert_eq!(check(std::slice::from_ref(&secret), &header, &body), Ok(()));

            let mut other_key = key.clone();
            other_key[flip.index(key.len())] ^= 0x80;
            let other = WebhookSecret::new(&other_key).unwrap();
            prop_assert_eq!(check(&[other], &header, &body), Err(SignatureError::Mismatch));

            let mut other_body = body.clone();
            if body.is_empty() { other_body.push(0) } else { other_body[flip.index(body.len())] ^= 1 << bit }
            prop_assert_eq!(check(&[secret], &header, &other_body), Err(SignatureError::Mismatch));
        }

        #[test]
        fn arbitrary_header_never_panics(header in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Signature::from_header(Some(&header));
        }
    }
}
