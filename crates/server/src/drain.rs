//! A server that runs, and how it ends: not ready, accept no more, finish what is in flight, close the store.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use fourfold_connect::{Sinks, Sources};
use fourfold_engine::Closing;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::admin::{self, Metrics, Seen};
use crate::config::Config;
use crate::listen::Edge;
use crate::log::Log;
use crate::stack::{Faces, Origins, Stack, StackSettings};
use crate::tls;

/// What carries events out and brings rows in, while it runs.
#[derive(Default)]
pub struct Connectors {
    /// Those that carry events out.
    pub sinks: Sinks,
    /// Those that bring rows in.
    pub sources: Sources,
}

impl Connectors {
    /// Ends them all: those that write first, so that those that read come as far as they can.
    async fn stop(&self) {
        self.sources.stop().await;
        self.sinks.stop().await;
    }
}

/// A server that accepts.
pub struct Running {
    address: SocketAddr,
    admin_address: Option<SocketAddr>,
    stack: Arc<Stack>,
    edge: Arc<Edge<Stack>>,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
    connectors: Arc<ArcSwap<Connectors>>,
    log: Log,
    drain_timeout: Duration,
}

impl Running {
    /// Binds the listeners and begins to accept; `log_key` makes the hashes of principals in the log.
    ///
    /// # Errors
    /// An address cannot be bound, or the TLS files are not good.
    pub async fn start(config: &Config, faces: Arc<Faces>, dev: bool, log_key: &[u8]) -> io::Result<Running> {
        let tls = config.tls.as_ref().map(|(cert, key)| tls::acceptor(cert, key)).transpose()?;
        let listener = bind(&config.listen).await?;
        let address = listener.local_addr()?;
        let log = Log::open(config.log, log_key);
        let metrics = Metrics::new();
        let stack = Stack::new(settings(config, dev), faces, log.clone(), Arc::clone(&metrics));
        let edge = Edge::new(Arc::clone(&stack), config.edge, tls);
        let (stop, stopped) = watch::channel(false);
        let connectors = Arc::new(ArcSwap::from_pointee(Connectors::default()));
        let admin_address = match &config.admin_listen {
            Some(wanted) => Some(start_admin(wanted, metrics, (&stack, &edge, &connectors), stopped.clone()).await?),
            None => None,
        };
        let accepting = tokio::spawn(Arc::clone(&edge).accept(listener, until(stopped)));
        Ok(Running { address, admin_address, stack, edge, stop, accepting, connectors, log, drain_timeout: config.drain_timeout })
    }

    /// Where the four APIs are served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where operators are served: `/metrics`, `/admin/log`, `/admin/feed`.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// What answers, to put another model in place.
    pub fn stack(&self) -> &Arc<Stack> {
        &self.stack
    }

    /// Lets these connectors run, and ends those that ran before.
    pub async fn replace_connectors(&self, connectors: impl FnOnce() -> Connectors) {
        // In this order: two of one name would get into each other's way.
        self.connectors.load_full().stop().await;
        self.connectors.store(Arc::new(connectors()));
    }

    /// Tells the position beyond which a sink has yet to read the log.
    pub fn hold(&self) -> impl Fn() -> Option<u64> + use<> {
        let connectors = Arc::clone(&self.connectors);
        move || connectors.load().sinks.hold()
    }

    /// Ends it in order; streams that never end are cut at the drain timeout. Sinks save how far they came.
    pub async fn drain(self) {
        self.stack.set_ready(false);
        // Nobody listens when accepting has ended already.
        let _ = self.stop.send(true);
        let _ = self.accepting.await;
        self.stack.faces().engine().close_watches(Closing::Drain);
        let seats = self.edge.seats();
        seats.drain();
        let begun = Instant::now();
        while seats.count() > 0 && begun.elapsed() < self.drain_timeout {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        seats.expel();
        self.connectors.load_full().stop().await;
        self.stack.faces().engine().store().close().await;
        self.log.close();
    }
}

fn settings(config: &Config, dev: bool) -> StackSettings {
    StackSettings {
        body: config.body,
        head: config.edge.head,
        request_timeout: config.request_timeout,
        origins: Origins::new(&config.origins),
        behind_proxy: config.behind_proxy,
        dev,
    }
}

async fn bind(address: &str) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| io::Error::new(error.kind(), format!("cannot listen on `{address}`: {error}")))
}

async fn start_admin(
    wanted: &str,
    metrics: Arc<Metrics>,
    (stack, edge, connectors): (&Arc<Stack>, &Arc<Edge<Stack>>, &Arc<ArcSwap<Connectors>>),
    stopped: watch::Receiver<bool>,
) -> io::Result<SocketAddr> {
    let listener = bind(wanted).await?;
    let address = listener.local_addr()?;
    let look = {
        let (stack, edge, connectors) = (Arc::clone(stack), Arc::clone(edge), Arc::clone(connectors));
        move || {
            let (stack, connections, connectors) = (Arc::clone(&stack), edge.seats().count(), connectors.load_full());
            async move {
                let faces = stack.faces();
                let log = faces.engine().store().head(None).await;
                let (sinks, sources) = (connectors.sinks.figures(), connectors.sources.figures());
                Seen { connections, log, feed: faces.engine().feed_figures(), sinks, sources }
            }
        }
    };
    tokio::spawn(admin::serve(listener, metrics, look, until(stopped)));
    Ok(address)
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // An error says that the server itself is gone.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
