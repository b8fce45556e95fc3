//! How the program ends. The numbers are a promise to scripts and service managers.

/// The exit code of every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was asked for.
    Ok,
    /// It failed.
    Failure,
    /// The command line or the configuration is wrong; nothing was started.
    Usage,
    /// The gateway cannot be reached.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// The gateway refused.
    Denied,
    /// Ended by SIGINT where that is not the normal end.
    Interrupted,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Timeout => 4,
            Self::Denied => 5,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
