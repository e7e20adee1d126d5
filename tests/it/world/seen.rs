//! What stands in Notion, in the terms of the rules: pages, their values, and entries, each with
//! what is inside.

use std::collections::BTreeMap;

use super::events;
use crate::standin::CLIENTS_DATABASE;
use crate::standin::render::plain;
use crate::standin::world::{NotionState, Page};

/// A page as a person sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenPage {
    pub id: String,
    pub is_trashed: bool,
    /// Values by the names of their columns, the title among them.
    pub values: BTreeMap<String, String>,
    /// The texts of entries, by their activities.
    pub entries: BTreeMap<&'static str, Vec<String>>,
}

impl SeenPage {
    pub fn phone(&self) -> &str {
        self.values.get("Phone").map_or("", String::as_str)
    }

    /// True if that number stands there.
    pub fn holds(&self, phone: &str) -> bool {
        holds(self.phone(), phone)
    }
}

/// True if that number stands in this cell.
pub fn holds(cell: &str, phone: &str) -> bool {
    let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
    let wanted = digits(phone);
    cell.split(',')
        .map(digits)
        .any(|it| it.len() >= 10 && wanted.ends_with(&it))
}

/// All pages of the clients.
pub fn pages(notion: &NotionState) -> Vec<SeenPage> {
    let pages = notion.pages.iter();
    let clients = pages.filter(|page| page.database == CLIENTS_DATABASE);
    clients.map(|it| page(notion, it)).collect()
}

/// One of them.
pub fn page(notion: &NotionState, page: &Page) -> SeenPage {
    let columns = &notion.source(&page.source).expect("its source").columns;
    let mut values = BTreeMap::new();
    for (name, column) in columns {
        let id = column["id"].as_str().expect("an id");
        if let Some(value) = page.values.get(id) {
            let text = plain(value);
            if !text.is_empty() {
                values.insert(name.clone(), text);
            }
        }
    }
    let mut entries = BTreeMap::new();
    collect(notion, &page.children, &mut entries);
    SeenPage {
        id: page.id.clone(),
        is_trashed: page.in_trash,
        values,
        entries,
    }
}

fn collect(
    notion: &NotionState,
    ids: &[String],
    entries: &mut BTreeMap<&'static str, Vec<String>>,
) {
    for block in ids.iter().filter_map(|id| notion.blocks.get(id)) {
        if block.in_trash {
            continue;
        }
        let text = plain(&block.data["rich_text"]);
        match activity_of(&text) {
            Some(activity) => {
                let text = whole(notion, &block.id);
                entries.entry(activity).or_default().push(text);
            }
            None => collect(notion, &block.children, entries),
        }
    }
}

/// The activity that an entry's line ends with.
pub fn activity_of(text: &str) -> Option<&'static str> {
    let line = text.lines().next().unwrap_or_default();
    let (_, last) = line.rsplit_once(" · ")?;
    let mut all = events::all().iter().map(|event| event.activity);
    all.find(|activity| *activity == last)
}

/// A block and all that is inside, in the order of the texts.
fn whole(notion: &NotionState, id: &str) -> String {
    let block = &notion.blocks[id];
    let mut inside: Vec<String> = block
        .children
        .iter()
        .filter(|child| !notion.blocks[*child].in_trash)
        .map(|child| whole(notion, child))
        .collect();
    inside.sort();
    let text = plain(&block.data["rich_text"]);
    let link = plain(&block.data["external"]["url"]);
    let own = format!("{} {text}{link}", block.kind);
    let inside = inside.iter().map(|it| it.replace('\n', "\n  "));
    let lines: Vec<String> = std::iter::once(own).chain(inside).collect();
    lines.join("\n  ")
}
