//! How two gates of one state folder speak during a handover: messages and descriptors over a Unix
//! socket.
//!
//! A message is its length in four bytes and JSON. Descriptors come behind the message that announces
//! them, each batch with one byte (`unix(7)`, `SCM_RIGHTS`).

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest message: the state of some hundred platforms takes a few mebibytes.
const MAX_MESSAGE: u32 = 64 << 20;
/// Descriptors in a message. The kernel takes 253.
const BATCH: usize = 64;
/// The byte that carries a batch.
const BATCH_BYTE: u8 = b'F';
/// How long the other side may take to read a message.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// Descriptors are not inherited by programs, should one ever be started.
#[cfg(target_os = "linux")]
const RECEIVE: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(not(target_os = "linux"))]
const RECEIVE: RecvFlags = RecvFlags::empty();

/// A connection between two gates.
#[derive(Debug)]
pub struct HandoverChannel(UnixStream);

impl HandoverChannel {
    /// Uses this connection.
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_write_timeout(Some(SEND_TIMEOUT))?;
        Ok(Self(stream))
    }

    /// The same connection once more.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Sends a message.
    pub fn send(&self, message: &impl Serialize) -> io::Result<()> {
        let json = serde_json::to_vec(message).map_err(io::Error::other)?;
        let length = u32::try_from(json.len()).ok().filter(|length| *length <= MAX_MESSAGE);
        let length = length.ok_or_else(|| io::Error::other("the message is too long"))?;
        let mut stream = &self.0;
        stream.write_all(&length.to_be_bytes())?;
        stream.write_all(&json)
    }

    /// Waits for a message, no longer than `limit` for each part of it.
    pub fn receive<T: DeserializeOwned>(&self, limit: Duration) -> io::Result<T> {
        self.0.set_read_timeout(Some(limit))?;
        let mut stream = &self.0;
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        if length > MAX_MESSAGE {
            return Err(io::Error::other("the message is too long"));
        }
        let mut json = Vec::new();
        stream.take(u64::from(length)).read_to_end(&mut json)?;
        serde_json::from_slice(&json).map_err(io::Error::other)
    }

    /// Sends descriptors; they stay open here.
    pub fn send_descriptors(&self, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        for batch in descriptors.chunks(BATCH) {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !control.push(SendAncillaryMessage::ScmRights(batch)) {
                return Err(io::Error::other("too many descriptors"));
            }
            let byte = [BATCH_BYTE];
            sendmsg(&self.0, &[IoSlice::new(&byte)], &mut control, SendFlags::empty())?;
        }
        Ok(())
    }

    /// Waits for this number of descriptors, no longer than `limit` for each batch.
    pub fn receive_descriptors(&self, count: usize, limit: Duration) -> io::Result<Vec<OwnedFd>> {
        self.0.set_read_timeout(Some(limit))?;
        let mut descriptors = Vec::new();
        while descriptors.len() < count {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut byte = [0];
            recvmsg(&self.0, &mut [IoSliceMut::new(&mut byte)], &mut control, RECEIVE)?;
            let before = descriptors.len();
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(batch) = message {
                    descriptors.extend(batch);
                }
            }
            if byte != [BATCH_BYTE] || descriptors.len() == before {
                return Err(io::Error::other("descriptors were announced and did not come"));
            }
        }
        Ok(descriptors)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    fn pair() -> (HandoverChannel, HandoverChannel) {
        let (one, other) = UnixStream::pair().unwrap();
        (HandoverChannel::new(one).unwrap(), HandoverChannel::new(other).unwrap())
    }

    #[test]
    fn messages_and_more_descriptors_than_a_batch_arrive_in_order() {
        let (one, other) = pair();
        let pipes: Vec<_> = (0..150).map(|_| UnixStream::pair().unwrap()).collect();
        let ends: Vec<_> = pipes.iter().map(|(end, _)| end.as_fd()).collect();
        one.send(&"before").unwrap();
        one.send_descriptors(&ends).unwrap();
        one.send(&"after").unwrap();
        assert_eq!(other.receive::<String>(LIMIT).unwrap(), "before");
        let received = other.receive_descriptors(150, LIMIT).unwrap();
        assert_eq!(other.receive::<String>(LIMIT).unwrap(), "after");
        assert_eq!(received.len(), 150);
        for (at, (descriptor, (_, mut end))) in received.into_iter().zip(pipes).enumerate() {
            UnixStream::from(descriptor).write_all(&[at as u8]).unwrap();
            let mut byte = [0];
            end.read_exact(&mut byte).unwrap();
            assert_eq!(byte, [at as u8]);
        }
    }

    #[test]
    fn silence_and_nonsense_are_errors() {
        let (one, other) = pair();
        assert!(other.receive::<String>(Duration::from_millis(10)).is_err());
        one.send(&7).unwrap();
        assert!(other.receive::<String>(LIMIT).is_err());
        one.send(&"no descriptor").unwrap();
        assert!(other.receive_descriptors(1, LIMIT).is_err());
        (&one.0).write_all(&u32::MAX.to_be_bytes()).unwrap();
        assert!(pair().0.receive::<String>(Duration::from_millis(10)).is_err());
    }
}
