//! The bare servers. Each does by hand, with nothing around it, what Fourfold does from a model.

mod answer;
mod bytes;
mod database;
mod fanout;
mod json;
mod nested;
mod postgres;
mod sql;
mod tonic;
mod writer;

use std::net::Ipv4Addr;
use std::path::Path;

use tokio::net::TcpListener;

use crate::{Failure, required};

/// Runs one of them until it is killed. Prints `http://127.0.0.1:PORT` when it listens.
pub fn run(kind: &str, arguments: &[&str]) -> Result<(), Failure> {
    let source = || Ok::<_, Failure>(Path::new(required(arguments, "--source")?));
    let data = || Ok::<_, Failure>(Path::new(required(arguments, "--data")?));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        match kind {
            "bytes" => {
                println!("http://{address}");
                bytes::serve(listener).await
            }
            "sql" => {
                let path = database::create(source()?, data()?)?;
                let writer = writer::start(&path)?;
                println!("http://{address}");
                sql::serve(listener, &path, writer).await
            }
            "tonic" => {
                let path = database::create(source()?, data()?)?;
                let writer = writer::start(&path)?;
                println!("http://{address}");
                tonic::serve(listener, &path, writer).await
            }
            "fanout" => {
                println!("http://{address}");
                fanout::serve(listener).await
            }
            "postgres" => {
                let url = required(arguments, "--database")?;
                println!("http://{address}");
                postgres::serve(listener, url).await
            }
            unknown => Err(format!("unknown baseline `{unknown}`: bytes, fanout, postgres, sql or tonic").into()),
        }
    })
}
