//! Documents of an input on their way to their result lines: read, kept, worked on.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

use crate::documents::{Broken, MOST_BROKEN};
use crate::domain::failure::{Failure, Kind};
use crate::domain::outcome::{Of, Outcome, Verdict, Warning, WarningCode};
use crate::domain::work::Work;
use crate::exit;
use crate::inbox::{self, Admitted, Arrived, Claim, Drain};
use crate::quo::webhook;
use crate::services::Services;
use crate::time::{self, stop};

use super::console::Console;
use super::input::Input;
use super::stream;
use super::unread::{self, Unread};

/// What is done with an event that is not skipped at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// It is worked on.
    Sync,
    /// It is only kept.
    Enqueue,
}

/// A document that was read: an event to work on, or what came of it at once.
pub type Document = Result<Arrived, Box<Outcome>>;

/// Takes documents in, and tells what came of each in their order.
pub struct Intake<'a, 'c> {
    services: &'a Services,
    /// Who tells of them.
    pub console: &'c mut Console<'a>,
    drain: Drain<'a>,
    treatment: Treatment,
    /// Documents of this input so far that are no events.
    broken: usize,
    /// Documents so far.
    pub documents: usize,
}

impl<'a, 'c> Intake<'a, 'c> {
    /// Takes nothing in yet.
    pub fn new(services: &'a Services, console: &'c mut Console<'a>, treatment: Treatment) -> Self {
        Self {
            services,
            console,
            drain: Drain::new(services, Claim::Wait),
            treatment,
            broken: 0,
            documents: 0,
        }
    }

    /// Takes all documents of an input, those at once that come at once.
    pub fn take_all(&mut self, input: Input) {
        self.broken = 0;
        let mut documents = unread::documents(input);
        // What needs no work needs no company, and so no thread that looks for it.
        while let Some(document) = stop::idle(|| documents.next().map(Unread::read)) {
            if document.is_ok() {
                let gone = self.console.gone();
                let is_over = || stop::is_told() || gone.load(Ordering::Relaxed);
                stream::windows(document, documents, is_over, |window| self.take(window));
                return;
            }
            if self.take(vec![document]).is_break() {
                return;
            }
        }
    }

    /// Takes documents that have come at once, and says whether to go on. What comes when the run
    /// is over is only kept.
    pub fn take(&mut self, mut window: Vec<Document>) -> ControlFlow<()> {
        let flow = self.count_broken(&mut window);
        if self.console.is_over() {
            // A document that was cut off there is none.
            window.retain(|document| match document {
                Ok(_) => true,
                Err(outcome) => outcome.failure().is_none(),
            });
        }
        self.documents += window.len();
        if window.iter().any(Result::is_ok) {
            stop::watch(exit::NOT_NOW);
        }
        let admitted = self.admit(window);
        let console = &mut *self.console;
        self.drain
            .work(admitted, &mut |outcome| tell(console, &outcome));
        flow
    }

    /// After so many documents that are no events the rest is not read: it can be only a mistake.
    fn count_broken(&mut self, window: &mut Vec<Document>) -> ControlFlow<()> {
        for (place, document) in window.iter_mut().enumerate() {
            let Err(outcome) = document else { continue };
            if outcome.of.document.is_none() {
                continue;
            }
            self.broken += 1;
            if self.broken > MOST_BROKEN {
                outcome.verdict = Verdict::Failed(Broken::TooMany.into());
                window.truncate(place + 1);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// Keeps the events with which there is work to do.
    fn admit(&self, window: Vec<Document>) -> Vec<Admitted> {
        let is_queued = self.treatment == Treatment::Enqueue;
        if self.services.settings.dry_run && !is_queued {
            let work = |delivery: Arrived| Work::Event(delivery.event);
            return window
                .into_iter()
                .map(|document| document.map(work))
                .collect();
        }
        let mut ended = Vec::new();
        let mut arrived = Vec::new();
        for document in window {
            match document {
                Err(outcome) => ended.push(Some(outcome)),
                Ok(delivery) => {
                    ended.push(None);
                    arrived.push(delivery);
                }
            }
        }
        let mut kept = inbox::admit(self.services, arrived).into_iter();
        let next = |ended: Option<Box<Outcome>>| match ended {
            Some(outcome) => Some(Err(outcome)),
            None => kept.next().map(|kept| match kept {
                Ok(work) if is_queued => Err(Box::new(self.queued(&work))),
                kept => kept,
            }),
        };
        ended.into_iter().filter_map(next).collect()
    }

    /// What is wrong with the settings is said of an event that is only kept.
    fn queued(&self, work: &Work) -> Outcome {
        let mut outcome = work.ends(Verdict::Queued);
        let wrong = self.services.settings.check().err();
        let doubt = wrong.map(|wrong| Warning::new(WarningCode::SettingsWrong, wrong.message));
        outcome.notes.warnings.extend(doubt);
        outcome
    }

    /// A delivery was announced, so there has to be one.
    pub fn expect_documents(&self) -> Result<(), Failure> {
        if self.documents > 0 {
            return Ok(());
        }
        Err(Failure::new(
            Kind::Payload,
            "standard input is empty",
            "pass the body of the delivery on standard input",
        ))
    }
}

fn tell(console: &mut Console, outcome: &Outcome) -> ControlFlow<()> {
    let is_stop = outcome.failure().is_some_and(Failure::is_stop);
    // What was not begun is kept, and where nobody reads nobody is to be told.
    if !(is_stop && console.is_unread()) {
        console.ended(outcome);
    }
    console.flow()
}

/// Reads the document of that number. Ends here what is no event.
pub fn read(document: Result<Vec<u8>, Broken>, number: usize) -> Document {
    let payload = match document {
        Ok(payload) => payload,
        Err(broken) => return of_no_event(broken.into(), Some(number)),
    };
    match webhook::parse(&payload, time::timestamp()) {
        Ok(event) => Ok(Arrived {
            event: Box::new(event),
            payload,
        }),
        Err(err) => of_no_event(err.into(), Some(number)),
    }
}

/// What came of a document that is no event, or not to be read as one.
pub fn of_no_event(failure: Failure, document: Option<usize>) -> Document {
    let of = Of {
        document,
        ..Of::default()
    };
    Err(Box::new(Outcome::new(of, Verdict::Failed(failure))))
}

/// Ends here an event that needs neither store nor network.
pub fn unless_skipped(document: Document) -> Document {
    let delivery = document?;
    match delivery.event.skipped_at_once() {
        Some(outcome) => Err(Box::new(outcome)),
        None => Ok(delivery),
    }
}
