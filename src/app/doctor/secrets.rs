//! Secrets of webhooks: whether a signature can be checked with them.

use crate::domain::failure::Failure;
use crate::services::Services;
use crate::signature;

use super::check::Check;

const QUO: &str = "webhook_secrets";
const NOTION: &str = "notion_webhook_secret";

/// Those of Quo, told by number and never by value.
pub fn quo(services: &Services) -> Check {
    let check = &services.settings.signature;
    let all = &check.secrets.quo;
    let fix = "set OPENPHONE_WEBHOOK_SECRET to the signing secret of the webhook (several: \
        comma-separated)";
    if all.is_empty() && check.required {
        let message = "a signature is required, and no secret is set";
        return Check::failed(QUO, &Failure::config(message, fix));
    }
    if all.is_empty() {
        return Check::unknown(QUO, "none is set: signed deliveries are refused", fix);
    }
    let numbered = || (1..).zip(all);
    let unusable: Vec<String> = numbered()
        .filter(|(_, secret)| !signature::is_usable(secret))
        .map(|(number, _)| number.to_string())
        .collect();
    if !unusable.is_empty() {
        let message = format!(
            "{} of {} cannot be used, by number: {}; a secret is base64 of at least 24 bytes (16 \
                for openphone-signature), and no placeholder",
            unusable.len(),
            all.len(),
            unusable.join(", ")
        );
        return if unusable.len() == all.len() {
            Check::failed(QUO, &Failure::config(message, fix))
        } else {
            Check::flawed(QUO, message, fix)
        };
    }
    let old = numbered().filter(|(_, secret)| !signature::is_usable_for_standard(secret));
    let old = match old.count() {
        0 => String::new(),
        count => format!("; {count} of them only for openphone-signature"),
    };
    Check::good(QUO, format!("{} can be used{old}", all.len()))
}

/// That of Notion.
pub fn notion(services: &Services) -> Check {
    match &services.settings.signature.secrets.notion {
        None => Check::unknown(NOTION, "not set", ""),
        Some(secret) if signature::is_usable_for_notion(secret) => {
            Check::good(NOTION, "can be used")
        }
        Some(_) => Check::flawed(
            NOTION,
            "cannot be used: too short, or a placeholder",
            "set NOTION_WEBHOOK_SECRET to the verification token of Notion's webhook",
        ),
    }
}
