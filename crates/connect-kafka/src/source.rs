//! The source itself: a consumer of a group, whose places are kept elsewhere.
//!
//! The group deals out the partitions and nothing else: no offset is committed to it. When partitions are dealt out, the loop is told, and says
//! where each begins; until then nothing is fetched.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fourfold_connect::{Arrival, BuryError, DeadMessage, Ends, From, Later, Message, Source, SourceBudget, SourceError};
use futures_util::FutureExt;
use parking_lot::Mutex;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message as _};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, ClientContext, Offset, Statistics, TopicPartitionList};
use tokio::sync::Notify;

use crate::grave::Grave;
use crate::settings::KafkaSourceSettings;

/// How long brokers may take to tell where a partition ends.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads a topic of a Kafka cluster.
pub struct KafkaSource {
    settings: KafkaSourceSettings,
    client: ClientConfig,
    told: Arc<Told>,
    /// Made when it is first needed.
    consumer: Option<Arc<OurConsumer>>,
    /// What came after messages that were handed on.
    late: Option<SourceError>,
    /// Whether what was dealt out last is assigned.
    assigned: bool,
    grave: Grave,
}

type OurConsumer = StreamConsumer<Hears>;

/// What librdkafka has told.
#[derive(Default)]
struct Told {
    state: Mutex<State>,
    dealt: Notify,
}

#[derive(Default)]
struct State {
    /// Partitions that were dealt out, or taken away, and not handed on yet.
    dealt: Option<Vec<i32>>,
    ends: BTreeMap<i32, Ends>,
    reaches: bool,
    said: Option<String>,
}

impl KafkaSource {
    /// A source for these settings; nothing is connected to yet.
    ///
    /// # Errors
    /// What this build cannot do, and what librdkafka refuses.
    pub fn open(settings: KafkaSourceSettings) -> Result<KafkaSource, String> {
        let client = settings.consumer()?;
        let grave = Grave::open(&settings)?;
        Ok(KafkaSource { settings, client, told: Arc::default(), consumer: None, late: None, assigned: false, grave })
    }

    fn consumer(&mut self) -> Result<Arc<OurConsumer>, SourceError> {
        if let Some(consumer) = &self.consumer {
            return Ok(Arc::clone(consumer));
        }
        let temporary = |error: KafkaError| SourceError::Temporary(error.to_string());
        let consumer: OurConsumer =
            self.client.create_with_context(Hears(Arc::clone(&self.told), self.settings.topic.clone())).map_err(temporary)?;
        consumer.subscribe(&[&self.settings.topic]).map_err(temporary)?;
        Ok(Arc::clone(self.consumer.insert(Arc::new(consumer))))
    }

    async fn arrival(&mut self, budget: SourceBudget) -> Result<Arrival, SourceError> {
        if let Some(error) = self.late.take() {
            return Err(error);
        }
        let consumer = self.consumer()?;
        loop {
            if let Some(partitions) = self.told.state.lock().dealt.take() {
                self.assigned = false;
                return Ok(Arrival::Assigned(partitions));
            }
            let first = tokio::select! {
                biased;
                () = self.told.dealt.notified() => continue,
                first = consumer.recv() => self.message(first)?,
            };
            // From here on nothing waits, so nothing that was taken is lost where this is cancelled.
            let mut bytes = size(&first);
            let mut messages = vec![first];
            while messages.len() < budget.messages_max && bytes < budget.bytes_max {
                match consumer.recv().now_or_never().map(|received| self.message(received)) {
                    Some(Ok(message)) => {
                        bytes += size(&message);
                        messages.push(message);
                    }
                    Some(Err(error)) => {
                        self.late = Some(error);
                        break;
                    }
                    None => break,
                }
            }
            return Ok(Arrival::Messages(messages));
        }
    }

    fn message(&self, received: Result<BorrowedMessage<'_>, KafkaError>) -> Result<Message, SourceError> {
        match received {
            Ok(message) => Ok(owned(&message)),
            Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset) => Err(SourceError::Lost(format!(
                "`{}` no longer has, or never had, what comes next: its messages were removed, or it was made anew",
                self.settings.topic
            ))),
            Err(error) => {
                let mut state = self.told.state.lock();
                state.reaches = false;
                let said = state.said.take().map_or_else(String::new, |said| format!(" ({said})"));
                Err(SourceError::Temporary(format!("{error}{said}")))
            }
        }
    }

    async fn begin_at(&mut self, places: &[(i32, From)]) -> Result<Vec<(i32, u64)>, SourceError> {
        let (consumer, topic) = (self.consumer()?, self.settings.topic.clone());
        let places = places.to_vec();
        let (told, assigned) = (Arc::clone(&self.told), self.assigned);
        // Brokers are asked and waited for.
        let begun = tokio::task::spawn_blocking(move || {
            let (mut list, mut new) = (TopicPartitionList::new(), Vec::new());
            for (partition, from) in places {
                let offset = match from {
                    From::Offset(offset) => exact(offset),
                    From::First => Offset::Beginning,
                    From::Now => {
                        let (_, next) = consumer.fetch_watermarks(&topic, partition, ASK_TIMEOUT)?;
                        new.push((partition, u64::try_from(next).unwrap_or_default()));
                        Offset::Offset(next)
                    }
                };
                list.add_partition_offset(&topic, partition, offset)?;
            }
            // The group has dealt anew meanwhile: what was asked for is no longer ours.
            if told.state.lock().dealt.is_some() {
                return Ok(new);
            }
            match assigned {
                // Once for what was dealt out: the group waits for it, and for no other.
                false => consumer.assign(&list)?,
                true => sought(&consumer.seek_partitions(list, ASK_TIMEOUT)?)?,
            }
            Ok(new)
        });
        match begun.await {
            Ok(Ok(begun)) => {
                self.assigned = true;
                Ok(begun)
            }
            Ok(Err(error)) => Err(SourceError::Temporary(KafkaError::to_string(&error))),
            Err(_) => Err(SourceError::Temporary("the consumer could not be told where to begin".to_owned())),
        }
    }
}

/// Whether each partition stands where it was told to.
fn sought(list: &TopicPartitionList) -> Result<(), KafkaError> {
    list.elements().iter().try_for_each(|one| one.error())
}

/// An offset of Kafka is below 2⁶³.
fn exact(offset: u64) -> Offset {
    Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX))
}

fn owned(message: &BorrowedMessage<'_>) -> Message {
    let bytes = |part: Option<&[u8]>| part.map(Bytes::copy_from_slice);
    let headers = message.headers().map(|headers| headers.iter().map(|header| (header.key.to_owned(), bytes(header.value))).collect());
    Message {
        partition: message.partition(),
        offset: u64::try_from(message.offset()).unwrap_or_default(),
        key: bytes(message.key()),
        value: bytes(message.payload()),
        headers: headers.unwrap_or_default(),
    }
}

fn size(message: &Message) -> usize {
    let headers = message.headers.iter().map(|(name, value)| name.len() + value.as_ref().map_or(0, Bytes::len));
    message.key.as_ref().map_or(0, Bytes::len) + message.value.as_ref().map_or(0, Bytes::len) + headers.sum::<usize>()
}

impl Source for KafkaSource {
    fn next(&mut self, budget: SourceBudget) -> Later<'_, Result<Arrival, SourceError>> {
        Box::pin(self.arrival(budget))
    }

    fn begin<'a>(&'a mut self, places: &'a [(i32, From)]) -> Later<'a, Result<Vec<(i32, u64)>, SourceError>> {
        Box::pin(self.begin_at(places))
    }

    fn bury<'a>(&'a mut self, letter: DeadMessage<'a>) -> Later<'a, Result<(), BuryError>> {
        Box::pin(self.grave.bury(letter, &self.settings))
    }

    fn ends(&self) -> Vec<Ends> {
        self.told.state.lock().ends.values().copied().collect()
    }

    fn reaches(&self) -> bool {
        self.told.state.lock().reaches
    }
}

impl Drop for KafkaSource {
    /// Leaving the group waits for brokers, and so is no work for a thread of the runtime.
    fn drop(&mut self) {
        let Some(consumer) = self.consumer.take() else { return };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(consumer))),
            Err(_) => drop(consumer),
        }
    }
}

/// Hears what librdkafka tells of a topic.
struct Hears(Arc<Told>, String);

impl Hears {
    fn deal(&self, partitions: Vec<i32>) {
        self.0.state.lock().dealt = Some(partitions);
        self.0.dealt.notify_one();
    }
}

impl ClientContext for Hears {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.state.lock().said = Some(format!("{error}: {reason}"));
    }

    fn stats(&self, statistics: Statistics) {
        let up = |broker: &rdkafka::statistics::Broker| broker.state == "UP" && broker.nodeid >= 0;
        let mut state = self.0.state.lock();
        state.reaches = statistics.brokers.values().any(up);
        let Some(topic) = statistics.topics.get(&self.1) else { return };
        for (partition, seen) in &topic.partitions {
            let (Ok(first), Ok(next)) = (u64::try_from(seen.lo_offset), u64::try_from(seen.hi_offset)) else { continue };
            state.ends.insert(*partition, Ends { partition: *partition, first, next });
        }
    }
}

impl ConsumerContext for Hears {
    /// What is dealt out is assigned later, when it is known where it begins; what is taken away goes at once.
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        if what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            return self.deal(partitions.elements().iter().map(|one| one.partition()).collect());
        }
        // It fails only where the consumer has ended.
        let _ = consumer.unassign();
        self.deal(Vec::new());
    }
}
