//! A UDP socket that one process hands over to the next, with connections of both on it.
//!
//! Both processes hold the same socket, so only one of them may read it: the newest. Each endpoint
//! draws its connection ids with a separate key ([`HashedConnectionIdGenerator`]), and the processes
//! after it know that key. So the newest recognises a packet of an older process by its id, and
//! forwards it over a Unix socket; answers go out by the UDP socket, which anyone may write to. The
//! kernel's choice among sockets (`SO_REUSEPORT`) could not do this: it does not see connection ids,
//! and a socket more in the group would change its choice for every connection.

use core::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};
use std::io::{self, IoSliceMut};
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use quinn::udp::{EcnCodepoint, RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use quinn_proto::{ConnectionId, ConnectionIdGenerator, HashedConnectionIdGenerator};
use tokio::io::ReadBuf;

/// Bytes of the ids that [`HashedConnectionIdGenerator`] draws.
const ID_LENGTH: usize = 8;
/// Bytes before the packet in a forwarded datagram: flags, port, two addresses, the IPv6 scope.
const HEADER: usize = 1 + 2 + 16 + 16 + 4;
/// The largest forwarded datagram. Endpoints take no packet of more than 1,472 bytes.
const LARGEST: usize = 2_048;
/// Flags, above the two bits of ECN: the packet was sent to a known address of this machine, which is
/// one of IPv4; the sender's is one of IPv4. (An IPv6 socket sees IPv4 as mapped addresses.)
const HAS_DESTINATION: u8 = 4;
const V4_DESTINATION: u8 = 8;
const V4_SOURCE: u8 = 16;

/// How packets reach one endpoint of another process, or of this one from the process after it.
#[derive(Clone, Debug)]
pub struct QuicRoute {
    /// The key of the endpoint's connection ids.
    pub key: u64,
    /// Takes its packets.
    pub socket: Arc<UnixDatagram>,
}

impl QuicRoute {
    /// Whether the endpoint still exists. An empty datagram means nothing to it.
    pub fn is_alive(&self) -> bool {
        self.socket
            .send(&[])
            .map_or_else(|error| error.kind() == io::ErrorKind::WouldBlock, |_| true)
    }

    fn leads_to(&self, id: &[u8]) -> bool {
        let generator = HashedConnectionIdGenerator::from_key(self.key);
        generator.validate(&ConnectionId::new(id)).is_ok()
    }
}

/// A UDP socket of this process, and of those before and after it.
#[derive(Debug)]
pub(crate) struct SharedUdpSocket {
    socket: Arc<dyn AsyncUdpSocket>,
    /// What the process after this one forwards.
    forwarded: tokio::net::UnixDatagram,
    /// Whether the process after this one reads the socket.
    handed_over: AtomicBool,
    /// The endpoint's task.
    reader: Mutex<Option<Waker>>,
    /// To the endpoints of processes before this one.
    routes: Mutex<Vec<QuicRoute>>,
    has_routes: AtomicBool,
}

impl SharedUdpSocket {
    /// A socket that this process reads. Needs a runtime.
    pub(crate) fn new(
        socket: Arc<dyn AsyncUdpSocket>,
        forwarded: UnixDatagram,
        routes: Vec<QuicRoute>,
    ) -> io::Result<Self> {
        Ok(Self {
            socket,
            forwarded: tokio::net::UnixDatagram::from_std(forwarded)?,
            handed_over: AtomicBool::new(false),
            reader: Mutex::default(),
            has_routes: AtomicBool::new(!routes.is_empty()),
            routes: Mutex::new(routes),
        })
    }

    /// From now on another process reads the socket, and forwards what is for this one.
    pub(crate) fn hand_over(&self) {
        self.handed_over.store(true, Relaxed);
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn poll_socket(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            let received = ready!(self.socket.poll_recv(cx, buffers, metas))?;
            if !self.has_routes.load(Relaxed) {
                return Poll::Ready(Ok(received));
            }
            let kept = self.forward_others(&mut buffers[..received], &mut metas[..received]);
            if kept > 0 {
                return Poll::Ready(Ok(kept));
            }
        }
    }

    /// Forwards what belongs to older processes; what is left is moved to the front. Returns how many
    /// buffers are left.
    fn forward_others(&self, buffers: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> usize {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = 0;
        for at in 0..buffers.len() {
            let left = forward_packets(&mut routes, &mut buffers[at], &metas[at]);
            if left > 0 {
                metas[at].len = left;
                buffers.swap(kept, at);
                metas.swap(kept, at);
                kept += 1;
            }
        }
        self.has_routes.store(!routes.is_empty(), Relaxed);
        kept
    }

    fn poll_forwarded(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut bytes = [0; LARGEST];
        loop {
            let mut datagram = ReadBuf::new(&mut bytes);
            if ready!(self.forwarded.poll_recv(cx, &mut datagram)).is_err() {
                // It is about the other end, and concerns no packet.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let Some((header, packet)) = datagram.filled().split_first_chunk() else { continue };
            let (Some(buffer), Some(meta)) = (buffers.first_mut(), metas.first_mut()) else {
                return Poll::Ready(Ok(0));
            };
            if packet.is_empty() || packet.len() > buffer.len() {
                continue;
            }
            buffer[..packet.len()].copy_from_slice(packet);
            *meta = decode(header, packet.len());
            return Poll::Ready(Ok(1));
        }
    }
}

impl AsyncUdpSocket for SharedUdpSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.socket.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.socket.try_send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        if !self.handed_over.load(Relaxed) {
            let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
            if !reader.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                *reader = Some(cx.waker().clone());
            }
            drop(reader);
            let polled = self.poll_socket(cx, buffers, metas);
            if polled.is_ready() {
                return polled;
            }
        }
        self.poll_forwarded(cx, buffers, metas)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.socket.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.socket.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}

/// Forwards the packets in one buffer that have a route; the others are moved to the front. Returns
/// their bytes. A route without an end is removed.
fn forward_packets(routes: &mut Vec<QuicRoute>, buffer: &mut [u8], meta: &RecvMeta) -> usize {
    let (mut at, mut kept) = (0, 0);
    while at < meta.len {
        let end = (at + meta.stride.max(1)).min(meta.len);
        let packet = &buffer[at..end];
        let id = destination(packet);
        let route = id.and_then(|id| routes.iter().position(|route| route.leads_to(id)));
        match route {
            Some(place) => {
                let sent = routes[place].socket.send(&encode(meta, packet));
                // What does not fit is lost, as packets are; the sender repeats it.
                if sent.is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock) {
                    routes.remove(place);
                }
            }
            None => {
                buffer.copy_within(at..end, kept);
                kept += end - at;
            }
        }
        at = end;
    }
    kept
}

/// The connection id that a packet is for, if it can be our own (RFC 9000 section 17, RFC 8999).
fn destination(packet: &[u8]) -> Option<&[u8]> {
    let (first, rest) = packet.split_first()?;
    if first & 0x80 == 0 {
        return rest.get(..ID_LENGTH);
    }
    // The version's four bytes, and the id's length.
    let length = usize::from(*rest.get(4)?);
    rest.get(5..5 + ID_LENGTH).filter(|_| length == ID_LENGTH)
}

/// A packet, behind what was received with it.
fn encode(meta: &RecvMeta, packet: &[u8]) -> Vec<u8> {
    let flag = |flag, set| if set { flag } else { 0 };
    let flags = meta.ecn.map_or(0, |ecn| ecn as u8)
        | flag(HAS_DESTINATION, meta.dst_ip.is_some())
        | flag(V4_DESTINATION, meta.dst_ip.is_some_and(|address| address.is_ipv4()))
        | flag(V4_SOURCE, meta.addr.is_ipv4());
    let scope = match meta.addr {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(address) => address.scope_id(),
    };
    let mut bytes = Vec::with_capacity(HEADER + packet.len());
    bytes.push(flags);
    bytes.extend(meta.addr.port().to_be_bytes());
    bytes.extend(octets(meta.addr.ip()));
    bytes.extend(meta.dst_ip.map_or([0; 16], octets));
    bytes.extend(scope.to_be_bytes());
    bytes.extend(packet);
    bytes
}

/// What [`encode`] wrote before a packet of this length.
fn decode(header: &[u8; HEADER], length: usize) -> RecvMeta {
    let flags = header[0];
    let address = |at: usize, v4: u8| {
        let address = Ipv6Addr::from(core::array::from_fn::<u8, 16, _>(|n| header[at + n]));
        let short = address.to_ipv4_mapped().filter(|_| flags & v4 != 0);
        short.map_or(IpAddr::V6(address), IpAddr::V4)
    };
    let port = u16::from_be_bytes([header[1], header[2]]);
    let scope = u32::from_be_bytes(core::array::from_fn(|n| header[35 + n]));
    let addr = match address(3, V4_SOURCE) {
        IpAddr::V4(v4) => SocketAddr::new(v4.into(), port),
        IpAddr::V6(v6) => SocketAddrV6::new(v6, port, 0, scope).into(),
    };
    RecvMeta {
        addr,
        len: length,
        stride: length,
        ecn: EcnCodepoint::from_bits(flags),
        dst_ip: (flags & HAS_DESTINATION != 0).then(|| address(19, V4_DESTINATION)),
    }
}

/// As 16 bytes; an IPv4 address is mapped into IPv6.
fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(key: u64) -> (QuicRoute, UnixDatagram) {
        let (inner, outer) = UnixDatagram::pair().unwrap();
        inner.set_nonblocking(true).unwrap();
        outer.set_nonblocking(true).unwrap();
        (QuicRoute { key, socket: Arc::new(outer) }, inner)
    }

    /// A packet with a short or a long header, for an id that this key draws.
    fn packet(key: u64, long: bool, length: usize) -> Vec<u8> {
        let id = HashedConnectionIdGenerator::from_key(key).generate_cid();
        let mut packet = if long { vec![0xe0, 0, 0, 0, 1, 8] } else { vec![0x40] };
        packet.extend_from_slice(&id);
        packet.resize(length, 7);
        packet
    }

    fn received(addr: &str, packets: &[Vec<u8>]) -> (Vec<u8>, RecvMeta) {
        let bytes = packets.concat();
        let meta = RecvMeta {
            addr: addr.parse().unwrap(),
            len: bytes.len(),
            stride: packets[0].len(),
            ecn: Some(EcnCodepoint::Ce),
            dst_ip: None,
        };
        (bytes, meta)
    }

    #[test]
    fn packets_of_older_endpoints_are_forwarded_and_the_others_stay_in_order() {
        let ((route, end), own) = (route(1), 2);
        let packets = [
            packet(own, false, 40),
            packet(1, false, 40),
            packet(own, true, 40),
            packet(1, true, 40),
            packet(own, false, 30),
        ];
        let (mut bytes, meta) = received("192.0.2.7:4433", &packets);
        let left = forward_packets(&mut vec![route], &mut bytes, &meta);
        assert_eq!(bytes[..left], [&packets[0][..], &packets[2], &packets[4]].concat());
        for expected in [&packets[1], &packets[3]] {
            let mut datagram = [0; LARGEST];
            let length = end.recv(&mut datagram).unwrap();
            let (header, packet) = datagram[..length].split_first_chunk().unwrap();
            assert_eq!(packet, expected);
            let meta = decode(header, packet.len());
            assert_eq!(meta.addr, "192.0.2.7:4433".parse().unwrap());
        }
    }

    #[test]
    fn a_route_whose_endpoint_has_ended_is_removed_and_its_packets_are_dropped() {
        let (route, end) = route(1);
        assert!(route.is_alive());
        drop(end);
        assert!(!route.is_alive());
        let (mut bytes, meta) = received("192.0.2.7:4433", &[packet(1, false, 40)]);
        let mut routes = vec![route];
        assert_eq!(forward_packets(&mut routes, &mut bytes, &meta), 0);
        assert!(routes.is_empty());
    }

    #[test]
    fn what_was_received_with_a_packet_is_the_same_behind_the_forward() {
        let addresses = ["192.0.2.7:1", "[::ffff:192.0.2.7]:2", "[2001:db8::1]:3", "[fe80::1%5]:4"];
        let destinations = [None, Some("127.0.0.1"), Some("::ffff:127.0.0.1"), Some("::1")];
        for (addr, dst) in addresses.into_iter().zip(destinations) {
            let (bytes, mut meta) = received(addr, &[packet(1, false, 40)]);
            meta.dst_ip = dst.map(|dst| dst.parse().unwrap());
            let encoded = encode(&meta, &bytes);
            let (header, packet) = encoded.split_first_chunk().unwrap();
            let back = decode(header, packet.len());
            assert_eq!(packet, bytes);
            assert_eq!(
                (back.addr, back.dst_ip, back.ecn, back.len, back.stride),
                (meta.addr, meta.dst_ip, meta.ecn, 40, 40)
            );
        }
    }

    #[test]
    fn bytes_that_are_not_our_packet_have_no_route() {
        for bytes in [&b""[..], b"\x40short", b"\xe0\0\0\0\x01\x14id", b"\xe0\0"] {
            assert_eq!(destination(bytes), None);
        }
        // Clients choose longer ids for their first packets.
        let mut initial = vec![0xc0, 0, 0, 0, 1, 20];
        initial.resize(60, 1);
        assert_eq!(destination(&initial), None);
    }
}
