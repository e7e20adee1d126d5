//! The store: one suite over both databases, and what only PostgreSQL can do.
//!
//! PostgreSQL is the server of `QUOTION_TEST_DATABASE_URL` (`scripts/postgres start DIR` makes
//! one); each test has a schema of its own there.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use postgres::{Client, NoTls};
use quotion::domain::call::ArtifactKind;
use quotion::domain::id::{ActivityId, BlockId, ContactId, DatabaseId, EventId, NumberId, PageId};
use quotion::domain::outcome::Action;
use quotion::domain::parties::Direction;
use quotion::domain::phone::Phone;
use quotion::http::Window;
use quotion::secret::Secret;
use quotion::store::{
    self, Arrival, Backlog, Carries, ClientEntry, EntryRecord, EventFault, EventState, Fault,
    Finish, HeldCount, HistoryLine, IndexedContact, KnownPage, Lesson, Lock, Metric, Mode,
    NewWrite, OpenWrite, Place, Postponed, RetryPolicy, Selection, Since, Store, Trouble,
};
use quotion::time::{self, Deadline};
use serde_json::json;
use tempfile::TempDir;

use crate::harness::{Run, User, feed, sample, sample_json};
use crate::simulation::{self, Kill, Process};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);

/// A place for one test's store.
enum Ground {
    File(TempDir),
    Schema { url: String, name: String },
}

impl Ground {
    fn file() -> Self {
        Self::File(tempfile::tempdir().expect("a folder"))
    }

    /// `None` where there is no server to test with; in CI there must be one.
    #[allow(
        clippy::print_stderr,
        reason = "who runs the tests must see that half of them did nothing"
    )]
    fn schema() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let Ok(url) = std::env::var("QUOTION_TEST_DATABASE_URL") else {
            assert!(
                std::env::var("CI").is_err(),
                "QUOTION_TEST_DATABASE_URL is not set, and CI must test PostgreSQL"
            );
            eprintln!(
                "SKIPPED: no PostgreSQL; QUOTION_TEST_DATABASE_URL=$(scripts/postgres start \
                    .tmp/postgres)"
            );
            return None;
        };
        let name = format!(
            "test_{}_{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let ground = Self::Schema {
            url,
            name: name.clone(),
        };
        ground.sql(&format!("CREATE SCHEMA {name}"));
        Some(ground)
    }

    /// What `--state` takes.
    fn state(&self) -> String {
        match self {
            Self::File(dir) => dir.path().join("q.db").display().to_string(),
            Self::Schema { url, name } => {
                format!("{url}?schema={name}&sslmode=prefer&supa=base-pooler.x")
            }
        }
    }

    fn try_open(&self, mode: Mode) -> store::Result<Store> {
        let place = match self {
            Self::File(_) => Place::File(self.state().into()),
            Self::Schema { .. } => Place::Postgres(Secret::new(&self.state())),
        };
        Store::open(&place, mode, Timestamp::now)
    }

    fn open(&self) -> Store {
        self.try_open(Mode::ReadWrite).expect("the store opens")
    }

    /// The store as it was before there were open writes.
    fn make_schema_3(&self) {
        let migrations = match self {
            Self::File(_) => [
                include_str!("../../src/store/migrations/sqlite/V1__known_things.sql"),
                include_str!("../../src/store/migrations/sqlite/V2__inbox.sql"),
                include_str!("../../src/store/migrations/sqlite/V3__inbox_smaller.sql"),
            ],
            Self::Schema { .. } => [
                include_str!("../../src/store/migrations/postgres/V1__known_things.sql"),
                include_str!("../../src/store/migrations/postgres/V2__inbox.sql"),
                include_str!("../../src/store/migrations/postgres/V3__inbox_smaller.sql"),
            ],
        };
        let note = match self {
            Self::File(_) => "PRAGMA user_version = 3",
            Self::Schema { .. } => {
                "CREATE TABLE quotion_schema_history (version int PRIMARY KEY, name text, \
                 applied_on text, checksum text); INSERT INTO quotion_schema_history (version) \
                 VALUES (3)"
            }
        };
        self.batch(note).expect("its version");
        self.batch(&migrations.concat()).expect("a store of before");
    }

    /// Runs SQL beside the store.
    fn batch(&self, sql: &str) -> Result<(), String> {
        match self {
            Self::File(_) => rusqlite::Connection::open(self.state())
                .and_then(|file| file.execute_batch(sql))
                .map_err(|err| err.to_string()),
            Self::Schema { .. } => {
                let done = self.client().batch_execute(sql);
                done.map_err(|err| format!("{err:?}"))
            }
        }
    }

    fn client(&self) -> Client {
        let Self::Schema { url, name } = self else {
            panic!("SQL is for PostgreSQL")
        };
        let mut client = Client::connect(url, NoTls).expect("the server answers");
        client
            .batch_execute(&format!("SET search_path = {name}"))
            .expect("a schema");
        client
    }

    #[track_caller]
    fn sql(&self, sql: &str) {
        self.client().batch_execute(sql).expect(sql);
    }

    #[track_caller]
    fn count(&self, sql: &str) -> i64 {
        self.client().query_one(sql, &[]).expect(sql).get(0)
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if let Self::Schema { name, .. } = &*self {
            let dropped = self
                .client()
                .batch_execute(&format!("DROP SCHEMA {name} CASCADE"));
            assert!(dropped.is_ok() || thread::panicking(), "{dropped:?}");
        }
    }
}

/// Each test once for each database.
macro_rules! on_both {
    ($($test:ident)*) => {
        mod sqlite {
            $(#[test] fn $test() { super::$test(&super::Ground::file()); })*
        }
        on_postgres! { $($test)* }
    };
}

macro_rules! on_postgres {
    ($($test:ident)*) => {
        mod postgresql {
            $(
                #[test]
                fn $test() {
                    if let Some(ground) = super::Ground::schema() {
                        super::$test(&ground);
                    }
                }
            )*
        }
    };
}

on_both! {
    everything_saved_is_there
    page_is_counted_replaced_and_forgotten
    page_belongs_to_its_database
    write_is_open_until_it_is_closed
    doubt_of_an_older_store_becomes_open_writes
    text_may_hold_anything
    contacts_are_found_by_any_number_and_replaced_as_a_whole
    entries_are_kept_per_activity_and_page
    event_is_received_once
    events_received_together_keep_their_order_and_tell_how_far_each_has_got
    finished_event_is_a_duplicate_with_its_pages
    failed_event_waits_longer_each_time_and_is_given_up
    what_is_held_is_released_at_once_by_its_cause
    what_is_dead_lives_again_when_it_is_delivered_again
    selections_take_what_they_name
    expired_event_keeps_its_key
    payloads_are_looked_for_once_a_day
    payloads_are_dropped_some_at_a_time_until_none_is_left
    discarded_event_is_gone_unless_it_is_done
    dry_run_changes_nothing
    lock_excludes_others_until_it_is_given_back
    lock_waits_for_its_holder
    simulated_processes_wait_for_each_others_locks
    lock_of_a_killed_process_is_free
    locks_may_be_given_back_in_any_order
    clients_locked_in_opposite_orders_never_deadlock
    nothing_is_sent_or_learned_under_a_lost_lock
    page_that_is_anothers_is_not_written_to
    rate_is_kept_by_all_stores_together
    closed_gate_holds_all_stores
    many_first_openings_at_once_all_succeed
    program_writes_once_what_it_gets_twice
    eight_processes_make_one_page_for_one_caller
}

// Shown as `store::on_files_alone`.
mod on_files_alone {
    macro_rules! tests {
        ($($test:ident)*) => {
            $(#[test] fn $test() { super::$test(); })*
        };
    }

    tests! {
        store_that_was_replaced_is_not_written_under
        lock_is_the_same_whatever_way_leads_to_the_store
    }
}

// Shown as `store::on_postgres_alone`.
mod on_postgres_alone {
    use super::Ground;

    macro_rules! tests {
        ($($test:ident)*) => {
            $(
                #[test]
                fn $test() {
                    if let Some(ground) = Ground::schema() {
                        super::$test(&ground);
                    }
                }
            )*
        };
    }

    tests! {
        stamp_renews_its_locks
        lease_lasts_as_long_as_work_goes_on
        leases_survive_their_connection
        lost_connection_is_made_anew
        tables_of_a_predecessor_are_extended
        strange_tables_of_a_predecessor_hold_nothing_up
        newer_schema_is_an_error_not_a_guess
        older_store_is_brought_up_to_date
        refusal_of_the_server_names_no_secret
        absent_server_is_worth_another_try
        on_supabase_the_world_reads_nothing
        address_in_the_environment_is_used
    }
}

fn event(name: &str) -> EventId {
    EventId::parse(name).expect("an event id")
}

fn activity(name: &str) -> ActivityId {
    ActivityId::parse(name).expect("an activity id")
}

fn phone(number: &str) -> Phone {
    Phone::parse(number).expect("a number")
}

fn page_id(digit: char) -> PageId {
    PageId::parse(&digit.to_string().repeat(32)).expect("a page id")
}

fn rosa() -> Phone {
    phone("+12025550147")
}

/// Receives one event.
fn receive(store: &Store, arrival: &Arrival) -> quotion::store::Result<EventState> {
    Ok(store.receive(&mut [arrival.clone()])?.remove(0))
}

fn arrival(name: &str, delay: Duration) -> Arrival {
    Arrival {
        id: event(name),
        event_type: "message.received".into(),
        activity: Some(activity("AC1")),
        payload: format!("{{\"id\":\"{name}\",\"raw\":\"\\u0000\"}}\n\0").into_bytes(),
        delay,
    }
}

fn record() -> EntryRecord {
    EntryRecord {
        activity: activity("AC1"),
        page: page_id('a'),
        block: None,
        line: "Incoming text · AC1".into(),
        artifacts: BTreeSet::new(),
        begun: BTreeSet::from([ArtifactKind::Summary]),
        gone: false,
        age: jiff::SignedDuration::ZERO,
    }
}

fn known(digit: char, title: &str) -> KnownPage {
    KnownPage {
        id: page_id(digit),
        title: title.into(),
        body: "{\"b\" : 1,  \"a\":2}".into(),
        complete_since: None,
    }
}

fn database() -> DatabaseId {
    DatabaseId::parse(&"d".repeat(32)).expect("a database id")
}

fn learn(store: &Store, phone: &Phone, page: Option<&KnownPage>, entries: &[EntryRecord]) {
    let lesson = Lesson {
        closes: &[],
        page,
        entries,
        ..Lesson::default()
    };
    store.learn(&database(), phone, &lesson).expect("learn");
}

fn page_of(store: &Store, phone: &Phone) -> Option<KnownPage> {
    store.page(&database(), phone).expect("read")
}

/// Without their ages, which are looked at.
fn entries_of(store: &Store, name: &str) -> Vec<(Phone, EntryRecord)> {
    let found = store.entries(&database(), &activity(name)).expect("read");
    let entry = |found: ClientEntry| {
        assert!(found.entry.age < jiff::SignedDuration::from_secs(60));
        let age = jiff::SignedDuration::ZERO;
        (found.phone, EntryRecord { age, ..found.entry })
    };
    found.into_iter().map(entry).collect()
}

/// A write to Rosa's page that carries the entry of AC1.
fn write_to(page: Option<&PageId>) -> NewWrite {
    NewWrite {
        database: database(),
        phone: rosa(),
        page: page.cloned(),
        carries: Carries::Entries,
        activities: vec![activity("AC1")],
    }
}

/// Records one, as the only one who may write there.
fn stamp(store: &Store, page: Option<&PageId>) -> i64 {
    let alone = store.lock(&Lock::Client(rosa()), soon()).expect("lock");
    let id = store.stamp(&write_to(page), None).expect("stamp");
    drop(alone.expect("it is free"));
    id
}

fn open_of(store: &Store, page: Option<&PageId>) -> Vec<OpenWrite> {
    store.open_writes(&database(), &rosa(), page).expect("read")
}

fn contact(id: &str, numbers: &[&str], body: &str) -> IndexedContact {
    let tails = numbers
        .iter()
        .map(|number| phone(number).tail().to_owned())
        .collect();
    IndexedContact {
        id: ContactId::parse(id).expect("a contact id"),
        tails,
        body: body.into(),
    }
}

fn finish(pages: &[(Phone, Option<PageId>, String)]) -> Finish {
    let line = HistoryLine {
        id: activity("AC1"),
        is_call: false,
        direction: Some(Direction::Incoming),
        number: Some(NumberId::parse("PN1").expect("a number id")),
        is_skip: false,
        actions: vec![Action::Updated; pages.len()],
    };
    Finish {
        pages: pages.to_vec(),
        activity: Some(line),
        took: 12 * MS,
        metrics: vec![Metric {
            kind: "sync",
            operation: "message".into(),
            took: 12 * MS,
            success: true,
        }],
    }
}

fn trouble() -> Trouble {
    Trouble {
        kind: "unavailable".into(),
        message: "it does not answer\0".into(),
        fault: EventFault::Own,
        activity: None,
        metrics: Vec::new(),
    }
}

/// Of one that is the operator's.
fn held_by(cause: &str) -> Trouble {
    Trouble {
        kind: "unauthorized".into(),
        message: "no".into(),
        fault: EventFault::Operators {
            cause: cause.into(),
            tried: true,
        },
        activity: None,
        metrics: Vec::new(),
    }
}

/// Gives up after so many attempts, or after half a day.
fn policy(attempts: u32) -> RetryPolicy {
    RetryPolicy {
        attempts,
        give_up: 12 * HOUR,
        first_retry: HOUR,
    }
}

/// What a selection takes.
fn names(store: &Store, selection: &Selection) -> Vec<String> {
    let ids = store.waiting(selection, 100).expect("read");
    ids.iter().map(ToString::to_string).collect()
}

fn at_once() -> Deadline {
    Deadline::within(Duration::ZERO)
}

fn soon() -> Deadline {
    Deadline::within(Duration::from_secs(20))
}

fn everything_saved_is_there(ground: &Ground) {
    let page = KnownPage {
        complete_since: Some("2026-10-01T15:04:00Z".parse().expect("a time")),
        ..known('a', "Rosa \"Q\" · 'ü'")
    };
    let store = ground.open();
    learn(&store, &rosa(), Some(&page), &[record()]);
    store.save_snapshot("k", "[1,  2]").expect("save");
    store
        .save_contacts(&[contact("66f1", &["+12025550147"], "{}")])
        .expect("save");
    let write = stamp(&store, Some(&page.id));
    receive(&store, &arrival("EV1", Duration::ZERO)).expect("save");
    drop(store);
    let store = ground.open();
    assert_eq!(page_of(&store, &rosa()), Some(page));
    assert_eq!(page_of(&store, &phone("+12025550148")), None);
    assert_eq!(open_of(&store, None)[0].id, write);
    let kept = store.snapshot("k").expect("read").expect("it is there");
    assert_eq!(kept.body, "[1,  2]");
    assert!(
        kept.age < jiff::SignedDuration::from_secs(60),
        "{:?}",
        kept.age
    );
    assert_eq!(store.contacts_near(&rosa()).expect("read"), ["{}"]);
    assert_eq!(entries_of(&store, "AC1"), [(rosa(), record())]);
    let loaded = store
        .load(&event("EV1"), &Selection::Due)
        .expect("read")
        .expect("it is there");
    assert_eq!(loaded.payload, arrival("EV1", Duration::ZERO).payload);
}

fn page_is_counted_replaced_and_forgotten(ground: &Ground) {
    let store = ground.open();
    store.touch_page(&rosa()).expect("nothing to touch");
    learn(&store, &rosa(), Some(&known('a', "first")), &[]);
    store.touch_page(&rosa()).expect("touch");
    learn(&store, &rosa(), Some(&known('b', "second")), &[]);
    assert_eq!(page_of(&store, &rosa()), Some(known('b', "second")));
    let forget = || store.forget_page(&database(), &rosa());
    forget().expect("forget");
    forget().expect("forget twice");
    assert_eq!(page_of(&store, &rosa()), None);
    store.save_snapshot("k", "1").expect("save");
    store.save_snapshot("k", "2").expect("save");
    assert_eq!(
        store.snapshot("k").expect("read").map(|kept| kept.body),
        Some("2".into())
    );
    store.forget_snapshot("k").expect("forget");
    assert_eq!(store.snapshot("k").expect("read"), None);
}

/// What is known of one database is not known of another, and comes back with it.
fn page_belongs_to_its_database(ground: &Ground) {
    let store = ground.open();
    let other = DatabaseId::parse(&"e".repeat(32)).expect("a database id");
    learn(&store, &rosa(), Some(&known('a', "here")), &[record()]);
    let write = stamp(&store, Some(&page_id('a')));
    assert_eq!(store.page(&other, &rosa()).expect("read"), None);
    assert_eq!(store.entries(&other, &activity("AC1")).expect("read"), []);
    let page = page_id('a');
    let open = store.open_writes(&other, &rosa(), Some(&page));
    assert_eq!(open.expect("read"), []);
    let lesson = Lesson {
        page: Some(&known('b', "there")),
        ..Lesson::default()
    };
    store.learn(&other, &rosa(), &lesson).expect("learn");
    assert_eq!(page_of(&store, &rosa()), Some(known('a', "here")));
    assert_eq!(entries_of(&store, "AC1").len(), 1);
    assert_eq!(open_of(&store, None)[0].id, write);
}

/// Its age counts from the answer, else from the end of sending, else from when it was first found,
/// whoever finds it afterwards.
fn write_is_open_until_it_is_closed(ground: &Ground) {
    let store = ground.open();
    assert_eq!(open_of(&store, None), []);
    let page = page_id('a');
    let (made, sent) = (stamp(&store, None), stamp(&store, Some(&page)));
    store
        .note(sent, Since::LastByte, Duration::ZERO)
        .expect("note");
    let ids = |page| {
        open_of(&store, page)
            .iter()
            .map(|it| it.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(None), [made, sent]);
    thread::sleep(30 * MS);
    let open = open_of(&ground.open(), None);
    let told: Vec<(Since, Option<&PageId>)> =
        open.iter().map(|it| (it.since, it.page.as_ref())).collect();
    assert_eq!(
        told,
        [(Since::Finding, None), (Since::LastByte, Some(&page))]
    );
    assert!(
        open.iter().all(|it| it.age >= 30 * MS && it.age < HOUR),
        "{open:?}"
    );
    assert_eq!(
        (open[0].carries, &open[0].activities),
        (Carries::Entries, &vec![activity("AC1")])
    );
    store
        .note(made, Since::Answer, Duration::ZERO)
        .expect("note");
    let answered = &open_of(&store, None)[0];
    assert!(
        answered.since == Since::Answer && answered.age < open[0].age,
        "{answered:?}"
    );
    let others = phone("+12025550199");
    let theirs = |page| {
        store
            .open_writes(&database(), &others, page)
            .expect("read")
            .len()
    };
    assert_eq!((theirs(None), theirs(Some(&page))), (0, 1));
    let lesson = Lesson {
        closes: &[made],
        page: Some(&known('a', "Rosa")),
        entries: &[record()],
        ..Lesson::default()
    };
    store.learn(&database(), &rosa(), &lesson).expect("learn");
    assert_eq!(
        (ids(None), entries_of(&store, "AC1").len()),
        (vec![sent], 1)
    );
}

/// NUL, quotes, SQL, and every plane of Unicode.
fn text_may_hold_anything(ground: &Ground) {
    let store = ground.open();
    let text = "a\0b '; DROP TABLE inbox; -- \\ $1 ?1 \u{1f469}\u{200d}\u{1f4bb} \u{202e}\r\n";
    let page = KnownPage {
        id: page_id('a'),
        title: text.into(),
        body: text.into(),
        complete_since: None,
    };
    let entry = EntryRecord {
        line: text.into(),
        ..record()
    };
    learn(&store, &rosa(), Some(&page), &[entry]);
    store.save_snapshot("k", text).expect("save");
    store
        .save_contacts(&[contact("66f1", &["+12025550147"], text)])
        .expect("save");
    receive(&store, &arrival("EV1", Duration::ZERO)).expect("save");
    store
        .postpone(&event("EV1"), &trouble(), policy(2))
        .expect("save");
    store
        .finish(&event("EV1"), &finish(&[(rosa(), None, text.into())]))
        .expect("save");
    let same = |found: &str| assert_eq!(found.replace('\u{fffd}', "\0"), text);
    same(&page_of(&store, &rosa()).expect("it is there").title);
    same(
        &store
            .snapshot("k")
            .expect("read")
            .expect("it is there")
            .body,
    );
    same(&store.contacts_near(&rosa()).expect("read")[0]);
    same(&entries_of(&store, "AC1")[0].1.line);
    assert_eq!(
        store.standing(&event("EV1")).expect("read"),
        Some(EventState::Done(vec![(rosa(), None, text.into())]))
    );
}

fn contacts_are_found_by_any_number_and_replaced_as_a_whole(ground: &Ground) {
    let (one, two) = ("+12025550147", "+442079460958");
    let store = ground.open();
    let near = |number: &str| store.contacts_near(&phone(number)).expect("read");
    store
        .replace_contacts(&[
            contact("c2", &[one], "two"),
            contact("c1", &[one, two], "one"),
        ])
        .expect("replace");
    assert_eq!(near(one), ["one", "two"]);
    assert_eq!(near(two), ["one"]);
    store
        .save_contacts(&[contact("c1", &[two], "one, moved")])
        .expect("save");
    assert_eq!(near(one), ["two"]);
    assert_eq!(near(two), ["one, moved"]);
    store
        .drop_contact(&ContactId::parse("c2").expect("id"))
        .expect("drop");
    assert!(near(one).is_empty());
    let twice = [
        contact("c3", &[one], "old"),
        contact("c3", &[two], "new"),
        contact("c4", &[], "no number"),
    ];
    store.replace_contacts(&twice).expect("replace");
    assert!(near(one).is_empty());
    assert_eq!(near(two), ["new"]);
    let many: Vec<_> = (0..5000)
        .map(|n| {
            contact(
                &format!("m{n:05}"),
                &[&format!("+1202555{:04}", n % 1000), one],
                "{\"name\":\"x\"}",
            )
        })
        .collect();
    store.replace_contacts(&many).expect("replace");
    assert_eq!(near(one).len(), 5000);
    store.replace_contacts(&many[..1]).expect("replace");
    assert_eq!(near(one).len(), 1);
    store.replace_contacts(&[]).expect("replace");
    assert!(near(one).is_empty() && near(two).is_empty());
}

/// A page with two numbers is two clients', and its entries are both's.
fn entries_are_kept_per_activity_and_page(ground: &Ground) {
    let store = ground.open();
    let other = phone("+12025550199");
    learn(
        &store,
        &rosa(),
        Some(&known('a', "Rosa")),
        &[record(), record()],
    );
    learn(&store, &other, Some(&known('a', "Rosa")), &[]);
    let whole = EntryRecord {
        block: Some(BlockId::parse(&"b".repeat(32)).expect("a block id")),
        line: "Call".into(),
        artifacts: ArtifactKind::ALL.into_iter().collect(),
        begun: BTreeSet::new(),
        gone: true,
        ..record()
    };
    learn(&store, &rosa(), None, std::slice::from_ref(&whole));
    let both = [(rosa(), whole.clone()), (other.clone(), whole)];
    assert_eq!(entries_of(&store, "AC1"), both);
    assert_eq!(entries_of(&store, "AC2"), []);
    learn(&store, &other, Some(&known('c', "Tomas")), &[]);
    assert_eq!(entries_of(&store, "AC1").len(), 1);
}

fn event_is_received_once(ground: &Ground) {
    let store = ground.open();
    assert_eq!(store.standing(&event("EV1")).expect("read"), None);
    for payload in ["first", "second"] {
        let arrival = Arrival {
            payload: payload.into(),
            ..arrival("EV1", Duration::ZERO)
        };
        assert_eq!(
            receive(&store, &arrival).expect("receive"),
            EventState::Waiting { attempts: 0 }
        );
    }
    let loaded = store
        .load(&event("EV1"), &Selection::Waiting)
        .expect("read")
        .expect("it is there");
    assert_eq!(loaded.payload, b"first");
    let others: Vec<EventState> = thread::scope(|scope| {
        let one = || receive(&ground.open(), &arrival("EV2", Duration::ZERO)).expect("receive");
        let all: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
        all.into_iter()
            .map(|one| one.join().expect("it ends"))
            .collect()
    });
    assert_eq!(others, vec![EventState::Waiting { attempts: 0 }; 8]);
    assert_eq!(names(&store, &Selection::Due), ["EV1", "EV2"]);
}

fn events_received_together_keep_their_order_and_tell_how_far_each_has_got(ground: &Ground) {
    let store = ground.open();
    receive(&store, &arrival("EV5", Duration::ZERO)).expect("receive");
    store.finish(&event("EV5"), &finish(&[])).expect("finish");
    let mut arrivals =
        ["EV9", "EV5", "EV1", "EV9", "EV4"].map(|name| arrival(name, Duration::ZERO));
    let found = store.receive(&mut arrivals).expect("receive");
    let waiting = || EventState::Waiting { attempts: 0 };
    assert_eq!(
        found,
        [
            waiting(),
            EventState::Done(vec![]),
            waiting(),
            waiting(),
            waiting()
        ]
    );
    assert_eq!(names(&store, &Selection::Due), ["EV9", "EV1", "EV4"]);
    thread::scope(|scope| {
        let forth: Vec<Arrival> = (0..80)
            .map(|n| arrival(&format!("EV{}", 1000 + n), Duration::ZERO))
            .collect();
        let back: Vec<Arrival> = forth.iter().rev().cloned().collect();
        for mut arrivals in [forth, back] {
            scope.spawn(move || {
                ground
                    .open()
                    .receive(&mut arrivals)
                    .expect("nobody waits crosswise")
            });
        }
    });
    assert_eq!(names(&store, &Selection::Due).len(), 83);
    assert_eq!(store.receive(&mut []).expect("nothing"), []);
}

fn finished_event_is_a_duplicate_with_its_pages(ground: &Ground) {
    let store = ground.open();
    receive(&store, &arrival("EV1", Duration::ZERO)).expect("receive");
    let pages = vec![
        (rosa(), Some(page_id('a')), "Rosa".to_owned()),
        (phone("+442079460958"), None, String::new()),
    ];
    store
        .finish(&event("EV1"), &finish(&pages))
        .expect("finish");
    let done = EventState::Done(pages);
    assert_eq!(
        store.standing(&event("EV1")).expect("read"),
        Some(done.clone())
    );
    assert_eq!(
        receive(&store, &arrival("EV1", Duration::ZERO)).expect("receive"),
        done
    );
    store
        .postpone(&event("EV1"), &trouble(), policy(8))
        .expect("no effect");
    assert_eq!(store.standing(&event("EV1")).expect("read"), Some(done));
    assert!(names(&store, &Selection::Waiting).is_empty());
    assert_eq!(
        store
            .load(&event("EV1"), &Selection::One(event("EV1")))
            .expect("read"),
        None
    );
    receive(&store, &arrival("EV2", Duration::ZERO)).expect("receive");
    store
        .finish(
            &event("EV2"),
            &Finish {
                activity: None,
                ..finish(&[])
            },
        )
        .expect("finish");
    if let Ground::Schema { .. } = ground {
        let told = "total_messages_synced = 1 AND total_calls_synced = 0 AND last_message_sync_at \
            > now() - interval '1 min'";
        assert_eq!(
            ground.count(&format!(
                "SELECT count(*) FROM phone_numbers WHERE id = 'PN1' AND {told}"
            )),
            1
        );
        assert_eq!(
            ground.count("SELECT count(*) FROM sync_history WHERE resource_id = 'AC1'"),
            2
        );
        assert_eq!(
            ground.count(
                "SELECT count(*) FROM performance_metrics WHERE success AND duration_ms = 12"
            ),
            2
        );
        assert_eq!(
            ground.count("SELECT count FROM sync_stats_today WHERE resource_type = 'message'"),
            2
        );
    }
}

fn failed_event_waits_longer_each_time_and_is_given_up(ground: &Ground) {
    let store = ground.open();
    let patience = policy(3);
    receive(&store, &arrival("EV1", Duration::ZERO)).expect("receive");
    for attempts in 1..=2 {
        assert_eq!(
            store
                .postpone(&event("EV1"), &trouble(), patience)
                .expect("postpone"),
            Postponed::Waits
        );
        assert_eq!(
            store.standing(&event("EV1")).expect("read"),
            Some(EventState::Waiting { attempts })
        );
        assert!(names(&store, &Selection::Due).is_empty());
    }
    if let Ground::Schema { .. } = ground {
        let wait = "round(extract(epoch FROM next_try_at - now()) / 3600)::bigint";
        assert_eq!(
            ground.count(&format!("SELECT {wait} FROM quotion_inbox")),
            4
        );
    }
    assert_eq!(
        store
            .postpone(&event("EV1"), &trouble(), patience)
            .expect("postpone"),
        Postponed::Dead { anew: true }
    );
    assert_eq!(
        store.standing(&event("EV1")).expect("read"),
        Some(EventState::Dead)
    );
    assert_eq!(names(&store, &Selection::Dead), ["EV1"]);
    let now = RetryPolicy {
        first_retry: Duration::ZERO,
        ..policy(9)
    };
    receive(&store, &arrival("EV2", HOUR)).expect("receive");
    store
        .postpone(&event("EV2"), &trouble(), now)
        .expect("postpone");
    assert_eq!(names(&store, &Selection::Due), ["EV2"]);
}

fn what_is_held_is_released_at_once_by_its_cause(ground: &Ground) {
    let store = ground.open();
    for name in ["EV1", "EV2", "EV3", "EV4", "EV5"] {
        receive(&store, &arrival(name, Duration::ZERO)).expect("receive");
        thread::sleep(3 * MS);
    }
    let postpone = |name: &str, trouble: &Trouble| {
        let postponed = store.postpone(&event(name), trouble, policy(8));
        thread::sleep(3 * MS);
        postponed.expect("postpone")
    };
    let anew = |anew| Postponed::Held { anew };
    for name in ["EV3", "EV1"] {
        assert_eq!(postpone(name, &held_by("key")), anew(true));
    }
    assert_eq!(postpone("EV4", &held_by("page")), anew(true));
    assert_eq!(
        store.standing(&event("EV1")).expect("read"),
        Some(EventState::Held)
    );
    let untried = Trouble {
        fault: EventFault::Operators {
            cause: "key".into(),
            tried: false,
        },
        ..held_by("key")
    };
    postpone("EV2", &untried);
    // Each has its turn.
    let key = Selection::HeldBy("key".into());
    assert_eq!(names(&store, &key), ["EV3", "EV1", "EV2"]);
    assert_eq!(postpone("EV3", &held_by("key")), anew(false));
    assert_eq!(names(&store, &key), ["EV1", "EV2", "EV3"]);
    assert_eq!(names(&store, &Selection::Due), ["EV5"]);
    let count = |cause: &str, events| HeldCount {
        cause: cause.into(),
        events,
    };
    let backlog = Backlog {
        waiting: 1,
        due_in: Some(Duration::ZERO),
        held: vec![count("key", 3), count("page", 1)],
        dead: 0,
    };
    assert_eq!(store.backlog().expect("read"), backlog);
    assert_eq!(store.release("other").expect("release"), 0);
    assert_eq!(store.release("key").expect("release"), 3);
    assert_eq!(names(&store, &Selection::Due), ["EV1", "EV2", "EV3", "EV5"]);
    assert_eq!(names(&store, &Selection::HeldBy("page".into())), ["EV4"]);
    let attempts = EventState::Waiting { attempts: 0 };
    assert_eq!(store.standing(&event("EV1")).expect("read"), Some(attempts));
}

fn what_is_dead_lives_again_when_it_is_delivered_again(ground: &Ground) {
    let store = ground.open();
    let id = event("EV1");
    receive(&store, &arrival("EV1", Duration::ZERO)).expect("receive");
    let given_up = |anew| Postponed::Dead { anew };
    let postpone = || {
        store
            .postpone(&id, &trouble(), policy(1))
            .expect("postpone")
    };
    assert_eq!(postpone(), given_up(true));
    let held = store.postpone(&id, &held_by("key"), policy(1));
    assert_eq!(held.expect("postpone"), given_up(false), "it stays dead");
    let backlog = store.backlog().expect("read");
    assert_eq!((backlog.dead, backlog.events()), (1, 1));
    let again = EventState::Waiting { attempts: 0 };
    assert_eq!(
        receive(&store, &arrival("EV1", HOUR)).expect("receive"),
        again
    );
    assert_eq!(store.standing(&id).expect("read"), Some(again));
    assert_eq!(names(&store, &Selection::Due), ["EV1"]);
    assert_eq!(postpone(), given_up(true), "and may die again");
}

fn selections_take_what_they_name(ground: &Ground) {
    let store = ground.open();
    for (name, delay) in [
        ("EV3", Duration::ZERO),
        ("EV1", Duration::ZERO),
        ("EV2", HOUR),
        ("EV4", HOUR),
        ("EV5", HOUR),
    ] {
        receive(&store, &arrival(name, delay)).expect("receive");
        thread::sleep(3 * MS);
    }
    store
        .postpone(&event("EV4"), &trouble(), policy(1))
        .expect("postpone");
    store.finish(&event("EV5"), &finish(&[])).expect("finish");
    assert_eq!(names(&store, &Selection::Due), ["EV3", "EV1"]);
    assert_eq!(names(&store, &Selection::Waiting), ["EV3", "EV1", "EV2"]);
    assert_eq!(names(&store, &Selection::Dead), ["EV4"]);
    assert_eq!(names(&store, &Selection::One(event("EV2"))), ["EV2"]);
    assert!(names(&store, &Selection::One(event("EV5"))).is_empty());
    assert_eq!(
        store.waiting(&Selection::Waiting, 2).expect("read").len(),
        2
    );
    let load =
        |name, selection: &Selection| store.load(&event(name), selection).expect("read").is_some();
    assert!(load("EV1", &Selection::Due) && !load("EV2", &Selection::Due));
    assert!(
        load("EV2", &Selection::Waiting)
            && !load("EV4", &Selection::Waiting)
            && load("EV4", &Selection::Dead)
            && !load("EV1", &Selection::Dead)
    );
    assert!(
        load("EV2", &Selection::One(event("EV2"))) && !load("EV1", &Selection::One(event("EV2")))
    );
}

fn expired_event_keeps_its_key(ground: &Ground) {
    let store = ground.open();
    for name in ["EV1", "EV2"] {
        receive(&store, &arrival(name, Duration::ZERO)).expect("receive");
    }
    store
        .finish(&event("EV1"), &finish(&[(rosa(), None, "Rosa".into())]))
        .expect("finish");
    assert_eq!(store.expire(HOUR).expect("expire"), 0);
    assert_eq!(
        store
            .expire(Duration::from_secs(u64::MAX / 4))
            .expect("expire"),
        0
    );
    thread::sleep(5 * MS);
    assert_eq!(store.expire(MS).expect("expire"), 1);
    assert_eq!(store.expire(MS).expect("expire"), 0);
    assert_eq!(
        receive(&store, &arrival("EV1", Duration::ZERO)).expect("receive"),
        EventState::Done(vec![])
    );
    assert_eq!(names(&store, &Selection::Waiting), ["EV2"]);
}

fn payloads_are_looked_for_once_a_day(ground: &Ground) {
    let store = ground.open();
    let finished = |name| {
        receive(&store, &arrival(name, Duration::ZERO)).expect("receive");
        store.finish(&event(name), &finish(&[])).expect("finish");
        thread::sleep(5 * MS);
    };
    finished("EV1");
    assert_eq!(store.expire(MS).expect("expire"), 1);
    finished("EV2");
    assert_eq!(store.expire(MS).expect("expire"), 0, "the same day");
    assert_eq!(
        store.expire(2 * MS).expect("expire"),
        1,
        "another time to keep them"
    );
    finished("EV3");
    assert_eq!(store.expire(2 * MS).expect("expire"), 0, "the same day");
    let tomorrow = match ground {
        Ground::File(_) => {
            let tomorrow = || Timestamp::now() + jiff::SignedDuration::from_hours(24);
            Store::open(
                &Place::File(ground.state().into()),
                Mode::ReadWrite,
                tomorrow,
            )
            .expect("the store opens")
        }
        Ground::Schema { .. } => {
            ground.sql("UPDATE quotion_snapshots SET fetched_at = fetched_at - interval '1 day'");
            store
        }
    };
    assert_eq!(tomorrow.expire(2 * MS).expect("expire"), 1, "the next day");
}

fn payloads_are_dropped_some_at_a_time_until_none_is_left(ground: &Ground) {
    let store = ground.open();
    match ground {
        Ground::File(_) => {
            let rows = "INSERT INTO inbox SELECT 'EV' || n, 't', NULL, x'7b', 'done', 0, NULL, \
                NULL, NULL, '[]', 1, 1, 0, NULL, NULL, NULL
                FROM (WITH RECURSIVE one(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM one LIMIT \
                10005) SELECT n FROM one)";
            rusqlite::Connection::open(ground.state())
                .expect("open")
                .execute(rows, [])
                .expect("rows");
        }
        Ground::Schema { .. } => ground.sql(
            "INSERT INTO quotion_inbox SELECT 'EV' || n, 't', NULL, 'x', 'done', 0, NULL, NULL, \
                NULL, '[]',
             now() - interval '1 day', now() - interval '1 day' FROM generate_series(1, 10005) AS \
             n",
        ),
    }
    let dropped = [(); 3].map(|()| store.expire(HOUR).expect("expire"));
    assert_eq!(dropped, [10_000, 5, 0]);
}

fn discarded_event_is_gone_unless_it_is_done(ground: &Ground) {
    let store = ground.open();
    for name in ["EV1", "EV2"] {
        receive(&store, &arrival(name, Duration::ZERO)).expect("receive");
    }
    store.finish(&event("EV1"), &finish(&[])).expect("finish");
    store.discard(&event("EV1")).expect("discard");
    store.discard(&event("EV2")).expect("discard");
    assert_eq!(
        store.standing(&event("EV1")).expect("read"),
        Some(EventState::Done(vec![]))
    );
    assert_eq!(store.standing(&event("EV2")).expect("read"), None);
}

#[allow(clippy::too_many_lines, reason = "a table, or one story after another")]
fn dry_run_changes_nothing(ground: &Ground) {
    let write = |store: &Store| {
        store.save_snapshot("k", "dry").expect("save");
        learn(store, &rosa(), Some(&known('a', "x")), &[record()]);
        store
            .replace_contacts(&[contact("c1", &["+12025550147"], "dry")])
            .expect("save");
        assert_eq!(
            receive(store, &arrival("EV1", HOUR)).expect("receive"),
            EventState::Waiting { attempts: 0 }
        );
        store.finish(&event("EV1"), &finish(&[])).expect("finish");
        let window = Window {
            requests: 1,
            period: HOUR,
        };
        let rates = store.rates().expect("rates");
        assert!(
            rates
                .reserve("notion", window, Duration::ZERO)
                .expect("reserve")
                .is_ok()
        );
        assert!(
            rates
                .reserve("notion", window, Duration::ZERO)
                .expect("reserve")
                .is_err()
        );
        let guard = store
            .lock(&Lock::Event(event("EV1")), at_once())
            .expect("lock");
        assert!(guard.is_some());
    };
    let dry = ground
        .try_open(Mode::ReadOnly)
        .expect("a dry run needs no store");
    write(&dry);
    assert_eq!(dry.snapshot("k").expect("read"), None);
    assert_eq!(open_of(&dry, None), []);
    if let Ground::Schema { name, .. } = ground {
        let made =
            format!("SELECT count(*) FROM pg_class WHERE relnamespace = '{name}'::regnamespace");
        assert_eq!(ground.count(&made), 0);
    }
    let store = ground.open();
    store.save_snapshot("k", "kept").expect("save");
    let _elsewhere = store
        .lock(&Lock::Event(event("EV1")), at_once())
        .expect("lock")
        .expect("free");
    let dry = ground.try_open(Mode::ReadOnly).expect("open");
    write(&dry);
    assert_eq!(
        dry.snapshot("k").expect("read").map(|kept| kept.body),
        Some("kept".into())
    );
    assert_eq!(page_of(&store, &rosa()), None);
    assert_eq!(store.standing(&event("EV1")).expect("read"), None);
    assert!(
        store
            .rates()
            .expect("rates")
            .reserve(
                "notion",
                Window {
                    requests: 1,
                    period: HOUR
                },
                MS
            )
            .expect("reserve")
            .is_ok()
    );
}

fn lock_excludes_others_until_it_is_given_back(ground: &Ground) {
    let (one, two) = (ground.open(), ground.open());
    let lock = Lock::Event(event("EV1"));
    let held = one
        .lock(&lock, at_once())
        .expect("lock")
        .expect("it is free");
    assert!(two.lock(&lock, at_once()).expect("lock").is_none());
    let began = Instant::now();
    assert!(
        two.lock(&lock, Deadline::within(60 * MS))
            .expect("lock")
            .is_none()
    );
    assert!(
        began.elapsed() >= 50 * MS && began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    assert!(
        two.lock(&Lock::Contacts, at_once())
            .expect("lock")
            .is_some()
    );
    assert!(
        one.lock(&lock, Deadline::within(20 * MS))
            .expect("lock")
            .is_none(),
        "not even its holder gets it twice"
    );
    let client = one
        .lock(&Lock::Client(rosa()), at_once())
        .expect("lock")
        .expect("it is free");
    drop(client);
    let theirs = two
        .lock_all([rosa(), rosa()].map(Lock::Client).into_iter(), at_once())
        .expect("lock")
        .expect("free, though the event is held");
    assert!(two.lock(&lock, at_once()).expect("lock").is_none());
    drop((held, theirs));
    assert!(two.lock(&lock, at_once()).expect("lock").is_some());
    assert!(one.lock(&lock, at_once()).expect("lock").is_some());
}

fn lock_waits_for_its_holder(ground: &Ground) {
    let (one, two) = (ground.open(), ground.open());
    let held = one
        .lock(&Lock::Contacts, at_once())
        .expect("lock")
        .expect("it is free");
    thread::scope(|scope| {
        let waiter =
            scope.spawn(move || two.lock(&Lock::Contacts, soon()).expect("lock").is_some());
        thread::sleep(50 * MS);
        assert!(!waiter.is_finished());
        drop(held);
        assert!(waiter.join().expect("it ends"));
    });
}

/// None of the waiting is real: nobody waits in a database.
fn simulated_processes_wait_for_each_others_locks(ground: &Ground) {
    let lock = |deadline| {
        let store = ground.open();
        let held = store.lock(&Lock::Client(rosa()), deadline).expect("lock");
        held.is_some().then(|| {
            time::sleep(20 * SECOND);
            time::timestamp()
        })
    };
    let (first, second, third) = (Mutex::new(None), Mutex::new(None), Mutex::new(None));
    let ended_at = |place: &Mutex<_>, deadline: fn() -> Deadline| {
        *place.lock().expect("alone") = lock(deadline());
    };
    let processes = vec![
        Process::new(|| ended_at(&first, Deadline::none)),
        Process::new(|| ended_at(&second, Deadline::none)),
        Process::new(|| ended_at(&third, || Deadline::within(10 * SECOND))),
    ];
    let passed = simulation::run(1, processes);
    let ended = [first, second, third].map(|at| at.into_inner().expect("alone"));
    let second = |ended: Timestamp| ended.duration_since(simulation::began()).as_secs();
    assert_eq!(ended.map(|at| at.map(second)), [Some(20), Some(40), None]);
    assert_eq!(passed.as_secs(), 40);
}

fn lock_of_a_killed_process_is_free(ground: &Ground) {
    let killed_at = Duration::from_secs(30);
    let holder = Process::new(|| {
        let store = ground.open();
        let held = store.lock(&Lock::Contacts, at_once()).expect("lock");
        time::sleep(HOUR);
        drop(held.expect("it is free"));
        unreachable!("it was killed");
    });
    let waiter = Process::new(|| {
        let store = ground.open();
        let held = store.lock(&Lock::Contacts, Deadline::none()).expect("lock");
        held.expect("it is free");
    });
    let passed = simulation::run(1, vec![holder.killed(Kill::At(killed_at)), waiter]);
    assert!(
        passed >= killed_at && passed < killed_at + SECOND,
        "{passed:?}"
    );
}

fn locks_may_be_given_back_in_any_order(ground: &Ground) {
    let (one, two) = (ground.open(), ground.open());
    let locks = [
        Lock::Event(event("EV1")),
        Lock::Client(rosa()),
        Lock::Contacts,
    ];
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let take = |lock| {
            one.lock(lock, at_once())
                .expect("lock")
                .expect("it is free")
        };
        let mut held: Vec<_> = locks.iter().map(|lock| Some(take(lock))).collect();
        for (given_back, n) in order.into_iter().enumerate() {
            held[n] = None;
            if given_back < 2 {
                let last = &locks[order[2]];
                assert!(
                    two.lock(last, at_once()).expect("lock").is_none(),
                    "{last:?} is still held in {order:?}"
                );
            }
        }
        assert!(
            locks
                .iter()
                .all(|lock| two.lock(lock, at_once()).expect("lock").is_some()),
            "{order:?}"
        );
    }
}

fn clients_locked_in_opposite_orders_never_deadlock(ground: &Ground) {
    let clients: Vec<Phone> = (0..4).map(|n| phone(&format!("+1202555014{n}"))).collect();
    let busy: Vec<AtomicBool> = clients.iter().map(|_| AtomicBool::new(false)).collect();
    drop(ground.open());
    thread::scope(|scope| {
        for worker in 0..16 {
            let (clients, busy) = (&clients, &busy);
            scope.spawn(move || {
                let store = ground.open();
                for turn in 0..5 {
                    let mut mine: Vec<usize> =
                        (0..4).filter(|n| (worker + turn + n) % 4 != 0).collect();
                    mine.rotate_left((worker + turn) % 3);
                    let phones: Vec<Phone> = mine.iter().map(|n| clients[*n].clone()).collect();
                    let held = store
                        .lock_all(phones.iter().cloned().map(Lock::Client), soon())
                        .expect("lock")
                        .expect("in time");
                    for n in &mine {
                        assert!(
                            !busy[*n].swap(true, Ordering::SeqCst),
                            "two hold one client's lock"
                        );
                    }
                    thread::sleep(MS);
                    for n in &mine {
                        busy[*n].store(false, Ordering::SeqCst);
                    }
                    drop(held);
                }
            });
        }
    });
}

/// Twenty requests at three per 200 ms take six whole periods, however they are spread over stores.
fn rate_is_kept_by_all_stores_together(ground: &Ground) {
    let window = Window {
        requests: 3,
        period: 200 * MS,
    };
    let stores: Vec<Store> = (0..4).map(|_| ground.open()).collect();
    let began = Instant::now();
    let moments: Vec<Duration> = thread::scope(|scope| {
        let work = |store: Store| {
            let rates = store.rates().expect("rates");
            let one = |_| {
                rates
                    .reserve("quo", window, Duration::MAX)
                    .expect("reserve")
                    .expect("patient")
            };
            (0..5)
                .map(one)
                .map(|wait| began.elapsed() + wait)
                .collect::<Vec<_>>()
        };
        let all: Vec<_> = stores
            .into_iter()
            .map(|store| scope.spawn(move || work(store)))
            .collect();
        all.into_iter()
            .flat_map(|one| one.join().expect("it ends"))
            .collect()
    });
    let last = moments.iter().max().expect("some");
    assert!(*last >= 1200 * MS && *last < 1800 * MS, "{moments:?}");
    let rates = ground.open().rates().expect("rates");
    let refused = rates
        .reserve("quo", window, 10 * MS)
        .expect("reserve")
        .expect_err("all is taken");
    let again = rates
        .reserve("quo", window, 10 * MS)
        .expect("reserve")
        .expect_err("and nothing was taken");
    assert!(again <= refused);
    assert_eq!(
        rates
            .reserve("notion", window, Duration::ZERO)
            .expect("reserve"),
        Ok(Duration::ZERO)
    );
}

fn closed_gate_holds_all_stores(ground: &Ground) {
    let window = Window {
        requests: 9,
        period: MS,
    };
    let (one, two) = (
        ground.open().rates().expect("rates"),
        ground.open().rates().expect("rates"),
    );
    assert_eq!(two.closed_for("notion").expect("read"), Duration::ZERO);
    one.close("notion", Duration::from_mins(1)).expect("close");
    one.close("notion", MS).expect("a shorter one");
    let near = |wait: Duration| wait > Duration::from_secs(50) && wait <= Duration::from_mins(1);
    assert!(near(two.closed_for("notion").expect("read")));
    assert!(
        two.reserve("notion", window, Duration::ZERO)
            .expect("reserve")
            .is_err_and(near)
    );
    assert!(
        two.reserve("notion", window, Duration::MAX)
            .expect("reserve")
            .is_ok_and(near)
    );
    assert_eq!(two.closed_for("quo").expect("read"), Duration::ZERO);
    assert_eq!(
        two.reserve("quo", window, Duration::ZERO).expect("reserve"),
        Ok(Duration::ZERO)
    );
}

fn many_first_openings_at_once_all_succeed(ground: &Ground) {
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| ground.open().save_snapshot("k", "[]").expect("save"));
        }
    });
}

/// A user whose store is there.
fn user(ground: &Ground) -> User {
    let mut user = User::new();
    user.set("QUOTION_STATE", &ground.state());
    user
}

fn program_writes_once_what_it_gets_twice(ground: &Ground) {
    let user = user(ground);
    for name in [
        "v2026-03-30.message.received",
        "legacy-v4.call.completed.answered",
    ] {
        let first = user.sync(name);
        assert_eq!(
            (first.code, &first.line()["status"]),
            (0, &json!("success")),
            "{}{}",
            first.stdout,
            first.stderr
        );
        user.sync(name).expect(0, "success", "skipped");
    }
    let pages = user.client_pages();
    user.run(&["--enqueue"], &sample("v2026-03-30.message.delivered"));
    let replayed = user.run(&["replay"], b"");
    assert_eq!(
        (replayed.code, &replayed.line()["status"]),
        (0, &json!("success")),
        "{}",
        replayed.stderr
    );
    assert_eq!(user.client_pages(), pages);
    assert_eq!(
        user.run(&["--dry-run"], &sample("v2026-03-30.message.received"))
            .code,
        0
    );
}

fn eight_processes_make_one_page_for_one_caller(ground: &Ground) {
    let mut user = user(ground);
    user.set("QUOTION_STATE", &ground.state());
    let pages = user.client_pages();
    let runs: Vec<Run> = thread::scope(|scope| {
        let one = |n: usize| {
            let mut event = sample_json("v2026-03-30.message.received");
            event["id"] = json!(format!("EVeight{n}"));
            event["data"]["resource"]["id"] = json!(format!("ACeight{n}"));
            event["data"]["context"]["senderIdentifier"] = json!("+12025550188");
            event["data"]["context"]["contacts"] = json!({"ids": [], "lookupStatus": "none"});
            let mut command = user.command::<&str>(&[]);
            Run::of(feed(
                command.stdin(Stdio::piped()).spawn().expect("it starts"),
                event.to_string().as_bytes(),
            ))
        };
        let all: Vec<_> = (0..8).map(|n| scope.spawn(move || one(n))).collect();
        all.into_iter()
            .map(|run| run.join().expect("it ends"))
            .collect()
    });
    assert!(runs.iter().all(|run| run.code == 0), "{runs:#?}");
    assert_eq!(user.client_pages(), pages + 1);
    assert!(
        (0..8).all(|n| user.times_in_notion(&format!("ACeight{n}")) == 1),
        "{}",
        user.notion()
    );
}

/// A store whose connections can be told from those of other tests.
fn named(ground: &Ground) -> Store {
    let Ground::Schema { name, .. } = ground else {
        panic!("only on PostgreSQL")
    };
    let place = Place::Postgres(Secret::new(&format!(
        "{}&application_name=quotion-{name}",
        ground.state()
    )));
    Store::open(&place, Mode::ReadWrite, Timestamp::now).expect("the store opens")
}

/// What makes this process lose its locks without its knowing: half a minute without being renewed,
/// or a lock file that somebody removes.
fn lose_locks(ground: &Ground) {
    match ground {
        Ground::File(dir) => {
            let locks = dir.path().join("q.locks");
            std::fs::remove_dir_all(locks).expect("somebody tidies up");
        }
        Ground::Schema { .. } => {
            ground.sql("UPDATE quotion_leases SET until = until - interval '30 seconds'");
        }
    }
}

fn nothing_is_sent_or_learned_under_a_lost_lock(ground: &Ground) {
    let (one, two) = (ground.open(), ground.open());
    let lock = Lock::Client(rosa());
    let passes = |err: store::Error| err.passes();
    assert!(
        one.stamp(&write_to(None), None).is_err_and(passes),
        "without any lock"
    );
    let held = one
        .lock(&lock, at_once())
        .expect("lock")
        .expect("it is free");
    let sent = one.stamp(&write_to(None), None).expect("stamp");
    lose_locks(ground);
    assert!(
        one.stamp(&write_to(None), Some(sent)).is_err_and(passes),
        "nothing is sent any more"
    );
    let closes = Lesson {
        closes: &[sent],
        page: Some(&known('a', "late")),
        ..Lesson::default()
    };
    assert!(one.learn(&database(), &rosa(), &closes).is_err_and(passes));
    let theirs = two
        .lock(&lock, at_once())
        .expect("lock")
        .expect("it is free");
    assert_eq!(
        open_of(&two, None)
            .iter()
            .map(|it| it.id)
            .collect::<Vec<_>>(),
        [sent]
    );
    assert_eq!(page_of(&two, &rosa()), None);
    assert!(
        one.stamp(&write_to(None), Some(sent)).is_err_and(passes),
        "another has it"
    );
    drop(held);
    assert!(
        one.lock(&lock, at_once()).expect("lock").is_none(),
        "it gave back only its own"
    );
    two.stamp(&write_to(None), Some(sent)).expect("stamp");
    drop(theirs);
    let held = one
        .lock(&lock, at_once())
        .expect("lock")
        .expect("it is free");
    one.stamp(&write_to(None), Some(sent))
        .expect("under a lock of its own again");
    drop(held);
}

fn page_that_is_anothers_is_not_written_to(ground: &Ground) {
    let (one, two) = (ground.open(), ground.open());
    let page = page_id('a');
    let client = one.lock(&Lock::Client(rosa()), at_once()).expect("lock");
    let held = one
        .lock(&Lock::Page(page.clone()), at_once())
        .expect("lock");
    one.stamp(&write_to(Some(&page)), None).expect("stamp");
    lose_locks(ground);
    let anew = one.lock(&Lock::Client(rosa()), at_once()).expect("lock");
    let theirs = two
        .lock(&Lock::Page(page.clone()), at_once())
        .expect("lock");
    assert!(theirs.is_some());
    let refused = one.stamp(&write_to(Some(&page)), None);
    assert!(refused.is_err_and(|err| err.passes()));
    drop((client, held, anew));
}

fn stamp_renews_its_locks(ground: &Ground) {
    let store = ground.open();
    let held = store.lock(&Lock::Client(rosa()), at_once()).expect("lock");
    ground.sql("UPDATE quotion_leases SET until = until - interval '25 seconds'");
    store.stamp(&write_to(None), None).expect("stamp");
    let left = "SELECT extract(epoch FROM until - clock_timestamp())::bigint FROM quotion_leases";
    let left = ground.count(left);
    assert!((25..=30).contains(&left), "{left} s");
    drop(held);
    assert_eq!(ground.count("SELECT count(*) FROM quotion_leases"), 0);
}

/// Twelve seconds, for a lease is renewed every ten.
fn lease_lasts_as_long_as_work_goes_on(ground: &Ground) {
    let store = ground.open();
    let held = store.lock(&Lock::Contacts, at_once()).expect("lock");
    let token = "SELECT count(*) FROM quotion_leases WHERE until > now() + interval '25 seconds'";
    ground.sql("UPDATE quotion_leases SET until = until - interval '15 seconds'");
    assert_eq!(ground.count(token), 0);
    thread::sleep(12 * SECOND);
    assert_eq!(ground.count(token), 1);
    drop(held);
}

fn leases_survive_their_connection(ground: &Ground) {
    let (one, two) = (named(ground), ground.open());
    let lock = Lock::Client(rosa());
    let held = one
        .lock(&lock, at_once())
        .expect("lock")
        .expect("it is free");
    ground.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = \
            'quotion-' || current_schema()",
    );
    assert!(two.lock(&lock, at_once()).expect("lock").is_none());
    one.stamp(&write_to(None), None)
        .expect("on a new connection");
    drop(held);
    assert!(two.lock(&lock, at_once()).expect("lock").is_some());
}

/// Put there by a rename, as whoever puts a copy back may do.
fn store_that_was_replaced_is_not_written_under() {
    let ground = Ground::file();
    let store = ground.open();
    let held = store.lock(&Lock::Client(rosa()), at_once()).expect("lock");
    store.stamp(&write_to(None), None).expect("stamp");
    let path = ground.state();
    std::fs::copy(&path, format!("{path}.copy")).expect("a copy");
    std::fs::rename(format!("{path}.copy"), &path).expect("put back");
    let refused = store.stamp(&write_to(None), None);
    assert!(refused.is_err_and(|err| err.passes()));
    drop(held);
}

fn lock_is_the_same_whatever_way_leads_to_the_store() {
    let ground = Ground::file();
    let store = ground.open();
    let Ground::File(home) = &ground else {
        panic!("a file")
    };
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().join("folder");
    std::os::unix::fs::symlink(home.path(), &folder).expect("a link");
    let lock = Lock::Client(rosa());
    let held = store.lock(&lock, at_once()).expect("lock");
    let place = Place::File(folder.join("q.db"));
    let other = Store::open(&place, Mode::ReadWrite, Timestamp::now).expect("open");
    assert!(other.lock(&lock, at_once()).expect("lock").is_none());
    drop(held);
}

fn lost_connection_is_made_anew(ground: &Ground) {
    let store = named(ground);
    let rates = store.rates().expect("rates");
    let lose = || {
        ground.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE application_name = 'quotion-' || current_schema()",
        );
        thread::sleep(20 * MS);
    };
    lose();
    store.save_snapshot("k", "[]").expect("save");
    lose();
    assert!(store.snapshot("k").expect("read").is_some());
    lose();
    assert!(
        rates
            .reserve(
                "quo",
                Window {
                    requests: 1,
                    period: HOUR
                },
                MS
            )
            .expect("reserve")
            .is_ok()
    );
    receive(&store, &arrival("EV1", Duration::ZERO)).expect("receive");
    lose();
    assert!(
        store
            .finish(&event("EV1"), &finish(&[]))
            .is_err_and(|err| err.passes()),
        "it counts, so it is not repeated"
    );
    store
        .finish(&event("EV1"), &finish(&[]))
        .expect("a new connection");
    assert_eq!(
        ground.count("SELECT total_messages_synced FROM phone_numbers"),
        1
    );
}

fn tables_of_a_predecessor_are_extended(ground: &Ground) {
    ground.sql(
        "CREATE TABLE phone_numbers (id varchar(64) PRIMARY KEY, number varchar(32) NOT NULL, \
            name text NOT NULL,
           first_seen_at timestamp NOT NULL, total_calls_synced integer DEFAULT 0, is_active \
           boolean DEFAULT true);
         INSERT INTO phone_numbers VALUES ('PN1', '+14155550110', 'Main', '2024-01-01', 7);
         CREATE TABLE sync_history (id uuid PRIMARY KEY, phone_number_id varchar(64) NOT NULL \
         REFERENCES phone_numbers (id),
           resource_type text NOT NULL, resource_id text NOT NULL, sync_status varchar(16) NOT \
           NULL, operator text NOT NULL,
           synced_at timestamp NOT NULL);
         INSERT INTO sync_history VALUES (gen_random_uuid(), 'PN1', 'call', 'AC0', 'success', \
         'me', '2024-01-01');
         CREATE TABLE canvas_cache (lookup_key text PRIMARY KEY, canvas_id text NOT NULL, \
         canvas_name text NOT NULL,
           cached_at timestamptz DEFAULT now(), hit_count integer);
         INSERT INTO canvas_cache VALUES ('+12025550147', repeat('a', 32), 'Rosa', '2024-01-01', \
         NULL), ('+1x', 'no id', '', NULL, 3);
         CREATE TABLE performance_metrics (id integer PRIMARY KEY, metric_type text NOT NULL, \
         operation text NOT NULL,
           duration_ms integer NOT NULL, success boolean NOT NULL, host text NOT NULL, timestamp \
           timestamp NOT NULL);
         INSERT INTO performance_metrics VALUES (41, 'sync', 'call', 5, true, 'h', '2024-01-01');
         CREATE VIEW sync_stats_today AS SELECT count(*) AS calls FROM sync_history;
         CREATE TABLE contacts (mine text); CREATE TABLE inbox (mine text)",
    );
    let store = ground.open();
    let new = known('a', "Rosa");
    let old = KnownPage {
        body: "null".into(),
        ..new.clone()
    };
    assert_eq!(page_of(&store, &rosa()), Some(old));
    store.touch_page(&rosa()).expect("touch");
    learn(&store, &rosa(), Some(&new), &[]);
    learn(&store, &phone("+12025550199"), Some(&new), &[]);
    assert_eq!(page_of(&store, &rosa()), Some(new.clone()));
    assert_eq!(page_of(&store, &phone("+12025550199")), Some(new));
    receive(&store, &arrival("EV1", Duration::ZERO)).expect("receive");
    store
        .finish(
            &event("EV1"),
            &finish(&[(rosa(), Some(page_id('a')), "Rosa".into())]),
        )
        .expect("finish");
    let one = "name = 'Main' AND total_calls_synced = 7 AND total_messages_synced = 1";
    assert_eq!(
        ground.count(&format!("SELECT count(*) FROM phone_numbers WHERE {one}")),
        1
    );
    assert_eq!(
        ground.count("SELECT count(*) FROM sync_history WHERE phone_number_id = 'PN1'"),
        2
    );
    assert_eq!(
        ground.count("SELECT max(id)::bigint FROM performance_metrics"),
        42
    );
    assert_eq!(ground.count("SELECT calls FROM sync_stats_today"), 2);
    assert_eq!(
        ground.count("SELECT total_entries FROM canvas_cache_stats"),
        3
    );
}

/// What Quotion cannot know: the event is finished all the same.
fn strange_tables_of_a_predecessor_hold_nothing_up(ground: &Ground) {
    ground.sql(
        "CREATE TABLE sync_history (id text PRIMARY KEY, sync_status text CHECK (sync_status IN \
            ('ok', 'failed')));
         INSERT INTO sync_history VALUES ('1', 'ok')",
    );
    let store = ground.open();
    receive(&store, &arrival("EV1", Duration::ZERO)).expect("receive");
    store
        .finish(&event("EV1"), &finish(&[(rosa(), None, "Rosa".into())]))
        .expect("finish");
    let done = EventState::Done(vec![(rosa(), None, "Rosa".into())]);
    assert_eq!(store.standing(&event("EV1")).expect("read"), Some(done));
    assert_eq!(ground.count("SELECT count(*) FROM sync_history"), 1);
}

fn newer_schema_is_an_error_not_a_guess(ground: &Ground) {
    drop(ground.open());
    ground.sql(
        "INSERT INTO quotion_schema_history VALUES (99, 'later', '2030-01-01T00:00:00Z', '1')",
    );
    for mode in [Mode::ReadWrite, Mode::ReadOnly] {
        let newer = ground.try_open(mode).err().expect("refused");
        assert_eq!(newer.fault, Fault::Newer);
        assert!(newer.to_string().contains("schema 99"), "{newer}");
    }
}

fn older_store_is_brought_up_to_date(ground: &Ground) {
    let made = [
        include_str!("../../src/store/migrations/postgres/V1__known_things.sql"),
        include_str!("../../src/store/migrations/postgres/V2__inbox.sql"),
    ];
    let mut client = ground.client();
    client
        .batch_execute(
            "CREATE TABLE quotion_schema_history (version int4 PRIMARY KEY, name varchar(255),
                applied_on varchar(255), checksum varchar(255))",
        )
        .expect("as the runner of before made it");
    for (version, migration) in (1..).zip(made) {
        client.batch_execute(migration).expect("it runs");
        let note = format!(
            "INSERT INTO quotion_schema_history VALUES ({version}, 'a name', 'then', 'a sum')"
        );
        client.batch_execute(&note).expect("noted");
        let insert = format!("INSERT INTO quotion_snapshots VALUES ('k{version}', 'kept', now())");
        client.batch_execute(&insert).expect("insert");
        assert_eq!(
            ground
                .try_open(Mode::ReadOnly)
                .expect("as if empty")
                .snapshot("k1")
                .expect("read"),
            None
        );
    }
    let rows = "('EV1', 't', NULL, NULL, 'done', 0, NULL, NULL, NULL, NULL, now(), now()),
        ('EV2', 't', NULL, 'x', 'dead', 8, NULL, 'refused', 'no', NULL, now(), now()),
        ('EV3', 't', NULL, 'x', 'failed', 1, now(), 'store', 'full', NULL, now() + interval '1 \
        s', now())";
    client
        .batch_execute(&format!("INSERT INTO quotion_inbox VALUES {rows}"))
        .expect("insert");
    let store = ground.open();
    for key in ["k1", "k2"] {
        assert_eq!(
            store.snapshot(key).expect("read").map(|kept| kept.body),
            Some("kept".into())
        );
    }
    assert_eq!(names(&store, &Selection::Waiting), ["EV3"]);
    assert_eq!(
        (
            names(&store, &Selection::Due),
            names(&store, &Selection::Dead)
        ),
        (vec!["EV3".into()], vec!["EV2".into()])
    );
    assert_eq!(
        receive(&store, &arrival("EV1", Duration::ZERO)).expect("receive"),
        EventState::Done(vec![])
    );
}

/// What the store of before was not sure of is open, everything else a fact; and a program of
/// before, which still runs, can intend nothing more.
#[allow(clippy::too_many_lines, reason = "a table, or one story after another")]
fn doubt_of_an_older_store_becomes_open_writes(ground: &Ground) {
    let (prefix, now) = match ground {
        Ground::File(_) => ("", "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"),
        Ground::Schema { .. } => ("quotion_", "now()"),
    };
    ground.make_schema_3();
    let (a, b, block) = (page_id('a'), page_id('b'), "b".repeat(32));
    let day_ago = "'2026-10-01T15:00:00.000Z'";
    let entry = |of: &str, phone: &str, page: Option<&PageId>, rest: &str| {
        let page = page.map_or_else(|| "NULL".to_owned(), |page| format!("'{page}'"));
        format!(
            "INSERT INTO {prefix}entries (activity_id, phone, page_id, block_id, line, state, \
             artifacts, pending, intended_at) VALUES ('{of}', '{phone}', {page}, {rest})"
        )
    };
    let (rosa, tomas, ilse) = ("+12025550147", "+12025550199", "+442079460958");
    let mut made = vec![
        entry(
            "AC1",
            rosa,
            Some(&a),
            &format!("'{block}', 'whole', 'done', 'Summary', '', {day_ago}"),
        ),
        entry(
            "AC2",
            rosa,
            Some(&a),
            &format!("'{block}', 'in part', 'done', '', 'Transcript', {day_ago}"),
        ),
        entry(
            "AC3",
            rosa,
            Some(&a),
            &format!("NULL, 'perhaps', 'intended', '', '', {day_ago}"),
        ),
        entry(
            "AC4",
            rosa,
            Some(&a),
            &format!("NULL, 'made with its page', 'done', '', '', {day_ago}"),
        ),
        entry(
            "AC5",
            rosa,
            Some(&a),
            &format!("NULL, 'reworded', 'done', '', '', {now}"),
        ),
        entry(
            "AC6",
            ilse,
            None,
            &format!("NULL, 'perhaps a page', 'intended', '', '', {day_ago}"),
        ),
        entry(
            "AC1",
            tomas,
            Some(&a),
            &format!("'{block}', 'whole', 'done', 'Summary', '', {day_ago}"),
        ),
    ];
    for (phone, page, body, at) in [(rosa, &a, "{}", day_ago), (tomas, &b, "null", now)] {
        let (columns, value) = match ground {
            Ground::File(_) => (", body", format!(", '{body}'")),
            Ground::Schema { .. } => ("", String::new()),
        };
        made.push(format!(
            "INSERT INTO canvas_cache (lookup_type, lookup_key, canvas_id, canvas_name, \
             cached_at{columns}) VALUES ('phone', '{phone}', '{page}', 'Name', {at}{value})"
        ));
        if let Ground::Schema { .. } = ground {
            made.push(format!(
                "INSERT INTO quotion_pages (phone, page_id, body) VALUES ('{phone}', '{page}', \
                 '{body}')"
            ));
        }
    }
    ground.batch(&made.join(";")).expect("a store of before");
    let store = ground.open();
    let known = page_of(&store, &phone(rosa)).expect("the page");
    let read = (known.id, known.title, known.body, known.complete_since);
    assert_eq!(
        read,
        (a, "Name".into(), "null".into(), None),
        "of no database yet"
    );
    let told = |number: &str| {
        let open = store
            .open_writes(&database(), &phone(number), None)
            .expect("read");
        let mut told: Vec<String> = open
            .iter()
            .map(|it| {
                let ids: Vec<&str> = it.activities.iter().map(ActivityId::as_str).collect();
                format!("{:?} {} {}", it.carries, ids.join(" "), it.page.is_some())
            })
            .collect();
        told.sort();
        told
    };
    assert_eq!(
        told(rosa),
        ["Entries AC3 true", "Parts AC2 true", "Values AC5 true"]
    );
    assert_eq!(
        (told(tomas), told(ilse)),
        (
            vec!["Values  true".into()],
            vec!["Entries AC6 false".into()]
        )
    );
    let lines = |name: &str| -> Vec<(String, usize, usize)> {
        let found = store.entries(&database(), &activity(name));
        let entries = found.expect("read").into_iter().map(|found| found.entry);
        entries
            .map(|it| (it.line, it.artifacts.len(), it.begun.len()))
            .collect()
    };
    assert_eq!(lines("AC1"), [("whole".into(), 1, 0)]);
    assert_eq!(lines("AC2"), [("in part".into(), 0, 1)]);
    assert_eq!((lines("AC3"), lines("AC6")), (vec![], vec![]));
    assert_eq!(lines("AC4").len() + lines("AC5").len(), 2);
    for old in made {
        let refused = ground.batch(&old);
        let is_of_pages = old.contains("canvas_cache") && prefix == "quotion_";
        assert!(refused.is_err() || is_of_pages, "{old}");
    }
}

fn refusal_of_the_server_names_no_secret(ground: &Ground) {
    let Ground::Schema { url, name } = ground else {
        return;
    };
    let (start, address) = url.split_once('@').expect("a password");
    let (user, password) = start.rsplit_once(':').expect("a password");
    let (server, _) = address.split_once('/').expect("a database");
    let role = format!("{name}_role");
    ground.sql(&format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'geheim'; GRANT USAGE ON SCHEMA {name} TO {role}"
    ));
    let cases = [
        (
            format!("{user}:geheim@{address}"),
            "password authentication failed",
            Fault::Login,
        ),
        (
            format!("{user}:{password}@{server}/nirgends"),
            "does not exist",
            Fault::Login,
        ),
        (
            format!("postgres://{role}:geheim@{address}?schema={name}"),
            "permission denied for schema",
            Fault::Rights,
        ),
    ];
    for (url, why, fault) in cases {
        let place = Place::Postgres(Secret::new(&url));
        let refusal = Store::open(&place, Mode::ReadWrite, Timestamp::now)
            .err()
            .expect("refused");
        assert_eq!(refusal.fault, fault, "{refusal:?}");
        let text = format!("{refusal} {refusal:?}");
        assert!(text.contains(why) && text.contains("127.0.0.1"), "{text}");
        assert!(
            !text.contains("geheim") && !text.contains(password),
            "{text}"
        );
        assert!(!format!("{place:?}").contains("geheim"));
        let mut user = User::new();
        user.set("QUOTION_STATE", &url);
        let run = user.sync("v2026-03-30.message.received");
        run.expect_error(74, "store");
        let hint = run.line()["error"]["hint"].to_string();
        assert!(!hint.contains("move it away"), "{hint}");
        assert!(
            !format!("{}{}", run.stdout, run.stderr).contains("geheim"),
            "{}",
            run.stderr
        );
    }
    ground.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

fn absent_server_is_worth_another_try(_: &Ground) {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port")
        .port();
    for host in [
        format!("127.0.0.1:{port}"),
        "nirgends.invalid:5432".to_owned(),
    ] {
        let url = format!("postgres://u:geheim@{host}/db");
        let refusal = Store::open(
            &Place::Postgres(Secret::new(&url)),
            Mode::ReadWrite,
            Timestamp::now,
        );
        let refusal = refusal.err().expect("nobody is there");
        assert_eq!(refusal.fault, Fault::Unreachable, "{refusal:?}");
        assert!(!refusal.to_string().contains("geheim"), "{refusal}");
        let mut user = User::new();
        user.set("QUOTION_STATE", &url);
        let run = user.sync("v2026-03-30.message.received");
        run.expect(0, "queued", "");
        assert_eq!(run.warnings(), ["spooled"]);
        user.run(&["replay"], b"").expect_error(75, "store");
        let all = user.files();
        assert!(
            all.iter()
                .all(|(_, bytes)| !crate::harness::holds(bytes, "geheim")),
            "no password in a file"
        );
    }
}

/// There the role `anon` is the world.
fn on_supabase_the_world_reads_nothing(ground: &Ground) {
    let Ground::Schema { name, .. } = ground else {
        return;
    };
    let is_there = ground.count("SELECT count(*) FROM pg_roles WHERE rolname = 'anon'") > 0;
    if !is_there {
        let _ = ground.client().batch_execute("CREATE ROLE anon");
    }
    ground.sql(&format!(
        "GRANT USAGE ON SCHEMA {name} TO anon; ALTER DEFAULT PRIVILEGES IN SCHEMA {name} GRANT \
            ALL ON TABLES TO anon;
         CREATE TABLE phone_numbers (id text PRIMARY KEY); INSERT INTO phone_numbers VALUES ('PN0')"
    ));
    let store = ground.open();
    receive(&store, &arrival("EV1", Duration::ZERO)).expect("the owner writes");
    store
        .finish(&event("EV1"), &finish(&[(rosa(), None, "Rosa".into())]))
        .expect("the owner writes");
    learn(&store, &rosa(), Some(&known('a', "Rosa")), &[]);
    let tables = "SELECT relname FROM pg_class WHERE relnamespace = \
        current_schema()::regnamespace AND relkind IN ('r', 'v')";
    let mut client = ground.client();
    let tables: Vec<String> = client
        .query(tables, &[])
        .expect("tables")
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert!(tables.len() > 12, "{tables:?}");
    client.batch_execute("SET ROLE anon").expect("the world");
    for table in tables {
        let seen = client
            .query_one(&format!("SELECT count(*) FROM {table}"), &[])
            .map_or(0, |row| row.get::<_, i64>(0));
        // A table that was there before stays as open as it was.
        assert_eq!(seen > 0, table == "phone_numbers", "{table}");
    }
}

fn address_in_the_environment_is_used(ground: &Ground) {
    let other = Ground::schema().expect("a second one");
    for name in ["DATABASE_URL", "SUPABASE_DB_URL"] {
        let mut user = User::new();
        user.set(name, &ground.state());
        user.run(&["--enqueue"], &sample("v2026-03-30.message.received"))
            .expect_queued();
        assert!(!user.path(".tmp/quotion.db").exists());
        user.set("QUOTION_STATE", &other.state());
        user.run(&["--enqueue"], &sample("v2026-03-30.message.delivered"))
            .expect_queued();
        user.run(
            &["--enqueue", "--state", "own.db"],
            &sample("v2026-03-30.message.delivered"),
        )
        .expect_queued();
        assert!(user.path("own.db").exists());
    }
    assert_eq!(ground.count("SELECT count(*) FROM quotion_inbox"), 1);
    assert_eq!(other.count("SELECT count(*) FROM quotion_inbox"), 1);
    let mut user = User::new();
    user.set("DATABASE_URL", "mysql://u:geheim@h/db");
    let run = user.sync("v2026-03-30.message.received");
    run.expect_error(78, "config");
    assert!(!format!("{}{}", run.stdout, run.stderr).contains("geheim"));
}

impl Run {
    #[track_caller]
    fn expect_queued(&self) {
        assert_eq!(
            (self.code, &self.line()["status"]),
            (0, &json!("queued")),
            "{}\n{}",
            self.stdout,
            self.stderr
        );
    }
}
