//! The engine itself: one model over one store.

use std::sync::Arc;

use fourfold_model::SharedModel;
use fourfold_op::{Error, Limits, Operation};
use fourfold_plan::PreparedWatch;
use fourfold_store::Store;
use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use crate::channel::Channels;
use crate::feed::{Closing, Feed, WatchKey};
use crate::idempotent::InFlight;
use crate::observe::{self, Happened};
use crate::prepared::Prepared;

/// Prepared operations kept at once, in entries.
const PREPARED_MAX: usize = 4_096;
/// Prepared watches, and the reads of their first rows, kept at once, in entries of each.
const WATCHES_PREPARED_MAX: usize = 1_024;
/// Prepared writes of sources kept at once, in entries.
const INTAKES_PREPARED_MAX: usize = 256;

type Kept<K, V> = Cache<K, Arc<V>, UnitWeighter, foldhash::fast::RandomState>;

/// One model over one store. On a reload of the model a new engine takes the old one's place over the same store.
pub struct Engine {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) model: SharedModel,
    pub(crate) generation: u32,
    pub(crate) limits: Limits,
    pub(crate) in_flight: InFlight,
    pub(crate) feed: Arc<Feed>,
    pub(crate) channels: Channels,
    prepared: Kept<Arc<Operation>, Prepared>,
    pub(crate) watches: Kept<WatchKey, PreparedWatch>,
    /// The reads of the rows with which watches begin: they have limits of their own.
    pub(crate) initials: Kept<Arc<Operation>, Prepared>,
    /// The writes of sources: they may set more than those of clients.
    intakes: Kept<Arc<Operation>, Prepared>,
}

impl Engine {
    /// An engine for a model (of this generation, counted by the store's migrations) over a store that is migrated to it.
    ///
    /// Where the store has a bus to other processes, it is to be made within a runtime.
    pub fn new(store: Arc<dyn Store>, model: SharedModel, generation: u32, limits: Limits) -> Arc<Engine> {
        #[cfg(feature = "nodes")]
        if let Some(bus) = store.bus() {
            return Engine::with_bus(store, model, generation, limits, bus);
        }
        let channels = Channels::new(&model, &limits);
        Engine::build(store, model, generation, limits, channels)
    }

    /// The same, with another bus than the store's: engines on one bus are one in what channels say beside the log.
    #[cfg(feature = "nodes")]
    pub fn with_bus(
        store: Arc<dyn Store>,
        model: SharedModel,
        generation: u32,
        limits: Limits,
        bus: Arc<dyn fourfold_store::Bus>,
    ) -> Arc<Engine> {
        let mut channels = Channels::new(&model, &limits);
        channels.join(&model, &limits, bus);
        Engine::build(store, model, generation, limits, channels)
    }

    fn build(store: Arc<dyn Store>, model: SharedModel, generation: u32, limits: Limits, channels: Channels) -> Arc<Engine> {
        let feed = Feed::new(store.clone(), model.clone(), generation, limits.clone());
        Arc::new(Engine {
            store,
            model,
            generation,
            limits,
            in_flight: InFlight::default(),
            feed,
            channels,
            prepared: kept(PREPARED_MAX),
            watches: kept(WATCHES_PREPARED_MAX),
            initials: kept(WATCHES_PREPARED_MAX),
            intakes: kept(INTAKES_PREPARED_MAX),
        })
    }

    /// The model that is served.
    pub fn model(&self) -> &SharedModel {
        &self.model
    }

    /// The limits on operations.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The store beneath, for what is not an operation (readiness, side records of others).
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Prepares an operation, or finds it prepared: equal shapes share one plan, whoever asks.
    ///
    /// # Errors
    /// `invalid_argument`, `limit_exceeded`, `permission_denied`: what is wrong with the shape whatever its values are.
    pub fn prepare(&self, operation: &Operation) -> Result<Arc<Prepared>, Error> {
        if let Some(prepared) = self.prepared.get(operation) {
            return Ok(prepared);
        }
        let operation = Arc::new(operation.clone());
        let prepared = Arc::new(Prepared::new(&self.model, self.generation, operation.clone(), &self.limits)?);
        self.prepared.insert(operation, prepared.clone());
        observe::note(&Happened::Prepared { cached: self.prepared.len() });
        Ok(prepared)
    }
}

impl Engine {
    /// The same for a source, which may set what clients only read.
    pub(crate) fn prepare_for_source(&self, operation: &Operation) -> Result<Arc<Prepared>, Error> {
        if let Some(prepared) = self.intakes.get(operation) {
            return Ok(prepared);
        }
        let operation = Arc::new(operation.clone());
        let prepared = Arc::new(Prepared::for_source(&self.model, self.generation, operation.clone(), &self.limits)?);
        self.intakes.insert(operation, prepared.clone());
        Ok(prepared)
    }
}

impl Drop for Engine {
    /// Who still watches is told that this engine's rules are no longer in force.
    fn drop(&mut self) {
        self.feed.close(Closing::Replaced);
        self.channels.close(Closing::Replaced);
    }
}

fn kept<K: Eq + std::hash::Hash, V>(most: usize) -> Kept<K, V> {
    Cache::with(most, most as u64, UnitWeighter, foldhash::fast::RandomState::default(), DefaultLifecycle::default())
}
