//! Matinee's main job from end to end, on a real cluster of its own. A pull request on a stand-in
//! for GitHub gets a URL that answers. The preview follows its commits and reports a broken one,
//! and the merge deletes it. The merge commit is deployed to staging once it was tested, and on to
//! production, which another tool deploys. A hotfix is deployed there from Slack.
//!
//! The demo checks every claim. The first claim that does not hold ends it with exit code 1, and
//! the last line says what a person can do.

mod acts;
mod chain;
mod deployer;
mod failure;
mod figures;
mod install;
mod keep;
mod lives;
mod picture;
mod play;
mod screen;
mod slack;
mod table;
mod timeline;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use clap::Parser;
use playground::Mode;
use playground::stage::{Place, Settings, Stage};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use failure::{Failure, Phase};
use play::Play;
use screen::Screen;

/// Shows Matinee's main job on a real cluster on this machine.
#[derive(Parser)]
#[allow(clippy::struct_excessive_bools)] // each is a flag of its own
#[command(name = "cargo demo", version)]
struct Arguments {
    /// Leave everything running with a preview in it, until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// Let further pull requests come and go for the figures, and print them as Markdown.
    #[arg(long)]
    figures: bool,
    /// Build the operator with optimizations, as it is shipped: takes longer, for figures on memory and speed.
    #[arg(long)]
    release: bool,
    /// Run the operator as a process of this machine rather than in the cluster: starts sooner.
    #[arg(long)]
    process: bool,
    /// Simulate the node, also where there could be a real one. No URL answers then, no container fails, and the operator is a process.
    #[arg(long)]
    simulated: bool,
    /// Draw what the acts print into this file, as SVG: the README's picture.
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let screen = Arc::new(Screen::new(arguments.picture.is_some()));
    match until_signalled(&arguments, &screen).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            screen.failed(&failure);
            ExitCode::FAILURE
        }
    }
}

/// Plays until the end or a signal. A signal is a failure during the play, and the regular end
/// after it.
async fn until_signalled(arguments: &Arguments, screen: &Arc<Screen>) -> Result<(), Failure> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Phase::Start.failed())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Phase::Start.failed())?;
    let kept = Kept::default();
    // Dropping the future ends everything that it has started.
    let mut demo = std::pin::pin!(demo(arguments, screen, &kept));
    loop {
        tokio::select! {
            result = &mut demo => return result,
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if !kept.end() {
            return Err(Phase::Interrupted.failed()("interrupted"));
        }
    }
}

/// Whether the play is over and the stage keeps running, and the signal to end it.
#[derive(Default)]
struct Kept {
    running: AtomicBool,
    over: Notify,
}

impl Kept {
    /// Keeps running until [`Self::end`] is called.
    async fn run(&self) {
        self.running.store(true, Ordering::Release);
        self.over.notified().await;
    }

    /// Ends it. Returns whether it was running.
    fn end(&self) -> bool {
        self.over.notify_one();
        self.running.swap(false, Ordering::AcqRel)
    }
}

async fn demo(arguments: &Arguments, screen: &Arc<Screen>, kept: &Kept) -> Result<(), Failure> {
    screen.title("Matinee: a pull request gets an environment of its own");
    let operator = playground::build("matinee", arguments.release, |line| screen.aside(line))
        .await
        .map_err(Phase::Build.failed())?;
    let mut settings = Settings::new(operator);
    settings.record_writes = true;
    if arguments.simulated {
        settings.playground.mode = Mode::Simulated;
    } else if !arguments.process {
        settings.place = Place::Cluster { replicas: 1 };
    }
    let told = Arc::clone(screen);
    let stage = Stage::start(settings, move |line| told.aside(line)).await.map_err(Phase::Start.failed())?;
    screen.started(&stage);
    let logs = stage.playground().directory().clone();
    let playing = Phase::Play { logs };

    let mut play = Play::new(stage, Arc::clone(screen)).await.map_err(playing.failed())?;
    let mut played = perform(arguments, &mut play, screen).await;
    if played.is_ok() && arguments.keep {
        played = play.keep().await;
        if played.is_ok() {
            kept.run().await;
            screen.line("");
        }
    }
    let ended = play.end().await;
    played.map_err(playing.failed())?;
    ended.map_err(Phase::End.failed())?;
    screen.done("All claims hold, and everything has been stopped.");
    Ok(())
}

async fn perform(arguments: &Arguments, play: &mut Play, screen: &Screen) -> anyhow::Result<()> {
    play.installed().await?;
    screen.clear_record();
    play.open().await?;
    play.push().await?;
    play.break_and_fix().await?;
    play.deploy_by_hand().await?;
    play.change_nothing().await?;
    play.merge().await?;
    play.test().await?;
    play.produce().await?;
    play.fix_from_slack().await?;
    if let Some(file) = &arguments.picture {
        std::fs::write(file, picture::svg(&screen.record()))
            .with_context(|| format!("the picture can't be written to {}", file.display()))?;
    }
    if arguments.figures {
        play.more_lives(lives::COUNT).await?;
    }
    play.print_figures(arguments.figures).await;
    Ok(())
}
