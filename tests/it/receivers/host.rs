//! The real receivers with the repository's own files, each on a port of its own, and a client that
//! sends bytes as given.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use tempfile::TempDir;

use crate::harness::{QUOTION, User};

/// The recipes.
pub const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/receivers");

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// lighttpd with quotion.cgi.
    Lighttpd,
    /// Debian's `webhook` with quotion-hook.sh.
    Webhook,
}

/// A receiver that runs; it ends when dropped.
pub struct Receiver {
    /// Which.
    pub kind: Kind,
    /// Where, on 127.0.0.1.
    pub port: u16,
    process: Child,
    files: TempDir,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// Of the status line.
    pub status: u16,
    /// The whole head.
    pub head: String,
    /// The body as text.
    pub body: String,
}

/// Name and value.
pub type Header = (&'static str, Vec<u8>);

impl Receiver {
    /// Starts one for `user`, whose settings it gets as the file `.env` and in no other way.
    pub fn start(kind: Kind, user: &User, mode: &str) -> Self {
        write_settings(user);
        let files = tempfile::tempdir().expect("a folder");
        symlink(QUOTION, files.path().join("quotion")).expect("a link");
        let port = free_port();
        let mut command = match kind {
            Kind::Lighttpd => lighttpd(user, files.path(), (port, mode)),
            Kind::Webhook => webhook(user, files.path(), (port, mode)),
        };
        let log = fs::File::create(files.path().join("log")).expect("a log");
        let both = log.try_clone().expect("a log");
        let process = command
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(both)
            .spawn()
            .expect("it starts");
        let mut receiver = Self {
            kind,
            port,
            process,
            files,
        };
        receiver.wait();
        receiver
    }

    fn wait(&mut self) {
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let log = fs::read_to_string(self.files.path().join("log")).unwrap_or_default();
            assert_eq!(
                self.process.try_wait().expect("a state"),
                None,
                "{:?} has ended: {log}",
                self.kind
            );
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "{:?} does not listen: {log}",
                self.kind
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Where deliveries go.
    pub fn path(&self) -> &'static str {
        match self.kind {
            Kind::Lighttpd => "/quotion.cgi",
            Kind::Webhook => "/hooks/quo",
        }
    }

    /// Delivers.
    pub fn post(&self, headers: &[Header], body: &[u8]) -> Answer {
        let length = ("Content-Length", body.len().to_string().into_bytes());
        self.request("POST", self.path(), &([headers, &[length]].concat(), body))
    }

    /// Delivers in chunks, the length not told beforehand.
    pub fn post_chunked(&self, headers: &[Header], body: &[u8]) -> Answer {
        let mut chunks = Vec::new();
        for chunk in body.chunks(50_000) {
            chunks.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            chunks.extend_from_slice(chunk);
            chunks.extend_from_slice(b"\r\n");
        }
        chunks.extend_from_slice(b"0\r\n\r\n");
        let encoding = ("Transfer-Encoding", b"chunked".to_vec());
        self.request(
            "POST",
            self.path(),
            &([headers, &[encoding]].concat(), &chunks),
        )
    }

    /// One request on a connection of its own.
    pub fn request(
        &self,
        method: &str,
        path: &str,
        (headers, body): &(Vec<Header>, &[u8]),
    ) -> Answer {
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nHost: receiver\r\nConnection: close\r\n")
                .into_bytes();
        for (name, value) in headers {
            head.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        head.extend(b"Content-Type: application/json\r\n\r\n");
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        connection
            .set_read_timeout(Some(Duration::from_mins(1)))
            .expect("a limit");
        let mut sending = connection.try_clone().expect("both ways");
        let mut answer = Vec::new();
        std::thread::scope(|scope| {
            // A receiver may answer, and hang up, before it has read everything.
            scope.spawn(move || {
                let _ = sending
                    .write_all(&head)
                    .and_then(|()| sending.write_all(body));
            });
            let _ = connection.read_to_end(&mut answer);
            let _ = connection.shutdown(Shutdown::Both);
        });
        Answer::read(&answer)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Answer {
    fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8(bytes.to_vec()).expect("an answer is UTF-8");
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .expect("a status");
        let body = if head.contains("chunked") {
            unchunked(body)
        } else {
            body.to_owned()
        };
        Self {
            status,
            head: head.to_owned(),
            body,
        }
    }

    /// The result line that is the body.
    #[track_caller]
    pub fn json(&self) -> Json {
        assert!(
            self.head
                .to_ascii_lowercase()
                .contains("content-type: application/json"),
            "{}",
            self.head
        );
        serde_json::from_str(&self.body).unwrap_or_else(|err| panic!("{err}: {self:?}"))
    }

    /// The action of a success.
    #[track_caller]
    pub fn expect_success(&self) -> String {
        let json = self.json();
        assert_eq!(
            (self.status, json["status"].as_str()),
            (200, Some("success")),
            "{self:?}"
        );
        json["action"].as_str().expect("an action").to_owned()
    }

    /// Asserts status and, in the result line, `status`, action and kind of error, as in "200
    /// success created".
    #[track_caller]
    pub fn expect(&self, want: &str) -> Json {
        let json = self.json();
        let words = [
            &json["status"],
            &json["action"],
            &json["reason"],
            &json["error"]["kind"],
        ];
        let words: Vec<&str> = words.into_iter().filter_map(Json::as_str).collect();
        assert_eq!(
            format!("{} {}", self.status, words.join(" ")),
            want,
            "{self:?}"
        );
        json
    }
}

/// The bodies here are short: chunks that are lines.
fn unchunked(body: &str) -> String {
    body.split("\r\n").skip(1).step_by(2).collect()
}

fn lighttpd(user: &User, files: &Path, (port, mode): (u16, &str)) -> Command {
    let config = filled(
        "lighttpd.conf",
        &[
            ("\"/var/lib/quotion\"", &quoted(user.home.path())),
            (
                "\"/usr/local/share/quotion/receivers\"",
                &quoted(Path::new(SCRIPTS)),
            ),
            ("/usr/local/bin:", &format!("{}:", files.display())),
            ("= 8080", &format!("= {port}")),
            ("=> \"sync\"", &format!("=> \"{mode}\"")),
        ],
    );
    let path = files.join("lighttpd.conf");
    fs::write(&path, config).expect("a file");
    let mut command = Command::new("/usr/sbin/lighttpd");
    command.arg("-D").arg("-f").arg(path).env_clear();
    command
}

fn webhook(user: &User, files: &Path, (port, mode): (u16, &str)) -> Command {
    let hooks = filled(
        "hooks.json",
        &[
            ("\"/var/lib/quotion\"", &quoted(user.home.path())),
            (
                "\"/usr/local/share/quotion/receivers/quotion-hook.sh\"",
                &quoted(&Path::new(SCRIPTS).join("quotion-hook.sh")),
            ),
        ],
    );
    let path = files.join("hooks.json");
    fs::write(&path, hooks).expect("a file");
    let mut command = Command::new("/usr/bin/webhook");
    command
        .arg("-hooks")
        .arg(path)
        .args(["-ip", "127.0.0.1", "-port", &port.to_string(), "-verbose"])
        .env_clear();
    command
        .env("PATH", format!("{}:/usr/bin:/bin", files.display()))
        .env("QUOTION_MODE", mode);
    command
}

/// A file of the recipes with the machine's own paths; each must be there once, or the recipe is
/// another one by now.
fn filled(name: &str, values: &[(&str, &str)]) -> String {
    let mut text = fs::read_to_string(Path::new(SCRIPTS).join(name)).expect("a recipe");
    for (placeholder, value) in values {
        assert_eq!(
            text.matches(placeholder).count(),
            1,
            "{placeholder} in {name}"
        );
        text = text.replace(placeholder, value);
    }
    text
}

fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display())
}

/// The user's settings as the file that quotion reads in its folder.
pub fn write_settings(user: &User) -> PathBuf {
    let command = user.command::<&str>(&[]);
    let lines = command.get_envs().filter_map(|(name, value)| {
        Some(format!(
            "{}='{}'\n",
            name.to_string_lossy(),
            value?.to_string_lossy()
        ))
    });
    let path = user.path(".env");
    fs::write(&path, lines.collect::<String>()).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
    path
}

/// A port that nobody listens on, below those that the system gives to others meanwhile.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 20_000 + u16::try_from(std::process::id() % 10_000).expect("small");
    loop {
        let port = start + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
