//! What the operator must see to: a line in two files of the folder, and a message to a chat if one
//! is configured.
//!
//! Apart because it must work when little else does; its own troubles are only logged. No secrets
//! and no message text come here: failures carry none.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use crate::files;
use crate::http::{Agent, Api, BaseUrl, Request, Vendor, VendorSpec, Window};
use crate::json_line;
use crate::text;
use crate::time::Deadline;

/// Files that get each line; the first is the owner's, the second what systems before this one
/// wrote.
const FILES: [&str; 2] = ["sync_errors.log", "critical_errors.log"];
/// Longest that an alert may take.
const ALERT: Duration = Duration::from_secs(5);
/// Most signs of a path that an alert names.
const LONGEST_PATH: usize = 300;

/// A chat's webhook; whatever it says is its own word.
const CHAT: Api = Api {
    name: "alert",
    request_id_header: "x-request-id",
    body_bytes: 64 * 1024,
    is_refusal: |_, _| true,
};

/// Something critical.
pub struct CriticalLine<'a> {
    /// When.
    pub at: Timestamp,
    /// The kind of error, as in results.
    pub kind: &'a str,
    /// What happened.
    pub message: &'a str,
    /// The event, if one is concerned.
    pub event_id: Option<&'a str>,
    /// The vendor's id of the request.
    pub request_id: Option<&'a str>,
}

/// Appends the line to the files in `dir`, each with one write, so that parallel processes do not
/// mix.
pub fn log(dir: &Path, line: &CriticalLine) {
    let json = json!({
        "time": line.at.to_string(),
        "kind": line.kind,
        "message": line.message,
        "event_id": line.event_id,
        "request_id": line.request_id,
    });
    for name in FILES {
        if let Err(err) = append(
            dir,
            name,
            format!("{}\n", json_line::render(&json)).as_bytes(),
        ) {
            log::error!("cannot write to {}: {err}", dir.join(name).display());
        }
    }
}

/// Sends `{"text": …}` to the chat's webhook: that there is a failure of this kind, and where to
/// read of it. What a vendor or a payload said stays here: a chat would make links of it.
pub fn alert(agent: &Agent, url: BaseUrl, dir: &Path, kind: &str) {
    let spec = VendorSpec {
        api: CHAT,
        base: url,
        headers: Vec::new(),
        secrets: Vec::new(),
        window: Window {
            requests: 1,
            period: Duration::from_secs(1),
        },
        shared: None,
    };
    let request = Request::post("", json!({"text": text(dir, kind)}));
    match Vendor::new(agent, spec).call(&request, Deadline::within(ALERT)) {
        Ok(_) => {}
        // A chat answers "ok" rather than JSON; what counts is that it took the message.
        Err(err)
            if err
                .status()
                .is_some_and(|status| (200..300).contains(&status)) => {}
        Err(err) => log::error!("cannot send the alert: {err}"),
    }
}

/// The text of an alert, without a sign that a chat takes for a mention, a link or a tag.
fn text(dir: &Path, kind: &str) -> String {
    let file = dir.join(FILES[0]);
    let text = format!(
        "Quotion needs you: {kind}. What to do stands in {}",
        text::one_line(&file.to_string_lossy(), LONGEST_PATH)
    );
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn append(dir: &Path, name: &str, line: &[u8]) -> std::io::Result<()> {
    files::make_folder(dir)?;
    files::open(&dir.join(name))?.write_all(line)
}
