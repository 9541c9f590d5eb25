//! Follows a list whose next request the connector computes itself, with that request already on its way.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use acople_core::{Error, ErrorKind, Result};
use futures_util::Stream;
use futures_util::future::{BoxFuture, FutureExt};

/// Positions that are remembered to find a list that runs in a circle.
const REMEMBERED: usize = 1024;

/// One page of a [`Walk`].
#[derive(Debug)]
pub struct Step<T, P> {
    /// What the page brought.
    pub item: T,
    /// Bytes that the item keeps alive: decides whether the next page is fetched ahead.
    pub bytes: usize,
    /// Where the list goes on; `None` at the end.
    pub next: Option<P>,
}

/// A list whose positions are the connector's own: key sets with filters, windows of time, slices.
///
/// As [`Pages`](crate::Pages), which serves the lists that [`Paging`](crate::Paging) can describe: the next
/// page is asked for as soon as its position is known, at most one page ahead, and a position that comes
/// twice ends the stream with an error.
///
/// ```
/// use acople_http::{Step, Walk};
/// use futures_util::StreamExt;
/// # async fn example() -> acople_core::Result<()> {
/// let mut walk = Walk::new(1u32, |n| async move {
///     Ok(Step { item: format!("page {n}"), bytes: 6, next: (n < 3).then_some(n + 1) })
/// });
/// while let Some(step) = walk.next().await {
///     println!("{}", step?.item);
/// }
/// # Ok(()) }
/// ```
#[must_use = "streams do nothing unless polled"]
pub struct Walk<T, P> {
    fetch: Box<dyn Fn(P) -> Fetching<T, P> + Send>,
    prefetch: usize,
    seen: VecDeque<u64>,
    state: State<T, P>,
}

type Fetching<T, P> = BoxFuture<'static, Result<Step<T, P>>>;

enum State<T, P> {
    /// The page at this position is not asked for yet.
    Idle(P),
    /// It is on its way.
    Fetching(Fetching<T, P>),
    Ended,
}

impl<T, P> Walk<T, P>
where
    T: Send + Unpin + 'static,
    P: Hash + Clone + Send + Unpin + 'static,
{
    /// A list that starts at `first`; `fetch` brings the page at a position and says which one is next.
    pub fn new<F, Fut>(first: P, fetch: F) -> Self
    where
        F: Fn(P) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Step<T, P>>> + Send + 'static,
    {
        let seen = VecDeque::from([hash(&first)]);
        let fetch = Box::new(move |position| fetch(position).boxed());
        Self {
            fetch,
            prefetch: 8 << 20,
            seen,
            state: State::Idle(first),
        }
    }

    /// Sets how many bytes of page may be held ready; 0 fetches on demand only.
    pub fn prefetch(mut self, bytes: usize) -> Self {
        self.prefetch = bytes;
        self
    }

    fn note(&mut self, next: &P) -> Result<()> {
        let hash = hash(next);
        if self.seen.contains(&hash) {
            return Err(Error::new(
                ErrorKind::Protocol,
                "the list runs in a circle: a position came twice",
            ));
        }
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(hash);
        Ok(())
    }
}

fn hash(position: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    position.hash(&mut hasher);
    hasher.finish()
}

impl<T, P> Stream for Walk<T, P>
where
    T: Send + Unpin + 'static,
    P: Hash + Clone + Send + Unpin + 'static,
{
    type Item = Result<Step<T, P>>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            match std::mem::replace(&mut this.state, State::Ended) {
                State::Ended => return Poll::Ready(None),
                State::Idle(position) => this.state = State::Fetching((this.fetch)(position)),
                State::Fetching(mut future) => {
                    let step = match future.as_mut().poll(task) {
                        Poll::Pending => {
                            this.state = State::Fetching(future);
                            return Poll::Pending;
                        }
                        Poll::Ready(Ok(step)) => step,
                        Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
                    };
                    if let Some(next) = step.next.clone() {
                        if let Err(error) = this.note(&next) {
                            return Poll::Ready(Some(Err(error)));
                        }
                        this.state = State::Idle(next);
                    }
                    if step.bytes <= this.prefetch
                        && this.prefetch > 0
                        && let State::Idle(next) = std::mem::replace(&mut this.state, State::Ended)
                    {
                        // Polled once, so that the request leaves while the consumer works.
                        let mut upcoming = (this.fetch)(next);
                        this.state = State::Fetching(match upcoming.as_mut().poll(task) {
                            Poll::Pending => upcoming,
                            Poll::Ready(result) => futures_util::future::ready(result).boxed(),
                        });
                    }
                    return Poll::Ready(Some(Ok(step)));
                }
            }
        }
    }
}

impl<T, P> fmt::Debug for Walk<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::StreamExt;

    use super::*;

    fn count_to(last: u32, asked: Arc<AtomicUsize>) -> Walk<u32, u32> {
        Walk::new(1, move |n| {
            asked.fetch_add(1, Ordering::Relaxed);
            async move {
                Ok(Step {
                    item: n,
                    bytes: 10,
                    next: (n < last).then_some(n + 1),
                })
            }
        })
    }

    #[tokio::test]
    async fn one_page_is_fetched_ahead_and_none_without_a_budget() {
        for (budget, expected) in [(10, 2), (9, 1), (0, 1)] {
            let asked = Arc::new(AtomicUsize::new(0));
            let mut walk = count_to(5, asked.clone()).prefetch(budget);
            assert_eq!(walk.next().await.unwrap().unwrap().item, 1);
            assert_eq!(asked.load(Ordering::Relaxed), expected, "budget {budget}");
            assert_eq!(walk.count().await, 4);
        }
    }

    #[tokio::test]
    async fn page_01_a_position_that_comes_twice_is_an_error() {
        for length in [1u32, 2, 50] {
            let walk = Walk::new(0u32, move |n| async move {
                Ok(Step {
                    item: (),
                    bytes: 0,
                    next: Some((n + 1) % length),
                })
            });
            let pages: Vec<_> = walk.collect().await;
            assert_eq!(pages.len(), length as usize, "cycle of {length}");
            assert_eq!(
                pages.last().unwrap().as_ref().unwrap_err().kind(),
                ErrorKind::Protocol
            );
        }
    }

    #[tokio::test]
    async fn an_error_ends_the_list() {
        let walk = Walk::<(), u32>::new(0, |_| async { Err(Error::new(ErrorKind::Invalid, "no")) });
        assert_eq!(walk.collect::<Vec<_>>().await.len(), 1);
    }
}
