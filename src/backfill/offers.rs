//! Events on their way out: noted before they are printed, and printed again as long as nobody has
//! answered them.
//!
//! Apart because nothing may fall between the two sides of a pipe, whichever of them dies.

use crate::store::{Offer, Offered};

use super::mark::Mark;
use super::{Error, Happening, Walk};

/// Read at once from the store.
const AT_ONCE: usize = 500;

impl Walk<'_> {
    /// Tells what is still offered.
    pub fn tell_again(&mut self) -> Result<(), Error> {
        self.store.drop_answered_offers()?;
        let mut which = Offered {
            after: None,
            run: self.options.is_narrow.then(|| self.options.key.clone()),
        };
        loop {
            let offers = self.store.offered(&which, AT_ONCE)?;
            let Some(last) = offers.last() else {
                return Ok(());
            };
            which.after = Some((last.at, last.id.clone()));
            for offer in offers {
                self.tell(Happening::Event(&offer.event))?;
                self.tally.events += 1;
                self.offered.insert(offer.id);
            }
        }
    }

    /// Notes events, and with them how far the run has got, and tells them.
    pub fn offer(&mut self, offers: &[Offer], mark: &Mark) -> Result<(), Error> {
        if offers.is_empty() {
            return Ok(());
        }
        let body = (!self.is_behind(mark)).then(|| mark.body());
        self.store
            .offer(&self.options.key, offers, body.as_deref())?;
        for offer in offers {
            self.tell(Happening::Event(&offer.event))?;
            self.tally.events += 1;
        }
        Ok(())
    }
}
