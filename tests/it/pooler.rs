//! A real `PgBouncer`, which gives each transaction a connection of its pool: one that is held
//! would be missing for all others.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use tempfile::TempDir;

use crate::packages;
use crate::support::{at_once, has_postgres, renamed, renamed_client, user};

/// `PgBouncer` in front of a database of its own.
struct Pooler {
    child: Child,
    url: String,
    _home: TempDir,
}

impl Pooler {
    fn start(pool: usize) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let server = std::env::var("QUOTION_TEST_DATABASE_URL").expect("asked before");
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pooled_{}_{number}", std::process::id());
        let mut client = Client::connect(&server, NoTls).expect("the server answers");
        client
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .expect("a database");
        let (login, host) = server
            .trim_start_matches("postgres://")
            .split_once('@')
            .expect("a login");
        let (who, password) = login.split_once(':').expect("a password");
        let (address, _) = host.split_once('/').expect("a database");
        let (host, port) = address.split_once(':').expect("a port");
        let home = tempfile::tempdir().expect("a folder");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let ours = listener.local_addr().expect("bound").port();
        drop(listener);
        let settings = home.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n{name} = host={host} port={port} user={who} password={password}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {ours}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = transaction\ndefault_pool_size = {pool}\n\
             max_client_conn = 200\n"
        );
        std::fs::write(&settings, text).expect("settings");
        let readable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(home.path(), readable).expect("rights");
        // It refuses to run as root.
        let is_root = rustix::process::getuid().is_root();
        let mut command = if is_root {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--", "/usr/sbin/pgbouncer"]);
            command
        } else {
            Command::new("/usr/sbin/pgbouncer")
        };
        let child = command
            .arg(&settings)
            .current_dir("/")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pgbouncer starts");
        let url = format!("postgres://{who}@127.0.0.1:{ours}/{name}");
        let pooler = Self {
            child,
            url,
            _home: home,
        };
        let began = Instant::now();
        while Client::connect(&pooler.url, NoTls).is_err() {
            assert!(began.elapsed() < Duration::from_secs(20), "it answers");
            std::thread::sleep(Duration::from_millis(50));
        }
        pooler
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let _ = self.child.wait();
    }
}

/// Thirty texts at once, half of them of one unknown caller.
fn thirty_texts(pool: usize) {
    if !has_postgres() || !packages::present(&["pgbouncer"]) {
        return;
    }
    let pooler = Pooler::start(pool);
    let user = user(&|| Some(pooler.url.clone()), "");
    let text = |number| match number % 2 {
        0 => renamed("v2026-03-30.message.received", number),
        _ => renamed_client("v2026-03-30.message.received", number),
    };
    let inputs: Vec<_> = (0..30).map(|number| (&[][..], text(number))).collect();
    for run in at_once(&user, &inputs) {
        assert_eq!(run.code, 0, "{}\n{}", run.stdout, run.stderr);
    }
    for number in 0..30 {
        let id = format!("AC9{number:031}");
        assert_eq!(user.times_in_notion(&id), 1, "{}", user.notion());
    }
    assert_eq!(user.client_pages(), 16);
}

#[test]
fn pool_of_fifteen_connections_serves_thirty_texts_at_once() {
    thirty_texts(15);
}

#[test]
fn pool_of_one_connection_serves_any_number_of_processes() {
    thirty_texts(1);
}

/// Passes everything on between the program and the server, and counts how often the program
/// speaks: that often it waits for the way there and back.
struct Counter {
    url: String,
    count: Arc<AtomicU32>,
}

impl Counter {
    fn start(url: &str) -> Self {
        let (before, rest) = url.split_once('@').expect("a login");
        let (address, rest) = rest.split_once('/').expect("a database");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let ours = listener.local_addr().expect("bound");
        let (address, count) = (address.to_owned(), Arc::new(AtomicU32::new(0)));
        let counted = Arc::clone(&count);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(&address).expect("the server");
                let answered = Arc::new(AtomicBool::new(true));
                let back = (server.try_clone(), client.try_clone());
                let (asked, counted) = (Arc::clone(&answered), Arc::clone(&counted));
                pass_on(client, server, move |bytes| {
                    // The last word is not answered.
                    if bytes.first() == Some(&b'X') {
                        return;
                    }
                    let speaks_anew = asked.swap(false, Ordering::SeqCst);
                    counted.fetch_add(u32::from(speaks_anew), Ordering::SeqCst);
                });
                if let (Ok(server), Ok(client)) = back {
                    pass_on(server, client, move |_| {
                        answered.store(true, Ordering::SeqCst);
                    });
                }
            }
        });
        Self {
            url: format!("{before}@{ours}/{rest}"),
            count,
        }
    }

    /// How often since the last time.
    fn taken(&self) -> u32 {
        self.count.swap(0, Ordering::SeqCst)
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, seen: impl Fn(&[u8]) + Send + 'static) {
    std::thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            seen(&buffer[..length]);
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
}

#[test]
fn event_takes_few_round_trips_to_a_server_far_away() {
    if !has_postgres() {
        return;
    }
    let counter = Counter::start(&crate::support::postgres().expect("asked before"));
    let user = user(&|| Some(counter.url.clone()), "");
    let text = |number| renamed("v2026-03-30.message.received", number);
    let run = |args: &[&str], number| {
        let run = user.run(args, &text(number));
        assert_eq!(run.code, 0, "{}\n{}", run.stdout, run.stderr);
        counter.taken()
    };
    run(&[], 1);
    let known = run(&[], 2);
    let queued = run(&["--enqueue"], 3);
    println!("known {known}, queued {queued}");
    // Twelve are wanted.
    assert!(known <= 34, "{known}");
    assert!(queued <= 5, "{queued}");
}
