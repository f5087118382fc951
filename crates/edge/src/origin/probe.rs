//! Asks an origin one question over a separate connection.

use core::time::Duration;
use std::io;

use portcullis_model::OriginConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::dial::Dialler;
use crate::clock::Clock;

/// Bytes within which the first line of an answer must end.
const MAX_STATUS_LINE: usize = 1_024;

/// Why an origin did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Nothing listens at its address.
    #[error("connection refused")]
    Refused,
    /// No address accepted a connection in time.
    #[error("no connection in time")]
    ConnectTimeout,
    /// It could not be reached for another reason.
    #[error("{0}")]
    Unreachable(io::Error),
    /// It accepted the connection and did not answer in time.
    #[error("no answer in time")]
    Timeout,
    /// It closed the connection without an answer.
    #[error("the connection was closed without an answer")]
    Closed,
    /// What came is not HTTP.
    #[error("the answer is not HTTP/1.1")]
    NotHttp,
}

/// Asks for the origin's `probe_path` with GET and returns the status, over a new connection. `host`
/// is the `Host` field. The answer's body is not read.
///
/// Waits for the connection as long as the origin's `connect_timeout`, for the answer as long as its
/// `response_timeout`, and for each no longer than `limit`. To be polled within a [`LocalSet`](tokio::task::LocalSet).
pub async fn probe_origin(
    origin: &OriginConfig,
    host: &str,
    limit: Duration,
    clock: Clock,
) -> Result<u16, ProbeError> {
    let dialler = Dialler::quiet(origin);
    let connected = dialler.connect(clock, origin.connect_timeout.min(limit)).await;
    let (mut stream, _) = connected.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => ProbeError::Refused,
        io::ErrorKind::TimedOut => ProbeError::ConnectTimeout,
        _ => ProbeError::Unreachable(error),
    })?;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: portcullis-probe\r\nAccept: */*\r\n\
         Connection: close\r\n\r\n",
        origin.probe_path
    );
    let answer = async {
        stream.write_all(request.as_bytes()).await.map_err(|_| ProbeError::Closed)?;
        read_status(&mut stream).await
    };
    clock
        .timeout(origin.response_timeout.min(limit), answer)
        .await
        .unwrap_or(Err(ProbeError::Timeout))
}

async fn read_status(stream: &mut TcpStream) -> Result<u16, ProbeError> {
    let mut line = Vec::with_capacity(MAX_STATUS_LINE);
    loop {
        let read = stream.read_buf(&mut line).await.map_err(|_| ProbeError::Closed)?;
        if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            return status(&line[..end]).ok_or(ProbeError::NotHttp);
        }
        if read == 0 {
            return Err(if line.is_empty() { ProbeError::Closed } else { ProbeError::NotHttp });
        }
        if line.len() >= MAX_STATUS_LINE {
            return Err(ProbeError::NotHttp);
        }
    }
}

/// The status in `HTTP/1.1 200 OK`.
fn status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.1 ").or_else(|| line.strip_prefix(b"HTTP/1.0 "))?;
    let digits = rest.get(..3).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    let ends = rest.get(3).is_none_or(|byte| matches!(byte, b' ' | b'\r'));
    ends.then(|| digits.iter().fold(0, |n, digit| n * 10 + u16::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    fn probe(answer: Option<&'static [u8]>) -> Result<u16, ProbeError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let origin = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let read = stream.read(&mut request).unwrap();
            match answer {
                Some(answer) => stream.write_all(answer).unwrap(),
                // Until the gate closes it.
                None => drop(stream.read(&mut request)),
            }
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        let config = OriginConfig {
            response_timeout: Duration::from_millis(200),
            probe_path: "/health".into(),
            ..OriginConfig::new("127.0.0.1".into(), port)
        };
        let limit = Duration::from_secs(10);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let probed = tokio::task::LocalSet::new()
            .block_on(&runtime, probe_origin(&config, "example.org", limit, Clock::new()));
        let request = origin.join().unwrap();
        assert!(request.starts_with("GET /health HTTP/1.1\r\nHost: example.org\r\n"), "{request}");
        probed
    }

    #[test]
    fn the_status_is_returned_or_why_there_is_none() {
        assert_eq!(probe(Some(b"HTTP/1.1 204 No Content\r\n\r\n")).unwrap(), 204);
        assert_eq!(probe(Some(b"HTTP/1.0 503\r\n\r\n")).unwrap(), 503);
        assert!(matches!(probe(Some(b"SSH-2.0-OpenSSH\r\n")), Err(ProbeError::NotHttp)));
        assert!(matches!(probe(Some(b"HTTP/1.1 2000 OK\r\n")), Err(ProbeError::NotHttp)));
        assert!(matches!(probe(Some(b"")), Err(ProbeError::Closed)));
        assert!(matches!(probe(None), Err(ProbeError::Timeout)));
    }
}
