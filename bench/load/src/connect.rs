//! Connections to a local port, and the error type of every mode.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// An error ends the measurement, with a sentence for the person who started it.
pub(crate) type BenchResult<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A proxy on the same machine answers within this time unless something is broken.
const IO_TIMEOUT: Duration = Duration::from_secs(20);

/// A connection to a local port, from one of 250 local addresses: one address has fewer ports
/// than a proxy may hold connections, and a limit on connections.
pub(crate) fn connect(port: u16, number: usize) -> BenchResult<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    let from = Ipv4Addr::new(127, 0, 1, 1 + (number % 250) as u8);
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    socket.connect_timeout(&to.into(), IO_TIMEOUT)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_read_timeout(Some(IO_TIMEOUT))?;
    socket.set_write_timeout(Some(IO_TIMEOUT))?;
    Ok(socket.into())
}
