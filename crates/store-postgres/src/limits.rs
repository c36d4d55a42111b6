//! How long a silence may last before it counts as an end: of the node that numbers commits, of any node, of the database.
//!
//! Each is a limit on what nobody else can see: a process that was stopped, a host that lost its network, a database that vanished. None of
//! them ended its connections.

use std::time::Duration;

/// How long the session that numbers commits may say nothing, in seconds; then the server ends it (`idle_session_timeout`), and its lock is free.
/// It speaks each [`LEADER_WAIT`], so only a stopped process or a lost network is silent that long. Whatever it says later is refused: its session
/// is no more.
pub const LEADER_SILENT_MAX: Duration = Duration::from_secs(3);
/// How long the session that numbers commits waits when nobody tells it of any, in milliseconds: one who committed may have ended before it told.
pub const LEADER_WAIT: Duration = Duration::from_millis(250);
/// How often the other nodes look whether they can number, in seconds.
pub const FOLLOWER_WAIT: Duration = Duration::from_secs(1);
/// How long sent bytes may wait for the other side's acknowledgement, in seconds, of both the nodes and the server (`tcp_user_timeout`); then the
/// connection ends. A URL that has its own `tcp_user_timeout` keeps that for the node's side.
pub const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(10);
/// How long a connection may be idle until it is asked whether the other side is there, in seconds (`tcp_keepalives_idle`).
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);
/// How long until it is asked again, in seconds (`tcp_keepalives_interval`).
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
/// How many times it is asked in vain (`tcp_keepalives_count`).
pub const KEEPALIVE_RETRIES: u32 = 3;
/// How long one statement may take, in seconds (`statement_timeout`), where no deadline says less; beyond, the server stops it.
pub const STATEMENT_MAX: Duration = Duration::from_secs(60);
/// How long a transaction may stand still, in seconds (`idle_in_transaction_session_timeout`): one that hangs holds locks.
pub const STILL_MAX: Duration = Duration::from_secs(15);
/// How long a lock is waited for, in seconds (`lock_timeout`).
pub const LOCK_WAIT_MAX: Duration = Duration::from_secs(20);
/// How long a group of commits waits for a lock, in milliseconds; then each of them goes on alone, and only the one that needs it waits.
pub const GROUP_LOCK_WAIT_MAX: Duration = Duration::from_millis(200);
