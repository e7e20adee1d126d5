//! Results as JSON lines: the one thing that standard output carries.

pub mod plan;

use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::domain::failure::Failure;
use crate::domain::id::{ActivityId, PageId};
use crate::domain::outcome::{Action, Outcome, PlannedStep, Reason, Synced, Verdict, Warning};
use crate::domain::step::{NewEntry, Step};
use crate::json_line;
use crate::notion::{blocks, property};

#[derive(Serialize)]
struct ResultLine<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notion_page_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    activity_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorPart<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    synced: Vec<SyncedPart<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<WarningPart<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dry_run: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<Vec<Json>>,
}

#[derive(Serialize)]
struct ErrorPart<'a> {
    kind: &'static str,
    message: &'a str,
    retryable: bool,
    hint: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

#[derive(Serialize)]
struct SyncedPart<'a> {
    phone: &'a str,
    action: &'static str,
    notion_page_id: Option<&'a str>,
    client_name: &'a str,
}

#[derive(Serialize)]
struct WarningPart<'a> {
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    property: Option<&'a str>,
    message: &'a str,
}

/// The line of an outcome. In a dry run it holds the plan, which is empty where nothing would be
/// done.
pub fn line(outcome: &Outcome, is_dry_run: bool) -> String {
    let Outcome {
        of,
        verdict,
        pages,
        notes,
    } = outcome;
    let first = pages.first();
    let status = match verdict {
        Verdict::Done | Verdict::Skipped(_) | Verdict::Planned(_) => "success",
        Verdict::Queued => "queued",
        Verdict::Failed(_) => "error",
    };
    let done = first.map(|synced| synced.action);
    let (action, reason, planned) = match verdict {
        Verdict::Done | Verdict::Queued => (done, None, None),
        Verdict::Planned(steps) => (done, None, Some(steps)),
        Verdict::Skipped(reason) => (Some(Action::Skipped), Some(*reason), None),
        Verdict::Failed(_) => (None, None, None),
    };
    let line = ResultLine {
        status,
        action: action.map(Action::word),
        reason: reason.map(reason_name),
        notion_page_id: first.and_then(page_id),
        client_name: first.map(|synced| synced.client_name.as_str()),
        event_id: of.event_id.as_deref(),
        event_type: of.event_type.as_deref(),
        activity_id: of.activity_id.as_ref().map(ActivityId::as_str),
        document: of.document,
        error: outcome.failure().map(error_part),
        synced: pages.iter().map(synced_part).collect(),
        warnings: notes.warnings.iter().map(warning_part).collect(),
        dry_run: is_dry_run.then_some(true),
        plan: is_dry_run.then(|| planned.into_iter().flatten().map(step_part).collect()),
    };
    json_line::render(&line)
}

fn error_part(failure: &Failure) -> ErrorPart<'_> {
    ErrorPart {
        kind: failure.kind.name(),
        message: &failure.message,
        retryable: failure.is_retryable(),
        hint: &failure.hint,
        request_id: failure.request_id.as_deref(),
    }
}

fn synced_part(synced: &Synced) -> SyncedPart<'_> {
    SyncedPart {
        phone: synced.phone.as_str(),
        action: synced.action.word(),
        notion_page_id: page_id(synced),
        client_name: &synced.client_name,
    }
}

fn page_id(synced: &Synced) -> Option<&str> {
    synced.page.as_ref().map(PageId::as_str)
}

fn warning_part(warning: &Warning) -> WarningPart<'_> {
    WarningPart {
        code: warning.code.name(),
        property: warning.property.as_deref(),
        message: &warning.message,
    }
}

/// A step of a dry run, with properties and blocks as they would be sent.
fn step_part(planned: &PlannedStep) -> Json {
    let mut part = json!({"step": planned.step.name(), "phone": planned.phone.as_str()});
    match &planned.step {
        Step::CreatePage {
            properties,
            entries,
        } => {
            part["properties"] = property::write_all(properties);
            part["blocks"] = entry_blocks(entries);
        }
        Step::UpdatePage { page, properties } => {
            part["page_id"] = json!(page.as_str());
            part["properties"] = property::write_all(properties);
        }
        Step::AppendEntries { page, entries } => {
            part["page_id"] = json!(page.as_str());
            part["blocks"] = entry_blocks(entries);
        }
        Step::Enrich { entry, parts, .. } => {
            part["block_id"] = json!(entry.as_str());
            part["blocks"] = parts.iter().flat_map(blocks::part).collect();
        }
        Step::Reword { entry, block, .. } => {
            part["block_id"] = json!(entry.as_str());
            part["blocks"] = json!([blocks::reword(block)]);
        }
    }
    part
}

fn entry_blocks(entries: &[NewEntry]) -> Json {
    let rendered = entries.iter().map(blocks::entry);
    rendered
        .flat_map(|entry| std::iter::once(entry.head).chain(entry.rest.into_iter().flatten()))
        .collect()
}

fn reason_name(reason: Reason) -> &'static str {
    match reason {
        Reason::Duplicate => "duplicate",
        Reason::UnsupportedEvent => "unsupported_event",
        Reason::NoClientNumber => "no_client_number",
        Reason::MissingFields => "missing_fields",
        Reason::NothingNew => "nothing_new",
        Reason::NotWanted => "not_wanted",
        Reason::Test => "test",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::failure::Kind;
    use crate::domain::outcome::{Notes, Of, WarningCode};
    use crate::domain::phone::Phone;

    #[test]
    fn result_has_the_fields_of_the_contract_in_its_order() {
        let synced = Synced {
            phone: Phone::parse("+12025550147").expect("phone"),
            action: Action::Created,
            page: None,
            client_name: "Rosa \u{1b}[31m\n".into(),
        };
        let warning = Warning::property(WarningCode::PropertyRejected, "Company", "no");
        let of = Of {
            event_id: Some("EV1".into()),
            ..Of::default()
        };
        let outcome = Outcome {
            pages: vec![synced],
            notes: Notes {
                warnings: vec![warning],
                ..Notes::default()
            },
            ..Outcome::new(of, Verdict::Done)
        };
        assert_eq!(
            line(&outcome, false),
            concat!(
                r#"{"status":"success","action":"created","client_name":"Rosa \u001b[31m\n","#,
                r#""event_id":"EV1","synced":[{"phone":"+12025550147","action":"created","#,
                r#""notion_page_id":null,"client_name":"Rosa \u001b[31m\n"}],"#,
                r#""warnings":[{"code":"property_rejected","property":"Company","message":"no"}]}"#
            )
        );
        let failure = Failure::new(Kind::Payload, "not JSON", "look");
        let refused = Outcome::new(Of::default(), Verdict::Failed(failure));
        assert_eq!(
            line(&refused, false),
            concat!(
                r#"{"status":"error","error":{"kind":"payload","message":"not JSON","#,
                r#""retryable":false,"hint":"look"}}"#
            )
        );
        let skipped = Outcome::new(Of::default(), Verdict::Skipped(Reason::Duplicate));
        assert_eq!(
            line(&skipped, true),
            concat!(
                r#"{"status":"success","action":"skipped","reason":"duplicate","#,
                r#""dry_run":true,"plan":[]}"#
            )
        );
    }
}
