//! A delivery as a Kafka record: CloudEvents in structured mode, with the attributes as headers too (the Kafka binding allows both).

use fourfold_connect::Delivery;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::FutureRecord;

/// The record of a delivery, without its topic.
pub(crate) struct Record {
    /// `Order/018f…`: entities may share a topic, and a key's events stay in one partition.
    pub key: String,
    headers: OwnedHeaders,
}

/// The content type of an event in structured mode.
const STRUCTURED: &str = "application/cloudevents+json; charset=UTF-8";

impl Record {
    pub fn of(delivery: &Delivery) -> Record {
        let sequence = delivery.position.0.to_string();
        let attributes = [
            ("ce_specversion", "1.0"),
            ("ce_id", &delivery.id),
            ("ce_source", &delivery.source),
            ("ce_type", &delivery.kind),
            ("ce_subject", &delivery.key),
            ("ce_time", &delivery.time),
            ("ce_sequence", &sequence),
        ];
        let content = delivery.body.is_some().then_some(("content-type", STRUCTURED));
        let headers = attributes
            .into_iter()
            .chain(content)
            .fold(OwnedHeaders::new_with_capacity(8), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
        Record { key: format!("{}/{}", delivery.entity.name, delivery.key), headers }
    }

    /// Two more headers, of a dead letter.
    pub fn because(self, sink: &str, why: &str) -> Record {
        let headers = self.headers.insert(Header { key: "fourfold_sink", value: Some(sink) });
        Record { headers: headers.insert(Header { key: "fourfold_reason", value: Some(why) }), ..self }
    }

    /// To a topic, with this value; a row that left has none, so that a compacted topic forgets it.
    pub fn to<'r>(&'r self, topic: &'r str, value: Option<&'r [u8]>) -> FutureRecord<'r, str, [u8]> {
        let record = FutureRecord::to(topic).key(self.key.as_str()).headers(self.headers.clone());
        match value {
            Some(value) => record.payload(value),
            None => record,
        }
    }
}
