//! Serving: opens the listeners of a configuration and runs until a signal ends it.
//!
//! Not there yet: this prints what it would open and fails.

use crate::config::Loaded;
use crate::exit::Exit;

/// Runs the gateway with checked settings; [`Loaded::reload`] reads them again on SIGHUP.
pub fn run(loaded: Loaded) -> Exit {
    eprintln!("{}", loaded.source_line());
    for warning in &loaded.warnings {
        eprintln!("{}", warning.as_warning());
    }
    for listener in loaded.config.listeners() {
        eprintln!("would open: {listener}");
    }
    eprintln!("{}", loaded.config.open_hint());
    eprintln!("not built yet: nothing is served");
    Exit::Failure
}
