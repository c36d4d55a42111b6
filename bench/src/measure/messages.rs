//! Fourfold's protobuf requests, written by the names in the descriptor set that it serves.

use prost_reflect::prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

use crate::Failure;
use crate::load::http1;
use crate::server::Server;

/// The messages of the running server.
#[derive(Clone)]
pub struct Messages {
    pool: DescriptorPool,
    package: String,
}

impl Messages {
    /// Reads `/descriptor.binpb`.
    pub async fn fetch(server: &Server, package: &str) -> Result<Messages, Failure> {
        let bytes = http1::once(&server.authority, &http1::request("GET", "/descriptor.binpb", "", "", None)).await?;
        Ok(Messages { pool: DescriptorPool::decode(bytes.as_slice())?, package: package.to_owned() })
    }

    /// A request's bytes, from its JSON.
    pub fn encode(&self, name: &str, json: serde_json::Value) -> Result<Vec<u8>, Failure> {
        Ok(DynamicMessage::deserialize(self.descriptor(name)?, json)?.encode_to_vec())
    }

    /// An answer's JSON, from its bytes.
    pub fn decode(&self, name: &str, bytes: &[u8]) -> Result<serde_json::Value, Failure> {
        Ok(serde_json::to_value(DynamicMessage::decode(self.descriptor(name)?, bytes)?)?)
    }

    fn descriptor(&self, name: &str) -> Result<MessageDescriptor, Failure> {
        let found = self.pool.get_message_by_name(&format!("{}.{name}", self.package));
        found.ok_or_else(|| format!("no message `{name}`").into())
    }

    /// A method's URL.
    pub fn url(&self, server: &Server, service: &str, method: &str) -> String {
        format!("http://{}/{}.{service}/{method}", server.authority, self.package)
    }
}
