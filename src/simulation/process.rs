//! The life of one replica's process. A crash can't stop the tasks that the product has spawned, so
//! it cuts them off: from then on no call of theirs has an effect or an answer.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

/// The process of one replica.
pub struct Process {
    /// Name of the replica, for the journal.
    pub name: String,
    dead: watch::Sender<bool>,
    writes: AtomicU64,
    /// Number of the write after which the process crashes.
    crash_after: Mutex<Option<u64>>,
}

impl Process {
    /// Starts a process that crashes after that number of writes, if one is given.
    pub fn start(name: String, crash_after: Option<u64>) -> Self {
        Self {
            name,
            dead: watch::Sender::new(false),
            writes: AtomicU64::new(0),
            crash_after: Mutex::new(crash_after),
        }
    }

    /// Crashes the process.
    pub fn crash(&self) {
        self.dead.send_replace(true);
    }

    /// Whether the process has crashed.
    pub fn is_dead(&self) -> bool {
        *self.dead.borrow()
    }

    /// Completes when the process has crashed.
    pub async fn died(&self) {
        // The sender lives as long as `self`.
        self.dead.subscribe().wait_for(|dead| *dead).await.ok();
    }

    /// Never completes in a process that has crashed.
    pub async fn survive(&self) {
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    /// Counts a write that had an effect, and crashes the process if it was its last one.
    pub fn wrote(&self) {
        let writes = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        if *self.crash_after.lock().unwrap() == Some(writes) {
            self.crash();
        }
    }

    /// Returns the number of its writes.
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }
}
