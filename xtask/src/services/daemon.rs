//! Processes that outlive the command that began them: found again by a file with their number, and ended by it.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::process::output;

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Begins a program in a group of its own, with its output in a file; its number.
pub fn spawn(command: &mut Command, log: &Path) -> Result<u32, String> {
    let told = |error: std::io::Error| format!("{}: {error}", log.display());
    let out = File::create(log).map_err(told)?;
    let err = out.try_clone().map_err(told)?;
    let program = command.get_program().to_string_lossy().into_owned();
    let child = command.process_group(0).stdin(Stdio::null()).stdout(out).stderr(err).spawn();
    child.map(|child| child.id()).map_err(|error| format!("{program}: {error}"))
}

/// Whether a process runs and names `mark` in its command line: numbers come again, for other programs.
pub fn is_ours(pid: u32, mark: &str) -> bool {
    is_alive(pid) && fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(mark))
}

/// Whether a process runs. One that has ended and that nobody has waited for yet does not.
pub fn is_alive(pid: u32) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { return false };
    !status.lines().any(|line| line.starts_with("State:") && line.contains('Z'))
}

/// The processes that a process has begun and that are still there.
pub fn children(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// Sends a signal to each: `TERM`, `KILL`.
pub fn signal(name: &str, pids: &[u32]) -> Result<(), String> {
    let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
    // The shell's own `kill`: a machine need not have it as a program.
    output(Command::new("sh").args(["-c", &format!("kill -{name} {}", pids.join(" "))])).map(drop)
}

/// Waits until a process is gone.
pub fn gone(pid: u32, limit: Duration) -> Result<(), String> {
    until(limit, || !is_alive(pid)).map_err(|()| format!("process {pid} did not end within {} s", limit.as_secs()))
}

/// Waits until somebody has waited for a process that is gone: who does is not ours to choose.
pub fn reaped(pid: u32, limit: Duration) -> Result<(), String> {
    let reaped = until(limit, || !Path::new("/proc").join(pid.to_string()).exists());
    reaped.map_err(|()| format!("process {pid} has ended, and nobody has waited for it within {} s", limit.as_secs()))
}

/// Waits until the log of a process says something; the process must live that long.
pub fn says(pid: u32, log: &Path, text: &str, limit: Duration) -> Result<(), String> {
    let said = || fs::read_to_string(log).unwrap_or_default();
    let waited = until(limit, || said().contains(text) || !is_alive(pid));
    if waited.is_ok() && said().contains(text) {
        return Ok(());
    }
    let said = said();
    let last: Vec<&str> = said.lines().rev().take(5).collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    Err(format!("it is not ready ({} s at most); {} ends with:\n{}", limit.as_secs(), log.display(), last.join("\n")))
}

fn until(limit: Duration, holds: impl Fn() -> bool) -> Result<(), ()> {
    let begun = Instant::now();
    while !holds() {
        if begun.elapsed() > limit {
            return Err(());
        }
        sleep(LOOK_EVERY);
    }
    Ok(())
}
