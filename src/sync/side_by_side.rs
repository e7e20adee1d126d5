//! The same for many, some at once: requests of which none needs another's answer.

use std::thread;

/// Does `work` for every item, at most `at_once` at a time, and returns the results in their order.
/// A single item needs no thread. A panic goes on in the caller.
pub fn each<T: Send, R: Send>(
    items: Vec<T>,
    at_once: usize,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let mut items = items.into_iter();
    let mut results = Vec::with_capacity(items.len());
    while let Some(first) = items.next() {
        thread::scope(|scope| {
            let work = &work;
            let others: Vec<_> = items
                .by_ref()
                .take(at_once - 1)
                .map(|item| scope.spawn(move || work(item)))
                .collect();
            results.push(work(first));
            results.extend(
                others
                    .into_iter()
                    .map(|other| other.join().expect("the work does not panic")),
            );
        });
    }
    results
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn results_keep_their_order_and_no_more_than_so_many_go_at_once() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = |item: usize| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::yield_now();
            now.fetch_sub(1, Ordering::SeqCst);
            item * 2
        };
        for count in [0, 1, 3, 4, 9] {
            let want: Vec<usize> = (0..count).map(|item| item * 2).collect();
            assert_eq!(each((0..count).collect(), 4, work), want);
        }
        assert!(most.into_inner() <= 4);
    }
}
