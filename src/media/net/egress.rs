//! Datagrams on their way out: neighbours for the same peer leave in one segmented send (GSO).

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};

use super::{UdpPort, is_sendable};

/// Datagrams that may wait for the socket. 8192 of 1200 bytes are 10 MB and 80 ms of 1 Gbit/s: later than that, media is lost
/// anyway. Beyond it the oldest is dropped, because what waits longest is least useful; `overflowed` counts it.
pub const EGRESS_MAX: usize = 8192;

/// When [`Egress::push`] says that it is time to flush: a quarter of the room, so that one worker turn with a thousand viewers
/// does not overflow a queue that the socket would have taken.
pub const FLUSH_AT: usize = EGRESS_MAX / 4;

/// The most bytes of one segmented send: what fits an IPv4 datagram, rounded down.
const GSO_BYTES_MAX: usize = 65_000;

/// Segmented sends refused one after another, none succeeding between, before they are given up for good. One peer whose
/// route cannot (IPsec, a small MTU) must not take them from all the others.
const GSO_REFUSALS_MAX: usize = 16;

/// What a flush needs of a socket, so that a socket that is full or refuses can be tried without one.
trait Sender {
    fn gso_segments_max(&self) -> usize;

    fn send(
        &self,
        source_ip: Option<IpAddr>,
        destination: SocketAddr,
        contents: &[u8],
        segment: Option<usize>,
    ) -> io::Result<()>;
}

impl Sender for UdpPort {
    fn gso_segments_max(&self) -> usize {
        self.gso_segments_max()
    }

    fn send(
        &self,
        source_ip: Option<IpAddr>,
        destination: SocketAddr,
        contents: &[u8],
        segment: Option<usize>,
    ) -> io::Result<()> {
        self.send(source_ip, destination, contents, segment)
    }
}

struct Outgoing {
    source_ip: Option<IpAddr>,
    destination: SocketAddr,
    contents: Vec<u8>,
}

/// What came of a [`Egress::flush`], or of all of them ([`Egress::totals`]). All but `waiting` count datagrams or calls.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct FlushReport {
    /// Datagrams that the kernel took.
    pub sent: usize,
    /// Datagrams that the kernel refused (no route, not permitted, too long) or that no kernel would take (port 0).
    pub dropped: usize,
    /// Datagrams dropped since the last flush because more than [`EGRESS_MAX`] waited.
    pub overflowed: usize,
    /// Sends that carried more than one datagram.
    pub gso_batches: usize,
    /// System calls made.
    pub calls: usize,
    /// Datagrams that wait until the socket is writable again.
    pub waiting: usize,
}

/// The outgoing queue of a media thread. Order is kept per destination.
///
/// Datagrams for one peer should be pushed one after another (drain a peer, then the next): only neighbours are joined.
pub struct Egress {
    queue: VecDeque<Outgoing>,
    /// Where neighbours are joined; one copy of about 40 ns per datagram that saves a system call of 1-2 us.
    joined: Vec<u8>,
    gso_refusals: usize,
    overflowed: usize,
    totals: FlushReport,
}

impl Default for Egress {
    fn default() -> Self {
        Self::new()
    }
}

impl Egress {
    /// An empty queue.
    pub fn new() -> Self {
        Self {
            queue: VecDeque::with_capacity(FLUSH_AT),
            joined: Vec::with_capacity(GSO_BYTES_MAX),
            gso_refusals: 0,
            overflowed: 0,
            totals: FlushReport::default(),
        }
    }

    /// Queues one datagram. `source_ip` is the local address to send from; `None` lets the system choose.
    ///
    /// Returns true when so many wait that [`flush`](Self::flush) should come before the next.
    pub fn push(
        &mut self,
        source_ip: Option<IpAddr>,
        destination: SocketAddr,
        contents: Vec<u8>,
    ) -> bool {
        if self.queue.len() >= EGRESS_MAX {
            self.queue.pop_front();
            self.overflowed += 1;
        }
        self.queue.push_back(Outgoing {
            source_ip,
            destination,
            contents,
        });
        self.queue.len() >= FLUSH_AT
    }

    /// Sends what waits, until the socket would block; call it again when the socket is writable.
    pub fn flush(&mut self, port: &mut UdpPort) -> FlushReport {
        self.flush_to(port)
    }

    fn flush_to(&mut self, port: &impl Sender) -> FlushReport {
        let mut report = FlushReport {
            overflowed: std::mem::take(&mut self.overflowed),
            ..FlushReport::default()
        };
        while let Some(first) = self.queue.front() {
            if !is_sendable(first.source_ip, first.destination) {
                report.dropped += 1;
                self.queue.pop_front();
                continue;
            }
            let run = self.run_length(port);
            let outcome = match run {
                1 => self.send_first(port, &mut report),
                _ => self.send_joined(port, run, &mut report),
            };
            if outcome.is_break() {
                break;
            }
        }
        report.waiting = self.queue.len();
        self.totals.add(&report);
        report
    }

    /// Datagrams that wait.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The sums of all reports, with the `waiting` of the last.
    pub fn totals(&self) -> FlushReport {
        self.totals
    }

    /// How many datagrams at the front can leave in one segmented send: same peer, same length, the last may be shorter.
    fn run_length(&self, port: &impl Sender) -> usize {
        let Some(first) = self.queue.front() else {
            return 0;
        };
        let segment = first.contents.len();
        let segments_max = match self.gso_refusals < GSO_REFUSALS_MAX && segment > 0 {
            true => port.gso_segments_max().min(GSO_BYTES_MAX / segment),
            false => 1,
        };
        let mut run = 1;
        for next in self.queue.iter().take(segments_max).skip(1) {
            let fits = next.destination == first.destination
                && next.source_ip == first.source_ip
                && (1..=segment).contains(&next.contents.len());
            if !fits {
                break;
            }
            run += 1;
            if next.contents.len() < segment {
                break;
            }
        }
        run
    }

    fn send_first(&mut self, port: &impl Sender, report: &mut FlushReport) -> Flow {
        let Some(first) = self.queue.front() else {
            return Flow::Break(());
        };
        report.calls += 1;
        match port.send(first.source_ip, first.destination, &first.contents, None) {
            Ok(()) => report.sent += 1,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Flow::Break(()),
            Err(error) => {
                report.dropped += 1;
                log_drop(first, &error);
            }
        }
        self.queue.pop_front();
        Flow::Continue(())
    }

    fn send_joined(&mut self, port: &impl Sender, run: usize, report: &mut FlushReport) -> Flow {
        self.joined.clear();
        for datagram in self.queue.iter().take(run) {
            self.joined.extend_from_slice(&datagram.contents);
        }
        let Some(first) = self.queue.front() else {
            return Flow::Break(());
        };
        report.calls += 1;
        let segment = Some(first.contents.len());
        match port.send(first.source_ip, first.destination, &self.joined, segment) {
            Ok(()) => {
                self.gso_refusals = 0;
                report.sent += run;
                report.gso_batches += 1;
                self.queue.drain(..run);
                Flow::Continue(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Flow::Break(()),
            // Offload or the peer itself was refused: the same datagrams one by one tell which.
            Err(_) => self.send_one_by_one(port, run, report),
        }
    }

    fn send_one_by_one(
        &mut self,
        port: &impl Sender,
        run: usize,
        report: &mut FlushReport,
    ) -> Flow {
        let sent_before = report.sent;
        for _ in 0..run {
            if self.send_first(port, report).is_break() {
                return Flow::Break(());
            }
        }
        if report.sent > sent_before {
            self.gso_refusals += 1;
            if self.gso_refusals == GSO_REFUSALS_MAX {
                tracing::warn!("the system refuses segmented udp sends; sending costs more now");
            }
        }
        Flow::Continue(())
    }
}

/// Break: the socket would block.
type Flow = std::ops::ControlFlow<()>;

impl FlushReport {
    fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.dropped += other.dropped;
        self.overflowed += other.overflowed;
        self.gso_batches += other.gso_batches;
        self.calls += other.calls;
        self.waiting = other.waiting;
    }
}

fn log_drop(datagram: &Outgoing, error: &io::Error) {
    tracing::debug!(
        remote = %datagram.destination,
        source_ip = ?datagram.source_ip,
        bytes = datagram.contents.len(),
        %error,
        "datagram not sent"
    );
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    /// A socket that takes `room` datagrams, and says no to what it is told to say no to.
    struct Fake {
        room: Cell<usize>,
        segments_max: usize,
        refuses_gso: Cell<bool>,
        unreachable: Option<SocketAddr>,
        taken: RefCell<Vec<(SocketAddr, Vec<u8>)>>,
    }

    impl Default for Fake {
        fn default() -> Self {
            Self {
                room: Cell::new(usize::MAX),
                segments_max: 64,
                refuses_gso: Cell::new(false),
                unreachable: None,
                taken: RefCell::default(),
            }
        }
    }

    impl Sender for Fake {
        fn gso_segments_max(&self) -> usize {
            self.segments_max
        }

        fn send(
            &self,
            _: Option<IpAddr>,
            destination: SocketAddr,
            contents: &[u8],
            segment: Option<usize>,
        ) -> io::Result<()> {
            if self.refuses_gso.get() && segment.is_some() {
                return Err(io::Error::from_raw_os_error(5));
            }
            if self.unreachable == Some(destination) {
                return Err(io::ErrorKind::NetworkUnreachable.into());
            }
            assert!(contents.len() <= GSO_BYTES_MAX);
            let segment = segment.unwrap_or(contents.len());
            let datagrams = contents.len().div_ceil(segment);
            assert!(datagrams <= self.segments_max);
            match self.room.get().checked_sub(datagrams) {
                Some(room) => self.room.set(room),
                None => return Err(io::ErrorKind::WouldBlock.into()),
            }
            let mut taken = self.taken.borrow_mut();
            taken.extend(
                contents
                    .chunks(segment)
                    .map(|datagram| (destination, datagram.to_vec())),
            );
            Ok(())
        }
    }

    fn peer(number: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 1000 + number))
    }

    fn push_five(egress: &mut Egress) {
        for _ in 0..5 {
            egress.push(None, peer(1), vec![1; 100]);
        }
    }

    /// The calls that these (peer, length) pairs cost, once everything has arrived as it was pushed.
    fn calls(datagrams: &[(u16, usize)]) -> usize {
        let (mut egress, fake) = (Egress::new(), Fake::default());
        let mut expected = Vec::new();
        for (number, (to, length)) in datagrams.iter().enumerate() {
            let contents = vec![number as u8; *length];
            egress.push(None, peer(*to), contents.clone());
            expected.push((peer(*to), contents));
        }
        let report = egress.flush_to(&fake);
        assert_eq!(*fake.taken.borrow(), expected, "{datagrams:?}");
        assert_eq!(report.sent, datagrams.len());
        report.calls
    }

    #[test]
    fn neighbours_of_one_length_leave_together() {
        assert_eq!(calls(&[]), 0);
        assert_eq!(calls(&[(1, 100)]), 1);
        assert_eq!(calls(&[(1, 100); 3]), 1);
        assert_eq!(
            calls(&[(1, 100), (1, 100), (1, 60)]),
            1,
            "the last is shorter"
        );
        assert_eq!(
            calls(&[(1, 100), (1, 60), (1, 60)]),
            2,
            "nothing after a shorter one"
        );
        assert_eq!(calls(&[(1, 60), (1, 100)]), 2, "a longer one");
        assert_eq!(calls(&[(1, 100), (2, 100)]), 2, "another peer");
        assert_eq!(calls(&[(1, 100), (2, 100), (1, 100)]), 3, "no neighbours");
        assert_eq!(calls(&[(1, 100); 64]), 1);
        assert_eq!(calls(&[(1, 100); 65]), 2, "no more than 64 segments");
        assert_eq!(calls(&[(1, 1200); 54]), 1);
        assert_eq!(calls(&[(1, 1200); 55]), 2, "no more than 64 kB");
    }

    #[test]
    fn a_full_socket_keeps_the_rest_in_order() {
        let (mut egress, fake) = (Egress::new(), Fake::default());
        fake.room.set(10);
        for number in 0..100_u8 {
            egress.push(None, peer(u16::from(number / 7)), vec![number; 50]);
        }
        let report = egress.flush_to(&fake);
        assert_eq!((report.sent, report.waiting), (7, 93));
        assert_eq!(egress.flush_to(&fake).sent, 0, "still full");
        fake.room.set(usize::MAX);
        assert_eq!(egress.flush_to(&fake).sent, 93);
        let order: Vec<u8> = fake.taken.borrow().iter().map(|taken| taken.1[0]).collect();
        assert_eq!(order, (0..100).collect::<Vec<u8>>());
        assert!(egress.is_empty());
    }

    #[test]
    fn the_oldest_give_way_when_the_queue_is_full() {
        let (mut egress, fake) = (Egress::new(), Fake::default());
        for number in 0..EGRESS_MAX + 5 {
            let is_time = egress.push(None, peer(1), number.to_be_bytes().to_vec());
            assert_eq!(is_time, number + 1 >= FLUSH_AT);
        }
        assert_eq!(egress.len(), EGRESS_MAX);
        let report = egress.flush_to(&fake);
        assert_eq!((report.overflowed, report.sent), (5, EGRESS_MAX));
        assert_eq!(fake.taken.borrow()[0].1, 5_usize.to_be_bytes());
        assert_eq!(egress.totals(), report);
    }

    #[test]
    fn a_system_without_offload_still_sends_everything() {
        let (mut egress, fake) = (Egress::new(), Fake::default());
        fake.refuses_gso.set(true);
        for _ in 0..GSO_REFUSALS_MAX {
            push_five(&mut egress);
            assert_eq!((egress.flush_to(&fake).sent, egress.is_empty()), (5, true));
        }
        push_five(&mut egress);
        assert_eq!(
            egress.flush_to(&fake).calls,
            5,
            "it is not even tried any more"
        );
    }

    #[test]
    fn one_refusal_does_not_end_offload_for_the_others() {
        let (mut egress, fake) = (Egress::new(), Fake::default());
        for round in 0..3 * GSO_REFUSALS_MAX {
            fake.refuses_gso.set(round % 2 == 0);
            push_five(&mut egress);
            egress.flush_to(&fake);
        }
        assert_eq!(egress.totals().gso_batches, 3 * GSO_REFUSALS_MAX / 2);
    }

    #[test]
    fn what_cannot_be_sent_is_counted_and_holds_nobody_up() {
        let (mut egress, mut fake) = (Egress::new(), Fake::default());
        fake.unreachable = Some(peer(2));
        for to in [1, 2, 2, 3] {
            egress.push(None, peer(to), vec![1; 100]);
        }
        egress.push(None, "192.0.2.1:0".parse().unwrap(), vec![1; 100]);
        egress.push(Some("::1".parse().unwrap()), peer(1), vec![1; 100]);
        let report = egress.flush_to(&fake);
        assert_eq!((report.sent, report.dropped, report.waiting), (2, 4, 0));
        assert_eq!(
            egress.gso_refusals, 0,
            "an unreachable peer says nothing about offload"
        );
    }
}
