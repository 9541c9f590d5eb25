//! A thousand customers through one transport, one token store and one process: nobody's request carries another's
//! credentials.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acople::hubspot::{Auth, Config, HubSpot, RefreshToken, Tier};
use acople::{Context, ErrorKind, Resources, Secret, TokenStore};
use acople_testkit::memory::MemoryStore;
use acople_testkit::{Reply, ScriptedTransport, Sent};
use fastrand::Rng;
use tokio::task::JoinSet;
use tokio::time::timeout;

const TENANTS: usize = 1_000;

/// Calls of each tenant.
const CALLS: usize = 10;

/// The vendor: which pair of tokens of each tenant is live, and what went wrong.
#[derive(Debug)]
struct Vendor {
    pairs: BTreeMap<usize, u32>,
    rng: Rng,
    mixed: Vec<String>,
    served: usize,
    refused: usize,
}

impl Vendor {
    fn answer(&mut self, sent: &Sent) -> Reply {
        let delay = Duration::from_millis(self.rng.u64(0..50));
        let path = sent.request.url().path().to_owned();
        if path.ends_with("/token") {
            return self.token(sent).after(delay);
        }
        // The record's id is the tenant's number, so that each request says whose it has to be.
        let tenant: usize = path.rsplit('/').next().unwrap().parse().unwrap();
        let shown = sent.header("authorization").unwrap_or_default().to_owned();
        let live = format!("Bearer at-{tenant}-{}", self.pairs[&tenant]);
        if !shown.starts_with(&format!("Bearer at-{tenant}-")) {
            self.mixed.push(format!("{path} with {shown}"));
        }
        if shown != live || self.rng.u32(0..10) == 0 {
            // An old token, or one that is revoked just now.
            self.refused += 1;
            return Reply::json(401, r#"{"status":"error","category":"EXPIRED_AUTHENTICATION"}"#)
                .after(delay);
        }
        self.served += 1;
        Reply::json(200, format!(r#"{{"id":"{tenant}","properties":{{"email":"{shown}"}}}}"#)).after(delay)
    }

    fn token(&mut self, sent: &Sent) -> Reply {
        let form: BTreeMap<String, String> =
            url::form_urlencoded::parse(sent.request.body()).into_owned().collect();
        let tenant: usize = form["client_id"].strip_prefix("app-").unwrap().parse().unwrap();
        let pair = self.pairs.entry(tenant).or_default();
        let wanted = [form["refresh_token"].clone(), form["client_secret"].clone()];
        if wanted != [format!("rt-{tenant}-{pair}"), format!("secret-{tenant}")] {
            self.mixed.push(format!("a token call of {tenant} with {wanted:?}, not {pair}"));
            return Reply::json(400, r#"{"status":"BAD_REFRESH_TOKEN","message":"unknown"}"#);
        }
        *pair += 1;
        Reply::json(
            200,
            format!(
                r#"{{"access_token":"at-{tenant}-{pair}","refresh_token":"rt-{tenant}-{pair}","expires_in":1800}}"#
            ),
        )
    }
}

#[tokio::test(start_paused = true)]
async fn sec_11_a_thousand_tenants_never_show_each_others_credentials() {
    let pairs = (0..TENANTS).map(|tenant| (tenant, 0)).collect();
    let vendor = Vendor { pairs, rng: Rng::with_seed(11), mixed: Vec::new(), served: 0, refused: 0 };
    let vendor = Arc::new(Mutex::new(vendor));
    let shared = vendor.clone();
    let transport = ScriptedTransport::function(move |sent, _| shared.lock().unwrap().answer(sent));
    let store = MemoryStore::new();
    let base = Resources::new(Arc::new(transport)).with_tokens(Arc::new(store.clone()));

    let connectors: Vec<HubSpot> = (0..TENANTS)
        .map(|tenant| {
            let app = RefreshToken::new(format!("app-{tenant}"), format!("rt-{tenant}-0"))
                .with_secret(format!("secret-{tenant}"));
            let config = Config::new(Auth::RefreshToken(app)).with_tier(Tier::Increased);
            HubSpot::new(config, &base.clone().with_tenant(format!("tenant-{tenant}"))).unwrap()
        })
        .collect();
    let mut calls: Vec<usize> = (0..TENANTS * CALLS).map(|number| number % TENANTS).collect();
    let mut rng = Rng::with_seed(12);
    rng.shuffle(&mut calls);
    let mut tasks = JoinSet::new();
    for tenant in calls {
        let connector = connectors[tenant].clone();
        let (wait, patience) =
            (rng.u64(0..2_000), if rng.u32(0..8) == 0 { rng.u64(0..120) } else { 600_000 });
        tasks.spawn(async move {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            let cx = Context::new();
            let contacts = connector.contacts();
            let id = tenant.to_string();
            // Some give up in the middle; the next one of the same tenant goes on.
            match timeout(Duration::from_millis(patience), contacts.get(&cx, &id)).await {
                Ok(Ok(contact)) => assert_eq!(contact.id, id, "the answer to another tenant's call"),
                // Two refusals in a row end a call.
                Ok(Err(error)) => assert_eq!(error.kind(), ErrorKind::Reauth, "{error:?}"),
                Err(_) => {}
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(120)).await;

    let pairs = {
        let mut vendor = vendor.lock().unwrap();
        assert!(vendor.mixed.is_empty(), "{} mixed up: {:?}", vendor.mixed.len(), vendor.mixed.first());
        assert!(
            vendor.served > TENANTS * CALLS / 2 && vendor.refused > TENANTS / 2,
            "{} served, {} refused",
            vendor.served,
            vendor.refused
        );
        std::mem::take(&mut vendor.pairs)
    };
    for (tenant, pair) in &pairs {
        let key = base.clone().with_tenant(format!("tenant-{tenant}")).connection_key("hubspot");
        let (tokens, _) = TokenStore::load(&store, &key).await.unwrap().unwrap();
        assert_eq!(tokens.refresh.as_ref().map(Secret::expose), Some(format!("rt-{tenant}-{pair}").as_str()));
    }
}
