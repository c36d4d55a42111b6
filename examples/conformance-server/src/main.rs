//! `fourfold-conformance-server [--centrifuge-fixture] [--listen ADDRESS]`: prints where it listens, and serves until it is asked to end.

use std::process::ExitCode;
use std::sync::Arc;

use fourfold_conformance_server::Conformance;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "\
fourfold-conformance-server [--centrifuge-fixture] [--listen ADDRESS]

  --centrifuge-fixture   the Centrifugo protocol at /connection/websocket, for the suites of its clients; they look for it on 127.0.0.1:8000
  --listen ADDRESS       127.0.0.1:8000 with that fixture, else a free port
";
const FREE_PORT: &str = "127.0.0.1:0";
const CENTRIFUGE_ADDRESS: &str = "127.0.0.1:8000";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (centrifuge, listen) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => (false, FREE_PORT),
        ["--listen", address] => (false, address),
        ["--centrifuge-fixture"] => (true, CENTRIFUGE_ADDRESS),
        ["--centrifuge-fixture", "--listen", address] | ["--listen", address, "--centrifuge-fixture"] => (true, address),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match serve(listen, centrifuge).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot serve on `{listen}`: {error}");
            ExitCode::from(1)
        }
    }
}

async fn serve(listen: &str, centrifuge: bool) -> std::io::Result<()> {
    let conformance = match centrifuge {
        true => Conformance::with_centrifuge().await.map_err(std::io::Error::other)?,
        false => Conformance::default(),
    };
    let conformance = Arc::new(conformance);
    let listener = TcpListener::bind(listen).await?;
    let mut terminated = signal(SignalKind::terminate())?;
    println!("serving on http://{}", listener.local_addr()?);
    let ended = async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    conformance.serve(listener, ended).await;
    Ok(())
}
