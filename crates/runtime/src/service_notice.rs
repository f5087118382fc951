//! Notifies a service manager of the gate's life (`sd_notify(3)`), if one listens.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use tracing::warn;

/// Says that this process serves and is the service's main one.
///
/// Where a gate takes over, the unit needs `NotifyAccess=all`: it comes from a process that is not
/// yet the main one.
pub fn ready() {
    send(&format!("READY=1\nMAINPID={}\n", std::process::id()));
}

/// Says that this process stops.
pub fn stopping() {
    send("STOPPING=1\n");
}

fn send(message: &str) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(problem) = send_to(Path::new(&socket), message) {
        warn!(%problem, "cannot notify the service manager");
    }
}

/// A name that begins with `@` is one of Linux's abstract ones.
fn send_to(path: &Path, message: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    #[cfg(target_os = "linux")]
    if let Some(name) = path.as_os_str().as_encoded_bytes().strip_prefix(b"@") {
        use std::os::linux::net::SocketAddrExt;

        let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
        return socket.send_to_addr(message.as_bytes(), &address).map(drop);
    }
    socket.send_to(message.as_bytes(), path).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_reaches_the_manager_s_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        send_to(&path, "READY=1\n").unwrap();
        let mut message = [0; 64];
        let length = manager.recv(&mut message).unwrap();
        assert_eq!(&message[..length], b"READY=1\n");
        assert!(send_to(&folder.path().join("nothing"), "READY=1\n").is_err());
    }
}
