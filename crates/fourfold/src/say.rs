//! Printing for whoever still reads.

/// `println!` that is no failure when the reader has gone: `fourfold config | head -1` is no error, and a server serves on.
macro_rules! say {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        // There is nobody left to tell.
        let _ = writeln!(std::io::stdout(), $($argument)*);
    }};
}
