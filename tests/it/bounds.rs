//! What a run costs at most, whatever comes in and whatever a vendor answers: memory, time, output.
//!
//! Measured on the program as it is tested, without optimisation: it has some 5 MiB more than what
//! is released. Each test has a line in the README's table of bounds.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Run, User, feed, sample, sample_json};
use crate::kit::{MESSAGE, message_from, status};
use crate::standin::{Fault, Vendor};
use crate::support::Live;

const MIB: usize = 1024 * 1024;
const TRANSCRIPT: &str = "legacy-v4.call.transcript.completed";
/// Most kB resident for a stream.
const STREAM_KB: usize = 64 * 1024;
/// Most kB resident for an event, whatever a vendor answers: 32 MiB of what is released (29.6 MiB by
/// the worst of these answers). The program itself takes 10 to 11 MiB more before it is optimized.
const EVENT_KB: usize = 44 * 1024;

/// A text message of so many bytes.
fn large_message(number: usize, bytes: usize) -> Vec<u8> {
    let mut event = sample_json(MESSAGE);
    event["id"] = json!(format!("EV{number:032}"));
    event["data"]["object"]["id"] = json!(format!("AC{number:032}"));
    event["data"]["object"]["text"] = json!("w".repeat(bytes));
    event.to_string().into_bytes()
}

/// A transcript of so many bytes, about.
fn large_transcript(number: usize, bytes: usize) -> Vec<u8> {
    let mut event = sample_json(TRANSCRIPT);
    event["id"] = json!(format!("EV{number:032}"));
    event["data"]["object"]["callId"] = json!(format!("AC{number:032}"));
    let said = json!({"content": "w".repeat(200), "start": 1, "end": 2,
        "identifier": "+12025550147", "userId": null});
    let count = bytes / said.to_string().len();
    event["data"]["object"]["dialogue"] = json!(vec![said; count]);
    event.to_string().into_bytes()
}

/// The most that was resident while documents of so many MiB came one after another, in kB.
fn peak_of_documents(make: fn(usize, usize) -> Vec<u8>, mib: usize) -> usize {
    let user = User::new();
    let mut live = Live::start(&user, &["--enqueue"]);
    for number in 0..3 {
        live.write(&[make(number, mib * MIB), b"\n".to_vec()].concat());
    }
    for _ in 0..3 {
        assert_eq!(live.line()["status"], "queued");
    }
    let peak = live.peak_kb();
    assert_eq!(live.end(), (vec![], Some(0)));
    println!("{mib} MiB each: {peak} kB");
    peak
}

/// What is JSON and no event is broken too; and so is a device that never ends.
#[test]
fn documents_that_are_no_events_are_bounded_as_broken_ones_are() {
    for document in ["{}\n", "5\n", "null\n", "\"x\"\n"] {
        let user = User::new();
        let run = user.run::<&str>(&[], document.repeat(5_000).as_bytes());
        assert_eq!((run.code, run.lines.len()), (65, 1001), "{document}");
        let last = run.lines[1000]["error"]["message"].to_string();
        assert!(last.contains("what follows was not read"), "{last}");
    }
    let user = User::new();
    let run = user.run(&["replay", "/dev/zero"], b"");
    run.expect_error(65, "payload");
    assert!(run.stdout.contains("are no document"), "{}", run.stdout);
}

/// A text message has ten attachments at most, and nobody is with a thousand others.
#[test]
fn lists_without_end_in_a_payload_take_little_memory() {
    let media = json!(vec![
        json!({"url": "https://a.example/x", "type": "image/png"});
        100_000
    ]);
    let user = User::new();
    let mut event = sample_json(MESSAGE);
    event["data"]["object"]["media"] = media;
    let input = event.to_string().into_bytes();
    let (run, peak) = measured(&user, &[], &input);
    run.expect(0, "success", "created");
    assert_eq!(run.warnings(), ["odd_payload"]);
    assert!(peak <= EVENT_KB + 3 * input.len() / 1024, "{peak} kB");
    let mut event = sample_json("legacy-v3.message.received");
    event["data"]["object"]["to"] = json!("1,".repeat(3_000_000));
    let input = event.to_string().into_bytes();
    let (run, peak) = measured(&User::new(), &[], &input);
    assert!(matches!(run.code, 0 | 69), "{}", run.stdout);
    assert!(peak <= EVENT_KB + 3 * input.len() / 1024, "{peak} kB");
}

/// 64 MiB for a stream, or 32 MiB and three times its largest document.
#[test]
fn large_documents_one_after_another_take_no_more_than_one() {
    for make in [large_message, large_transcript] {
        let peak = peak_of_documents(make, 15);
        assert!(peak <= (32 + 3 * 15) * 1024, "{peak} kB");
    }
}

/// Runs the program and gives with what came of it the most that was resident, in kB, as seen
/// every few milliseconds.
fn measured(user: &User, args: &[&str], input: &[u8]) -> (Run, usize) {
    let child = user.command(args).spawn().expect("it starts");
    let status = format!("/proc/{}/status", child.id());
    let is_over = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&is_over);
    let watcher = thread::spawn(move || {
        let mut peak = 0;
        while !over.load(Ordering::Relaxed) {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kb = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
            peak = peak.max(kb.unwrap_or(0));
            thread::sleep(Duration::from_millis(2));
        }
        peak
    });
    let run = Run::of(feed(child, input));
    is_over.store(true, Ordering::Relaxed);
    (run, watcher.join().expect("it ends"))
}

/// Asserts that an event ends within its deadline and its bound, whatever that vendor answers to
/// everything.
fn check_answer(vendor: Vendor, code: u16, body: &str) {
    let start = format!("{vendor:?} {code} {}", &body[..body.len().min(60)]);
    let user = User::new();
    user.fault(Fault::new(vendor, status(code, body)));
    check_event(&user, &sample(MESSAGE), &start);
}

/// Asserts that an event ends within its deadline and its bound.
fn check_event(user: &User, event: &[u8], start: &str) {
    let began = Instant::now();
    let (run, peak) = measured(user, &["--deadline", "6s"], event);
    let took = began.elapsed();
    println!("{start}: {peak} kB, {took:?}");
    assert_eq!(run.lines.len(), 1, "{}", run.stderr);
    assert!(run.stdout.len() < 64 * 1024, "{} bytes", run.stdout.len());
    assert!(peak > 0 && peak <= EVENT_KB, "{start}: {peak} kB");
    assert!(took < Duration::from_secs(9), "{start}: {took:?}");
}

#[test]
fn answer_of_any_size_takes_little_memory_and_no_time() {
    let long = format!(r#"{{"object":"list","more":"{}"}}"#, "x".repeat(31 * MIB));
    let objects = "{},".repeat(10 * MIB);
    let refusal = format!(
        r#"{{"object":"error","code":"x","message":"m","status":400,"a":[{objects}{{}}]}}"#
    );
    check_answer(Vendor::Notion, 200, &long);
    check_answer(Vendor::Notion, 400, &refusal);
    check_answer(Vendor::Quo, 200, &long);
    check_answer(Vendor::Quo, 400, &refusal);
}

/// A page of a query's answer, with so many columns besides the number.
fn hit(number: usize, columns: usize) -> String {
    let column = |n: usize| {
        format!(r#""x{n}":{{"id":"c{n}","type":"rich_text","rich_text":[{{"plain_text":"a"}}]}}"#)
    };
    let columns: Vec<String> = (0..columns).map(column).collect();
    format!(
        r#"{{"object":"page","id":"{number:08}-0000-4000-8000-000000000000","archived":false,
            "properties":{{"Phone":{{"id":"%3DpHn","type":"phone_number",
            "phone_number":"+12025550147"}},{}}}}}"#,
        columns.join(",")
    )
}

fn list_of(items: &[String]) -> String {
    format!(
        r#"{{"object":"list","results":[{}],"has_more":true,"next_cursor":"c"}}"#,
        items.join(",")
    )
}

/// Lists and pages of the API's own form, each as large as it is read at all, and larger.
#[test]
fn answers_of_the_right_form_take_little_memory() {
    let check = |fault: Fault, name: &str| {
        let user = User::new();
        user.fault(fault);
        check_event(&user, &sample(MESSAGE), name);
    };
    let query = |body: &str| Fault::new(Vendor::Notion, status(200, body)).path("/query");
    for (rows, columns) in [(1, 5_000), (1, 40_000), (50, 100), (50, 400), (8_000, 1)] {
        let rows: Vec<String> = (0..rows).map(|row| hit(row, columns)).collect();
        let name = format!("{} rows of {columns} columns", rows.len());
        check(query(&list_of(&rows)), &name);
    }
    for count in [4_000, 9_000, 40_000] {
        let column = |n: usize| {
            format!(r#""x{n}":{{"id":"c{n}","name":"x{n}","type":"rich_text","rich_text":{{}}}}"#)
        };
        let columns: Vec<String> = (0..count).map(column).collect();
        let body = format!(
            r#"{{"object":"database","properties":{{"Phone":{{"id":"p","type":"phone_number",
                "phone_number":{{}}}},{}}}}}"#,
            columns.join(",")
        );
        let fault = Fault::new(Vendor::Notion, status(200, &body)).method("GET");
        check(fault.path("/databases/"), &format!("{count} columns"));
    }
    for length in [1, 100, 350] {
        let name = "n".repeat(length);
        let number =
            |n: usize| format!(r#"{{"id":"PN{n}","number":"+1415{n:07}","name":"{name}"}}"#);
        let numbers: Vec<String> = (2_000_000..2_009_999).map(number).collect();
        let body = format!(r#"{{"data":[{}]}}"#, numbers.join(","));
        let fault = Fault::new(Vendor::Quo, status(200, &body)).path("/phone-numbers");
        check(fault, &format!("9,999 numbers, names of {length}"));
    }
}

/// Lists that never end: of the blocks of a page, and of contacts.
#[test]
fn lists_without_end_in_answers_take_little_memory() {
    for texts in [1, 100, 30_000] {
        let block = |n: usize| {
            let text = "x".repeat(texts);
            format!(
                r#"{{"object":"block","id":"{n:08}-0000-4000-8000-000000000000",
                    "type":"paragraph","has_children":false,
                    "paragraph":{{"rich_text":[{{"plain_text":"{text}"}}]}}}}"#
            )
        };
        let count = (3 << 20) / (160 + texts);
        let blocks: Vec<String> = (0..count.min(1_000)).map(block).collect();
        let user = User::new();
        user.add_client("+12025550147");
        user.fault(
            Fault::new(Vendor::Notion, status(200, "{}"))
                .method("PATCH")
                .path("/children"),
        );
        let list = Fault::new(Vendor::Notion, status(200, &list_of(&blocks)));
        let name = format!("blocks of {texts} characters");
        user.fault(list.method("GET").path("/children"));
        check_event(&user, &sample(MESSAGE), &name);
    }
    for bytes in [0, 500, 10_000, 100_000] {
        let note = "x".repeat(bytes);
        let contact = |n: usize| {
            format!(
                r#"{{"id":"CT{n}","defaultFields":{{"firstName":"{note}",
                    "phoneNumbers":[{{"value":"+1202555{n:04}"}}]}}}}"#
            )
        };
        let count = (3 << 20) / (120 + bytes);
        let contacts: Vec<String> = (0..count.min(3_000)).map(contact).collect();
        let pages = std::sync::Mutex::new(0);
        let quo = Endless::start(move |target, _| {
            if target.starts_with("/v1/phone-numbers") {
                return NUMBERS.to_owned();
            }
            let mut page = pages.lock().expect("no panic");
            *page += 1;
            format!(
                r#"{{"data":[{}],"nextPageToken":"{page}"}}"#,
                contacts.join(",")
            )
        });
        let user = quo.user();
        check_event(
            &user,
            &message_from(1, "+12025550147").to_string().into_bytes(),
            &format!("contacts of {bytes} characters"),
        );
        assert!(quo.asked.load(Ordering::Relaxed) > 2);
    }
}

/// A document may be large, and yet of lines that are small.
#[test]
fn transcript_of_very_many_lines_takes_little_memory() {
    let mut event = sample_json(TRANSCRIPT);
    let said = json!({"content": "yes", "start": 1, "identifier": "+12025550147"});
    event["data"]["object"]["dialogue"] = json!(vec![said; 200_000]);
    let input = event.to_string().into_bytes();
    let (run, peak) = measured(&User::new(), &["--deadline", "60s"], &input);
    println!("{} kB: {peak} kB", input.len() / 1024);
    run.expect(0, "success", "created");
    assert!(peak <= EVENT_KB + 3 * input.len() / 1024, "{peak} kB");
}

#[test]
fn answer_of_many_small_values_is_not_unfolded() {
    let body = |bytes: usize| {
        format!(
            r#"{{"object":"list","data":[{}{{}}]}}"#,
            "{},".repeat(bytes / 3)
        )
    };
    check_answer(Vendor::Notion, 200, &body(4 * MIB - 100));
    check_answer(Vendor::Quo, 200, &body(8 * MIB - 100));
}

#[test]
fn broken_documents_give_a_thousand_lines_and_no_more() {
    let user = User::new();
    let (run, peak) = measured(&user, &[], &b"x\n".repeat(100_000));
    println!("{} bytes, {peak} kB", run.stdout.len());
    assert_eq!((run.code, run.lines.len()), (65, 1001));
    assert!(
        run.stdout.len() + run.stderr.len() < MIB,
        "{}",
        run.stdout.len()
    );
    assert!(peak > 0 && peak <= EVENT_KB, "{peak} kB");
}

/// Quo as no fake of ours knows it: page after page of one list, as long as the test says.
struct Endless {
    base: String,
    /// How many pages were asked for.
    asked: Arc<AtomicUsize>,
}

impl Endless {
    /// `page` makes the body of the so manyth request with this path and query.
    fn start(page: impl Fn(&str, usize) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let base = format!("http://{}/v1", listener.local_addr().expect("an address"));
        let asked = Arc::new(AtomicUsize::new(0));
        let (count, page) = (Arc::clone(&asked), Arc::new(page));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (count, page) = (Arc::clone(&count), Arc::clone(&page));
                thread::spawn(move || {
                    answer_all(&stream, |target| {
                        page(target, count.fetch_add(1, Ordering::Relaxed))
                    });
                });
            }
        });
        Self { base, asked }
    }

    fn user(&self) -> User {
        let mut user = User::new();
        user.without_rate_limits();
        user.set("OPENPHONE_API_BASE", &self.base);
        user
    }
}

fn answer_all(stream: &TcpStream, answer: impl Fn(&str) -> String) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let mut out = stream;
    while let Some(first) = lines.next() {
        lines.by_ref().find(String::is_empty);
        let body = answer(first.split(' ').nth(1).unwrap_or_default());
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        if out.write_all((head + &body).as_bytes()).is_err() {
            return;
        }
    }
}

const NUMBERS: &str = r#"{"data":[{"id":"PN1","number":"+14155550110","name":"Main","users":[]}]}"#;

#[test]
fn endless_list_of_conversations_is_told_and_takes_little_memory() {
    let quo = Endless::start(|target, count| {
        if target.starts_with("/v1/phone-numbers") {
            return NUMBERS.to_owned();
        }
        let one = |n: usize| {
            let number = count * 5_000 + n;
            format!(
                r#"{{"id":"CN{number:032}","participants":["+1202{:07}"]}}"#,
                2_000_000 + number
            )
        };
        let data: Vec<String> = (0..5_000).map(one).collect();
        format!(
            r#"{{"data":[{}],"nextPageToken":"{count}"}}"#,
            data.join(",")
        )
    });
    let (run, peak) = measured(&quo.user(), &["backfill", "--since", "24h"], b"");
    let asked = quo.asked.load(Ordering::Relaxed);
    println!("{asked} requests, {peak} kB");
    assert_eq!((run.code, run.stdout.as_str()), (64, ""), "{}", run.stderr);
    let said = "more conversations than one run can hold";
    assert!(
        run.stderr.contains(said) && run.stderr.contains("--number"),
        "{}",
        run.stderr
    );
    assert!((20..=23).contains(&asked), "{asked} requests");
    assert!(peak <= STREAM_KB, "{peak} kB");
}

/// Texts of ten kB, a hundred on a page, the newest first.
const PAGES: usize = 24;

fn page_of_texts(page: usize) -> String {
    let text = "w".repeat(10_000);
    let one = |n: usize| {
        let number = (PAGES - page) * 100 - n - 1;
        let at = format!(
            "2026-10-01T{:02}:{:02}:{:02}Z",
            number / 3600,
            number / 60 % 60,
            number % 60
        );
        format!(
            r#"{{"id":"AC{number:032}","from":"+12025550147","to":["+14155550110"],"text":"{text}",
            "direction":"incoming","status":"received","createdAt":"{at}"}}"#
        )
    };
    let data: Vec<String> = (0..100).map(one).collect();
    let next = if page + 1 < PAGES {
        format!("{:?}", (page + 1).to_string())
    } else {
        "null".into()
    };
    format!(r#"{{"data":[{}],"nextPageToken":{next}}}"#, data.join(","))
}

#[test]
fn thread_that_is_too_long_for_memory_is_told_whole_and_in_order() {
    let quo = Endless::start(|target, _| match target.split(['?', '&']).next() {
        Some("/v1/phone-numbers") => NUMBERS.to_owned(),
        Some("/v1/conversations") => {
            r#"{"data":[{"id":"CN1","participants":["+12025550147"]}]}"#.to_owned()
        }
        Some("/v1/messages") => {
            let token = target.split("pageToken=").nth(1);
            let token = token.and_then(|rest| rest.split('&').next());
            page_of_texts(token.and_then(|token| token.parse().ok()).unwrap_or(0))
        }
        Some(_) | None => r#"{"data":[]}"#.to_owned(),
    });
    let args = ["backfill", "--since", "2026-10-01", "--until", "2026-10-02"];
    let user = quo.user();
    let mut child = user
        .command(&args)
        .stdin(Stdio::null())
        .spawn()
        .expect("it starts");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let status = format!("/proc/{}/status", child.id());
    let (mut peak, mut count) = (String::new(), 0);
    for line in lines.map_while(Result::ok) {
        let id = format!(r#""id":"backfill-message-AC{count:032}""#);
        assert!(line.contains(&id), "{count}: {}", &line[..80]);
        count += 1;
        let read = std::fs::read_to_string(&status).unwrap_or_default();
        peak = read
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .unwrap_or(&peak)
            .to_owned();
    }
    let requests = quo.asked.load(Ordering::Relaxed);
    println!("{requests} requests, {peak}");
    assert_eq!(
        (count, child.wait().expect("it ends").code()),
        (PAGES * 100, Some(0))
    );
    // Once for each part that fits.
    assert!(requests > 2 * PAGES, "{requests} requests");
    let kb: usize = peak
        .split_whitespace()
        .nth(1)
        .and_then(|kb| kb.parse().ok())
        .expect("kB");
    assert!(kb <= STREAM_KB, "{kb} kB");
}
