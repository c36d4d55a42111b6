//! A store that fails on demand: what tests of everything above a store are made with.

use std::collections::VecDeque;
use std::sync::Arc;

use fourfold_op::{Cursor, Deadline, Error};
use fourfold_plan::{ReadPlan, WritePlan};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::store::{
    Budget, Capabilities, CommitError, Committed, Entities, Head, Later, LeaseTerm, Side, SideRecord, Snapshot, Space, Store, StoreError,
    Tail,
};

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The next read is refused with this.
    Read(Error),
    /// The next read of the log is refused with this.
    Events(Error),
    /// The next look at the ends of the log says that cursors below this are too old.
    Floor(u64),
    /// The next commit is refused with this; nothing is written.
    Refuse(Error),
    /// The next commit is not written, and nobody learns that.
    LoseBefore,
    /// The next commit is written, and nobody learns that.
    LoseAfter,
    /// The next commit waits until this is notified.
    Hold(Arc<Notify>),
}

/// Another store, with faults in their order: each is used up by the first call that it fits.
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    faults: Mutex<VecDeque<Fault>>,
}

impl FaultyStore {
    /// A store that does what `inner` does, until faults are planted.
    pub fn new(inner: Arc<dyn Store>) -> Arc<FaultyStore> {
        Arc::new(FaultyStore { inner, faults: Mutex::new(VecDeque::new()) })
    }

    /// Plants a fault after those that are planted already.
    pub fn plant(&self, fault: Fault) {
        self.faults.lock().push_back(fault);
    }

    fn take(&self, fits: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let mut faults = self.faults.lock();
        let index = faults.iter().position(fits)?;
        faults.remove(index)
    }
}

impl Fault {
    fn is_of_commit(&self) -> bool {
        matches!(self, Fault::Refuse(_) | Fault::LoseBefore | Fault::LoseAfter | Fault::Hold(_))
    }
}

impl Store for FaultyStore {
    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    fn read<'a>(&'a self, plans: &'a [ReadPlan], deadline: &'a Deadline) -> Later<'a, Result<Snapshot, StoreError>> {
        match self.take(|fault| matches!(fault, Fault::Read(_))) {
            Some(Fault::Read(error)) => Box::pin(async { Err(StoreError::Refused(error)) }),
            _ => self.inner.read(plans, deadline),
        }
    }

    fn commit(&self, plan: WritePlan, side: Vec<Side>) -> Later<'static, Result<Committed, CommitError>> {
        let lost = || CommitError::Unknown("a planted fault".to_owned());
        match self.take(Fault::is_of_commit) {
            Some(Fault::Refuse(error)) => Box::pin(async { Err(CommitError::Refused(error)) }),
            Some(Fault::LoseBefore) => Box::pin(async move { Err(lost()) }),
            Some(Fault::LoseAfter) => {
                let commit = self.inner.commit(plan, side);
                Box::pin(async move { commit.await.and_then(|_| Err(lost())) })
            }
            Some(Fault::Hold(until)) => {
                let commit = self.inner.commit(plan, side);
                Box::pin(async move {
                    until.notified().await;
                    commit.await
                })
            }
            _ => self.inner.commit(plan, side),
        }
    }

    fn events<'a>(&'a self, after: &'a Cursor, of: &'a Entities, budget: Budget) -> Later<'a, Result<Tail, StoreError>> {
        match self.take(|fault| matches!(fault, Fault::Events(_))) {
            Some(Fault::Events(error)) => Box::pin(async { Err(StoreError::Refused(error)) }),
            _ => self.inner.events(after, of, budget),
        }
    }

    fn head(&self, beyond: Option<u64>) -> Later<'_, Head> {
        let floor = match self.take(|fault| matches!(fault, Fault::Floor(_))) {
            Some(Fault::Floor(floor)) => Some(floor),
            _ => None,
        };
        Box::pin(async move {
            let head = self.inner.head(beyond).await;
            Head { floor: floor.unwrap_or(head.floor), ..head }
        })
    }

    fn bus(&self) -> Option<Arc<dyn crate::Bus>> {
        self.inner.bus()
    }

    fn side<'a>(&'a self, space: Space, key: &'a [u8]) -> Later<'a, Result<Option<SideRecord>, StoreError>> {
        self.inner.side(space, key)
    }

    fn lease<'a>(&'a self, name: &'a str) -> Later<'a, Result<Option<LeaseTerm>, StoreError>> {
        self.inner.lease(name)
    }

    fn close(&self) -> Later<'_, ()> {
        self.inner.close()
    }
}
