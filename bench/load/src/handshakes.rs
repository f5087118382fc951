//! TLS handshakes and nothing else, a few at a time.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, HandshakeKind, Stream};

use crate::{AT_ONCE, Outcome, connect, in_parallel, tls};

/// Makes `count` handshakes, full ones or resumed ones, and fails if one is of the other kind.
pub(crate) fn run(port: u16, count: usize, resumed: bool) -> Outcome<()> {
    let asked = if resumed { HandshakeKind::Resumed } else { HandshakeKind::Full };
    // Each connection takes one of its visitor's tickets and leaves new ones.
    let visitors =
        (0..AT_ONCE).map(|_| tls::config(b"http/1.1", resumed)).collect::<Outcome<Vec<_>>>()?;
    if resumed {
        for visitor in &visitors {
            shake(visitor, port, 0)?;
        }
    }
    let seconds = in_parallel(count, |number| {
        let kind = shake(&visitors[number % AT_ONCE], port, number)?;
        if kind == asked {
            Ok(())
        } else {
            Err(format!("handshake {number} was {kind:?} instead of {asked:?}").into())
        }
    })?;
    println!("{{\"handshakes\":{count},\"seconds\":{seconds:.4}}}");
    Ok(())
}

fn shake(config: &Arc<ClientConfig>, port: u16, number: usize) -> Outcome<HandshakeKind> {
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
fn read_to_the_end(tls: &mut ClientConnection, socket: &mut TcpStream) -> Outcome<()> {
    let mut rest = [0; 1024];
    let mut stream = Stream::new(tls, socket);
    stream.flush()?;
    loop {
        match stream.read(&mut rest) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            // Some close without a closing alert, or at once.
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
