//! What the LwM2M server counts: every drop and refusal by its reason.

/// Totals since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Registers that were accepted.
    pub registers: u64,
    /// Registers that were refused for what they said.
    pub registers_refused: u64,
    /// Registers above the rate or the number of devices: 5.03.
    pub registers_limited: u64,
    /// Lifetimes that were cut.
    pub lifetimes_changed: u64,
    /// Updates that were accepted.
    pub updates: u64,
    /// Updates that were refused.
    pub updates_refused: u64,
    /// De-registers.
    pub deregisters: u64,
    /// Registrations whose lifetime ended.
    pub expired: u64,
    /// Devices that moved to another address by Update.
    pub moved: u64,
    /// Commands that came in.
    pub commands: u64,
    /// Commands that were answered at once: unreadable, unknown endpoint, retained.
    pub commands_refused: u64,
    /// Retained commands found when subscribing.
    pub commands_retained: u64,
    /// Final answers that went out.
    pub answers: u64,
    /// Notifications that went out.
    pub notifications: u64,
    /// Values sent by devices.
    pub sends: u64,
    /// Sends that were refused.
    pub sends_refused: u64,
    /// Datagrams left out of traces that nobody took in time.
    pub traces_dropped: u64,
    /// Sends that several endpoints at one address may have sent: nobody's.
    pub sends_ambiguous: u64,
    /// Answers, notifications or Sends that could not be decoded.
    pub undecodable: u64,
    /// Requests that were repeated in another content format.
    pub format_retries: u64,
    /// Memos that could not be read at start, or not be stored.
    pub memos_lost: u64,
    /// Messages for the service's link that had to be dropped before it was attached.
    pub service_dropped: u64,
    /// Broker events for links that are over.
    pub stale_events: u64,
}

impl Counters {
    /// Calls `add` with every name and value.
    pub(super) fn each(&self, add: &mut dyn FnMut(&str, u64)) {
        for (name, value) in [
            ("registers", self.registers),
            ("registers_refused", self.registers_refused),
            ("registers_limited", self.registers_limited),
            ("lifetimes_changed", self.lifetimes_changed),
            ("updates", self.updates),
            ("updates_refused", self.updates_refused),
            ("deregisters", self.deregisters),
            ("expired", self.expired),
            ("moved", self.moved),
            ("commands", self.commands),
            ("commands_refused", self.commands_refused),
            ("commands_retained", self.commands_retained),
            ("answers", self.answers),
            ("notifications", self.notifications),
            ("sends", self.sends),
            ("sends_refused", self.sends_refused),
            ("sends_ambiguous", self.sends_ambiguous),
            ("traces_dropped", self.traces_dropped),
            ("undecodable", self.undecodable),
            ("format_retries", self.format_retries),
            ("memos_lost", self.memos_lost),
            ("service_dropped", self.service_dropped),
            ("stale_events", self.stale_events),
        ] {
            add(name, value);
        }
    }
}
