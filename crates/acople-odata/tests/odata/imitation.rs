//! A small OData service in memory, in both dialects: enough to be asked what the connector asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use acople_odata::{Options, Protocol, Service};
use acople_testkit::{FakeClock, Reply, ScriptedTransport, Sent};

/// Tenths of microseconds since 2025-01-01T00:00:00Z: finer than the JSON of OData 2.0 shows.
pub(crate) type Ticks = u64;

#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) key: Vec<String>,
    pub(crate) changed: Option<Ticks>,
    pub(crate) version: u64,
}

type Tamper = Box<dyn FnMut(&mut Vec<Row>, usize) + Send>;

#[allow(clippy::struct_excessive_bools)] // each is a vice of its own
pub(crate) struct Habits {
    pub(crate) protocol: Protocol,
    pub(crate) key_fields: usize,
    /// The service's own page size.
    pub(crate) page: usize,
    /// Whether records without a change time come first or last.
    pub(crate) nulls_first: bool,
    pub(crate) ignores_filter: bool,
    pub(crate) ignores_order: bool,
    pub(crate) refuses_null: bool,
    /// Changes the rows before each request for records.
    pub(crate) tamper: Option<Tamper>,
}

impl Habits {
    pub(crate) fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            key_fields: 1,
            page: 1000,
            nulls_first: true,
            ignores_filter: false,
            ignores_order: false,
            refuses_null: false,
            tamper: None,
        }
    }
}

pub(crate) struct Imitation {
    pub(crate) service: Service,
    pub(crate) clock: FakeClock,
    pub(crate) transport: ScriptedTransport,
    pub(crate) rows: Arc<Mutex<Vec<Row>>>,
}

pub(crate) const BASE: &str = "https://odata.example.com/odata/SRV";

pub(crate) fn options(protocol: Protocol) -> Options {
    let mut options = Options::new("odata", protocol);
    options.change_names = &["LastChangeDateTime", "ModifiedAt", "LastChangeDate"];
    options
}

pub(crate) fn connect(options: Options, transport: &ScriptedTransport) -> Service {
    connect_at(&FakeClock::new(), options, transport)
}

fn connect_at(clock: &FakeClock, options: Options, transport: &ScriptedTransport) -> Service {
    let resources =
        acople_core::Resources::new(Arc::new(transport.clone())).with_clock(Arc::new(clock.clone()));
    Service::new(acople_odata::client(BASE, &resources).unwrap().build(), options)
}

impl Imitation {
    pub(crate) fn new(rows: Vec<Row>, habits: Habits, adjust: impl FnOnce(&mut Options)) -> Self {
        let mut options = options(habits.protocol);
        adjust(&mut options);
        let rows = Arc::new(Mutex::new(rows));
        let shared = Mutex::new((habits, rows.clone(), 0));
        let transport = ScriptedTransport::function(move |sent, _| {
            let (habits, rows, number) = &mut *shared.lock().unwrap();
            if sent.request.url().path().ends_with("/$metadata") {
                return Reply::new(200, metadata(habits)).header("content-type", "application/xml");
            }
            let mut rows = rows.lock().unwrap();
            if let Some(tamper) = &mut habits.tamper {
                tamper(&mut rows, *number);
                *number += 1;
            }
            answer(sent, habits, &rows)
        });
        let clock = FakeClock::new();
        Self { service: connect_at(&clock, options, &transport), clock, transport, rows }
    }

    /// The decoded queries of all requests for records so far.
    pub(crate) fn queries(&self) -> Vec<BTreeMap<String, String>> {
        let records =
            self.transport.sent().into_iter().filter(|s| !s.request.url().path().ends_with("$metadata"));
        records.map(|sent| sent.request.url().query_pairs().into_owned().collect()).collect()
    }
}

pub(crate) fn metadata(habits: &Habits) -> String {
    let keys: Vec<String> = (0..habits.key_fields).map(|i| format!("K{i}")).collect();
    let (edmx, edm) = match habits.protocol {
        Protocol::V2 => ("1.0", "http://schemas.microsoft.com/ado/2008/09/edm"),
        _ => ("4.0", "http://docs.oasis-open.org/odata/ns/edm"),
    };
    let all = |one: fn(&String) -> String| keys.iter().map(one).collect::<Vec<_>>().concat();
    let refs = all(|key| format!(r#"<PropertyRef Name="{key}"/>"#));
    let fields = all(|key| format!(r#"<Property Name="{key}" Type="Edm.String" Nullable="false"/>"#));
    format!(
        r#"<?xml version="1.0"?><edmx:Edmx Version="{edmx}" xmlns:edmx="urn:e"><edmx:DataServices>
        <Schema Namespace="S" xmlns="{edm}"><EntityType Name="Item"><Key>{refs}</Key>{fields}
        <Property Name="LastChangeDateTime" Type="Edm.DateTimeOffset" Precision="7"/>
        <Property Name="Version" Type="Edm.Int32"/></EntityType>
        <EntityContainer Name="C"><EntitySet Name="Items" EntityType="S.Item"/></EntityContainer>
        </Schema></edmx:DataServices></edmx:Edmx>"#
    )
}

const EPOCH_MS: u64 = 1_735_689_600_000;

/// A time as the dialect's JSON shows it.
pub(crate) fn shown(protocol: Protocol, ticks: Ticks) -> String {
    match protocol {
        Protocol::V2 => format!("/Date({}+0000)/", EPOCH_MS + ticks / 10_000),
        _ => format!(
            "2025-01-01T00:{:02}:{:02}.{:07}Z",
            ticks / 600_000_000,
            ticks / 10_000_000 % 60,
            ticks % 10_000_000
        ),
    }
}

fn answer(sent: &Sent, habits: &Habits, rows: &[Row]) -> Reply {
    let query: BTreeMap<String, String> = sent.request.url().query_pairs().into_owned().collect();
    let mut found: Vec<&Row> = rows.iter().collect();
    if let Some(filter) = query.get("$filter").filter(|_| !habits.ignores_filter) {
        if habits.refuses_null && filter.contains("null") {
            return Reply::json(400, r#"{"error":{"code":"X/1","message":"null is not supported"}}"#);
        }
        let mut parser = Filter { tokens: tokens(filter), at: 0, protocol: habits.protocol };
        let test = parser.any();
        assert_eq!(parser.at, parser.tokens.len(), "the whole filter is understood: {filter}");
        found.retain(|row| test(row));
    }
    if let Some(order) = query.get("$orderby").filter(|_| !habits.ignores_order) {
        let fields: Vec<&str> = order.split(',').collect();
        found.sort_by(|a, b| {
            let compare = |field: &&str| match *field {
                "LastChangeDateTime" => {
                    let rank = |row: &Row| (row.changed.is_some() == habits.nulls_first, row.changed);
                    rank(a).cmp(&rank(b))
                }
                key => a.key[index(key)].cmp(&b.key[index(key)]),
            };
            fields.iter().map(compare).find(|o| o.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
        });
    }
    let skip: usize = query.get("$skiptoken").map_or(0, |t| t.parse().unwrap());
    let top: usize = query.get("$top").map_or(usize::MAX, |t| t.parse().unwrap());
    let total = found.len().min(top);
    let page: Vec<String> = found
        .iter()
        .take(total)
        .skip(skip)
        .take(habits.page)
        .map(|row| record(row, habits.protocol))
        .collect();
    let next = (skip + page.len() < total).then(|| {
        let mut rest = query.clone();
        rest.insert("$skiptoken".into(), (skip + page.len()).to_string());
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(rest).finish().replace('+', "%20")
    });
    let records = page.join(",");
    Reply::json(
        200,
        match (habits.protocol, next) {
            (Protocol::V2, Some(next)) => {
                format!(r#"{{"d":{{"results":[{records}],"__next":"{BASE}/Items?{next}"}}}}"#)
            }
            (Protocol::V2, None) => format!(r#"{{"d":{{"results":[{records}]}}}}"#),
            (_, Some(next)) => format!(r#"{{"@odata.nextLink":"Items?{next}","value":[{records}]}}"#),
            (_, None) => format!(r#"{{"value":[{records}]}}"#),
        },
    )
}

fn record(row: &Row, protocol: Protocol) -> String {
    let keys: Vec<String> = row.key.iter().enumerate().map(|(i, k)| format!(r#""K{i}":"{k}""#)).collect();
    let changed = row.changed.map_or("null".into(), |t| format!("\"{}\"", shown(protocol, t)));
    format!(r#"{{{},"LastChangeDateTime":{changed},"Version":{}}}"#, keys.join(","), row.version)
}

fn index(key: &str) -> usize {
    key[1..].parse().unwrap()
}

fn tokens(filter: &str) -> Vec<String> {
    let (mut all, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in filter.chars() {
        quoted ^= c == '\'';
        if !quoted && matches!(c, ' ' | '(' | ')') {
            all.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
            all.extend((c != ' ').then(|| c.to_string()));
        } else {
            word.push(c);
        }
    }
    all.extend((!word.is_empty()).then_some(word));
    all
}

type Test = Box<dyn Fn(&Row) -> bool>;

struct Filter {
    tokens: Vec<String>,
    at: usize,
    protocol: Protocol,
}

impl Filter {
    fn next(&mut self) -> String {
        self.at += 1;
        self.tokens[self.at - 1].clone()
    }

    fn takes(&mut self, word: &str) -> bool {
        let found = self.tokens.get(self.at).is_some_and(|t| t == word);
        self.at += usize::from(found);
        found
    }

    fn any(&mut self) -> Test {
        let mut parts = vec![self.all()];
        while self.takes("or") {
            assert_eq!(self.protocol, Protocol::V4, "OData 2.0 services are asked by conjunctions only");
            parts.push(self.all());
        }
        Box::new(move |row| parts.iter().any(|part| part(row)))
    }

    fn all(&mut self) -> Test {
        let mut parts = vec![self.one()];
        while self.takes("and") {
            parts.push(self.one());
        }
        Box::new(move |row| parts.iter().all(|part| part(row)))
    }

    fn one(&mut self) -> Test {
        if self.takes("(") {
            let inner = self.any();
            assert!(self.takes(")"));
            return inner;
        }
        let (field, operator, literal) = (self.next(), self.next(), self.next());
        let holds = move |order: std::cmp::Ordering| match operator.as_str() {
            "eq" => order.is_eq(),
            "ne" => order.is_ne(),
            "gt" => order.is_gt(),
            "ge" => order.is_ge(),
            "lt" => order.is_lt(),
            other => panic!("operator {other}"),
        };
        if field == "LastChangeDateTime" {
            if literal == "null" {
                return Box::new(move |row| holds(row.changed.cmp(&None)));
            }
            let value = self.ticks(&literal);
            return Box::new(move |row| row.changed.is_some_and(|c| holds(i128::from(c).cmp(&value))));
        }
        let value = literal.strip_prefix('\'').and_then(|l| l.strip_suffix('\'')).unwrap().replace("''", "'");
        Box::new(move |row| holds(row.key[index(&field)].cmp(&value)))
    }

    fn ticks(&self, literal: &str) -> i128 {
        let text = match self.protocol {
            Protocol::V2 => {
                literal.strip_prefix("datetimeoffset'").and_then(|l| l.strip_suffix('\'')).unwrap()
            }
            _ => literal,
        };
        let text = text.strip_suffix('Z').unwrap();
        let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
        let numbers: Vec<i128> = clock.split(['-', 'T', ':']).map(|n| n.parse().unwrap()).collect();
        let [year, month, day, hour, minute, second] = numbers[..] else { panic!("{literal}") };
        // Enough of a calendar for the days around the first of January 2025.
        let days = (year - 2025) * 365 + if month == 12 { day - 32 } else { day - 1 };
        let days = if month == 12 { days + 365 } else { days };
        let fraction: i128 = format!("{fraction:0<7}").parse().unwrap();
        (((days * 24 + hour) * 60 + minute) * 60 + second) * 10_000_000 + fraction
    }
}
