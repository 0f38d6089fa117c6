//! No log and no message contains a response URL or a token.

use std::io::Write;
use std::sync::{Arc, Mutex};

use matinee::ports::Chat as _;
use slack_stand_in::control::types::FaultEffect;

use crate::stand_in::{World, text};

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

// The test runs on one thread, so that the log has everything.
#[tokio::test]
async fn no_secret_is_logged_or_said() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let world = World::new().await;
    let mut said = String::new();
    let mut url = String::new();
    for effect in [None, Some(FaultEffect::CloseBefore), Some(FaultEffect::CloseAfter)] {
        url = world.typed("/deploy x").await.response_url;
        if let Some(effect) = effect {
            world.control.break_next("/commands/*", effect.clone()).await.unwrap();
            world.control.break_next("/api/*", effect).await.unwrap();
        }
        for result in [
            world.chat.respond(&url, &text("x")).await.map(|()| String::new()),
            world.chat.respond(&url.replace("http:", "https:"), &text("x")).await.map(|()| String::new()),
            world.post("x", None).await,
        ] {
            said.extend(result.err().map(|error| format!("{error} {error:?}\n")));
        }
        said.extend([format!("{:?}", world.last())]);
    }
    let secret = url.rsplit('/').next().unwrap();
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("matinee::adapters::slack") && log.contains("chat.postMessage"), "{log}");
    for text in [said, log] {
        assert!(!text.contains(secret) && !text.contains(&world.app.bot_token), "{text}");
        assert!(!text.contains("/commands/T") && !text.contains("xoxb-"), "{text}");
    }
}
