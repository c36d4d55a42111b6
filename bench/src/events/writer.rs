//! The one who writes rows, over REST.

use std::fmt::Write;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;

use super::mark::mark;
use crate::Failure;
use crate::load::counted::Counted;
use crate::load::http1::{self, answer};
use crate::server::Server;

/// A connection on which rows are written, one request at a time; each is durable when it returns.
pub struct Writer {
    stream: Counted,
    token: String,
    buffer: Vec<u8>,
}

impl Writer {
    /// Connects.
    pub async fn connect(server: &Server) -> Result<Writer, Failure> {
        let stream = Counted::connect(&server.authority, Arc::default()).await?;
        Ok(Writer { stream, token: server.token.clone(), buffer: Vec::new() })
    }

    /// One row with a number in its text.
    pub async fn create(&mut self, id: u64, number: u64, text: &str) -> Result<(), Failure> {
        self.send("/v1/notes", &row(id, id % 100, number, text)).await
    }

    /// Rows in one commit, of a customer each.
    pub async fn create_all(&mut self, rows: impl Iterator<Item = (u64, u64)>) -> Result<(), Failure> {
        let mut body = String::from("{\"operations\":[");
        for (at, (id, customer)) in rows.enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(body, "{comma}{{\"create\":\"notes\",\"data\":{}}}", row(id, customer, id, "what is told to one"))?;
        }
        body.push_str("]}");
        self.send("/v1/batch", &body).await
    }

    async fn send(&mut self, path: &str, body: &str) -> Result<(), Failure> {
        let request = http1::request("POST", path, "application/json", body, Some(&self.token));
        self.stream.write_all(&request).await?;
        answer(&mut self.stream, &mut self.buffer).await?;
        Ok(())
    }
}

fn row(id: u64, customer: u64, number: u64, text: &str) -> String {
    format!("{{\"id\":{id},\"customer\":{customer},\"text\":\"{} {text}\"}}", mark(number))
}
