//! A delivery under a signature: all of standard input is read, verified, and then looked at.

use std::io::Read;

use crate::documents::{Broken, Documents, MAX_BYTES};
use crate::domain::event::Subject;
use crate::domain::outcome::{Outcome, Reason};
use crate::failure::{Failure, Kind};
use crate::quo::webhook;
use crate::signature::{self, Signer, Verified};
use crate::sync;
use crate::time::stop;

use super::{App, Document, Input, Treatment, read, unless_skipped};

impl App<'_> {
    /// Syncs the one document that a signature covers.
    pub(super) fn sync_signed(
        &mut self,
        mut input: Input,
        treatment: Treatment,
    ) -> Result<(), Failure> {
        let body = stop::idle(|| read_all(&mut input))?;
        let verified = self.verify(&body)?;
        let mut documents = Documents::of(body, std::io::empty());
        let only = documents.next();
        if documents.next().is_some() {
            let hint = "a delivery is one document: pass each with its own signature";
            let message = "more than one document stands under one signature";
            return Err(Failure::new(Kind::Payload, message, hint));
        }
        if let Some(document) = only {
            let document = read(document, 1, (self.now)());
            let document = unless_skipped(self.of_signer(document, &verified));
            self.sync_window(vec![document], treatment);
        }
        self.expect_documents()
    }

    /// What a document is, given who has signed it: Notion's scheme brings no event of Quo's, and
    /// Quo's own tests are noted and nothing else.
    fn of_signer(&self, document: Document, verified: &Verified) -> Document {
        let Ok((event, body)) = document else {
            return document;
        };
        let outset = sync::outset(&event);
        if verified.signer == Signer::Notion && event.subject != Subject::Unsupported {
            let message = "Notion's scheme has signed an event of Quo's";
            let hint = "each vendor signs with its own scheme: openphone-signature or \
                webhook-signature for Quo, X-Notion-Signature for Notion";
            let failure = Failure::new(Kind::Signature, message, hint);
            return Err(Box::new(Err(Box::new((failure, outset)))));
        }
        if !webhook::is_test(&event) {
            return Ok((event, body));
        }
        let noted = self.tools.store().and_then(|store| {
            let key = format!("test_delivery:{}", verified.by);
            Ok(store.save_snapshot(&key, "null")?)
        });
        Err(Box::new(match noted {
            Ok(()) => Ok(Outcome {
                skipped: Some(Reason::Test),
                ..outset
            }),
            Err(failure) => Err(Box::new((failure, outset))),
        }))
    }

    fn verify(&self, body: &[u8]) -> Result<Verified, Failure> {
        let settings = &self.tools.config.signature;
        let Some(headers) = &settings.headers else {
            let hint = "pass the header of the delivery as --signature; a delivery without one \
                does not come from Quo";
            return Err(Failure::new(
                Kind::Signature,
                "the payload comes without a signature",
                hint,
            ));
        };
        let window = signature::Window {
            now: (self.now)(),
            tolerance: settings.tolerance,
        };
        Ok(signature::verify(body, headers, &settings.secrets, window)?)
    }
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
