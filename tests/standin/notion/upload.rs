//! File uploads, single part, and multi part as far as counting goes. The bytes are measured, not
//! kept.

use serde_json::{Value, json};

use super::super::http::Request;
use super::super::world::{BOT_USER, NotionState, minute};
use super::{Answer, Call, Refusal, body};

/// What `users/me` says a file may have (free plan).
const MOST_BYTES: usize = 5_242_880;

pub(super) fn create(notion: &mut NotionState, call: &Call<'_>) -> Answer {
    if !notion.can_insert {
        return Err(Refusal::capability());
    }
    let map = body::object("body", &call.body)?;
    body::only(
        "body",
        map,
        &[
            "mode",
            "filename",
            "content_type",
            "number_of_parts",
            "external_url",
        ],
    )?;
    let mode = map
        .get("mode")
        .and_then(Value::as_str)
        .unwrap_or("single_part");
    let name = map
        .get("filename")
        .and_then(Value::as_str)
        .unwrap_or("upload");
    if name.len() > 900 {
        return Err(Refusal::body("body.filename.length should be ≤ `900`."));
    }
    if mode == "multi_part" && !map.get("number_of_parts").is_some_and(Value::is_u64) {
        return Err(Refusal::body(
            "body.number_of_parts should be defined, instead was `undefined`.",
        ));
    }
    let id = notion.next_uuid();
    let now = notion.now();
    let hour = now + jiff::SignedDuration::from_hours(1);
    let upload = json!({"object": "file_upload", "id": id, "created_time": minute(now),
        "created_by": {"id": BOT_USER, "type": "bot"}, "last_edited_time": minute(now),
        "expiry_time": minute(hour),
        "upload_url": format!("https://api.notion.com/v1/file_uploads/{id}/send"),
        "archived": false,
        "in_trash": false, "status": "pending", "filename": name,
        "content_type": map.get("content_type"),
        "content_length": null, "mode": mode});
    let answer = shown(&upload);
    notion.uploads.insert(id, upload);
    Ok(answer)
}

/// An upload as Notion shows it: how it is sent is not told, and where to send it only while it is
/// pending.
fn shown(upload: &Value) -> Value {
    let mut upload = upload.clone();
    let sent = upload["status"] != "pending";
    if let Some(map) = upload.as_object_mut() {
        map.retain(|key, _| key != "mode" && !(sent && key == "upload_url"));
    }
    upload
}

pub(super) fn retrieve(notion: &NotionState, id: &str) -> Answer {
    notion
        .uploads
        .get(id)
        .map(shown)
        .ok_or_else(|| Refusal::missing("file_upload", id))
}

pub(super) fn send(notion: &mut NotionState, request: &Request, id: &str) -> Answer {
    let Some(upload) = notion.uploads.get_mut(id) else {
        return Err(Refusal::missing("file_upload", id));
    };
    let kind = request.header("content-type").unwrap_or_default();
    let bytes = kind
        .split("boundary=")
        .nth(1)
        .and_then(|b| part(&request.body, b.trim_matches('"')));
    let Some(bytes) = bytes.filter(|_| kind.starts_with("multipart/form-data")) else {
        return Err(Refusal::invalid(
            "body failed validation: body.file should be defined, instead was `undefined`.",
        ));
    };
    if upload["status"] != "pending" {
        return Err(Refusal::invalid("File upload is not pending."));
    }
    if bytes > MOST_BYTES {
        return Err(Refusal::invalid(
            "The file size exceeds the limit of 5 MiB for this workspace.",
        ));
    }
    let sent = upload["content_length"].as_u64().unwrap_or(0) + bytes as u64;
    upload["content_length"] = json!(sent);
    if upload["mode"] != "multi_part" {
        upload["status"] = json!("uploaded");
    }
    Ok(shown(upload))
}

pub(super) fn complete(notion: &mut NotionState, id: &str) -> Answer {
    let Some(upload) = notion.uploads.get_mut(id) else {
        return Err(Refusal::missing("file_upload", id));
    };
    upload["status"] = json!("uploaded");
    Ok(shown(upload))
}

/// Length of the field named `file` in a multipart body.
fn part(bytes: &[u8], boundary: &str) -> Option<usize> {
    let find = |from: usize, needle: &[u8]| {
        bytes[from..]
            .windows(needle.len())
            .position(|w| w == needle)
            .map(|p| p + from)
    };
    let name = find(0, b"name=\"file\"")?;
    let start = find(name, b"\r\n\r\n")? + 4;
    let end = find(start, format!("\r\n--{boundary}").as_bytes())?;
    Some(end - start)
}
