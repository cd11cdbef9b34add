//! Every bound of the engine, named for what it bounds, the unit last. The edge fills it from
//! the configuration; config/default.toml has each with its reason.

use carillon_sdk::Ttl;

#[derive(Debug, Clone)]
pub struct Limits {
    /// Validity of a push that names none.
    pub ttl_default: Ttl,
    pub ttl_max: Ttl,
    /// Title, body and data together, in bytes of JSON.
    pub payload_bytes_max: usize,
    /// Devices and users one push may name.
    pub targets_max: usize,
    /// Pending messages a device may have, or a user who waits for a bind.
    pub pending_max: u32,
    /// The same in bytes of payload.
    pub pending_bytes_max: u64,
    /// Live broadcasts an app may have.
    pub broadcasts_max: usize,
    /// Templates an app may keep.
    pub templates_max: usize,
    /// Campaigns an app may have; beyond, the oldest that is over goes, and without one: 409.
    pub campaigns_max: usize,
    /// Lists an app may keep.
    pub lists_max: usize,
    /// Lines of one list.
    pub list_lines_max: u64,
    /// Operations of one app that may wait for a partition's commit; beyond: 503.
    pub intake_app_max: usize,
    /// Operations in one commit.
    pub commit_ops_max: usize,
    /// Removals by themselves wait this long for company before a commit.
    pub removal_wait_ms: u64,
    /// Answers kept for Idempotency-Key, per app; beyond, the oldest go first and are counted.
    pub idempotency_max: usize,
    /// How long an idempotent answer is kept at least; the message's validity when that is longer.
    pub idempotency_keep: Ttl,
    /// Request nonces remembered; a full table answers 429.
    pub nonces_max: usize,
    /// Pushes unacked on one connection.
    pub in_flight_max: usize,
    /// Bytes that may wait for a socket that refuses them; beyond, the connection is closed.
    pub backlog_bytes_max: usize,
    /// How long a socket may refuse all bytes before it is closed.
    pub write_stall: Ttl,
    /// An unacked push is probed after this, and sent again after twice this.
    pub ack_timeout: Ttl,
    pub heartbeat_min_s: u32,
    pub heartbeat_max_s: u32,
    pub heartbeat_default_s: u32,
    /// Connections the process will hold.
    pub connections_max: usize,
    /// Hellos a second the process admits, and the burst; beyond: Goodbye busy with retry_after.
    pub hello_rate_per_s: u32,
    pub hello_burst: u32,
    /// How long from accept to a verified Hello.
    pub hello_timeout: Ttl,
    /// Messages in a shard's mailbox.
    pub shard_mailbox_max: usize,
    /// How far back a revoke reaches, and how long a device that may show what was revoked is told
    /// when it connects.
    pub revoke_keep: Ttl,
    /// Day files of per-device steps are kept this long.
    pub history_keep: Ttl,
    /// Schedules of an app that have runs before them.
    pub schedules_max: usize,
    /// Bytes of what one schedule sends, as it is kept.
    pub schedule_bytes_max: usize,
    /// How far ahead a schedule may end.
    pub schedule_ahead_max: Ttl,
    /// A schedule that skips what it missed skips a run later than this.
    pub schedule_skip_after: Ttl,
    /// A schedule and its runs are shown this long after its end.
    pub schedule_keep: Ttl,
    /// Tasks an app may have; beyond, the oldest go first. 16 bytes of memory each.
    pub tasks_max: usize,
    /// A task and its statistics are kept this long after it began.
    pub task_keep: Ttl,
    /// Deaths of actors that a supervisor bears within a minute.
    pub deaths_per_minute_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            ttl_default: Ttl::from_secs(24 * 3600),
            ttl_max: Ttl::from_secs(7 * 24 * 3600),
            payload_bytes_max: 4096,
            targets_max: 1_000,
            pending_max: 1_000,
            pending_bytes_max: 1 << 20,
            broadcasts_max: 256,
            templates_max: 100,
            campaigns_max: 1_000,
            lists_max: 100,
            list_lines_max: 10_000_000,
            intake_app_max: 8_192,
            commit_ops_max: 500,
            removal_wait_ms: 20,
            idempotency_max: 1_000_000,
            idempotency_keep: Ttl::from_secs(24 * 3600),
            nonces_max: 4_000_000,
            in_flight_max: 64,
            backlog_bytes_max: 64 * 1024,
            write_stall: Ttl::from_secs(10),
            ack_timeout: Ttl::from_secs(15),
            heartbeat_min_s: 30,
            heartbeat_max_s: 590,
            heartbeat_default_s: 270,
            connections_max: 1_000_000,
            hello_rate_per_s: 20_000,
            hello_burst: 40_000,
            hello_timeout: Ttl::from_secs(10),
            shard_mailbox_max: 65_536,
            revoke_keep: Ttl::from_secs(7 * 24 * 3600),
            history_keep: Ttl::from_secs(7 * 24 * 3600),
            schedules_max: 1_000,
            schedule_bytes_max: 1 << 20,
            schedule_ahead_max: Ttl::from_secs(180 * 24 * 3600),
            schedule_skip_after: Ttl::from_secs(60),
            schedule_keep: Ttl::from_secs(30 * 24 * 3600),
            tasks_max: 100_000,
            task_keep: Ttl::from_secs(30 * 24 * 3600),
            deaths_per_minute_max: 120,
        }
    }
}
