//! The state of the stand-in: one workspace with one app, people, channels, commands and messages.

use std::collections::BTreeMap;
use std::time::Instant;

use chrono::{SecondsFormat, Utc};

use crate::control::types::{App, Channel, Invocation, Limits, Message, NewChannel, Request, Response, User};
use crate::faults::Fault;

/// The number of requests kept; older ones are dropped.
const KEPT: usize = 100_000;

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) app: App,
    pub(crate) tokens: BTreeMap<String, Token>,
    /// Request URLs by command.
    pub(crate) commands: BTreeMap<String, String>,
    pub(crate) users: Vec<User>,
    pub(crate) channels: Vec<Channel>,
    /// Times of the last posts, by the channel's id.
    pub(crate) posted: BTreeMap<String, Instant>,
    pub(crate) invocations: Vec<Invoked>,
    pub(crate) responses: Vec<Response>,
    pub(crate) messages: Vec<Message>,
    pub(crate) limits: Limits,
    pub(crate) faults: Vec<Fault>,
    pub(crate) log: Vec<Request>,
    /// The last number issued.
    count: u64,
}

/// Scopes of a bot token.
#[derive(Clone, Debug, Default)]
pub(crate) struct Token {
    pub(crate) scopes: Vec<String>,
    pub(crate) revoked: bool,
}

/// A typed command, with the state of its response URL.
#[derive(Clone, Debug)]
pub(crate) struct Invoked {
    pub(crate) shown: Invocation,
    /// The response URL's path.
    pub(crate) path: String,
    pub(crate) born: Instant,
    pub(crate) expired: bool,
    pub(crate) used: u32,
}

impl State {
    pub(crate) fn new() -> Self {
        let mut state = Self {
            app: App::default(),
            tokens: BTreeMap::new(),
            commands: BTreeMap::new(),
            users: Vec::new(),
            channels: Vec::new(),
            posted: BTreeMap::new(),
            invocations: Vec::new(),
            responses: Vec::new(),
            messages: Vec::new(),
            limits: Limits::default(),
            faults: Vec::new(),
            log: Vec::new(),
            count: 0,
        };
        state.app = App {
            api_app_id: state.id('A'),
            team_id: state.id('T'),
            team_domain: "acme".to_owned(),
            signing_secret: random_text(32),
            verification_token: random_text(24),
            bot_token: state.add_token(vec!["chat:write".to_owned(), "commands".to_owned()]),
        };
        state
    }

    /// Returns a new id in Slack's format.
    pub(crate) fn id(&mut self, kind: char) -> String {
        format!("{kind}0{:08X}A", 0x2147_4836 + self.number() * 7)
    }

    /// Returns a new number.
    pub(crate) fn number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// Creates a bot token.
    pub(crate) fn add_token(&mut self, scopes: Vec<String>) -> String {
        let number = self.number();
        let text = format!("xoxb-{}-{}-{}", 2_147_483_600 + number, 4_147_483_600 + number, random_text(24));
        self.tokens.insert(text.clone(), Token { scopes, revoked: false });
        text
    }

    /// Returns the account of that name, which is created if missing.
    pub(crate) fn user(&mut self, name: &str) -> User {
        if let Some(user) = self.users.iter().find(|user| user.name == name) {
            return user.clone();
        }
        let user = User { id: self.id('U'), name: name.to_owned() };
        self.users.push(user.clone());
        user
    }

    /// Returns the channel of that name, which is created as public and with the app in it if
    /// missing.
    pub(crate) fn channel(&mut self, name: &str) -> Channel {
        if let Some(channel) = self.channels.iter().find(|channel| channel.name == name) {
            return channel.clone();
        }
        self.set_channel(NewChannel { name: name.to_owned(), ..NewChannel::default() })
    }

    /// Creates a channel, or changes the existing one of that name.
    pub(crate) fn set_channel(&mut self, new: NewChannel) -> Channel {
        let NewChannel { name, private, member, archived } = new;
        let known = self.channels.iter().position(|channel| channel.name == name);
        let id = match known {
            Some(at) => self.channels[at].id.clone(),
            None => self.id('C'),
        };
        let channel = Channel { id, name, private, member, archived };
        match known {
            Some(at) => self.channels[at] = channel.clone(),
            None => self.channels.push(channel.clone()),
        }
        channel
    }

    /// Returns a new `ts` for a message.
    pub(crate) fn ts(&mut self) -> String {
        format!("{}.{:06}", Utc::now().timestamp(), self.number() % 1_000_000)
    }

    /// Records a request's arrival. Returns its sequence number, for [`Self::ended`].
    pub(crate) fn arrived(&mut self, method: &str, path: &str, user_agent: &str) -> u64 {
        if self.log.len() == KEPT {
            self.log.remove(0);
        }
        let sequence = self.number();
        self.log.push(Request {
            sequence,
            at: now(),
            method: method.to_owned(),
            path: path.to_owned(),
            status: 0,
            user_agent: user_agent.to_owned(),
        });
        sequence
    }

    /// Records a request's outcome.
    pub(crate) fn ended(&mut self, sequence: u64, status: u16) {
        if let Some(entry) = self.log.iter_mut().rev().find(|entry| entry.sequence == sequence) {
            entry.status = status;
        }
    }
}

/// Returns the present time in RFC 3339.
pub(crate) fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Returns `length` random letters and digits from the operating system's random source.
pub(crate) fn random_text(length: usize) -> String {
    let mut text = String::with_capacity(length + 32);
    while text.len() < length {
        text.push_str(&uuid::Uuid::new_v4().simple().to_string());
    }
    text.truncate(length);
    text
}
