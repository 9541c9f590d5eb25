//! What vendors allow: limits as data, the limiter of one process, and what answers say about limits.

mod gate;
mod limiter;
mod limits;
mod line;
mod midnight;
mod pace;
mod rate;
mod rate_limit;
mod reset;
mod retry_after;
mod slots;
mod structured;
mod usage;
mod windows;
mod x_rate_limit;

pub use limiter::LocalLimiter;
pub use limits::Limits;
pub use midnight::next_midnight;
pub use rate_limit::{RateLimit, rate_limit_lesson, rate_limits};
pub use reset::Reset;
pub use retry_after::retry_after;
pub use usage::{GraphqlCost, MetaUsage, graphql_cost, meta_usage, sforce_limit_info};
pub use x_rate_limit::{XRateLimit, reset_in, x_rate_limit};
