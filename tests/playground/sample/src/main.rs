//! A sample application: an HTTP server small enough to be the only file of a container image.
//! Environment variables set its behaviour (see [`settings::Settings`]), so that a preview of it
//! can fail in all the ways real applications do.
//!
//! With the argument `pause` it is the sandbox container of a pod: it serves nothing and sleeps
//! until it gets a signal.

mod http;
mod page;
mod settings;
mod upstream;

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use settings::Settings;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

fn main() -> ExitCode {
    match run(std::env::args().nth(1).as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            say(&format!("sample: {problem}"));
            ExitCode::from(2)
        }
    }
}

fn run(argument: Option<&str>) -> Result<(), String> {
    // In a container this is process 1, for which the kernel ignores signals without a handler.
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(|e| format!("cannot handle signals: {e}"))?;
    match argument {
        None => {}
        Some("pause") => {
            let _ = signals.forever().next();
            return Ok(());
        }
        Some(other) => return Err(format!("unknown argument `{other}`; there is only `pause`")),
    }
    let mut settings = Settings::from_variables(|name| std::env::var(name).ok())?;
    thread::spawn(move || {
        let _ = signals.forever().next();
        std::process::exit(0);
    });
    if let Some(after) = settings.crash_after {
        if after.is_zero() {
            crash();
        }
        thread::spawn(move || {
            thread::sleep(after);
            crash();
        });
    }
    if let Some(after) = settings.complete_after {
        thread::spawn(move || {
            thread::sleep(after);
            say("sample: done, as COMPLETE_AFTER asks");
            std::process::exit(0);
        });
    }
    if let Some(address) = &settings.connect_at_start {
        settings.first_connection = upstream::connect_at_start(address);
    }
    thread::sleep(settings.start_delay);
    // The memory is written to, because the kernel allocates it only then.
    let memory = vec![1_u8; settings.memory * 1024 * 1024];
    std::hint::black_box(&memory);
    serve(settings)
}

fn serve(settings: Settings) -> Result<(), String> {
    let address = (Ipv4Addr::UNSPECIFIED, settings.port);
    let listener =
        TcpListener::bind(address).map_err(|e| format!("cannot listen on port {}: {e}", settings.port))?;
    let port = listener.local_addr().map_or(settings.port, |address| address.port());
    say(&format!("sample: revision {} listens on port {port}", settings.revision));
    let settings = Arc::new(settings);
    for connection in listener.incoming() {
        let Ok(connection) = connection else {
            // There are no free file descriptors: closing connections frees some, and spinning
            // would not.
            thread::sleep(Duration::from_millis(50));
            continue;
        };
        let settings = Arc::clone(&settings);
        thread::spawn(move || http::answer(connection, &settings));
    }
    Ok(())
}

fn crash() -> ! {
    say("sample: crashing, as CRASH_AFTER asks");
    std::process::exit(1);
}

/// Writes a line to the container's log; a closed log is not an error.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
