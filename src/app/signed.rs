//! A delivery under a signature: all of standard input is read, verified, and then looked at.

use std::io::Read;

use crate::documents::{Broken, Documents, MAX_BYTES};
use crate::domain::event::Subject;
use crate::domain::failure::{Failure, Kind};
use crate::domain::outcome::{Reason, Verdict};
use crate::quo::webhook;
use crate::services::Services;
use crate::signature::{self, Signer, Verified};
use crate::time::{self, stop};

use super::input::Input;
use super::intake::{Document, Intake, read, unless_skipped};

/// Takes the one document that a signature covers.
pub fn take(services: &Services, intake: &mut Intake, mut input: Input) -> Result<(), Failure> {
    let body = stop::idle(|| read_all(&mut input))?;
    let verified = verify(services, &body)?;
    let mut documents = Documents::of(body, std::io::empty());
    let only = documents.next();
    if documents.next().is_some() {
        let hint = "a delivery is one document: pass each with its own signature";
        let message = "more than one document stands under one signature";
        return Err(Failure::new(Kind::Payload, message, hint));
    }
    if let Some(document) = only {
        let document = read(document, 1);
        let document = unless_skipped(of_signer(services, document, &verified));
        let _ = intake.take(vec![document]);
    }
    Ok(())
}

/// What a document is, given who has signed it: Notion's scheme brings no event of Quo's, and Quo's
/// own tests are noted and nothing else.
fn of_signer(services: &Services, document: Document, verified: &Verified) -> Document {
    let delivery = document?;
    let event = &delivery.event;
    if verified.signer == Signer::Notion && event.subject != Subject::Unsupported {
        let message = "Notion's scheme has signed an event of Quo's";
        let hint = "each vendor signs with its own scheme: openphone-signature or \
            webhook-signature for Quo, X-Notion-Signature for Notion";
        let failure = Failure::new(Kind::Signature, message, hint);
        return Err(Box::new(event.ends(Verdict::Failed(failure))));
    }
    if !webhook::is_test(event) {
        return Ok(delivery);
    }
    let noted = services.store().and_then(|store| {
        let key = format!("test_delivery:{}", verified.by);
        store.save_snapshot(&key, "null")
    });
    Err(Box::new(event.ends(match noted {
        Ok(()) => Verdict::Skipped(Reason::Test),
        Err(err) => Verdict::Failed(err.into()),
    })))
}

fn verify(services: &Services, body: &[u8]) -> Result<Verified, Failure> {
    let check = &services.settings.signature;
    let Some(headers) = &check.headers else {
        let hint = "pass the header of the delivery as --signature; a delivery without one does \
            not come from Quo";
        return Err(Failure::new(
            Kind::Signature,
            "the payload comes without a signature",
            hint,
        ));
    };
    let window = signature::AgeWindow {
        now: time::timestamp(),
        tolerance: check.tolerance,
    };
    Ok(signature::verify(body, headers, &check.secrets, window)?)
}

/// A signature covers all of standard input, so all of it is read; one delivery is never larger
/// than a document.
fn read_all(input: &mut dyn Read) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    input
        .take(limit + 1)
        .read_to_end(&mut body)
        .map_err(Broken::Io)?;
    if body.len() > MAX_BYTES {
        Err(Broken::TooLarge.into())
    } else {
        Ok(body)
    }
}
