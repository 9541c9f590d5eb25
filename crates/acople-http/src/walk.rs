//! Follows a list whose next request the connector computes itself, with that request already on its way.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use acople_core::{Error, ErrorKind, Result};
use futures_util::Stream;
use futures_util::future::{BoxFuture, FutureExt};
use tokio::time::Instant;

/// Positions that are remembered to find a list that runs in a circle.
const REMEMBERED: usize = 1024;

/// A consumer that is away for so long may be the reason why a page that was asked for ahead did not come.
const NEGLECT: Duration = Duration::from_secs(1);

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
/// twice ends the stream with an error. Nothing is spawned: a page that was asked for ahead and did not come
/// because the consumer was away for long is asked for once more.
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
    /// When the consumer was given a page and left the next one on its way.
    left_at: Option<Instant>,
}

type Fetching<T, P> = BoxFuture<'static, Result<Step<T, P>>>;

enum State<T, P> {
    /// The page at this position is not asked for yet.
    Idle(P),
    /// It is on its way; with its position when it was asked for ahead.
    Fetching(Fetching<T, P>, Option<P>),
    /// A page is here, and the next one's request was handed to the transport just now.
    Ready(Step<T, P>, Fetching<T, P>, P),
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
        Self { fetch, prefetch: 8 << 20, seen, state: State::Idle(first), left_at: None }
    }

    /// Sets how many bytes of page may be held ready; 0 fetches on demand only.
    pub fn prefetch(mut self, bytes: usize) -> Self {
        self.prefetch = bytes;
        self
    }

    fn note(&mut self, next: &P) -> Result<()> {
        let hash = hash(next);
        if self.seen.contains(&hash) {
            return Err(Error::new(ErrorKind::Protocol, "the list runs in a circle: a position came twice"));
        }
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(hash);
        Ok(())
    }
}

/// Whether asking again may do: a deadline or a connection that ended meanwhile.
fn is_of_the_moment(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Transient | ErrorKind::RateLimited)
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
                State::Idle(position) => this.state = State::Fetching((this.fetch)(position), None),
                State::Ready(step, upcoming, position) => {
                    this.state = State::Fetching(upcoming, Some(position));
                    this.left_at = Some(Instant::now());
                    return Poll::Ready(Some(Ok(step)));
                }
                State::Fetching(mut future, ahead) => {
                    let step = match future.as_mut().poll(task) {
                        Poll::Pending => {
                            this.state = State::Fetching(future, ahead);
                            return Poll::Pending;
                        }
                        Poll::Ready(Ok(step)) => step,
                        Poll::Ready(Err(error)) => {
                            // While the consumer was away nobody took the answer in: no fault of the vendor's.
                            let neglected = this.left_at.take().is_some_and(|at| at.elapsed() >= NEGLECT);
                            match ahead.filter(|_| neglected && is_of_the_moment(&error)) {
                                Some(position) => this.state = State::Idle(position),
                                None => return Poll::Ready(Some(Err(error))),
                            }
                            continue;
                        }
                    };
                    this.left_at = None;
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
                        // Polled once, so that the request leaves while the consumer works. The connection
                        // may be a task of this very thread: it gets its turn before the consumer does.
                        let mut upcoming = (this.fetch)(next.clone());
                        if let Poll::Ready(result) = upcoming.as_mut().poll(task) {
                            this.state = State::Fetching(futures_util::future::ready(result).boxed(), None);
                        } else {
                            this.state = State::Ready(step, upcoming, next);
                            task.waker().wake_by_ref();
                            return Poll::Pending;
                        }
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
            async move { Ok(Step { item: n, bytes: 10, next: (n < last).then_some(n + 1) }) }
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
    async fn other_tasks_of_the_thread_run_before_the_consumer_works_on_a_page() {
        let sent = Arc::new(AtomicUsize::new(0));
        let counter = sent.clone();
        let mut walk = Walk::new(1u32, move |n| {
            let counter = counter.clone();
            async move {
                // As a transport does it: a task of the runtime puts the request on the wire.
                let wire = tokio::spawn(async move { counter.fetch_add(1, Ordering::Relaxed) });
                wire.await.unwrap();
                Ok(Step { item: n, bytes: 1, next: (n < 3).then_some(n + 1) })
            }
        });
        for expected in [2, 3, 3] {
            walk.next().await.unwrap().unwrap();
            assert_eq!(sent.load(Ordering::Relaxed), expected);
        }
    }

    #[tokio::test]
    async fn page_01_a_position_that_comes_twice_is_an_error() {
        for length in [1u32, 2, 50] {
            let walk = Walk::new(0u32, move |n| async move {
                Ok(Step { item: (), bytes: 0, next: Some((n + 1) % length) })
            });
            let pages: Vec<_> = walk.collect().await;
            assert_eq!(pages.len(), length as usize, "cycle of {length}");
            assert_eq!(pages.last().unwrap().as_ref().unwrap_err().kind(), ErrorKind::Protocol);
        }
    }

    #[tokio::test]
    async fn an_error_ends_the_list() {
        let walk = Walk::<(), u32>::new(0, |_| async { Err(Error::new(ErrorKind::Invalid, "no")) });
        assert_eq!(walk.collect::<Vec<_>>().await.len(), 1);
    }
}
