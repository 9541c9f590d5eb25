//! Access and refresh tokens, for the token endpoints of all vendors.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

/// How tokens live and die.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TokenRules {
    /// Calls that an access token is good for.
    pub(crate) uses: Option<u64>,
    /// Milliseconds of the sandbox's clock that an access token is good for.
    pub(crate) lifetime_ms: Option<i64>,
    /// Whether each use starts the lifetime anew.
    pub(crate) sliding: bool,
    /// Whether each refresh replaces the refresh token.
    pub(crate) rotate: bool,
}

/// What a token is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Worth {
    Good,
    Expired,
    Unknown,
}

struct Access {
    used: u64,
    since_ms: i64,
    expired: bool,
}

/// The tokens of one connected app.
pub(crate) struct Tokens {
    rules: TokenRules,
    access_prefix: &'static str,
    refresh_prefix: &'static str,
    count: u64,
    access: HashMap<String, Access>,
    refresh: HashSet<String>,
    newest_refresh: String,
}

impl Tokens {
    pub(crate) fn new(rules: TokenRules, access_prefix: &'static str, refresh_prefix: &'static str) -> Self {
        let mut tokens = Self {
            rules,
            access_prefix,
            refresh_prefix,
            count: 0,
            access: HashMap::new(),
            refresh: HashSet::new(),
            newest_refresh: String::new(),
        };
        tokens.grant();
        tokens
    }

    /// A new access token.
    pub(crate) fn issue(&mut self, now_ms: i64) -> String {
        self.count += 1;
        let token = format!("{}{:08}", self.access_prefix, self.count);
        self.access.insert(token.clone(), Access { used: 0, since_ms: now_ms, expired: false });
        token
    }

    /// Uses a token for one call.
    pub(crate) fn spend(&mut self, token: &str, now_ms: i64) -> Worth {
        let Some(access) = self.access.get_mut(token) else {
            return Worth::Unknown;
        };
        let worn = self.rules.uses.is_some_and(|uses| access.used >= uses);
        let old =
            self.rules.lifetime_ms.is_some_and(|lifetime| now_ms.saturating_sub(access.since_ms) >= lifetime);
        if access.expired || worn || old {
            // A session that ended stays ended, however its lifetime slides.
            access.expired = true;
            return Worth::Expired;
        }
        access.used += 1;
        if self.rules.sliding {
            access.since_ms = now_ms;
        }
        Worth::Good
    }

    /// Trades a refresh token; gives the refresh token that is good from now on, or `None` for a dead one.
    pub(crate) fn redeem(&mut self, refresh: &str) -> Option<String> {
        if !self.refresh.contains(refresh) {
            return None;
        }
        if self.rules.rotate {
            self.refresh.remove(refresh);
            self.grant();
            return Some(self.newest_refresh.clone());
        }
        Some(refresh.to_owned())
    }

    pub(crate) fn rotates(&self) -> bool {
        self.rules.rotate
    }

    pub(crate) fn newest_refresh(&self) -> &str {
        &self.newest_refresh
    }

    /// Ends every access token.
    pub(crate) fn expire_all(&mut self) {
        for access in self.access.values_mut() {
            access.expired = true;
        }
    }

    /// Kills every refresh token.
    pub(crate) fn revoke_all(&mut self) {
        self.refresh.clear();
    }

    /// Kills one token of either kind; says whether there was one.
    pub(crate) fn revoke(&mut self, token: &str) -> bool {
        self.access.remove(token).is_some() | self.refresh.remove(token)
    }

    /// A new refresh token, as after a new authorization.
    pub(crate) fn grant(&mut self) {
        self.count += 1;
        self.newest_refresh = format!("{}{:08}", self.refresh_prefix, self.count);
        self.refresh.insert(self.newest_refresh.clone());
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("rules", &self.rules)
            .field("issued", &self.count)
            .finish_non_exhaustive()
    }
}
