//! Opens connections to an origin that may have several addresses (RFC 8305).
//!
//! The first address gets a head start. Each next one is tried when the one before has failed, or
//! has not connected within a quarter of a second. An address that failed comes last for a minute.

use core::cell::{Cell, RefCell};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::io;

use portcullis_model::{OriginConfig, Time};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;

use crate::clock::Clock;

/// How long an address has to connect before the next is tried too (RFC 8305, section 8).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// How long an address that failed comes after the others.
const AVOID_FOR: Duration = Duration::from_secs(60);
/// The name is resolved again when its addresses are as old as this. The system's resolver does not
/// say how long they hold.
const REFRESH_AFTER: Duration = Duration::from_secs(30);
/// Older addresses are not used without asking again.
const MAX_AGE: Duration = Duration::from_secs(60);
/// The same after none of them could be reached.
const SUSPECT_MAX_AGE: Duration = Duration::from_secs(1);
/// Addresses of a name that are tried.
const MAX_ADDRESSES: usize = 16;
/// At most one line in this time says that the origin cannot be reached.
const LOG_INTERVAL: Duration = Duration::from_secs(30);

/// The addresses of one origin, and how connections to them went.
pub(crate) struct Dialler {
    host: String,
    port: u16,
    /// The address, if the configuration names one.
    literal: Option<SocketAddr>,
    resolved: RefCell<Vec<SocketAddr>>,
    resolved_at: Cell<Option<Time>>,
    /// None of the addresses could be reached: the origin may have moved.
    suspect: Cell<bool>,
    refreshing: Cell<bool>,
    /// Addresses that failed, and until when they come last.
    avoided: RefCell<Vec<(SocketAddr, Time)>>,
    /// None: the caller reports failures.
    failures: Option<RefCell<FailureLog>>,
}

/// Failures since the last line in the log.
#[derive(Default)]
struct FailureLog {
    kind: Option<io::ErrorKind>,
    count: u64,
    logged_at: Time,
}

impl Dialler {
    pub(crate) fn new(origin: &OriginConfig) -> Self {
        let literal = origin.host.parse::<IpAddr>().ok();
        Self {
            host: origin.host.clone(),
            port: origin.port,
            literal: literal.map(|address| SocketAddr::new(address, origin.port)),
            resolved: RefCell::default(),
            resolved_at: Cell::default(),
            suspect: Cell::default(),
            refreshing: Cell::default(),
            avoided: RefCell::default(),
            failures: Some(RefCell::default()),
        }
    }

    /// One that writes nothing to the log.
    pub(crate) fn quiet(origin: &OriginConfig) -> Self {
        Self { failures: None, ..Self::new(origin) }
    }

    /// A connection to the first address that accepts one. The error has the kind `TimedOut` where no
    /// address answered within `limit`, and `ConnectionRefused` where the last one refused.
    pub(crate) async fn connect(
        &self,
        clock: Clock,
        limit: Duration,
    ) -> io::Result<(TcpStream, SocketAddr)> {
        let tried = RefCell::default();
        let connected = clock
            .timeout(limit, self.connect_to_any(clock, &tried))
            .await
            .unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))
            .and_then(|(stream, address)| {
                stream.set_nodelay(true)?;
                Ok((stream, address))
            });
        let now = clock.now();
        let reached = connected.as_ref().ok().map(|(_, address)| *address);
        self.remember_failed(&tried.into_inner(), reached, now);
        match &connected {
            Ok(_) => self.log_success(),
            Err(error) => {
                self.suspect.set(true);
                self.log_failure(error, now);
            }
        }
        connected
    }

    async fn connect_to_any(
        &self,
        clock: Clock,
        tried: &RefCell<Vec<SocketAddr>>,
    ) -> io::Result<(TcpStream, SocketAddr)> {
        if let Some(address) = self.literal {
            return Ok((TcpStream::connect(address).await?, address));
        }
        let max_age = if self.suspect.get() { SUSPECT_MAX_AGE } else { MAX_AGE };
        let now = clock.now();
        if self.resolved_at.get().is_none_or(|at| now.since(at) > max_age) {
            self.resolve(clock).await?;
        }
        let addresses = in_order(&self.resolved.borrow(), &self.avoided.borrow(), clock.now());
        race(addresses, clock, tried).await
    }

    async fn resolve(&self, clock: Clock) -> io::Result<()> {
        let found = lookup_host((self.host.as_str(), self.port)).await;
        let found: Vec<SocketAddr> = match found {
            Ok(found) => found.take(MAX_ADDRESSES).collect(),
            // The addresses of before may still be right.
            Err(_) if !self.resolved.borrow().is_empty() => return Ok(()),
            Err(error) => {
                let why = format!("cannot resolve {}: {error}", self.host);
                return Err(io::Error::new(io::ErrorKind::NotFound, why));
            }
        };
        self.avoided.borrow_mut().retain(|(address, _)| found.contains(address));
        self.resolved.replace(found);
        self.suspect.set(false);
        self.resolved_at.set(Some(clock.now()));
        Ok(())
    }

    /// Whether the name is to be resolved again although its addresses are in use.
    pub(crate) fn is_due(&self, now: Time) -> bool {
        self.literal.is_none()
            && !self.refreshing.get()
            && self.resolved_at.get().is_some_and(|at| now.since(at) > REFRESH_AFTER)
    }

    /// Resolves the name again, while its addresses of before are used.
    pub(crate) async fn refresh(&self, clock: Clock, limit: Duration) {
        self.refreshing.set(true);
        // Kept if the resolver fails: the next attempt is as long away as after a success.
        if !matches!(clock.timeout(limit, self.resolve(clock)).await, Some(Ok(()))) {
            tracing::warn!(host = self.host, "cannot resolve the origin's name again");
        }
        self.resolved_at.set(Some(clock.now()));
        self.refreshing.set(false);
    }

    /// Whether the origin still has this address. A connection to another one is not used again.
    pub(crate) fn is_current(&self, address: SocketAddr) -> bool {
        let resolved = self.resolved.borrow();
        self.literal.is_some() || resolved.is_empty() || resolved.contains(&address)
    }

    /// Remembers addresses that were tried before `reached`, or all of them if none was reached.
    fn remember_failed(&self, tried: &[SocketAddr], reached: Option<SocketAddr>, now: Time) {
        let mut avoided = self.avoided.borrow_mut();
        avoided.retain(|(address, until)| now < *until && Some(*address) != reached);
        for address in tried.iter().take_while(|address| Some(**address) != reached) {
            avoided.retain(|(known, _)| known != address);
            avoided.push((*address, now + AVOID_FOR));
        }
    }

    fn log_failure(&self, error: &io::Error, now: Time) {
        let Some(log) = &self.failures else { return };
        let mut log = log.borrow_mut();
        log.count += 1;
        if log.kind == Some(error.kind()) && now.since(log.logged_at) < LOG_INTERVAL {
            return;
        }
        let origin = format!("{}:{}", self.host, self.port);
        let why = match error.kind() {
            io::ErrorKind::TimedOut => "no answer in time".to_owned(),
            io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
            _ => error.to_string(),
        };
        tracing::warn!(origin, error = why, attempts = log.count, "cannot connect to the origin");
        *log = FailureLog { kind: Some(error.kind()), count: 0, logged_at: now };
    }

    fn log_success(&self) {
        let Some(log) = &self.failures else { return };
        if log.take().kind.is_some() {
            let origin = format!("{}:{}", self.host, self.port);
            tracing::info!(origin, "the origin accepts connections again");
        }
    }
}

/// The addresses, families in turn (RFC 8305, section 4), and those to avoid at the end.
fn in_order(
    addresses: &[SocketAddr],
    avoided: &[(SocketAddr, Time)],
    now: Time,
) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<SocketAddr>, Vec<SocketAddr>) =
        addresses.iter().copied().partition(|address| address.is_ipv6() == first_is_v6);
    let mut ordered = Vec::with_capacity(addresses.len());
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    while ordered.len() < addresses.len() {
        ordered.extend(first.next());
        ordered.extend(second.next());
    }
    // The sort is stable.
    let is_avoided = |address: &SocketAddr| {
        avoided.iter().any(|(known, until)| known == address && now < *until)
    };
    ordered.sort_by_key(is_avoided);
    ordered
}

/// Connects to the first that answers; `tried` are those that were begun, in order.
async fn race(
    addresses: Vec<SocketAddr>,
    clock: Clock,
    tried: &RefCell<Vec<SocketAddr>>,
) -> io::Result<(TcpStream, SocketAddr)> {
    let mut attempts = JoinSet::new();
    let mut remaining = addresses.into_iter();
    let mut last_error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        if let Some(address) = remaining.next() {
            tried.borrow_mut().push(address);
            attempts.spawn_local(async move { (TcpStream::connect(address).await, address) });
        }
        let next = attempts.join_next();
        let ended = if remaining.len() == 0 {
            next.await
        } else {
            match clock.timeout(ATTEMPT_DELAY, next).await {
                Some(ended) => ended,
                None => continue,
            }
        };
        match ended {
            None => return Err(last_error),
            Some(Ok((Ok(stream), address))) => return Ok((stream, address)),
            Some(Ok((Err(error), _))) => last_error = error,
            Some(Err(error)) => last_error = io::Error::other(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_and_what_failed_comes_last() {
        let known = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        let plain = in_order(&known, &[], Time(0));
        let expected = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]);
        assert_eq!(plain, expected);
        let avoided = [(known[0], Time::from_secs(60)), (known[3], Time::from_secs(1))];
        let later = in_order(&known, &avoided, Time::from_secs(30));
        let expected = addresses(&["1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1", "[::1]:1"]);
        assert_eq!(later, expected);
    }

    /// An address whose accept queue is full: it swallows what is sent to it.
    fn swallowing() -> (SocketAddr, Vec<std::net::TcpStream>, socket2::Socket) {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let socket = socket.unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        socket.listen(1).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let mut filling = Vec::new();
        while let Ok(stream) =
            std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100))
        {
            filling.push(stream);
        }
        (address, filling, socket)
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, future)
    }

    fn dialler(known: Vec<SocketAddr>, clock: Clock) -> Dialler {
        let dialler = Dialler::new(&OriginConfig::new("origin.invalid".into(), 1));
        dialler.resolved.replace(known);
        dialler.resolved_at.set(Some(clock.now()));
        dialler
    }

    #[test]
    fn an_address_that_swallows_connections_delays_one_request_only() {
        let (swallows, _filling, _socket) = swallowing();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let accepts = listener.local_addr().unwrap();
        let clock = Clock::new();
        let dialler = dialler(vec![swallows, accepts], clock);
        block_on(async {
            let limit = Duration::from_secs(20);
            for _ in 0..3 {
                let (_, address) = dialler.connect(clock, limit).await.unwrap();
                assert_eq!(address, accepts);
                assert_eq!(dialler.avoided.borrow().len(), 1);
            }
            let order =
                in_order(&dialler.resolved.borrow(), &dialler.avoided.borrow(), clock.now());
            assert_eq!(order, [accepts, swallows]);
        });
    }

    #[test]
    fn refused_and_timed_out_are_different_errors() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (swallows, _filling, _socket) = swallowing();
        let clock = Clock::new();
        for (address, kind) in
            [(closed, io::ErrorKind::ConnectionRefused), (swallows, io::ErrorKind::TimedOut)]
        {
            let dialler = dialler(vec![address], clock);
            let error = block_on(dialler.connect(clock, Duration::from_millis(300))).unwrap_err();
            assert_eq!(error.kind(), kind);
            assert!(dialler.suspect.get(), "it is resolved again soon");
        }
    }

    #[test]
    fn a_connection_to_an_address_that_the_name_lost_is_not_current() {
        let clock = Clock::manual();
        let known = addresses(&["127.0.0.1:1"]);
        let dialler = dialler(known.clone(), clock);
        assert!(dialler.is_current(known[0]));
        assert!(!dialler.is_current("127.0.0.2:1".parse().unwrap()));
        assert!(!dialler.is_due(clock.now()));
        clock.advance(REFRESH_AFTER + Duration::from_secs(1));
        assert!(dialler.is_due(clock.now()));
    }
}
