//! Who is at the other end: its token, and the calls it may make with it.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fourfold_engine::Engine;
use fourfold_op::{Authenticate, Authenticated, Context, Deadline, Error, ErrorCode, RequestId};

use crate::ending::{BAD_REQUEST, End, INVALID_TOKEN};
use crate::fixture::Fixture;
use crate::message::{ConnectResult, RefreshResult};
use crate::rpc::Call;

/// Between our pings.
pub(crate) const PING: Duration = Duration::from_secs(25);
/// For a call, where the server sets no deadline.
const CALL_WITHIN: Duration = Duration::from_secs(30);
/// What the server calls itself.
const VERSION: &str = concat!("fourfold ", env!("CARGO_PKG_VERSION"));

/// Who is at the other end.
pub(crate) struct Peer {
    pub(crate) engine: Arc<Engine>,
    authenticate: Arc<dyn Authenticate>,
    pub(crate) fixture: Fixture,
    context: Context,
    /// By what others know this connection: its own, whatever the client says of its request.
    client: Arc<str>,
    bearer: Option<String>,
    call_within: Duration,
    /// Whom its token names, once it has connected.
    authenticated: Option<Authenticated>,
}

/// Why a token is refused.
pub(crate) enum Refused {
    /// The client is told, and may go on.
    Error(Error),
    /// The connection ends.
    End(End),
}

impl Peer {
    pub(crate) fn new(
        (engine, authenticate, fixture): (Arc<Engine>, Arc<dyn Authenticate>, Fixture),
        context: Context,
        bearer: Option<String>,
    ) -> Peer {
        let until = context.deadline.0.map(|at| at.saturating_duration_since(std::time::Instant::now()));
        let call_within = until.filter(|left| !left.is_zero()).unwrap_or(CALL_WITHIN);
        let client = uuid::Uuid::new_v4().to_string().into();
        Peer { engine, authenticate, fixture, context, client, bearer, call_within, authenticated: None }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.authenticated.is_some()
    }

    /// Whom its token names, and when it ends.
    pub(crate) fn authenticated(&self) -> Option<&Authenticated> {
        self.authenticated.as_ref()
    }

    /// Seconds until its token ends; negative when it has; none for one that never does.
    pub(crate) fn left_seconds(&self) -> Option<i64> {
        left_seconds(self.authenticated.as_ref()?)
    }

    pub(crate) fn connect(&mut self, token: &str) -> Result<ConnectResult, Refused> {
        let bearer = self.bearer.take();
        let token = Some(token).filter(|token| !token.is_empty()).or(bearer.as_deref());
        let authenticated = self.admit(token)?;
        let (expires, ttl) = ttl(&authenticated);
        self.authenticated = Some(authenticated);
        let (client, ping) = (self.client.to_string(), u32::try_from(PING.as_secs()).unwrap_or(u32::MAX));
        Ok(ConnectResult { client, version: VERSION.to_owned(), expires, ttl, ping, pong: true, ..ConnectResult::default() })
    }

    pub(crate) fn refresh(&mut self, token: &str) -> Result<RefreshResult, Refused> {
        if token.is_empty() {
            return Err(Refused::End(BAD_REQUEST));
        }
        let authenticated = self.admit(Some(token))?;
        let (before, now) = (self.authenticated.as_ref().map(|before| &before.principal), &authenticated.principal);
        if before.is_none_or(|before| !before.is_same(now)) {
            // A connection never becomes another's.
            return Err(Refused::End(INVALID_TOKEN));
        }
        let (expires, ttl) = ttl(&authenticated);
        self.authenticated = Some(authenticated);
        Ok(RefreshResult { client: self.client.to_string(), version: VERSION.to_owned(), expires, ttl })
    }

    /// Whom a token names. An expired one is told, so that the client fetches another; a wrong one ends the connection.
    fn admit(&self, token: Option<&str>) -> Result<Authenticated, Refused> {
        self.authenticate.authenticate(token).map_err(|error| match error.code {
            ErrorCode::Unauthenticated if token.is_some() => Refused::End(INVALID_TOKEN),
            _ => Refused::Error(error),
        })
    }

    /// The channel that its caller has by connecting.
    pub(crate) fn personal(&self) -> Option<String> {
        self.fixture.personal(&self.authenticated()?.principal.subject)
    }

    /// When the token ends that a subscription shows for itself: microseconds since 1970; none where it never does, or shows none.
    ///
    /// It gives no right: it must name this channel and the caller of the connection, whose rights decide.
    pub(crate) fn token_end(&self, channel: &str, token: &str) -> Result<Option<i64>, Error> {
        if token.is_empty() {
            return Ok(None);
        }
        let refused = |why: &str| Error::new(ErrorCode::PermissionDenied, format!("the token of this subscription is refused: {why}"));
        let shown = self.authenticate.authenticate_for(token, channel);
        let shown = shown.map_err(|error| match error.code {
            ErrorCode::Unauthenticated => refused(&error.public.message),
            _ => error,
        })?;
        match self.authenticated().is_some_and(|connected| connected.principal.is_same(&shown.principal)) {
            true => Ok(shown.expires_at_us()),
            false => Err(refused("it names another caller than the connection's")),
        }
    }

    /// When a subscription ends that would end at `own` by itself: no later than the connection's token.
    pub(crate) fn end_of(&self, own: Option<i64>) -> Option<i64> {
        let connection = self.authenticated().and_then(|authenticated| authenticated.expires_at_us());
        own.into_iter().chain(connection).min()
    }

    /// Whether it is the subscription's own token that ends it.
    pub(crate) fn ends_first(&self, own: Option<i64>) -> bool {
        own.is_some() && self.end_of(own) == own
    }

    /// The connection's id.
    pub(crate) fn client(&self) -> &Arc<str> {
        &self.client
    }

    /// The call of a command.
    pub(crate) fn call(&self, id: u32) -> Call {
        Call { engine: self.engine.clone(), context: self.context_of(id) }
    }

    /// Who asks by a command, and until when it is answered.
    pub(crate) fn context_of(&self, id: u32) -> Context {
        let mut context = self.context.clone();
        if let Some(authenticated) = &self.authenticated {
            context.principal = authenticated.principal.clone();
        }
        context.deadline = Deadline(Some(std::time::Instant::now() + self.call_within));
        context.idempotency = None;
        context.request = RequestId(format!("{}.{id}", self.context.request.0).into());
        context
    }
}

/// Whether a subscription's own token ends, and in how many seconds; its end in microseconds since 1970.
pub(crate) fn ttl_until(end_us: Option<i64>) -> (bool, u32) {
    let left = end_us.map(|end| u32::try_from((end / 1_000_000).saturating_sub(now_s()).max(1)).unwrap_or(u32::MAX));
    (left.is_some(), left.unwrap_or(0))
}

/// Whether a token ends, and in how many seconds.
fn ttl(authenticated: &Authenticated) -> (bool, u32) {
    let left = left_seconds(authenticated).map(|left| u32::try_from(left.max(1)).unwrap_or(u32::MAX));
    (left.is_some(), left.unwrap_or(0))
}

/// Seconds until a token ends; negative when it has.
fn left_seconds(authenticated: &Authenticated) -> Option<i64> {
    authenticated.expires_at.map(|at| at.saturating_sub(now_s()))
}

fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
