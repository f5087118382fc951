//! TLS handshakes and nothing else, a few at a time.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, HandshakeKind, Stream};

use crate::connect::{BenchResult, connect};
use crate::parallel::{CONCURRENCY, in_parallel};
use crate::tls;

/// Makes `count` handshakes, full ones or resumed ones, and fails if one is of the other kind.
pub(crate) fn run(port: u16, count: usize, resumed: bool) -> BenchResult<()> {
    let expected = if resumed { HandshakeKind::Resumed } else { HandshakeKind::Full };
    // Each connection takes one of its visitor's tickets and leaves new ones.
    let visitors = (0..CONCURRENCY)
        .map(|_| tls::config(b"http/1.1", resumed))
        .collect::<BenchResult<Vec<_>>>()?;
    if resumed {
        for visitor in &visitors {
            handshake(visitor, port, 0)?;
        }
    }
    let seconds = in_parallel(count, |number| {
        let kind = handshake(&visitors[number % CONCURRENCY], port, number)?;
        if kind == expected {
            Ok(())
        } else {
            Err(format!("handshake {number} was {kind:?} instead of {expected:?}").into())
        }
    })?;
    println!("{{\"handshakes\":{count},\"seconds\":{seconds:.4}}}");
    Ok(())
}

fn handshake(config: &Arc<ClientConfig>, port: u16, number: usize) -> BenchResult<HandshakeKind> {
    let mut socket = connect(port, number)?;
    let mut tls = ClientConnection::new(config.clone(), tls::name()?)?;
    while tls.is_handshaking() {
        tls.complete_io(&mut socket)?;
    }
    let kind = tls.handshake_kind().ok_or("the handshake is not complete")?;
    tls.send_close_notify();
    while tls.wants_write() {
        tls.write_tls(&mut socket)?;
    }
    socket.shutdown(Shutdown::Write)?;
    read_to_the_end(&mut tls, &mut socket)?;
    Ok(kind)
}

/// The tickets are behind the handshake, so the visitor reads on until the proxy closes too.
fn read_to_the_end(tls: &mut ClientConnection, socket: &mut TcpStream) -> BenchResult<()> {
    let mut rest = [0; 1024];
    let mut stream = Stream::new(tls, socket);
    stream.flush()?;
    loop {
        match stream.read(&mut rest) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            // Some close without a closing alert, or immediately.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
                ) =>
            {
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
}
