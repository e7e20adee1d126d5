//! What people do in Notion while no process runs, and what then must stand.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::seen::{self, SeenPage};
use crate::standin::notion::value::rich_text_of;
use crate::standin::world::NotionState;
use crate::standin::{CLIENTS_DATABASE, World};

/// What a person does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Drags an entry into a toggle.
    Moves,
    /// Deletes an entry.
    Deletes,
    /// Gives a number to another page.
    GivesAway,
    /// Fills and changes values.
    Edits,
    /// Puts a page into the trash.
    Trashes,
}

pub const ACTS: [Act; 5] = [
    Act::Moves,
    Act::Deletes,
    Act::GivesAway,
    Act::Edits,
    Act::Trashes,
];

impl Act {
    pub fn name(self) -> &'static str {
        match self {
            Self::Moves => "an entry is moved",
            Self::Deletes => "an entry is deleted",
            Self::GivesAway => "a number is given away",
            Self::Edits => "values are edited",
            Self::Trashes => "a page is trashed",
        }
    }
}

/// What people have done.
#[derive(Debug, Clone, Default)]
pub struct Hands {
    /// Entries that were deleted: by page and activity, and whether the program had answered for
    /// it, so that it can know.
    pub deleted: BTreeMap<(String, &'static str), bool>,
    /// Pages whose number another page has now, and the number.
    pub given: BTreeMap<String, String>,
    /// What stood on them then, where nothing more could arrive: no more may come.
    pub closed: BTreeMap<String, BTreeSet<&'static str>>,
    /// Pages in the trash.
    pub trashed: BTreeSet<String>,
    /// Values by page and column.
    pub edited: BTreeMap<(String, String), String>,
    /// True once names may read otherwise than in an undisturbed history.
    pub renamed: bool,
    /// Activities that the program had answered for, or knew the entries of, when the number of
    /// their page was given away: they stay there, and may stand on the new page too.
    pub known_before: BTreeSet<String>,
}

/// What Notion holds before anything begins: 1 has pages of people with values of theirs, 2 one of
/// two numbers.
pub fn setting(world: &mut World, number: usize) -> BTreeMap<(String, String), String> {
    world.notion.clock = Some("2026-09-01T08:00:00Z".parse().expect("a time"));
    let mut edited = BTreeMap::new();
    let mut page = |title: &str, phone: &str, company: Option<&str>| {
        let mut values = json!({"title": {"title": [{"text": {"content": title}}]},
            "Phone": {"phone_number": phone}});
        if let Some(company) = company {
            values["Company"] = text(company);
        }
        let id = world.notion.add_page(CLIENTS_DATABASE, &values);
        edited.insert((id.clone(), "Name".to_owned()), title.to_owned());
        edited.insert((id.clone(), "Phone".to_owned()), phone.to_owned());
        if let Some(company) = company {
            edited.insert((id, "Company".to_owned()), company.to_owned());
        }
    };
    match number {
        1 => {
            page("Rosa Q.", "(202) 555-0147", Some("Own words"));
            page("Gutter man", "+1 415-555-0155", None);
        }
        2 => page("Office", "+13125550162, +16465550183", None),
        _ => {}
    }
    edited
}

fn text(content: &str) -> Json {
    json!({"rich_text": [{"text": {"content": content}}]})
}

/// What a person needs to know.
pub struct Scene<'a> {
    pub notion: &'a mut NotionState,
    pub now: Timestamp,
    /// Activities that the program has answered for.
    pub told: &'a BTreeSet<&'static str>,
    /// Pages and activities of entries that the store knows.
    pub known: &'a BTreeSet<(String, String)>,
    /// True if nothing is under way that may still arrive.
    pub is_quiet: bool,
    /// Which page or entry it is, of those that there are.
    pub choice: usize,
}

/// Does it, where there is something to do it to. Returns what was done, in words.
pub fn act(act: Act, scene: Scene, hands: &mut Hands) -> Option<String> {
    let Scene {
        notion,
        now,
        told,
        known,
        is_quiet,
        choice,
    } = scene;
    notion.clock = Some(now);
    let all = seen::pages(notion);
    let pages: Vec<SeenPage> = all.into_iter().filter(|page| !page.is_trashed).collect();
    if pages.is_empty() {
        return None;
    }
    let page = &pages[choice % pages.len()];
    let entries: Vec<&'static str> = page.entries.keys().copied().collect();
    let entry = entries.get(choice / 7 % entries.len().max(1)).copied();
    let gift = Gift {
        told,
        known,
        is_quiet,
        entries: &entries,
    };
    let what = match act {
        Act::Moves => {
            let entry = entry?;
            move_entry(notion, &page.id, entry)?;
            format!("{entry} into a toggle")
        }
        Act::Deletes => {
            let entry = entry?;
            let block = entry_block(notion, &page.id, entry)?;
            notion.blocks.get_mut(&block)?.in_trash = true;
            let knows = told.contains(entry);
            hands.deleted.insert((page.id.clone(), entry), knows);
            format!("{entry}, answered for: {knows}")
        }
        Act::GivesAway => give_away(notion, page, &gift, hands)?,
        Act::Edits => {
            hands.renamed = true;
            for (column, value) in [("Name", "By hand"), ("Company", "Hand & Co")] {
                set(notion, &page.id, column, &rich_text_of(value));
                let key = (page.id.clone(), column.to_owned());
                hands.edited.insert(key, value.to_owned());
            }
            format!("name and company of {}", page.id)
        }
        Act::Trashes => {
            notion.set_trashed(&page.id, true);
            hands.renamed = true;
            hands.trashed.insert(page.id.clone());
            page.id.clone()
        }
    };
    if let Some(page) = notion.page_mut(&page.id) {
        page.edited = now;
    }
    Some(format!("{}: {what}", act.name()))
}

/// What is known when a number is given away.
struct Gift<'a> {
    told: &'a BTreeSet<&'static str>,
    known: &'a BTreeSet<(String, String)>,
    is_quiet: bool,
    entries: &'a [&'static str],
}

/// Gives the page's number to a new page.
fn give_away(
    notion: &mut NotionState,
    page: &SeenPage,
    gift: &Gift,
    hands: &mut Hands,
) -> Option<String> {
    let Gift {
        told,
        known,
        is_quiet,
        entries,
    } = *gift;
    let phone = page.phone().to_owned();
    if phone.contains(',') || phone.is_empty() {
        return None;
    }
    set(notion, &page.id, "Phone", &Json::Null);
    let values = json!({"title": {"title": [{"text": {"content": "New owner"}}]},
        "Phone": {"phone_number": phone}});
    let new = notion.add_page(CLIENTS_DATABASE, &values);
    let here: Vec<_> = known.iter().filter(|(of, _)| *of == page.id).collect();
    hands
        .known_before
        .extend(here.iter().map(|(_, activity)| activity.clone()));
    if here.is_empty() {
        hands
            .known_before
            .extend(entries.iter().map(ToString::to_string));
    }
    if is_quiet {
        let stands = entries.iter().copied().collect();
        hands.closed.insert(page.id.clone(), stands);
    }
    hands.given.insert(page.id.clone(), phone.clone());
    hands
        .edited
        .insert((new.clone(), "Name".into()), "New owner".into());
    hands
        .known_before
        .extend(told.iter().map(ToString::to_string));
    hands.renamed = true;
    hands
        .edited
        .retain(|(of, name), _| *of != page.id || name != "Phone");
    Some(format!("{phone} from {} to {new}", page.id))
}

fn set(notion: &mut NotionState, page: &str, column: &str, value: &Json) {
    let of = notion.page(page).expect("a page of this world");
    let source = notion.source(&of.source).expect("its source");
    let id = source.columns[column]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let page = notion.page_mut(page).expect("a page of this world");
    if value.is_null() {
        page.values.remove(&id);
    } else {
        page.values.insert(id, value.clone());
    }
}

/// The block of an entry at the top of a page or one level down.
fn entry_block(notion: &NotionState, page: &str, activity: &str) -> Option<String> {
    let top = notion.page(page)?.children.clone();
    let inside = top.iter().filter_map(|id| notion.blocks.get(id));
    let inside: Vec<String> = inside.flat_map(|block| block.children.clone()).collect();
    top.into_iter().chain(inside).find(|id| {
        let block = &notion.blocks[id];
        let text = crate::standin::render::plain(&block.data["rich_text"]);
        !block.in_trash && seen::activity_of(&text) == Some(activity)
    })
}

fn move_entry(notion: &mut NotionState, page: &str, activity: &str) -> Option<()> {
    let id = entry_block(notion, page, activity)?;
    if notion.blocks[&id].parent != page {
        return None;
    }
    let toggle = notion.add_block(page, "toggle", "Done with");
    notion.blocks.get_mut(&toggle)?.children.push(id.clone());
    notion.blocks.get_mut(&id)?.parent.clone_from(&toggle);
    let children = notion.children_mut(page);
    children.pop();
    let place = children.iter().position(|child| *child == id)?;
    children[place] = toggle;
    Some(())
}
