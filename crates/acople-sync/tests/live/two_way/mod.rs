//! Two systems that are edited on both sides: they come to be alike, nothing goes in circles, and every conflict
//! is decided by the rule or waits for somebody.

mod conflicts;
mod links;
mod model;

use std::sync::Arc;

use acople_core::{Context, IdentityMap, Link, Pairing, WriteMode};
use acople_sync::{Policy, Side, TwoWay, TwoWayBuilder, TwoWayReport};
use acople_testkit::memory::MemoryStore;

use crate::world::{Fields, System};

const FIELDS: [&str; 3] = ["n", "x", "y"];

struct World {
    a: System,
    b: System,
    store: Arc<MemoryStore>,
}

impl World {
    fn new() -> Self {
        Self::of(system("a"), system("b"))
    }

    fn of(a: System, b: System) -> Self {
        Self { a, b, store: Arc::new(MemoryStore::new()) }
    }

    fn sync(&self, policy: Policy) -> TwoWayBuilder {
        TwoWay::builder("both")
            .a(Arc::new(self.a.clone()), "things")
            .b(Arc::new(self.b.clone()), "things")
            .fields(FIELDS)
            .modified_by("modified", "modified")
            .policy(policy)
            .store(self.store.clone())
    }

    async fn links(&self) -> Vec<Link> {
        let side = |id: &str| acople_core::Side::new(id, "things");
        self.store.scan(&Pairing::new("both", side("a"), side("b")), None, 1_000).await.unwrap()
    }

    /// The records of each side by their name, without their ids.
    fn both(&self) -> [Vec<Fields>; 2] {
        [&self.a, &self.b].map(|system| {
            let mut records: Vec<Fields> = system.data().records.values().cloned().collect();
            records.sort();
            records
        })
    }

    fn system(&self, side: Side) -> &System {
        if side == Side::A { &self.a } else { &self.b }
    }
}

fn system(id: &'static str) -> System {
    System::new(id, &[WriteMode::Insert, WriteMode::Update, WriteMode::Delete]).with_own_ids().with_stamps()
}

async fn run(sync: &TwoWay) -> TwoWayReport {
    sync.run(&Context::new(), &()).await.unwrap()
}

fn record(n: &str, x: &str, y: &str) -> Fields {
    [("n", n), ("x", x), ("y", y)].map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn create(system: &System, id: &str, fields: &Fields) {
    for (name, value) in fields {
        system.data().edit(id, name, value);
    }
}
