//! The stand-in, runnable by hand: `cargo run --example standin -- [--port N] [--world FILE]
//! [--port-file FILE]`. Prints shell exports on stdout (`eval "$(head -n …)"` or `source <(…)`),
//! then serves until killed. With `--render URL` it starts nothing, and prints what stands in the
//! Notion databases of one that runs: `scripts/demo` must do without curl.
#![allow(
    clippy::format_push_string,
    clippy::format_collect,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods
)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

#[path = "lib.rs"]
mod standin;

use standin::{
    CALLS_DATABASE, CLIENTS_DATABASE, MESSAGES_DATABASE, NOTION_KEY, QUO_KEY, QUO_WEBHOOK_SECRET,
    StandIn, World,
};

/// Local stand-in of Quo and Notion.
#[derive(Parser)]
struct Args {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// World as JSON (see `World::from_json`); default: the samples' workspace
    #[arg(long)]
    world: Option<PathBuf>,
    /// Writes the chosen port there
    #[arg(long)]
    port_file: Option<PathBuf>,
    /// Latency of every answer in milliseconds
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// No 429s
    #[arg(long)]
    no_rate_limits: bool,
    /// Adds the samples' client pages
    #[arg(long)]
    seed_pages: bool,
    /// Prints the databases of the stand-in that runs there (`http://127.0.0.1:PORT…`), and ends
    #[arg(long, value_name = "URL")]
    render: Option<String>,
}

fn main() {
    let args = Args::parse();
    if let Some(url) = &args.render {
        print!("{}", rendered(url));
        return;
    }
    let mut world = match &args.world {
        None => World::default_demo(),
        Some(file) => World::from_json(
            &serde_json::from_slice(&std::fs::read(file).expect("world file")).expect("JSON"),
        ),
    };
    if args.seed_pages {
        world.notion.seed_fixture_pages();
    }
    let server = StandIn::start_on(world, args.port).expect("port");
    server.serve_media_locally();
    server.set_latency(Duration::from_millis(args.latency_ms));
    server.set_rate_limits(!args.no_rate_limits);
    let exports = [
        ("OPENPHONE_API_KEY", QUO_KEY.to_owned()),
        ("OPENPHONE_API_BASE", server.quo_base()),
        ("OPENPHONE_WEBHOOK_SECRET", QUO_WEBHOOK_SECRET.to_owned()),
        ("NOTION_API_KEY", NOTION_KEY.to_owned()),
        ("NOTION_API_BASE", server.notion_base()),
        ("NOTION_CLIENTS_DATABASE_ID", CLIENTS_DATABASE.to_owned()),
        ("RECORDINGS_ALLOW_LOCAL", "1".to_owned()),
    ];
    let mut text: String = exports
        .iter()
        .map(|(name, value)| format!("export {name}={value}\n"))
        .collect();
    text.push_str(&format!("# NOTION_CALLS_DATABASE_ID={CALLS_DATABASE}\n"));
    text.push_str(&format!(
        "# NOTION_MESSAGES_DATABASE_ID={MESSAGES_DATABASE}\n"
    ));
    if let Some(file) = &args.port_file {
        std::fs::write(file, server.port().to_string()).expect("port file");
    }
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes()).unwrap();
    stdout.flush().unwrap();
    drop(stdout);
    loop {
        std::thread::park();
    }
}

/// What a running stand-in answers on `/_render`; of its address only host and port count.
fn rendered(url: &str) -> String {
    let address = url
        .trim_start_matches("http://")
        .split('/')
        .next()
        .expect("host and port");
    let mut stream = TcpStream::connect(address).expect("a stand-in that runs");
    stream
        .write_all(b"GET /_render HTTP/1.1\r\nHost: standin\r\nConnection: close\r\n\r\n")
        .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
        .split_once("\r\n\r\n")
        .expect("a head and a body")
        .1
        .to_owned()
}
