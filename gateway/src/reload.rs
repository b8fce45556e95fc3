//! [`Control`]: reading the configuration again while the program runs, on a thread of its own: files and object
//! definitions may be large, and devices are not to wait for them.
use crate::config::{Changes, Loaded};
use crate::log::LevelHandle;
use crate::run::one_line;
use crate::settings::Settings;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use tracing::{error, info, warn};

/// The configuration in force, and a reload that may be under way.
pub(crate) struct Control {
    loaded: Loaded,
    level: LevelHandle,
    /// Called on the thread when the result is there.
    done: Arc<dyn Fn() + Send + Sync>,
    sender: Sender<Option<Box<Reload>>>,
    results: Receiver<Option<Box<Reload>>>,
    running: bool,
    /// Asked for again while one was under way: the file may have changed behind it.
    again: bool,
}

/// A configuration that was read and found good.
pub(crate) struct Reload {
    loaded: Loaded,
    /// `None`: only the object definitions of the start have been read.
    changes: Option<Changes>,
    /// The settings that hold from now on.
    pub(crate) settings: Settings,
}

impl Reload {
    /// Whether it brings nothing but object definitions.
    pub(crate) fn is_of_the_start(&self) -> bool {
        self.changes.is_none()
    }
}

impl Control {
    pub(crate) fn new(loaded: Loaded, level: LevelHandle) -> Self {
        let (sender, results) = channel();
        Control { loaded, level, done: Arc::new(|| {}), sender, results, running: false, again: false }
    }

    /// Whom to wake when a reload is done.
    pub(crate) fn on_done(&mut self, done: impl Fn() + Send + Sync + 'static) {
        self.done = Arc::new(done);
    }

    /// Begins to read the configuration again.
    pub(crate) fn begin(&mut self) {
        if self.running {
            self.again = true;
        } else {
            self.begin_with(read);
        }
    }

    /// Begins to read the object definitions that the start has left out, if there are any.
    pub(crate) fn read_objects(&mut self) {
        if !self.running && crate::objects::has_files(&self.loaded.config.lwm2m) {
            self.begin_with(|loaded| {
                let settings = Settings::from_config(&loaded.config);
                Some(Box::new(Reload { loaded: loaded.clone(), changes: None, settings }))
            });
        }
    }

    fn begin_with(&mut self, read: fn(&Loaded) -> Option<Box<Reload>>) {
        let (loaded, sender, done) = (self.loaded.clone(), self.sender.clone(), Arc::clone(&self.done));
        let thread = std::thread::Builder::new().name("reload".to_owned()).spawn(move || {
            // When nobody takes the result the program is at its end.
            let _ = sender.send(read(&loaded));
            done();
        });
        match thread {
            Ok(_) => self.running = true,
            Err(error) => error!(%error, "configuration not reloaded: no thread for it"),
        }
    }

    /// What came of it, when it is done; `None`: nothing yet, or the old settings stay.
    pub(crate) fn result(&mut self) -> Option<Box<Reload>> {
        if !self.running {
            return None;
        }
        let reload = self.results.try_recv().ok()?;
        self.running = false;
        if std::mem::take(&mut self.again) {
            self.begin();
        }
        reload
    }

    /// The settings of `reload` hold: says what changed.
    pub(crate) fn applied(&mut self, reload: Reload) {
        let Reload { loaded, changes: Some(changes), settings: _ } = reload else { return };
        self.level.set(loaded.config.log.level);
        for change in &changes.reloadable {
            info!("changed: {change}");
        }
        for change in &changes.restart {
            warn!("needs a restart: {change}");
        }
        info!(
            "configuration reloaded: {} changed, {} wait for a restart",
            changes.reloadable.len(),
            changes.restart.len()
        );
        self.loaded = loaded;
    }
}

fn read(old: &Loaded) -> Option<Box<Reload>> {
    let new = match old.reload() {
        Ok(new) => new,
        Err(problems) => {
            for problem in &problems.0 {
                error!("{}", one_line(&problem.as_error()));
            }
            error!("configuration not reloaded: the settings from before stay");
            return None;
        }
    };
    for warning in &new.warnings {
        warn!("{}", one_line(&warning.as_warning()));
    }
    let changes = old.config.diff(&new.config);
    let config = old.config.reloaded(&new.config);
    let settings = Settings::from_config(&config);
    Some(Box::new(Reload { loaded: Loaded { config, ..new }, changes: Some(changes), settings }))
}
