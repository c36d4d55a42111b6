//! How a command fails, and the exit code that says so.

use std::fmt;
use std::process::ExitCode;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub enum Failure {
    /// 1: it failed.
    Failed(String),
    /// 2: it was asked wrongly.
    Use(String),
    /// 3: the model has errors, already told.
    Model(String),
    /// 4: the store cannot be used.
    Store(String),
}

impl Failure {
    pub fn failed(error: impl fmt::Display) -> Failure {
        Failure::Failed(error.to_string())
    }

    pub fn usage(error: impl fmt::Display) -> Failure {
        Failure::Use(error.to_string())
    }

    pub fn store(error: impl fmt::Display) -> Failure {
        Failure::Store(error.to_string())
    }

    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Failure::Failed(_) => 1,
            Failure::Use(_) => 2,
            Failure::Model(_) => 3,
            Failure::Store(_) => 4,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Failed(text) | Failure::Use(text) | Failure::Store(text) => write!(f, "error: {text}"),
            // Diagnostics say `error` themselves.
            Failure::Model(text) => f.write_str(text.trim_end()),
        }
    }
}
