//! The signature of a request from Slack: HMAC-SHA256 over version, time and the raw bytes of the
//! body. <https://docs.slack.dev/authentication/verifying-requests-from-slack>

use std::fmt;

use jiff::Timestamp;

use crate::core::signature::{Signature, WebhookSecret};

/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "x-slack-signature";

/// The header that carries the time of the request, in seconds since 1970.
pub const TIMESTAMP_HEADER: &str = "x-slack-request-timestamp";

/// Largest difference between a request's time and now, in either direction, in seconds. An older
/// request may be a replay.
pub const WINDOW: i64 = 300;

const SCHEME: &str = "v0=";
/// Enough digits for every second until the year 33658.
const MOST_DIGITS: usize = 12;

/// The reason why a request isn't accepted as one from Slack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The header with the time is missing.
    #[error("the header X-Slack-Request-Timestamp is missing: only Slack may send here")]
    NoTimestamp,
    /// The header with the time is malformed.
    #[error("the header X-Slack-Request-Timestamp must be a time in seconds since 1970")]
    BadTimestamp,
    /// The time differs from now by more than [`WINDOW`].
    #[error(
        "the header X-Slack-Request-Timestamp is more than {WINDOW} s away from the time here: the request is an old one, or this machine's clock is wrong"
    )]
    Stale,
    /// The header with the signature is missing.
    #[error("the header X-Slack-Signature is missing: only Slack may send here")]
    NoSignature,
    /// The header with the signature is malformed.
    #[error("the header X-Slack-Signature must be \"v0=\" and 64 hexadecimal digits")]
    BadSignature,
    /// None of the secrets made this signature.
    #[error(
        "the signature matches no configured signing secret: use the one under Basic Information of the Slack app"
    )]
    Mismatch,
}

/// A recent time and a signature from the headers. The signature isn't verified yet.
#[derive(Clone, PartialEq, Eq)]
pub struct SlackSignature {
    /// The time as it was sent, since these bytes are signed.
    timestamp: Vec<u8>,
    signature: Signature,
}

impl SlackSignature {
    /// Reads the values of [`TIMESTAMP_HEADER`] and [`SIGNATURE_HEADER`]. This is possible before
    /// the body is read.
    pub fn from_headers(
        timestamp: Option<&[u8]>,
        signature: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<Self, RequestError> {
        let timestamp = timestamp.ok_or(RequestError::NoTimestamp)?;
        let seconds = seconds(timestamp).ok_or(RequestError::BadTimestamp)?;
        if (now.as_second() - seconds).abs() > WINDOW {
            return Err(RequestError::Stale);
        }
        let signature = signature.ok_or(RequestError::NoSignature)?;
        let signature = Signature::after_scheme(SCHEME, signature).ok_or(RequestError::BadSignature)?;
        Ok(Self { timestamp: timestamp.to_vec(), signature })
    }

    /// Checks that one of the secrets signed exactly these bytes at that time. Each comparison
    /// takes constant time.
    pub fn verify(&self, secrets: &[WebhookSecret], body: &[u8]) -> Result<(), RequestError> {
        let parts = [b"v0:", self.timestamp.as_slice(), b":", body];
        if self.signature.is_by_one_of(secrets, &parts) { Ok(()) } else { Err(RequestError::Mismatch) }
    }
}

impl fmt::Debug for SlackSignature {
    // With a valid signature the same body can be sent again, so the signature must not get into a
    // log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SlackSignature(…)")
    }
}

fn seconds(header: &[u8]) -> Option<i64> {
    let digits = header.len() <= MOST_DIGITS && header.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(header).ok().filter(|_| digits)?.parse().ok()
}

/// Checks a request whose body was read: that it is recent, and that one of the secrets signed it.
pub fn verify(
    secrets: &[WebhookSecret],
    timestamp: Option<&[u8]>,
    signature: Option<&[u8]>,
    body: &[u8],
    now: Timestamp,
) -> Result<(), RequestError> {
    SlackSignature::from_headers(timestamp, signature, now)?.verify(secrets, body)
}

/// Returns the value of the signature header for a body, as Slack sends it. It is for tests and for
/// trying a command by hand.
pub fn sign(secret: &WebhookSecret, timestamp: i64, body: &[u8]) -> String {
    format!("{SCHEME}{}", secret.digits(&[format!("v0:{timestamp}:").as_bytes(), body]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // The example in <https://docs.slack.dev/authentication/verifying-requests-from-slack>.
    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
    const TIME: i64 = 1_531_420_618;
    const SIGNATURE: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    const BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar\
        &user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=\
        &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
        &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";

    fn secret(text: &str) -> WebhookSecret {
        WebhookSecret::new(text.as_bytes()).unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn check(
        secrets: &[WebhookSecret],
        time: &str,
        signature: &str,
        body: &[u8],
        now: i64,
    ) -> Result<(), RequestError> {
        verify(secrets, Some(time.as_bytes()), Some(signature.as_bytes()), body, at(now))
    }

    #[test]
    fn slacks_documented_example_passes_and_variants_fail() {
        let time = TIME.to_string();
        let secrets = [secret(SECRET)];
        assert_eq!(sign(&secrets[0], TIME, BODY.as_bytes()), SIGNATURE);
        assert_eq!(check(&secrets, &time, SIGNATURE, BODY.as_bytes(), TIME), Ok(()));
        let other_body = BODY.replace("text=", "text=x");
        for (secrets, time, body) in [
            (&secrets[..], time.as_str(), other_body.as_str()),
            (&secrets[..], "1531420619", BODY),
            (&secrets[..], "01531420618", BODY),
            (&[secret("8f742231b10e8888abcd99yyyzzz85a6")][..], time.as_str(), BODY),
            (&[][..], time.as_str(), BODY),
        ] {
            assert_eq!(check(secrets, time, SIGNATURE, body.as_bytes(), TIME), Err(RequestError::Mismatch));
        }
    }

    #[test]
    fn old_and_new_signing_secret_verify_during_rotation() {
        let (old, new) = (secret("the old secret 1"), secret("the new secret 2"));
        for good in [&old, &new] {
            let signature = sign(good, 7, b"a=b");
            assert_eq!(check(&[new.clone(), old.clone()], "7", &signature, b"a=b", 7), Ok(()));
        }
    }

    #[test]
    fn timestamp_is_accepted_within_five_minutes() {
        let secrets = [secret(SECRET)];
        for (now, result) in [
            (TIME + 300, Ok(())),
            (TIME - 300, Ok(())),
            (TIME + 301, Err(RequestError::Stale)),
            (TIME - 301, Err(RequestError::Stale)),
        ] {
            assert_eq!(check(&secrets, &TIME.to_string(), SIGNATURE, BODY.as_bytes(), now), result);
        }
    }

    #[test]
    fn headers_that_are_missing_or_none_are_refused_with_the_reason() {
        let time = TIME.to_string();
        let read = |time: Option<&str>, signature: Option<&str>| {
            SlackSignature::from_headers(time.map(str::as_bytes), signature.map(str::as_bytes), at(TIME))
        };
        assert_eq!(read(None, Some(SIGNATURE)), Err(RequestError::NoTimestamp));
        assert_eq!(read(Some(&time), None), Err(RequestError::NoSignature));
        for bad in ["", "now", "-1531420618", "+1531420618", " 1531420618", "1531420618.5", "9999999999999"] {
            assert_eq!(read(Some(bad), Some(SIGNATURE)), Err(RequestError::BadTimestamp), "{bad}");
        }
        let digits = &SIGNATURE[3..];
        for bad in [
            "",
            "v0=",
            digits,
            &format!("v1={digits}"),
            &format!("{SIGNATURE}0"),
            &SIGNATURE[..SIGNATURE.len() - 1],
        ] {
            assert_eq!(read(Some(&time), Some(bad)), Err(RequestError::BadSignature), "{bad}");
        }
        let printed = format!("{:?}", read(Some(&time), Some(SIGNATURE)));
        assert!(!printed.contains("a211") && printed.len() < 30, "{printed}");
    }

    proptest! {
        #[test]
        fn only_the_same_bytes_pass(
            body in prop::collection::vec(any::<u8>(), 1..300),
            flip in any::<prop::sample::Index>(),
            bit in 0..8_u8,
        ) {
            let secrets = [secret(SECRET)];
            let signature = sign(&secrets[0], TIME, &body);
            prop_assert_eq!(check(&secrets, &TIME.to_string(), &signature, &body, TIME), Ok(()));
            let mut other = body.clone();
            other[flip.index(body.len())] ^= 1 << bit;
            prop_assert_eq!(
                check(&secrets, &TIME.to_string(), &signature, &other, TIME),
                Err(RequestError::Mismatch)
            );
        }

        #[test]
        fn arbitrary_headers_never_panic(
            time in prop::collection::vec(any::<u8>(), 0..20),
            signature in prop::collection::vec(any::<u8>(), 0..100),
            now in Timestamp::MIN.as_second()..Timestamp::MAX.as_second(),
        ) {
            let _ = SlackSignature::from_headers(Some(&time), Some(&signature), at(now));
        }
    }
}
