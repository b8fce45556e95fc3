//! Ctrl-C and SIGTERM as a flag that a blocking tool looks at between two waits.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Exit;

/// Longest wait between two looks at the flag.
pub(crate) const LOOK: Duration = Duration::from_millis(100);

/// Whether the user wants the tool to end. Clones share the flag.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Watches the signals from now on; the second one ends the process at once. Where that is impossible (no
    /// thread), a signal ends the process as it always does.
    pub(crate) fn watch() -> Interrupt {
        let flag = Interrupt::default();
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
            return flag;
        };
        let signals = {
            let _inside = runtime.enter();
            (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        };
        let (Ok(mut interrupt), Ok(mut terminate)) = signals else { return flag };
        let shared = flag.clone();
        std::thread::spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                    }
                    if shared.0.swap(true, Ordering::Relaxed) {
                        std::process::exit(i32::from(Exit::Interrupted.code()));
                    }
                }
            });
        });
        flag
    }

    /// Whether a signal has come.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
