//! A sample application: an HTTP server small enough to be the only file of a container image, whose behaviour is set
//! by environment variables (see [`settings::Settings`]) so that a preview of it can be made to fail in every way a
//! real one does.
//!
//! Called with the argument `pause` it serves nothing and sleeps until told to stop: the sandbox container of a pod.

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
    // The kernel ignores signals without a handler for process 1, which this is in a container.
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(|e| format!("cannot handle signals: {e}"))?;
    match argument {
        None => {}
        Some("pause") => {
            let _ = signals.forever().next();
            return Ok(());
        }
        Some(other) => return Err(format!("unknown argument `{other}`; there is only `pause`")),
    }
    let settings = Settings::from_variables(|name| std::env::var(name).ok())?;
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
    thread::sleep(settings.start_delay);
    // Written to, or the kernel would only promise it.
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
            // Out of file descriptors: closing connections frees them, spinning would not.
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

/// Writes a line for the container's log; a closed log is no reason to stop.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
