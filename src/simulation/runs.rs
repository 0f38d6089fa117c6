//! Tells stories with many seeds. A failure prints its seed and the command that repeats it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use super::journal::Journal;
use super::stories::{ALL, Story};
use super::weather::Forecast;
use super::world::{Crashes, World};

/// Result of a run.
struct Run {
    /// What was wrong.
    wrongs: Vec<String>,
    history: String,
    writes: usize,
}

/// Tells a story.
fn run(story: &Story, seed: u64, forecast: Forecast, crashes: Crashes) -> Run {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let journal: Mutex<Option<Arc<Journal>>> = Mutex::default();
    let told = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let world = World::start(seed, &(story.environments)(), forecast, crashes).await;
            *journal.lock().unwrap() = Some(Arc::clone(&world.journal));
            (story.tell)(world).await
        })
    }));
    let wrongs = match told {
        Ok(Ok(wrongs)) => wrongs,
        Ok(Err(wrong)) => vec![wrong],
        Err(_) => vec!["a panic".to_owned()],
    };
    let journal = journal.into_inner().unwrap();
    Run {
        wrongs,
        history: journal.as_ref().map(ToString::to_string).unwrap_or_default(),
        writes: journal.map(|journal| journal.entries().len()).unwrap_or_default(),
    }
}

#[test]
fn every_story_ends_well() {
    let mut failures = Vec::new();
    let began = std::time::Instant::now();
    for story in ALL {
        let run = run(story, 1, Forecast::default(), Crashes::None);
        println!("{}: {} writes, {:?}", story.name, run.writes, began.elapsed());
        if !run.wrongs.is_empty() {
            failures.push(format!("{}: {:#?}\n{}", story.name, run.wrongs, run.history));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn one_story() {
    for seed in 1..=10 {
        let run = run(&ALL[0], seed, Forecast::default(), Crashes::None);
        println!("{} writes", run.writes);
        if seed == 1 {
            println!("{}", run.history);
        }
    }
}
