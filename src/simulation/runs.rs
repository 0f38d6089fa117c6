//! Tells stories with many seeds. A failure prints the command that repeats it, and belongs into
//! `seeds.txt`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::journal::Journal;
use super::random::Random;
use super::stories::{ALL, Story};
use super::weather::Forecast;
use super::world::{Crashes, World};

/// Seeds of each story in a test. The variable `MATINEE_SEEDS` sets another number.
const SEEDS: u64 = 20;

/// Runs that failed once.
const KNOWN: &str = include_str!("seeds.txt");

/// What happens to a run.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub forecast: Forecast,
    pub crashes: Crashes,
}

impl Plan {
    /// Returns the plan of a seed: the first one is calm, most others have faults and crashes.
    fn of(seed: u64) -> Self {
        let random = Random::new(seed, "plan");
        let forecast = if seed == 0 || random.chance(0.3) { Forecast::calm() } else { Forecast::stormy() };
        let crashes = match random.number(0..=9) {
            _ if seed == 0 => Crashes::None,
            0..=3 => Crashes::None,
            4..=6 => Crashes::Once(random.number(1..=60)),
            _ => Crashes::Often(random.number(1..=4), 25),
        };
        Self { seed, forecast, crashes }
    }

    const fn calm(seed: u64, crashes: Crashes) -> Self {
        Self { seed, forecast: Forecast::calm(), crashes }
    }
}

/// Result of a run.
struct Run {
    /// What was wrong.
    wrongs: Vec<String>,
    history: String,
    /// Number of the first replica's writes.
    writes: u64,
}

/// Tells a story.
fn run(story: &Story, plan: &Plan) -> Run {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let journal: Mutex<Option<Arc<Journal>>> = Mutex::default();
    let told = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let world = World::start(story, plan).await;
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
    let entries = journal.as_ref().map(|journal| journal.entries()).unwrap_or_default();
    Run {
        wrongs,
        history: journal.as_ref().map(ToString::to_string).unwrap_or_default(),
        writes: entries.iter().filter(|entry| entry.by.starts_with("r1 ")).count() as u64,
    }
}

/// Tells all stories, on all processors, and fails with what was wrong.
fn tell_all(runs: &[(&Story, Plan)]) {
    let (next, failures) = (AtomicUsize::new(0), Mutex::<Vec<String>>::default());
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((story, plan)) = runs.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let told = run(story, plan);
                    if !told.wrongs.is_empty() {
                        let Plan { seed, crashes, .. } = plan;
                        let wrongs = told.wrongs.join("\n  ");
                        let (name, again) = (story.name, "cargo test --lib one_run_can_be_repeated -- --nocapture");
                        failures.lock().unwrap().push(format!(
                            "{name}, seed {seed}, {crashes:?}:\n  {wrongs}\n  MATINEE_RUN='{name} {seed}' {again}"
                        ));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    assert!(failures.is_empty(), "{} of {} runs failed\n{}", failures.len(), runs.len(), failures.join("\n"));
}

/// Reads a line such as `pushed 17`.
fn line(text: &str) -> Option<(&'static Story, Plan)> {
    let (name, seed) = text.split_once(' ')?;
    let story = ALL.iter().find(|story| story.name == name)?;
    Some((story, Plan::of(seed.trim().parse().ok()?)))
}

fn known() -> impl Iterator<Item = (&'static Story, Plan)> {
    let lines = KNOWN.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|text| line(text).unwrap_or_else(|| panic!("seeds.txt: {text:?} is no story and seed")))
}

fn seeds() -> u64 {
    let set = std::env::var("MATINEE_SEEDS").ok();
    set.map_or(SEEDS, |text| text.parse().expect("MATINEE_SEEDS is a number"))
}

#[test]
fn every_story_ends_well() {
    let random = (0..seeds()).flat_map(|seed| ALL.iter().map(move |story| (story, Plan::of(seed))));
    tell_all(&known().chain(random).collect::<Vec<_>>());
}

#[test]
fn a_crash_after_any_write_does_no_harm() {
    let short = ["opened_and_closed", "closed_early"];
    for story in ALL.iter().filter(|story| short.contains(&story.name)) {
        let writes = run(story, &Plan::calm(1, Crashes::None)).writes;
        assert!(writes > 10, "{}: {writes} writes", story.name);
        let crash = |write| (story, Plan::calm(1, Crashes::Once(write)));
        tell_all(&(1..=writes).map(crash).collect::<Vec<_>>());
    }
}

/// Repeats the run that `MATINEE_RUN` names, several times, and shows the history of the first one
/// that fails: the order of objects that are enqueued in the same moment may differ.
#[test]
fn one_run_can_be_repeated() {
    let named = std::env::var("MATINEE_RUN").ok();
    let times = if named.is_some() { 20 } else { 1 };
    let (story, plan) =
        line(named.as_deref().unwrap_or("pushed 1")).expect("MATINEE_RUN is a story and a seed");
    for time in 1..=times {
        let told = run(story, &plan);
        if time == times || !told.wrongs.is_empty() {
            println!("{plan:?}\n{}", told.history);
        }
        assert!(told.wrongs.is_empty(), "{:#?}", told.wrongs);
    }
}

#[test]
fn a_seed_determines_the_whole_history() {
    // In these stories no two objects of a kind are enqueued in the same moment.
    let single = ["opened_and_closed", "broken_and_fixed", "template_mistake"];
    for story in ALL.iter().filter(|story| single.contains(&story.name)) {
        for seed in 1..=2 {
            let [one, other] = [(); 2].map(|()| run(story, &Plan::of(seed)).history);
            let differs = one.lines().zip(other.lines()).position(|(one, other)| one != other);
            assert!(
                one == other,
                "{} {seed} differs at line {differs:?}:\n{:#?}",
                story.name,
                differs.map(|line| [&one, &other].map(|history| history.lines().nth(line)))
            );
        }
    }
}
