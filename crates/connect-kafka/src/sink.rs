//! The sink itself: a batch goes out whole, and comes back confirmed up to the first failure.

use std::sync::Arc;

use fourfold_connect::{DeadLetter, Delivery, Later, Sink, SinkError};
use fourfold_op::Position;
use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer, PurgeConfig};
use tokio::time::{Instant, timeout_at};

use crate::letter;
use crate::record::Record;
use crate::settings::KafkaSettings;

type OurProducer = FutureProducer<Said>;

/// Delivers to a Kafka cluster.
pub struct KafkaSink {
    settings: KafkaSettings,
    client: ClientConfig,
    said: Arc<Mutex<Option<String>>>,
    /// Made when it is first needed, and anew after a failure.
    producer: Option<OurProducer>,
}

/// How far some records came.
enum Sent {
    /// Every one was confirmed.
    All,
    /// So many, from the first on; the rest was not taken in, and may be sent now.
    Some(usize),
    /// So many; the next failed, and with it the producer.
    Failed(usize, Failure),
}

/// Why a record failed.
enum Failure {
    /// It may do better later.
    Temporary(String),
    /// It was thrown away because another one failed, which says why.
    Purged(String),
    /// A broker will never take it, or one that was sent together with it.
    ForGood(String),
}

impl KafkaSink {
    /// A sink for these settings; nothing is connected to yet.
    ///
    /// # Errors
    /// What this build cannot do, and what librdkafka refuses.
    pub fn open(settings: KafkaSettings) -> Result<KafkaSink, String> {
        let client = settings.client()?;
        Ok(KafkaSink { settings, client, said: Arc::default(), producer: None })
    }

    async fn deliver_batch(&mut self, batch: &[Delivery]) -> Result<Position, SinkError> {
        let mut done = 0;
        match self.send(batch).await {
            Sent::All => done = batch.len(),
            Sent::Some(count) => done = count,
            Sent::Failed(count, Failure::Temporary(why) | Failure::Purged(why)) => {
                return Err(SinkError::Temporary { delivered: last(batch, count), why });
            }
            Sent::Failed(count, Failure::ForGood(_)) => {
                // Those that are sent together fail together: alone, each shows whether it was the one.
                for (index, alone) in batch.iter().enumerate().skip(count) {
                    done = index;
                    match self.send(std::slice::from_ref(alone)).await {
                        Sent::All => {}
                        Sent::Some(_) => break,
                        Sent::Failed(_, Failure::Temporary(why) | Failure::Purged(why)) => {
                            return Err(SinkError::Temporary { delivered: last(batch, index), why });
                        }
                        Sent::Failed(_, Failure::ForGood(why)) => {
                            return Err(SinkError::ForGood { delivered: last(batch, index), position: alone.position, why });
                        }
                    }
                    done = index + 1;
                }
            }
        }
        let why = || "the producer has no room".to_owned();
        last(batch, done).ok_or_else(|| SinkError::Temporary { delivered: None, why: why() })
    }

    /// Sends records together and waits until each is confirmed, in their order; at the first failure all that follow are thrown away.
    async fn send(&mut self, batch: &[Delivery]) -> Sent {
        let records: Vec<Record> = batch.iter().map(Record::of).collect();
        let topic = |delivery: &Delivery| self.settings.topic.clone().unwrap_or_else(|| delivery.entity.topic.clone());
        let topics: Vec<String> = batch.iter().map(topic).collect();
        let each = batch.iter().zip(&records).zip(&topics);
        let values = each.map(|((delivery, record), topic)| record.to(topic, delivery.body.as_deref()));
        let (confirmed, failure) = self.produce(values).await;
        match failure {
            None if confirmed == batch.len() => Sent::All,
            None => Sent::Some(confirmed),
            Some(failure) => {
                self.reset().await;
                Sent::Failed(confirmed, failure)
            }
        }
    }

    /// Hands records to the producer, and waits for its reports; how many were confirmed before the first that was not.
    async fn produce<'r>(&mut self, records: impl Iterator<Item = FutureRecord<'r, str, [u8]>>) -> (usize, Option<Failure>) {
        let producer = match self.producer() {
            Ok(producer) => producer,
            Err(error) => return (0, Some(Failure::Temporary(error.to_string()))),
        };
        let (mut reports, mut refused) = (Vec::new(), None);
        for record in records {
            match producer.send_result(record) {
                Ok(report) => reports.push(report),
                Err((error, _)) => {
                    refused = (error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull)).then_some(error);
                    break;
                }
            }
        }
        let deadline = Instant::now() + self.settings.deliver_timeout;
        let (mut confirmed, mut purged) = (0, None);
        for report in reports {
            match self.report(report, deadline).await {
                Ok(()) if purged.is_none() => confirmed += 1,
                Ok(()) => {}
                // The reason may be one that was sent to another partition, and stands after it.
                Err(failure @ Failure::Purged(_)) => purged = purged.or(Some(failure)),
                Err(failure) => return (confirmed, Some(failure)),
            }
        }
        (confirmed, purged.or_else(|| refused.map(|error| self.failure(&error))))
    }

    async fn report(&self, report: DeliveryFuture, deadline: Instant) -> Result<(), Failure> {
        match timeout_at(deadline, report).await {
            Ok(Ok(Ok(_))) => Ok(()),
            Ok(Ok(Err((error, _)))) => Err(self.failure(&error)),
            Ok(Err(_)) => Err(Failure::Temporary("the producer ended".to_owned())),
            Err(_) => {
                let waited = format!("the brokers did not confirm within {} s", self.settings.deliver_timeout.as_secs_f32());
                Err(Failure::Temporary(self.with_said(waited)))
            }
        }
    }

    fn failure(&self, error: &KafkaError) -> Failure {
        use RDKafkaErrorCode as Code;
        let code = error.rdkafka_error_code();
        match code {
            Some(
                code @ (Code::MessageSizeTooLarge
                | Code::MessageBatchTooLarge
                | Code::InvalidMessageSize
                | Code::InvalidRecord
                | Code::InvalidTimestamp),
            ) => Failure::ForGood(code.to_string()),
            Some(Code::PurgeQueue | Code::PurgeInflight | Code::Fatal | Code::GaplessGuarantee) => {
                Failure::Purged(self.with_said(error.to_string()))
            }
            _ => Failure::Temporary(self.with_said(error.to_string())),
        }
    }

    /// What librdkafka said besides of brokers and connections.
    fn with_said(&self, why: String) -> String {
        match self.said.lock().take() {
            Some(said) => format!("{why} ({said})"),
            None => why,
        }
    }

    fn producer(&mut self) -> Result<OurProducer, KafkaError> {
        if let Some(producer) = &self.producer {
            return Ok(producer.clone());
        }
        let producer: OurProducer = self.client.create_with_context(Said(Arc::clone(&self.said)))?;
        Ok(self.producer.insert(producer).clone())
    }

    /// Ends the producer with all that it has not sent. It is gone when this returns: nothing of it comes between what the next one sends.
    async fn reset(&mut self) {
        let Some(producer) = self.producer.take() else { return };
        let ended = tokio::task::spawn_blocking(move || {
            producer.purge(PurgeConfig::default().queue().inflight());
            drop(producer);
        });
        // It does not panic; and if it did, the producer would be gone too.
        let _ = ended.await;
    }

    async fn bury_letter(&mut self, letter: DeadLetter<'_>) -> Result<(), SinkError> {
        let position = letter.delivery.position;
        let Some(topic) = self.settings.dead_letter_topic.clone() else {
            return Err(SinkError::ForGood { delivered: None, position, why: "no `dead_letter_topic` is set".to_owned() });
        };
        let record = Record::of(letter.delivery).because(letter.sink, letter.why);
        let mut last = String::new();
        for with_event in [true, false] {
            let value = letter::write(&letter, with_event);
            let (_, failure) = self.produce(std::iter::once(record.to(&topic, Some(&value)))).await;
            let Some(failure) = failure else { return Ok(()) };
            self.reset().await;
            match failure {
                Failure::Temporary(why) | Failure::Purged(why) => return Err(SinkError::Temporary { delivered: None, why }),
                Failure::ForGood(why) => last = why,
            }
        }
        Err(SinkError::ForGood { delivered: None, position, why: format!("`{topic}` refuses it too: {last}") })
    }
}

/// The position of the last of so many.
fn last(batch: &[Delivery], count: usize) -> Option<Position> {
    count.checked_sub(1).and_then(|index| batch.get(index)).map(|delivery| delivery.position)
}

impl Sink for KafkaSink {
    fn deliver<'a>(&'a mut self, batch: &'a [Delivery]) -> Later<'a, Result<Position, SinkError>> {
        Box::pin(self.deliver_batch(batch))
    }

    fn bury<'a>(&'a mut self, letter: DeadLetter<'a>) -> Later<'a, Result<(), SinkError>> {
        Box::pin(self.bury_letter(letter))
    }
}

/// Keeps the last thing that librdkafka said was wrong.
struct Said(Arc<Mutex<Option<String>>>);

impl ClientContext for Said {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, error: KafkaError, reason: &str) {
        *self.0.lock() = Some(format!("{error}: {reason}"));
    }
}
