//! What writes to Notion: each send goes out under a stamp, which records it first.
//!
//! Apart so that nothing can write without one, and nobody who only reads can write at all.

use serde_json::{Value as Json, json};

use crate::domain::block::Block;
use crate::domain::id::{BlockId, PageId};
use crate::domain::table::Property;
use crate::http::{self, Method, Stamp};
use crate::time::Deadline;

use super::database::Table;
use super::page::{self, ReadRow};
use super::{Error, Notion, Result, blocks, list, request};

/// Notion, for the writes under one stamp.
pub struct NotionWriter<'a> {
    notion: &'a Notion,
    stamp: &'a Stamp<'a>,
}

impl Notion {
    /// Whoever has a stamp may write.
    pub fn writer<'a>(&'a self, stamp: &'a Stamp<'a>) -> NotionWriter<'a> {
        NotionWriter {
            notion: self,
            stamp,
        }
    }
}

impl NotionWriter<'_> {
    /// Makes a page with at most 100 blocks. Returns its id, and the page when Notion gave all of
    /// it.
    pub fn create_page(
        &self,
        table: &Table,
        properties: &[Property],
        children: &[Json],
        deadline: Deadline,
    ) -> Result<(PageId, Option<ReadRow>)> {
        let body = page::create(table, properties, children);
        let request = request(Method::Post, "/pages", Some(body));
        let read = |body: Json| {
            let id = page::id(&body).ok_or("not the page that was made")?;
            Ok((id, page::kept(&body)))
        };
        match self.ask(&request, self.notion.table_version(table), deadline, read) {
            Ok(made) => Ok(made),
            Err(err) => saved(&err)
                .and_then(page_saved)
                .map(|id| (id, None))
                .ok_or(err),
        }
    }

    /// Writes properties. Returns the page as it is now, when Notion gave it.
    pub fn update_page(
        &self,
        page: &PageId,
        properties: &[Property],
        deadline: Deadline,
    ) -> Result<Option<ReadRow>> {
        let body = page::update(properties);
        let request = request(Method::Patch, &format!("/pages/{page}"), Some(body));
        let read = |body: Json| match page::id(&body) {
            Some(id) if id == *page => Ok(page::kept(&body)),
            Some(_) | None => Err("not the page that was written"),
        };
        match self.ask(&request, &self.notion.version, deadline, read) {
            Ok(body) => Ok(body),
            Err(err) if saved(&err).is_some() => Ok(None),
            Err(err) => Err(err),
        }
    }

    /// Appends at most 100 blocks. Returns the ids of the new ones, in order.
    pub fn append(
        &self,
        parent: &BlockId,
        blocks: &[Json],
        deadline: Deadline,
    ) -> Result<Vec<BlockId>> {
        let path = format!("/blocks/{parent}/children");
        let request = request(Method::Patch, &path, Some(json!({"children": blocks})));
        // A plain append answers with exactly the new blocks.
        let read = |body: Json| {
            let made = list::results(&body)?.iter();
            let ids: Option<Vec<BlockId>> = made.map(blocks::id).collect();
            ids.filter(|ids| ids.len() == blocks.len())
                .ok_or("not as many blocks as were sent")
        };
        match self.ask(&request, &self.notion.version, deadline, read) {
            Ok(ids) => Ok(ids),
            Err(err) => saved(&err).map(children_saved).ok_or(err),
        }
    }

    /// Writes a block's own text anew; what is inside stays.
    pub fn reword(&self, block: &BlockId, text: &Block, deadline: Deadline) -> Result<()> {
        let request = request(
            Method::Patch,
            &format!("/blocks/{block}"),
            Some(blocks::reword(text)),
        );
        let read = |body: Json| match blocks::id(&body) {
            Some(id) if id == *block => Ok(()),
            Some(_) | None => Err("not the block that was written"),
        };
        match self.ask(&request, &self.notion.version, deadline, read) {
            Ok(()) => Ok(()),
            Err(err) if saved(&err).is_some() => Ok(()),
            Err(err) => Err(err),
        }
    }

    fn ask<T>(
        &self,
        request: &http::Request,
        version: &str,
        deadline: Deadline,
        read: impl FnOnce(Json) -> std::result::Result<T, &'static str>,
    ) -> Result<T> {
        let request = Notion::versioned(request, version);
        let answer = self.notion.vendor.write(&request, self.stamp, deadline)?;
        read(answer.json()?).map_err(|why| answer.unexpected(why).into())
    }
}

/// The `additional_data` of an error that says the change was saved.
/// <https://developers.notion.com/reference/status-codes>
fn saved(err: &Error) -> Option<&Json> {
    let Error::Http(http::Error::Unknown {
        status: Some(503),
        body,
        ..
    }) = err
    else {
        return None;
    };
    let data = &body["additional_data"];
    let guidance = data["retry_guidance"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let says_saved = guidance.iter().any(|line| {
        line.as_str()
            .is_some_and(|line| line.contains("Do not repeat the write"))
    });
    (says_saved || data["committed_resource_id"].is_string()).then_some(data)
}

fn page_saved(data: &Json) -> Option<PageId> {
    PageId::parse(data["committed_resource_id"].as_str()?).ok()
}

fn children_saved(data: &Json) -> Vec<BlockId> {
    let ids = data["committed_child_ids"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    ids.iter()
        .filter_map(|id| BlockId::parse(id.as_str()?).ok())
        .collect()
}
