//! Slash commands: the form that Slack sends. Its fields are described in
//! <https://docs.slack.dev/interactivity/implementing-slash-commands#app_command_handling>.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use url::form_urlencoded;

/// Most bytes of a form. Slack's own forms are far smaller.
pub const LARGEST_FORM: usize = 64 << 10;
/// Most characters of the text after a command: the most that Slack recommends for a message.
pub const LONGEST_TEXT: usize = 4000;
/// Most characters of an id, of a command and of a name.
pub const LONGEST_WORD: usize = 255;
/// Most characters of a `response_url`.
pub const LONGEST_URL: usize = 2048;

/// URL for later answers to a command, up to five within 30 minutes. With this URL anybody can
/// write into the channel, so it is never shown, not even by `{:?}`.
#[derive(Clone, PartialEq, Eq)]
pub struct ResponseUrl(String);

impl ResponseUrl {
    /// Returns the URL. It comes from the body of the request, and its target isn't checked yet.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ResponseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseUrl(…)")
    }
}

/// A slash command that a user typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlashCommand {
    /// Id of the workspace, for example `T0001`.
    pub team_id: String,
    /// The workspace's name in its URL; empty when Slack doesn't send it.
    pub team_domain: String,
    /// Id of the channel in which the command was typed, for example `C2147483705`.
    pub channel_id: String,
    /// Name of the channel at that time. It is `directmessage` or `privategroup` for channels
    /// without a name, and empty when Slack doesn't send it.
    pub channel_name: String,
    /// Id of the user, for example `U2147483697`. Only this id identifies a user.
    pub user_id: String,
    /// Name of the user at that time; empty when Slack doesn't send it. Users can change their
    /// names, so a name doesn't identify anybody.
    pub user_name: String,
    /// The command, with its slash.
    pub command: String,
    /// The text after the command.
    pub text: String,
    /// URL for later answers.
    pub response_url: ResponseUrl,
}

/// The content of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A user typed a command.
    Command(Box<SlashCommand>),
    /// Slack checks the certificate (`ssl_check=1`), and expects only the status 200.
    SslCheck,
}

/// The reason why a form is not that of a slash command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// The form has more than [`LARGEST_FORM`] bytes.
    #[error("the form has more than {LARGEST_FORM} bytes")]
    Large,
    /// A required field is missing or empty.
    #[error("the form's field \"{0}\" is missing: the request is not that of a slash command")]
    Missing(&'static str),
    /// A field occurs twice. Two readers could each use another of the two values.
    #[error("the form's field \"{0}\" occurs more than once")]
    Repeated(&'static str),
    /// A field has too many characters.
    #[error("the form's field \"{field}\" has more than {most} characters: write less")]
    Long {
        /// The field.
        field: &'static str,
        /// Most characters that the field may have.
        most: usize,
    },
    /// A field that must be exact has white space or a control character.
    #[error("the form's field \"{0}\" has an invalid character")]
    Character(&'static str),
    /// The command has no slash.
    #[error("the form's field \"command\" does not begin with a slash")]
    Slash,
}

/// The fields that are read. All others are ignored, since Slack adds fields at any time.
const FIELDS: [&str; 10] = [
    "team_id",
    "team_domain",
    "channel_id",
    "channel_name",
    "user_id",
    "user_name",
    "command",
    "text",
    "response_url",
    "ssl_check",
];

/// Parses the body of a request whose signature was verified.
pub fn parse(body: &[u8]) -> Result<Parsed, FormError> {
    if body.len() > LARGEST_FORM {
        return Err(FormError::Large);
    }
    let mut fields = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(body) {
        let Some(field) = FIELDS.into_iter().find(|field| *field == name) else { continue };
        if fields.insert(field, value).is_some() {
            return Err(FormError::Repeated(field));
        }
    }
    let mut form = Form(fields);
    if form.0.remove("ssl_check").is_some_and(|value| value == "1") {
        return Ok(Parsed::SslCheck);
    }
    let command = form.word("command")?;
    if !command.starts_with('/') {
        return Err(FormError::Slash);
    }
    Ok(Parsed::Command(Box::new(SlashCommand {
        team_id: form.word("team_id")?,
        team_domain: form.take("team_domain", LONGEST_WORD)?,
        channel_id: form.word("channel_id")?,
        channel_name: form.take("channel_name", LONGEST_WORD)?,
        user_id: form.word("user_id")?,
        user_name: form.take("user_name", LONGEST_WORD)?,
        command,
        text: form.take("text", LONGEST_TEXT)?,
        response_url: ResponseUrl(form.exact("response_url", LONGEST_URL)?),
    })))
}

struct Form<'a>(BTreeMap<&'static str, Cow<'a, str>>);

impl Form<'_> {
    /// Returns the text of a field; empty when it is missing.
    fn take(&mut self, field: &'static str, most: usize) -> Result<String, FormError> {
        let text = self.0.remove(field).unwrap_or_default().into_owned();
        if text.chars().nth(most).is_some() { Err(FormError::Long { field, most }) } else { Ok(text) }
    }

    /// Returns the text of a required field that must be exact, since Matinee compares it or sends
    /// requests to it.
    fn exact(&mut self, field: &'static str, most: usize) -> Result<String, FormError> {
        let text = self.take(field, most)?;
        if text.is_empty() {
            return Err(FormError::Missing(field));
        }
        let odd = |c: char| c.is_control() || c.is_whitespace() || c == char::REPLACEMENT_CHARACTER;
        if text.contains(odd) { Err(FormError::Character(field)) } else { Ok(text) }
    }

    fn word(&mut self, field: &'static str) -> Result<String, FormError> {
        self.exact(field, LONGEST_WORD)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const URL: &str = "https://hooks.slack.com/commands/T1DC2JH3J/397700885554/96rGlfmibIGlgcZRskXaIFfN";

    fn pairs() -> Vec<(&'static str, String)> {
        [
            ("token", "gIkuvaNzQIHg97ATvDxqgjtO"),
            ("team_id", "T0001"),
            ("team_domain", "example"),
            ("enterprise_id", "E0001"),
            ("channel_id", "C2147483705"),
            ("channel_name", "deploys"),
            ("user_id", "U2147483697"),
            ("user_name", "steve"),
            ("command", "/deploy"),
            ("text", "acme/shop@main to staging & \"más\"\n100%"),
            ("response_url", URL),
            ("trigger_id", "13345224609.738474920.8088930838d88f008e0"),
            ("api_app_id", "A123456"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .into()
    }

    fn encode(pairs: &[(&str, String)]) -> Vec<u8> {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish().into_bytes()
    }

    fn with(field: &'static str, value: Option<&str>) -> Result<Parsed, FormError> {
        let mut pairs = pairs();
        pairs.retain(|(name, _)| *name != field);
        pairs.extend(value.map(|value| (field, value.to_owned())));
        parse(&encode(&pairs))
    }

    fn command(parsed: Result<Parsed, FormError>) -> SlashCommand {
        match parsed {
            Ok(Parsed::Command(command)) => *command,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_command_is_read_and_what_slack_adds_is_passed_over() {
        let read = command(parse(&encode(&pairs())));
        assert_eq!((read.team_id.as_str(), read.team_domain.as_str()), ("T0001", "example"));
        assert_eq!((read.channel_id.as_str(), read.channel_name.as_str()), ("C2147483705", "deploys"));
        assert_eq!((read.user_id.as_str(), read.user_name.as_str()), ("U2147483697", "steve"));
        assert_eq!(read.command, "/deploy");
        assert_eq!(read.text, "acme/shop@main to staging & \"más\"\n100%");
        assert_eq!(read.response_url.as_str(), URL);
    }

    #[test]
    fn the_form_of_slacks_example_is_read() {
        let body = b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar\
            &user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=\
            &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
            &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
        let read = command(parse(body));
        assert_eq!((read.command.as_str(), read.text.as_str()), ("/webhook-collect", ""));
        assert_eq!(read.response_url.as_str(), URL);
    }

    #[test]
    fn missing_form_field_is_named_and_names_are_optional() {
        for field in ["team_id", "channel_id", "user_id", "command", "response_url"] {
            assert_eq!(with(field, None), Err(FormError::Missing(field)));
            assert_eq!(with(field, Some("")), Err(FormError::Missing(field)));
        }
        for field in ["team_domain", "channel_name", "user_name", "text"] {
            command(with(field, None));
        }
        assert_eq!(parse(b""), Err(FormError::Missing("command")));
        assert_eq!(parse(b"{\"command\": \"/deploy\"}"), Err(FormError::Missing("command")));
    }

    #[test]
    fn fields_are_bounded_in_characters() {
        for (field, most) in [
            ("team_id", LONGEST_WORD),
            ("team_domain", LONGEST_WORD),
            ("user_name", LONGEST_WORD),
            ("text", LONGEST_TEXT),
            ("response_url", LONGEST_URL),
        ] {
            command(with(field, Some(&"é".repeat(most))));
            let error = with(field, Some(&"e".repeat(most + 1))).unwrap_err();
            assert_eq!(error, FormError::Long { field, most });
            assert!(error.to_string().contains(field), "{error}");
        }
        assert_eq!(parse(&vec![b'a'; LARGEST_FORM + 1]), Err(FormError::Large));
    }

    #[test]
    fn what_could_be_taken_for_something_else_is_refused() {
        let mut twice = encode(&pairs());
        twice.extend_from_slice(b"&user_id=U1");
        assert_eq!(parse(&twice), Err(FormError::Repeated("user_id")));
        for value in ["U1 ", "U1\n", "U1\0", "U\u{fffd}"] {
            assert_eq!(with("user_id", Some(value)), Err(FormError::Character("user_id")));
        }
        assert_eq!(with("command", Some("deploy")), Err(FormError::Slash));
    }

    #[test]
    fn a_look_at_the_certificate_is_no_command() {
        assert_eq!(parse(b"ssl_check=1&token=gIkuvaNzQIHg97ATvDxqgjtO"), Ok(Parsed::SslCheck));
        command(with("ssl_check", Some("0")));
    }

    #[test]
    fn where_to_answer_is_never_printed() {
        let printed = format!("{:?}", parse(&encode(&pairs())));
        assert!(printed.contains("/deploy") && !printed.contains("96rGlf"), "{printed}");
    }

    proptest! {
        #[test]
        fn arbitrary_body_never_panics(body in prop::collection::vec(any::<u8>(), 0..500)) {
            let _ = parse(&body);
        }

        #[test]
        fn command_text_is_unchanged(text in "\\PC{0,200}") {
            prop_assert_eq!(command(with("text", Some(&text))).text, text);
        }
    }
}
