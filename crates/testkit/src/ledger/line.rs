//! The line between a subscriber and the server: it carries bytes, and is cut in the middle of them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;

use crate::random::Random;

/// Bytes that wait on a line, in the system and here.
const LINE_BYTES: u32 = 16 << 10;
/// Bytes of a segment: so small that the system keeps tens of KiB for a reader that does not read, and not megabytes.
const SEGMENT_BYTES: u32 = 536;
/// How many events a reader lets pass when it stops to read: for one that sees all, more than is kept for it on the way.
const PAUSE_EVENTS: u64 = 1_200;

/// All that the parts of a run share.
pub struct World {
    /// Where each node is; none while there is none.
    nodes: Vec<watch::Sender<Option<SocketAddr>>>,
    /// Events of acknowledged writes so far.
    pub events: watch::Sender<u64>,
    /// Whether lines are cut.
    pub rough: watch::Sender<bool>,
    /// Lines that were left half open; to the server they are still there.
    half_open: Mutex<Vec<TcpStream>>,
    cuts: [AtomicUsize; 3],
    /// The newest position that anybody was told of.
    committed: AtomicU64,
}

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Reset,
    HalfOpen,
    Pause,
}

/// After how many bytes from the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fate(Cut, usize);

impl World {
    /// Of so many nodes, of which none is there yet.
    pub fn new(rough: bool, nodes: usize) -> Arc<World> {
        Arc::new(World {
            nodes: (0..nodes).map(|_| watch::Sender::new(None)).collect(),
            events: watch::Sender::new(0),
            rough: watch::Sender::new(rough),
            half_open: Mutex::default(),
            cuts: Default::default(),
            committed: AtomicU64::new(0),
        })
    }

    /// From now on a node is there, or is not.
    pub fn place(&self, node: usize, address: Option<SocketAddr>) {
        self.nodes[node].send_replace(address);
    }

    /// Where the node is that this number has, counted round; as soon as there is one.
    pub(crate) async fn address(&self, number: u64) -> SocketAddr {
        let mut node = self.nodes[number as usize % self.nodes.len()].subscribe();
        node.wait_for(Option::is_some).await.expect("a sender").expect("an address")
    }

    /// Where some node is; of those that are there, where one is.
    async fn any(&self, random: &mut Random) -> SocketAddr {
        let there: Vec<SocketAddr> = self.nodes.iter().filter_map(|node| *node.borrow()).collect();
        match random.below(there.len().max(1) as u64) as usize {
            at if at < there.len() => there[at],
            _ => self.address(0).await,
        }
    }

    /// Resolves when this many events are acknowledged.
    pub async fn until_events(&self, count: u64) {
        self.events.subscribe().wait_for(|events| *events >= count).await.expect("a sender");
    }

    /// A position that is committed, as far as anybody was told.
    pub(crate) fn committed(&self) -> u64 {
        self.committed.load(Ordering::Relaxed)
    }

    pub(crate) fn note_committed(&self, position: u64) {
        self.committed.fetch_max(position, Ordering::Relaxed);
    }

    /// Lines that were reset, left half open, and not read for a while.
    pub fn cuts(&self) -> [usize; 3] {
        self.cuts.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    /// A fate for the next line; none when lines are not cut.
    pub(crate) fn fate(&self, random: &mut Random) -> Option<Fate> {
        let cut = match random.below(10) {
            0..=4 => Cut::Reset,
            5..=7 => Cut::HalfOpen,
            _ => Cut::Pause,
        };
        // As often within a hundred bytes as within a million.
        let within = 1 << (8 + random.below(14));
        let after = 1 + random.below(within) as usize;
        (*self.rough.borrow()).then_some(Fate(cut, after))
    }

    /// A line to a node that is there now.
    pub(crate) async fn dial(self: &Arc<World>, fate: Option<Fate>, random: &mut Random) -> std::io::Result<DuplexStream> {
        let socket = TcpSocket::new_v4()?;
        SockRef::from(&socket).set_tcp_mss(SEGMENT_BYTES)?;
        socket.set_recv_buffer_size(LINE_BYTES)?;
        let far = socket.connect(self.any(random).await).await?;
        far.set_nodelay(true)?;
        let (near, end) = tokio::io::duplex(LINE_BYTES as usize);
        let world = Arc::clone(self);
        tokio::spawn(async move {
            // However it ends, both sides see it.
            let _ = world.carry(end, far, fate).await;
        });
        Ok(near)
    }

    async fn carry(&self, near: DuplexStream, mut far: TcpStream, fate: Option<Fate>) -> std::io::Result<()> {
        let (mut from_near, mut to_near) = tokio::io::split(near);
        let (mut from_far, mut to_far) = far.split();
        let cut = tokio::select! {
            ended = tokio::io::copy(&mut from_near, &mut to_far) => return ended.map(drop),
            cut = self.down(&mut from_far, &mut to_near, fate) => cut?,
        };
        match cut {
            Some(Cut::Reset) => far.set_zero_linger(),
            Some(Cut::HalfOpen) => {
                self.half_open.lock().unwrap().push(far);
                Ok(())
            }
            Some(Cut::Pause) | None => Ok(()),
        }
    }

    /// Carries what the server says until its fate; with which cut it ended.
    async fn down(
        &self,
        from: &mut (impl AsyncReadExt + Unpin),
        to: &mut (impl AsyncWriteExt + Unpin),
        mut fate: Option<Fate>,
    ) -> std::io::Result<Option<Cut>> {
        let mut buffer = vec![0; 8 << 10];
        loop {
            let read = from.read(&mut buffer).await?;
            if read == 0 {
                return Ok(None);
            }
            let carried = fate.map_or(read, |Fate(_, left)| left.min(read));
            to.write_all(&buffer[..carried]).await?;
            let Some(Fate(cut, left)) = fate else { continue };
            fate = Some(Fate(cut, left - carried));
            if left > carried {
                continue;
            }
            self.cuts[cut as usize].fetch_add(1, Ordering::Relaxed);
            if cut != Cut::Pause {
                return Ok(Some(cut));
            }
            self.pause().await;
            to.write_all(&buffer[carried..read]).await?;
            fate = None;
        }
    }

    async fn pause(&self) {
        let until = *self.events.borrow() + PAUSE_EVENTS;
        let mut rough = self.rough.subscribe();
        tokio::select! {
            () = self.until_events(until) => {}
            _ = rough.wait_for(|rough| !rough) => {}
        }
    }
}
