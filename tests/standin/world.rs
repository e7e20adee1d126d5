//! The state behind both APIs: plain data with helpers for tests. Routes change it; it knows
//! nothing of HTTP.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::demo;

pub const QUO_KEY: &str = "quo-standin-key-0001";
pub const QUO_WEBHOOK_SECRET: &str = "Tm90aW9uQnJpZGdlVGVzdEtleTAxMjM0NTY3ODlhYmM=";
pub const NOTION_KEY: &str = "ntn_standin0000000000000000000000000000000001";
pub const CLIENTS_DATABASE: &str = "be35e4e8-6049-4149-adef-f21902469dfb";
pub const CLIENTS_SOURCE: &str = "b14fc5f8-9087-4fba-845e-e4a0a913cab9";
/// The source that `add_second_source` adds to Clients.
pub const SECOND_SOURCE: &str = "75e7a56a-890f-4b1a-885c-89ff77a4b518";
pub const CALLS_DATABASE: &str = "b917c01f-e59e-4e13-87fd-9b56368318e1";
pub const CALLS_SOURCE: &str = "0c27a992-5b6e-4b87-914b-5d49d0f80e75";
pub const MESSAGES_DATABASE: &str = "4d9c2f61-7a38-4e05-9b1c-52f0c7a86e13";
pub const MESSAGES_SOURCE: &str = "a1f7c3d2-08b4-4c6e-8f59-3e6d90b71c25";
pub const BOT_USER: &str = "9d74932b-db6f-41dc-bab2-1d6fc5260f47";
pub const PERSON_USER: &str = "9f9aff68-a0f7-4065-b73f-5e777e400ca8";

/// Everything.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub quo: QuoState,
    pub notion: NotionState,
    /// What `/files/NAME` answers: content type and bytes; other names answer invented audio.
    pub files: BTreeMap<String, (String, Vec<u8>)>,
    /// `http://127.0.0.1:P`, set at the start.
    pub base: String,
}

/// Quo's side, as the v1 JSON objects.
#[derive(Clone, Debug, Default)]
pub struct QuoState {
    pub key: String,
    pub phone_numbers: Vec<Value>,
    pub users: Vec<Value>,
    pub contacts: Vec<Value>,
    pub custom_fields: Vec<Value>,
    /// v1 shape; a call with more than two participants is one that v1 refuses to show.
    pub calls: Vec<Value>,
    /// By call id; what is missing is a 404 (recordings: an empty list).
    pub recordings: BTreeMap<String, Vec<Value>>,
    pub summaries: BTreeMap<String, Value>,
    pub transcripts: BTreeMap<String, Value>,
    pub voicemails: BTreeMap<String, Value>,
    pub messages: Vec<Value>,
    pub conversations: Vec<Value>,
    pub webhooks: Vec<Value>,
    pub dated_webhooks: Vec<Value>,
    /// Answer 409 when a contact is made with an externalId that exists (the vendor does so at
    /// least under races).
    pub conflict_on_external_id: bool,
    pub counter: u64,
}

/// Notion's side.
#[derive(Clone, Debug, Default)]
pub struct NotionState {
    pub key: String,
    pub databases: Vec<Database>,
    /// In order of creation.
    pub pages: Vec<Page>,
    pub blocks: HashMap<String, Block>,
    pub uploads: BTreeMap<String, Value>,
    /// Cursor → id of the first row or block of the next page.
    pub cursors: HashMap<String, String>,
    pub can_read: bool,
    pub can_update: bool,
    pub can_insert: bool,
    /// Blocks and pages left for life (free plan); `None`: no limit.
    pub blocks_left: Option<usize>,
    /// What may be done with archived pages.
    pub archive: Archive,
    /// Rows after which a query stops; the vendor's is 10,000.
    pub query_cap: usize,
    pub hide_new_pages: Duration,
    /// The server's clock; `None`: the machine's.
    pub clock: Option<Timestamp>,
    pub counter: u64,
}

#[derive(Clone, Debug)]
pub struct Database {
    pub id: String,
    pub title: String,
    pub sources: Vec<Source>,
    /// True: the integration cannot see it (404).
    pub unshared: bool,
    pub in_trash: bool,
    pub created: Timestamp,
    pub edited: Timestamp,
}

/// A data source; a database had exactly one until version 2025-09-03.
#[derive(Clone, Debug)]
pub struct Source {
    pub id: String,
    pub name: String,
    /// Name → `{id, name, description, type, <type>: config}`.
    pub columns: Map<String, Value>,
}

#[derive(Clone, Debug)]
pub struct Page {
    pub id: String,
    pub database: String,
    pub source: String,
    pub created: Timestamp,
    pub edited: Timestamp,
    pub in_trash: bool,
    /// Archived, which is not in the trash.
    pub is_archived: bool,
    pub unshared: bool,
    /// Column id → value in read form.
    pub values: BTreeMap<String, Value>,
    pub children: Vec<String>,
    /// Of `unique_id` columns.
    pub number: u64,
    /// When it was made, if by a request.
    pub born: Option<Timestamp>,
}

/// What may be done with archived pages; of both it is not known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Archive {
    /// They cannot be asked for, as a version refuses it that does not know them.
    pub is_unknown: bool,
    /// They take no writes.
    pub is_closed: bool,
}

#[derive(Clone, Debug)]
pub struct Block {
    pub id: String,
    /// A page's or a block's id.
    pub parent: String,
    pub kind: String,
    /// What stands under the kind, in read form, without children.
    pub data: Value,
    pub children: Vec<String>,
    pub in_trash: bool,
    pub created: Timestamp,
    pub edited: Timestamp,
}

impl World {
    /// Both workspaces with keys, but without any data.
    pub fn empty() -> Self {
        let mut world = World::default();
        world.quo.key = QUO_KEY.to_owned();
        world.quo.conflict_on_external_id = true;
        world.notion.key = NOTION_KEY.to_owned();
        world.notion.can_read = true;
        world.notion.can_update = true;
        world.notion.can_insert = true;
        world.notion.query_cap = 10_000;
        world
    }

    /// The workspace of the samples: Quo is full, the Notion databases are there and have no rows.
    pub fn default_demo() -> Self {
        demo::world()
    }

    /// `{"base":"demo"|"empty","seed_pages":bool,"schema":"minimal"|…,"second_source":bool,
    /// "quo":{…lists
    /// to replace…}, "clients":[{"Name":"Rosa","Phone":"+1…"}]}`; every key is optional.
    pub fn from_json(json: &Value) -> Self {
        demo::from_json(json)
    }

    /// A dump for looking at; not meant to be read back.
    pub fn to_json(&self) -> Value {
        let pages: Vec<Value> = self
            .notion
            .pages
            .iter()
            .map(|p| self.notion.page_json(p, "2022-06-28"))
            .collect();
        let databases: Vec<Value> = self
            .notion
            .databases
            .iter()
            .map(|d| self.notion.database_json(d))
            .collect();
        let q = &self.quo;
        json!({"notion": {"databases": databases, "pages": pages},
            "quo": {"phone_numbers": q.phone_numbers, "users": q.users, "contacts": q.contacts,
            "calls": q.calls,
                "recordings": q.recordings, "summaries": q.summaries, "transcripts": q.transcripts,
                "voicemails": q.voicemails, "messages": q.messages,
                "conversations": q.conversations,
                "webhooks": q.webhooks}})
    }
}

impl QuoState {
    /// A fresh id with that prefix.
    pub fn next_id(&mut self, prefix: &str) -> String {
        self.counter += 1;
        format!("{prefix}{:08x}", self.counter)
    }

    /// The call with that id, for changing.
    pub fn call(&mut self, id: &str) -> Option<&mut Value> {
        self.calls.iter_mut().find(|c| c["id"] == id)
    }

    /// The contact with that id, for changing.
    pub fn contact(&mut self, id: &str) -> Option<&mut Value> {
        self.contacts.iter_mut().find(|c| c["id"] == id)
    }

    /// Replaces the beginning of every media address.
    pub fn rewrite_urls(&mut self, from: &str, to: &str) {
        let swap = |v: &mut Value| {
            let text = v.to_string().replace(from, to);
            *v = serde_json::from_str(&text).unwrap();
        };
        self.recordings.values_mut().flatten().for_each(swap);
        self.voicemails.values_mut().for_each(swap);
        self.messages.iter_mut().for_each(swap);
    }
}

impl NotionState {
    /// The server's time.
    pub fn now(&self) -> Timestamp {
        self.clock.unwrap_or_else(Timestamp::now)
    }

    /// True for a page that is too young to be found by a query.
    pub fn hides(&self, page: &Page) -> bool {
        let age = page
            .born
            .map(|born| self.now().duration_since(born).unsigned_abs());
        age.is_some_and(|age| age < self.hide_new_pages)
    }

    /// A fresh id that looks like a version 4 UUID and is the same in every run.
    pub fn next_uuid(&mut self) -> String {
        self.counter += 1;
        let (a, b) = (mix(self.counter * 2), mix(self.counter * 2 + 1));
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            0x8000 | ((b >> 48) & 0x3fff),
            b & 0xffff_ffff_ffff
        )
    }

    pub fn database(&self, id: &str) -> Option<&Database> {
        self.databases.iter().find(|d| d.id == id)
    }

    pub fn database_mut(&mut self, id: &str) -> &mut Database {
        self.databases
            .iter_mut()
            .find(|d| d.id == id)
            .expect("a database of this world")
    }

    pub fn source(&self, id: &str) -> Option<&Source> {
        self.databases
            .iter()
            .flat_map(|d| &d.sources)
            .find(|s| s.id == id)
    }

    pub fn source_mut(&mut self, id: &str) -> Option<&mut Source> {
        self.databases
            .iter_mut()
            .flat_map(|d| &mut d.sources)
            .find(|s| s.id == id)
    }

    pub fn page(&self, id: &str) -> Option<&Page> {
        self.pages.iter().find(|p| p.id == id)
    }

    pub fn page_mut(&mut self, id: &str) -> Option<&mut Page> {
        self.pages.iter_mut().find(|p| p.id == id)
    }

    /// The rows of a database (all sources), trashed ones left out.
    pub fn rows(&self, database: &str) -> Vec<&Page> {
        self.pages
            .iter()
            .filter(|p| p.database == database && !p.in_trash)
            .collect()
    }

    /// A page's value under a column's name, in read form; `Null` when unset.
    pub fn value(&self, page: &str, column: &str) -> Value {
        let Some(page) = self.page(page) else {
            return Value::Null;
        };
        let json = self.page_json(page, "2022-06-28");
        let property = &json["properties"][column];
        property[property["type"].as_str().unwrap_or_default()].clone()
    }

    /// A page's value as a person reads it.
    pub fn text(&self, page: &str, column: &str) -> String {
        super::render::plain(&self.value(page, column))
    }

    /// Takes the columns of a fixture (`database_clients_minimal.json`, …) for the first source of
    /// a database.
    pub fn use_schema(&mut self, database: &str, fixture: &str) {
        demo::use_schema(self, database, fixture);
    }

    /// Adds a column of a type with no configuration, or an empty list of options.
    pub fn add_column(&mut self, database: &str, name: &str, kind: &str) {
        self.counter += 1;
        let id = format!("c{:03x}", self.counter);
        let column = new_column(&id, name, kind, json!({}));
        self.database_mut(database).sources[0]
            .columns
            .insert(name.to_owned(), column);
    }

    pub fn remove_column(&mut self, database: &str, name: &str) {
        self.database_mut(database).sources[0].columns.remove(name);
    }

    /// The id stays.
    pub fn rename_column(&mut self, database: &str, from: &str, to: &str) {
        let columns = &mut self.database_mut(database).sources[0].columns;
        if let Some(mut column) = columns.remove(from) {
            column["name"] = json!(to);
            columns.insert(to.to_owned(), column);
        }
    }

    /// Adds a second data source: the 2022-06-28 database calls stop working for that database.
    pub fn add_second_source(&mut self, database: &str, name: &str) {
        let columns = json!({"Name": new_column("title", "Name", "title", json!({}))});
        let columns = columns.as_object().unwrap().clone();
        let second = Source {
            id: SECOND_SOURCE.to_owned(),
            name: name.to_owned(),
            columns,
        };
        self.database_mut(database).sources.push(second);
    }

    /// Adds a row as a person would; values in write form, as `{"Phone":{"phone_number":"+1…"}}`.
    /// Gives its id.
    pub fn add_page(&mut self, database: &str, properties: &Value) -> String {
        super::notion::add_page(self, database, properties)
    }

    /// Adds a block to the end of a page or block as a person would in the app. Gives its id.
    pub fn add_block(&mut self, parent: &str, kind: &str, text: &str) -> String {
        let (id, now) = (self.next_uuid(), self.now());
        let block = Block {
            id: id.clone(),
            parent: parent.to_owned(),
            kind: kind.to_owned(),
            data: json!({"rich_text": super::notion::value::rich_text_of(text),
                "color": "default"}),
            children: vec![],
            in_trash: false,
            created: now,
            edited: now,
        };
        self.blocks.insert(id.clone(), block);
        self.children_mut(parent).push(id.clone());
        id
    }

    /// Changes values of a row as a person would; values in write form.
    pub fn edit_page(&mut self, page: &str, properties: &Value) {
        super::notion::edit_page(self, page, properties);
    }

    /// Adds Rosa Delgado's page with its blocks, a trashed one and one call page, with the ids of
    /// the samples.
    pub fn seed_fixture_pages(&mut self) {
        demo::seed_fixture_pages(self);
    }

    /// Puts a page into the trash or takes it out.
    pub fn set_trashed(&mut self, page: &str, in_trash: bool) {
        self.page_mut(page).expect("a page of this world").in_trash = in_trash;
    }

    /// Archives a page, which is not the trash, or takes it out again.
    pub fn set_archived(&mut self, page: &str, is_archived: bool) {
        self.page_mut(page)
            .expect("a page of this world")
            .is_archived = is_archived;
    }

    /// Removes a page for good: reading it is a 404.
    pub fn purge(&mut self, page: &str) {
        self.pages.retain(|p| p.id != page);
    }
}

/// A schema entry.
pub fn new_column(id: &str, name: &str, kind: &str, config: Value) -> Value {
    let config = match kind {
        "select" | "multi_select" if config.get("options").is_none() => json!({"options": []}),
        "number" if config.get("format").is_none() => json!({"format": "number"}),
        _ => config,
    };
    json!({"id": id, "name": name, "description": null, "type": kind, kind: config})
}

/// Cut down to the minute, as Notion shows `created_time` and its kin.
pub fn minute(time: Timestamp) -> String {
    time.to_zoned_datetime(TimeZone::UTC)
        .strftime("%Y-%m-%dT%H:%M:00.000Z")
        .to_string()
}

fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
