//! Results as JSON lines: the one thing that standard output carries.

use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::domain::id::{ActivityId, PageId};
use crate::domain::outcome::{Action, Outcome, PlannedStep, Reason, Synced, Warning};
use crate::domain::step::{NewEntry, Step};
use crate::failure::Failure;
use crate::json_line;
use crate::notion::{blocks, property};

#[derive(Serialize)]
struct Line<'a> {
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

/// The line of an event that succeeded or was rightly skipped.
pub fn success(outcome: &Outcome) -> String {
    line(outcome, None)
}

/// The line of a failure, with what had been done by then.
pub fn failure(failure: &Failure, outcome: &Outcome) -> String {
    line(outcome, Some(failure))
}

fn line(outcome: &Outcome, failure: Option<&Failure>) -> String {
    let first = outcome.synced.first();
    let skipped = outcome.skipped.map(|_| Action::Skipped);
    let action = skipped
        .or(first.map(|synced| synced.action))
        .filter(|_| failure.is_none());
    let line = Line {
        status: status(outcome, failure),
        action: action.map(action_name),
        reason: outcome
            .skipped
            .map(reason_name)
            .filter(|_| failure.is_none()),
        notion_page_id: first.and_then(page_id),
        client_name: first.map(|synced| synced.client_name.as_str()),
        event_id: outcome.event_id.as_deref(),
        event_type: outcome.event_type.as_deref(),
        activity_id: outcome.activity_id.as_ref().map(ActivityId::as_str),
        document: outcome.document,
        error: failure.map(error_part),
        synced: outcome.synced.iter().map(synced_part).collect(),
        warnings: outcome.warnings.iter().map(warning_part).collect(),
        dry_run: outcome.plan.as_ref().map(|_| true),
        plan: outcome
            .plan
            .as_ref()
            .map(|plan| plan.iter().map(step_part).collect()),
    };
    json_line::render(&line)
}

fn status(outcome: &Outcome, failure: Option<&Failure>) -> &'static str {
    match failure {
        Some(_) => "error",
        None if outcome.queued => "queued",
        None => "success",
    }
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
        action: action_name(synced.action),
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

fn action_name(action: Action) -> &'static str {
    match action {
        Action::Created => "created",
        Action::Updated => "updated",
        Action::Skipped => "skipped",
    }
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
    use crate::domain::outcome::WarningCode;
    use crate::domain::phone::Phone;
    use crate::failure::Kind;

    #[test]
    fn result_has_the_fields_of_the_contract_in_its_order() {
        let synced = Synced {
            phone: Phone::parse("+12025550147").expect("phone"),
            action: Action::Created,
            page: None,
            client_name: "Rosa \u{1b}[31m\n".into(),
        };
        let outcome = Outcome {
            event_id: Some("EV1".into()),
            synced: vec![synced],
            warnings: vec![Warning::property(
                WarningCode::PropertyRejected,
                "Company",
                "no",
            )],
            ..Outcome::default()
        };
        assert_eq!(
            success(&outcome),
            concat!(
                r#"{"status":"success","action":"created","client_name":"Rosa \u001b[31m\n","#,
                r#""event_id":"EV1","synced":[{"phone":"+12025550147","action":"created","#,
                r#""notion_page_id":null,"client_name":"Rosa \u001b[31m\n"}],"#,
                r#""warnings":[{"code":"property_rejected","property":"Company","message":"no"}]}"#
            )
        );
        let refused = Failure::new(Kind::Payload, "not JSON", "look");
        assert_eq!(
            failure(&refused, &Outcome::default()),
            concat!(
                r#"{"status":"error","error":{"kind":"payload","message":"not JSON","#,
                r#""retryable":false,"hint":"look"}}"#
            )
        );
        let skipped = Outcome {
            skipped: Some(Reason::Duplicate),
            ..Outcome::default()
        };
        assert!(
            !super::failure(&refused, &skipped).contains("duplicate"),
            "what failed was not skipped"
        );
    }
}
