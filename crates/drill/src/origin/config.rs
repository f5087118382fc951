//! The settings of the demonstration site.

use std::time::Duration;

/// The capacity and timeouts of the origin.
#[derive(Debug, Clone)]
pub struct DemoOriginConfig {
    /// The port on 127.0.0.1; zero for any free one.
    pub port: u16,
    /// Threads that make pages.
    pub workers: usize,
    /// Requests that may wait for a worker.
    pub queue: usize,
    /// Connections that may be between the first byte of a request and the end of its response.
    pub slots: usize,
    /// Connections that are accepted at all.
    pub max_connections: usize,
    /// Connections that the kernel keeps for us beyond those.
    pub backlog: u32,
    /// How long a connection may take to send a request's header and body.
    pub header_timeout: Duration,
    /// How long an idle connection stays open.
    pub idle_timeout: Duration,
}

impl Default for DemoOriginConfig {
    fn default() -> Self {
        DemoOriginConfig {
            port: 0,
            workers: 4,
            queue: 128,
            slots: 192,
            max_connections: 768,
            backlog: 128,
            header_timeout: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(75),
        }
    }
}
