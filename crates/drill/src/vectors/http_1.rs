//! What the families of HTTP/1.1 vectors have in common: writing and holding.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use super::context::{Attacker, End};

/// How long a closed connection's last bytes may take.
const LAST_READ_TIMEOUT: Duration = Duration::from_millis(500);

/// Writes; an error is the connection's end, with whatever was answered before it.
pub(super) async fn write<S>(attacker: &Attacker, stream: &mut S, bytes: &[u8]) -> Result<(), End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let writing = async {
        stream.write_all(bytes).await?;
        stream.flush().await
    };
    match timeout_at(attacker.end(), writing).await {
        Ok(Ok(())) => {
            attacker.count_bytes(bytes.len());
            Ok(())
        }
        Ok(Err(_)) => Err(read_to_close(attacker, stream).await),
        Err(_) => Err(End::Held),
    }
}

/// Reads what is left after a write failed.
async fn read_to_close<S: AsyncRead + Unpin>(attacker: &Attacker, stream: &mut S) -> End {
    let mut answer = [0; 64];
    if let Ok(Ok(length)) = timeout(LAST_READ_TIMEOUT, stream.read(&mut answer)).await {
        count_status(attacker, &answer[..length]);
    }
    End::Closed
}

/// Reads until the gate closes or the rehearsal ends, counting the first answer.
pub(super) async fn hold<S: AsyncRead + Unpin>(attacker: &Attacker, stream: &mut S) -> End {
    hold_from(attacker, stream, true).await
}

/// The same on a connection whose answer was counted.
pub(super) async fn hold_on<S: AsyncRead + Unpin>(attacker: &Attacker, stream: &mut S) -> End {
    hold_from(attacker, stream, false).await
}

async fn hold_from<S>(attacker: &Attacker, stream: &mut S, mut first: bool) -> End
where
    S: AsyncRead + Unpin,
{
    loop {
        match read(attacker, stream, attacker.end(), first).await {
            Ok(0) => return End::Held,
            Ok(_) => first = false,
            Err(end) => return end,
        }
    }
}

/// Waits for something to read, until `until`. How many bytes came; the end if the gate closed.
pub(super) async fn read<S: AsyncRead + Unpin>(
    attacker: &Attacker,
    stream: &mut S,
    until: Instant,
    is_answer: bool,
) -> Result<usize, End> {
    let mut answer = [0; 4096];
    match timeout_at(until, stream.read(&mut answer)).await {
        Ok(Ok(0) | Err(_)) => Err(End::Closed),
        Ok(Ok(length)) => {
            if is_answer {
                count_status(attacker, &answer[..length]);
            }
            Ok(length)
        }
        Err(_) => Ok(0),
    }
}

/// Sends this much after that much time, piece by piece, looking for the gate's end between.
pub(super) async fn drip<S>(
    attacker: &Attacker,
    stream: &mut S,
    bytes: impl IntoIterator<Item = impl AsRef<[u8]>>,
    every: Duration,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut first = true;
    let mut next = Instant::now();
    for piece in bytes {
        if !attacker.may_continue() {
            return End::Held;
        }
        if let Err(end) = write(attacker, stream, piece.as_ref()).await {
            return end;
        }
        next = (next + every).max(Instant::now());
        match read(attacker, stream, next.min(attacker.end()), first).await {
            Ok(0) => {}
            Ok(_) => first = false,
            Err(end) => return end,
        }
    }
    hold(attacker, stream).await
}

/// Counts the status of an answer.
pub(super) fn count_status(attacker: &Attacker, answer: &[u8]) {
    if let Some(status) = parse_status(answer) {
        attacker.count_response(status);
    }
}

/// The status in the first bytes of an answer.
pub(super) fn parse_status(answer: &[u8]) -> Option<u16> {
    let text = answer.strip_prefix(b"HTTP/1.1 ").or_else(|| answer.strip_prefix(b"HTTP/1.0 "))?;
    std::str::from_utf8(text.get(..3)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_from_the_first_bytes_alone() {
        assert_eq!(parse_status(b"HTTP/1.1 431 Request"), Some(431));
        assert_eq!(parse_status(b"HTTP/1.0 200"), Some(200));
        for other in [&b"HTTP/1.1 20"[..], b"\x15\x03\x03", b"", b"HTTP/1.1 abc"] {
            assert_eq!(parse_status(other), None);
        }
    }
}
