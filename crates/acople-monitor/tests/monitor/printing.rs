use std::sync::Arc;

use acople_core::{
    BreakerState, Catalog, ConnectionKey, Connector, ConnectorInfo, Context, Error, ErrorKind, Health,
    Monitor, Result, Signal, Watched,
};
use acople_monitor::{Collector, Probes};
use async_trait::async_trait;

use crate::fixture::{call, calls};
use crate::series::Series;

const CANARY: &str = "kanarie-4711-s3cret";

#[tokio::test(start_paused = true)]
async fn sec_01_what_errors_and_checks_say_is_in_no_output() {
    let series = Arc::new(Series::default());
    let collector = Collector::builder().export_to(series.clone()).build().unwrap();
    let recorder = collector.watch(&Watched::new("leaky", "api.example").of("main", "acme"));
    calls(&*recorder, 20, Some(ErrorKind::Reauth));
    let (connector, key) =
        (Arc::new(Leaky::default()), ConnectionKey::new("leaky", "main").with_tenant("acme"));
    let cx = Context::new().with_tenant(CANARY).with_idempotency_key(CANARY);
    let mut printed = Vec::new();
    for _ in 0..4 {
        let said = collector.probe(&key, &*connector, &cx).await;
        printed.extend([format!("{said:#?}"), serde_json::to_string(&said).unwrap()]);
    }
    let probes = Probes::new(&collector).add(key, connector, cx);
    printed.extend([format!("{probes:#?}"), format!("{collector:#?}"), format!("{recorder:#?}")]);
    printed.extend([format!("{:#?}", collector.snapshot()), format!("{:#?}", collector.health())]);
    printed.push(serde_json::to_string(&collector.snapshot()).unwrap());
    printed.push(serde_json::to_string(&collector.health()).unwrap());
    printed.extend(series.names());
    for text in printed {
        assert!(!text.is_empty() && !text.contains("kanarie") && !text.contains("s3cret"), "{text}");
    }
    assert!(serde_json::to_string(&collector.snapshot()).unwrap().contains("reauth"));
}

#[test]
fn sec_09_no_name_carries_control_characters_or_reorders_text() {
    let cases = [
        "a\nb",
        "a\r\nb",
        "\u{1b}[31mred",
        "nul\0",
        "\u{202e}drowssap",
        "tab\there",
        "\u{2066}x",
        "\u{9b}1m",
    ];
    for bad in cases {
        let series = Arc::new(Series::default());
        let collector = Collector::builder().export_to(series.clone()).build().unwrap();
        let recorder = collector.watch(&Watched::new(bad, bad).of(bad, bad));
        call(&*recorder, bad, None);
        recorder.record(&Signal::Quota { bucket: bad, remaining: 1 });
        recorder.record(&Signal::Breaker { class: bad, state: BreakerState::Open });

        let snapshot = collector.snapshot();
        let row = &snapshot.connections[0];
        let texts = [&row.health.connector, &row.health.tenant, &row.health.connection].into_iter();
        let texts = texts.chain(&row.host).chain(row.quotas.keys()).chain(row.breakers.keys());
        let texts =
            texts.chain(row.traffic.operations.keys()).chain([&snapshot.connectors[0].health.connector]);
        let mut texts: Vec<String> = texts.cloned().collect();
        assert_eq!(texts.len(), 8);
        texts.extend(series.names());
        texts.extend([format!("{collector:?}"), format!("{recorder:?}"), format!("{snapshot:?}")]);
        texts.push(serde_json::to_string(&snapshot).unwrap());
        for text in texts {
            let printable =
                |c: char| !c.is_control() && !('\u{202a}'..='\u{202e}').contains(&c) && c != '\u{2066}';
            assert!(text.chars().all(printable), "{bad:?}: {text:?}");
        }
    }
}

/// A connector whose errors say too much.
#[derive(Debug)]
struct Leaky {
    info: ConnectorInfo,
    checks: std::sync::atomic::AtomicUsize,
}

impl Default for Leaky {
    fn default() -> Self {
        Self { info: ConnectorInfo::new("leaky", "Leaky"), checks: std::sync::atomic::AtomicUsize::new(0) }
    }
}

#[async_trait]
impl Connector for Leaky {
    fn info(&self) -> &ConnectorInfo {
        &self.info
    }

    async fn check(&self, _: &Context) -> Result<Health> {
        let said =
            |kind| Error::new(kind, CANARY).with_code(CANARY).with_request_id(CANARY).with_field(CANARY);
        match self.checks.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => Ok(Health::ok(CANARY).with_warning(CANARY)),
            1 => panic!("{CANARY}"),
            2 => Err(said(ErrorKind::Config)),
            _ => Err(said(ErrorKind::Reauth)),
        }
    }

    async fn discover(&self, _: &Context) -> Result<Catalog> {
        Ok(Catalog::default())
    }
}
