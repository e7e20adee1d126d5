//! Blocks: entries dealt out to requests within Notion's limits, and what a listed block says.
//! <https://developers.notion.com/reference/block>

use serde_json::{Value as Json, json};

use crate::domain::block::Block;
use crate::domain::id::BlockId;
use crate::domain::step::{NewEntry, Part};

use super::text;

/// Texts in one block. Notion allows 100; with 50 a block stays well under the request's 500 KB in
/// any script.
const SEGMENTS: usize = 50;
/// Blocks in one array.
const BLOCKS: usize = 100;
/// Blocks in one request, children counted; Notion allows 1,000.
const BLOCKS_IN_ALL: usize = 900;
/// Bytes of JSON in the blocks of one request; Notion allows 500 KB in all.
const BYTES: usize = 400_000;

/// An entry as it is sent: one block at the top of the page.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryBlocks {
    /// The block with as many children as one request takes.
    pub head: Json,
    /// What has to be appended inside it afterwards, a request each. Nearly always empty.
    pub rest: Vec<Vec<Json>>,
}

/// A block read from a page, reduced to what is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedBlock {
    /// Its id.
    pub id: BlockId,
    /// Its text without formatting.
    pub text: String,
    /// True when there is something inside.
    pub has_children: bool,
}

/// Renders an entry with its artifacts.
pub fn entry(entry: &NewEntry) -> EntryBlocks {
    let mut rendered = block(&entry.block);
    let mut head = rendered.remove(0);
    let inside = rendered
        .into_iter()
        .chain(entry.parts.iter().flat_map(part))
        .collect();
    let mut groups = groups(inside).into_iter();
    if let Some(children) = groups.next() {
        let kind = head["type"].as_str().unwrap_or("paragraph").to_owned();
        head[kind]["children"] = Json::Array(children);
    }
    EntryBlocks {
        head,
        rest: groups.collect(),
    }
}

/// Renders an artifact.
pub fn part(part: &Part) -> Vec<Json> {
    part.blocks.iter().flat_map(block).collect()
}

/// The body of an update of a block's text; what is inside stays.
pub fn reword(block_: &Block) -> Json {
    let (kind, segments) = segments(block_);
    json!({ kind: {"rich_text": segments.into_iter().take(SEGMENTS).collect::<Json>()} })
}

/// Deals blocks out to requests: at most 100 blocks, 900 with their children, and 400 kB each.
pub fn groups(blocks: Vec<Json>) -> Vec<Vec<Json>> {
    let mut groups: Vec<Vec<Json>> = Vec::new();
    let (mut bytes, mut count) = (0, 0);
    for block in blocks {
        let (size, number) = (block.to_string().len(), 1 + children(&block).len());
        let fits = |group: &Vec<Json>| {
            group.len() < BLOCKS && bytes + size <= BYTES && count + number <= BLOCKS_IN_ALL
        };
        if let Some(group) = groups.last_mut().filter(|group| fits(group)) {
            group.push(block);
            (bytes, count) = (bytes + size, count + number);
        } else {
            groups.push(vec![block]);
            (bytes, count) = (size, number);
        }
    }
    groups
}

/// Leaves out the blocks whose text is in `present`, each text once: what is there is not written
/// again.
pub fn without(blocks: Vec<Json>, present: &[String]) -> Vec<Json> {
    let mut present = present.to_vec();
    let mut is_missing = |block: &Json| {
        let found = present.iter().position(|text| *text == sent_text(block));
        found.map(|at| present.swap_remove(at)).is_none()
    };
    blocks
        .into_iter()
        .filter(|block| is_missing(block))
        .collect()
}

/// The blocks, with what their links lead to as text.
pub fn without_links(blocks: &[Json]) -> Vec<Json> {
    blocks.iter().map(without_links_in).collect()
}

fn without_links_in(json: &Json) -> Json {
    match json {
        Json::Array(items) => items.iter().flat_map(unlinked).collect(),
        Json::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), without_links_in(value)))
            .collect(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => json.clone(),
    }
}

/// An item of a list; a text with a link becomes one without, and the address behind it.
fn unlinked(item: &Json) -> Vec<Json> {
    let Some(url) = item["text"]["link"]["url"].as_str() else {
        return vec![without_links_in(item)];
    };
    let mut bare = item.clone();
    bare["text"]["link"] = Json::Null;
    let content = bare["text"]["content"].as_str().unwrap_or_default();
    if content.contains(url) {
        return vec![bare];
    }
    let address = text::plain(&format!(" ({url})"));
    std::iter::once(bare).chain(address).collect()
}

/// Reads one block; `None` for what is none, or not all of one: it may hold the text that is looked
/// for. Only kinds that are never ours may have no text.
pub fn read(block: &Json) -> Option<ListedBlock> {
    let kind = block["type"].as_str()?;
    let body = block[kind].as_object()?;
    let is_ours = matches!(kind, "paragraph" | "toggle");
    let text = match body.get("rich_text") {
        Some(texts) => {
            let texts = texts.as_array()?.iter();
            let read: Option<String> = texts.map(|text| text["plain_text"].as_str()).collect();
            read?
        }
        None if is_ours => return None,
        None => String::new(),
    };
    Some(ListedBlock {
        id: id(block)?,
        text,
        has_children: block["has_children"].as_bool()?,
    })
}

/// Reads the id of a block; `None` for what is none.
pub fn id(block: &Json) -> Option<BlockId> {
    let block = Some(block).filter(|block| block["object"] == "block")?;
    BlockId::parse(block["id"].as_str()?).ok()
}

fn segments(block: &Block) -> (&'static str, Vec<Json>) {
    match block {
        Block::Paragraph(spans) => ("paragraph", text::segments(spans)),
        Block::Toggle(spans) => ("toggle", text::segments(spans)),
    }
}

/// A block, and paragraphs after it with what did not fit.
fn block(block: &Block) -> Vec<Json> {
    let (kind, segments) = segments(block);
    let mut pieces = segments.chunks(SEGMENTS);
    let first = pieces.next().unwrap_or_default();
    let typed = |kind: &str, texts: &[Json]| {
        json!({"object": "block", "type": kind,
        kind: {"rich_text": texts}})
    };
    std::iter::once(typed(kind, first))
        .chain(pieces.map(|texts| typed("paragraph", texts)))
        .collect()
}

/// The text of a block as it is sent.
fn sent_text(block: &Json) -> String {
    let kind = block["type"].as_str().unwrap_or_default();
    let segments = block[kind]["rich_text"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    segments
        .iter()
        .filter_map(|segment| segment["text"]["content"].as_str())
        .collect()
}

fn children(block: &Json) -> &[Json] {
    let kind = block["type"].as_str().unwrap_or_default();
    block[kind]["children"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::block::{Look, Span};
    use crate::domain::call::ArtifactKind;
    use crate::domain::id::ActivityId;

    fn paragraph(text: String) -> Block {
        Block::Paragraph(vec![Span {
            text,
            look: Look::Plain,
        }])
    }

    fn plain(block: &Json) -> String {
        let kind = block["type"].as_str().expect("type");
        let segments = block[kind]["rich_text"].as_array().expect("texts");
        let own: String = segments
            .iter()
            .filter_map(|piece| piece["text"]["content"].as_str())
            .collect();
        children(block)
            .iter()
            .fold(own, |text, child| text + &plain(child))
    }

    fn call_with_transcript(text: String) -> EntryBlocks {
        let part = Part {
            kind: ArtifactKind::Transcript,
            blocks: vec![paragraph(text)],
        };
        let block = Block::Toggle(vec![Span {
            text: "Call".into(),
            look: Look::Bold,
        }]);
        entry(&NewEntry {
            activity: ActivityId::parse("AC1").expect("id"),
            block,
            parts: vec![part],
        })
    }

    #[test]
    fn sixty_thousand_characters_are_one_block_inside_the_call() {
        let text = "Marta: Grüße 😀 und so weiter.\n".repeat(2000);
        let sent = call_with_transcript(text.clone());
        assert_eq!((children(&sent.head).len(), sent.rest.len()), (1, 0));
        assert_eq!(plain(&sent.head), format!("Call{text}"));
    }

    #[test]
    fn sixteen_megabytes_of_any_script_meet_every_limit_and_lose_nothing() {
        for unit in ["漢", "😀", "\\\"", "a b "] {
            let text = unit.repeat(16_000_000 / unit.len() / 4);
            let sent = call_with_transcript(text.clone());
            let mut all = plain(&sent.head);
            assert!(sent.head.to_string().len() < 450_000);
            for group in &sent.rest {
                assert!(
                    group.len() <= 100 && Json::Array(group.clone()).to_string().len() < 450_000
                );
                all.extend(group.iter().map(plain));
            }
            assert!(all == format!("Call{text}"), "{unit}");
        }
    }

    #[test]
    fn message_longer_than_a_block_continues_inside_itself() {
        let text = "x".repeat(250_000);
        let message = NewEntry {
            activity: ActivityId::parse("AC1").expect("id"),
            block: paragraph(text.clone()),
            parts: vec![],
        };
        let sent = entry(&message);
        assert_eq!((children(&sent.head).len(), plain(&sent.head)), (2, text));
    }

    #[test]
    fn groups_hold_at_most_a_hundred() {
        let blocks = vec![json!({"type": "paragraph", "paragraph": {"rich_text": []}}); 250];
        assert_eq!(
            groups(blocks).iter().map(Vec::len).collect::<Vec<_>>(),
            [100, 100, 50]
        );
    }

    #[test]
    fn blocks_that_are_there_are_left_out_once_each() {
        let block = |text: &str| block(&paragraph(text.into())).remove(0);
        let left = without(
            vec![block("a"), block("b"), block("a")],
            &["a".to_owned(), "c".into()],
        );
        assert_eq!(left.iter().map(sent_text).collect::<Vec<_>>(), ["b", "a"]);
    }

    #[test]
    fn links_become_text_and_lose_nothing() {
        let url = "https://a.example/x";
        let linked =
            |text: &str| json!({"type": "text", "text": {"content": text, "link": {"url": url}}});
        let plain = json!({"type": "text", "text": {"content": "x"}});
        let blocks = [json!({"type": "toggle", "toggle": {
            "rich_text": [plain, linked("File"), linked(url)],
            "children": [{"type": "paragraph", "paragraph": {"rich_text": [linked("Deep")]}}],
        }})];
        let bare = without_links(&blocks);
        let shown = bare[0].to_string();
        assert!(!shown.contains("\"link\":{"), "{shown}");
        let texts = |array: &Json| -> Vec<String> {
            let items = array.as_array().expect("texts").iter();
            items
                .map(|item| item["text"]["content"].as_str().expect("text").to_owned())
                .collect()
        };
        assert_eq!(
            texts(&bare[0]["toggle"]["rich_text"]),
            ["x", "File", " (https://a.example/x)", url]
        );
        let inner = &bare[0]["toggle"]["children"][0]["paragraph"]["rich_text"];
        assert_eq!(texts(inner), ["Deep", " (https://a.example/x)"]);
    }

    #[test]
    fn listed_blocks_give_id_and_text() {
        let list: Json =
            serde_json::from_str(include_str!("../../fixtures/notion/block_list.json"))
                .expect("fixture");
        let block = read(&list["results"][0]).expect("a block");
        assert_eq!(block.text, "Incoming call · 2026-11-20 15:04");
        assert_eq!(block.id.as_str(), "62079eb6-08fa-4a46-bcdc-dc26a3cccf44");
    }
}
