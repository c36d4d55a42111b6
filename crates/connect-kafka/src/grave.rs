//! Dead letters of a source: the message as it was, with headers that say where it stood and why it was refused.

use fourfold_connect::{BuryError, DeadMessage};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;

use crate::settings::KafkaSourceSettings;

/// The longest reason that is told, in bytes.
const WHY_BYTES_MAX: usize = 4_096;

/// Where messages go that are refused for good.
pub(crate) struct Grave {
    client: ClientConfig,
    /// Made when it is first needed.
    producer: Option<FutureProducer>,
}

impl Grave {
    pub fn open(settings: &KafkaSourceSettings) -> Result<Grave, String> {
        Ok(Grave { client: settings.producer()?, producer: None })
    }

    pub async fn bury(&mut self, letter: DeadMessage<'_>, settings: &KafkaSourceSettings) -> Result<(), BuryError> {
        let Some(topic) = &settings.dead_letter_topic else {
            return Err(BuryError::Nowhere("no `dead_letter_topic` is set".to_owned()));
        };
        let mut last = String::new();
        for with_value in [true, false] {
            match self.send(letter, settings, topic, with_value).await {
                Ok(()) => return Ok(()),
                Err(error) if is_too_large(&error) => last = error.to_string(),
                Err(error) => return Err(BuryError::Temporary(format!("`{topic}`: {error}"))),
            }
        }
        Err(BuryError::Nowhere(format!("`{topic}` refuses it too: {last}")))
    }

    async fn send(
        &mut self,
        letter: DeadMessage<'_>,
        settings: &KafkaSourceSettings,
        topic: &str,
        with_value: bool,
    ) -> Result<(), KafkaError> {
        let producer = match &self.producer {
            Some(producer) => producer,
            None => self.producer.insert(self.client.create()?),
        };
        let message = letter.message;
        let headers = headers(letter, &settings.topic, with_value);
        let mut record = FutureRecord::<[u8], [u8]>::to(topic).headers(headers);
        if let Some(key) = &message.key {
            record = record.key(key);
        }
        if let Some(value) = message.value.as_ref().filter(|_| with_value) {
            record = record.payload(value);
        }
        producer.send(record, Timeout::After(settings.deliver_timeout)).await.map(drop).map_err(|(error, _)| error)
    }
}

fn headers(letter: DeadMessage<'_>, topic: &str, with_value: bool) -> OwnedHeaders {
    let DeadMessage { source, message, code, why } = letter;
    let ours = [
        ("fourfold_source", source.to_owned()),
        ("fourfold_code", code.to_owned()),
        ("fourfold_reason", cut(why).to_owned()),
        ("fourfold_topic", topic.to_owned()),
        ("fourfold_partition", message.partition.to_string()),
        ("fourfold_offset", message.offset.to_string()),
    ];
    let bytes = message.value.as_ref().filter(|_| !with_value).map(|value| ("fourfold_value_bytes", value.len().to_string()));
    let theirs = message
        .headers
        .iter()
        .filter(|_| with_value)
        .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: value.as_deref() }));
    ours.into_iter().chain(bytes).fold(theirs, |headers, (key, value)| headers.insert(Header { key, value: Some(value.as_bytes()) }))
}

/// At most so many bytes, and whole characters.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(WHY_BYTES_MAX)).unwrap_or(text)
}

fn is_too_large(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(error.rdkafka_error_code(), Some(Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidMessageSize))
}
