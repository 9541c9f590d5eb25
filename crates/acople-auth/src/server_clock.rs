//! The vendor's clock: ours, put right by what the vendor's answers say.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use acople_core::{AuthStamp, Clock, Error, ErrorKind, Lesson, Refresh, Resources, Result};
use acople_http::{Answer, Classifier};
use tokio::time::Instant;

use crate::skew;

/// Clocks that differ by less spoil no signature: vendors allow minutes.
const TOLERATED: i64 = 20;

/// How long after a lesson refusals for the time's sake still belong to requests signed before it.
const AFTERMATH: Duration = Duration::from_secs(120);

/// Our clock, shifted by what the vendor's `Date` headers taught, for signatures that carry the time.
///
/// A signature made by a wrong clock is refused. The refusal carries the vendor's own time, so the
/// [`classifier`](Self::classifier), which sees it, shifts this clock and lets the request be signed again,
/// once. Clones are one clock: the provider has one, the client's classifier the other.
///
/// ```
/// use std::sync::Arc;
/// use acople_auth::{AwsKeys, ServerClock, SigV4};
/// use acople_core::{Resources, Secret};
/// use acople_http::{Client, StatusClassifier};
///
/// # fn example(resources: &Resources) -> acople_core::Result<()> {
/// let clock = ServerClock::new(resources);
/// let keys = AwsKeys::new("AKIDEXAMPLE", "wJalrXUtnFEMI");
/// let auth = SigV4::new(keys, "eu-west-1", "dynamodb", &clock)?;
/// let client = Client::with_resources("https://dynamodb.eu-west-1.amazonaws.com", resources)?
///     .auth(Arc::new(auth))
///     .classifier(clock.classifier(StatusClassifier))
///     .build();
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ServerClock(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    lesson: Mutex<Lessons>,
}

#[derive(Clone, Copy, Default)]
struct Lessons {
    /// Seconds by which the vendor's clock is ahead of ours.
    ahead: i64,
    /// How many there have been: the stamp of signatures.
    count: u64,
    last: Option<Instant>,
}

impl ServerClock {
    /// The host's clock, until a vendor's answer says otherwise.
    pub fn new(resources: &Resources) -> Self {
        Self(Arc::new(Inner { clock: resources.clock.clone(), lesson: Mutex::default() }))
    }

    /// Seconds by which the vendor's clock is ahead of the host's, as far as known.
    pub fn ahead(&self) -> i64 {
        self.lessons().ahead
    }

    /// A classifier that learns the vendor's time from refusals (400, 401, 403) whose `Date` is more than 20 s
    /// away from it. Such a refusal becomes [`Reauth`](ErrorKind::Reauth), so that the request is signed again.
    pub fn classifier<C: Classifier>(&self, inner: C) -> impl Classifier + use<C> {
        Learning { clock: self.clone(), inner }
    }

    /// The time, and the stamp of what is signed with it.
    pub(crate) fn now(&self) -> (SystemTime, AuthStamp) {
        let Lessons { ahead, count, .. } = self.lessons();
        (skew::shifted(self.0.clock.now(), ahead), AuthStamp(count))
    }

    /// What comes of a refusal: a new signature helps when the clock has been put right since.
    pub(crate) fn refresh(&self, refused: AuthStamp) -> Refresh {
        if self.lessons().count > refused.0 { Refresh::Renewed } else { Refresh::Unsupported }
    }

    fn lessons(&self) -> Lessons {
        *self.0.lesson.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over the vendor's time; says whether the answer is a refusal of our time.
    fn learns(&self, answer: &Answer) -> bool {
        let Some(ahead) = skew::ahead(answer) else { return false };
        let now = Instant::now();
        let mut lesson = self.0.lesson.lock().unwrap_or_else(PoisonError::into_inner);
        if ahead.saturating_sub(lesson.ahead).saturating_abs() <= TOLERATED {
            // Others were signed before the lesson and come back after it.
            return lesson.last.is_some_and(|last| now < last + AFTERMATH) && speaks_of_time(answer.body());
        }
        *lesson = Lessons { ahead, count: lesson.count.saturating_add(1), last: Some(now) };
        drop(lesson);
        tracing::warn!(
            seconds = ahead,
            "the vendor's clock differs from ours: signatures follow the vendor's"
        );
        true
    }
}

impl fmt::Debug for ServerClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerClock").field("ahead", &self.ahead()).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Learning<C> {
    clock: ServerClock,
    inner: C,
}

impl<C: Classifier> Classifier for Learning<C> {
    fn classify(&self, answer: &Answer) -> Result<()> {
        let error = match self.inner.classify(answer) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let refused = matches!(answer.status().as_u16(), 400 | 401 | 403);
        Err(if refused && self.clock.learns(answer) { outdated(error) } else { error })
    }

    fn lessons(&self, answer: &Answer, lessons: &mut Vec<Lesson>) {
        self.inner.lessons(answer, lessons);
    }
}

fn outdated(error: Error) -> Error {
    error.with_kind(ErrorKind::Reauth)
}

/// Whether a refusal's text may be about the request's time.
fn speaks_of_time(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body).to_ascii_lowercase();
    ["timestamp", "expired", "skew", "not yet", "clock"].iter().any(|word| text.contains(word))
}
