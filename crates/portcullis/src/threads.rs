//! Named threads.

use std::thread::JoinHandle;

use anyhow::{Context, Result};

/// Starts a thread with a name.
pub fn spawn_thread(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .with_context(|| format!("cannot start the thread {name}"))
}
