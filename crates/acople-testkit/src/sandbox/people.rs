//! Leads as a busy org has them: many scripts, gaps, and about one in a hundred that gives trouble.

use serde_json::{Value, json};

use super::{
    Record,
    names::{LOCALES, Locale},
};

/// One lead in this many is awkward.
const AWKWARD_EVERY: usize = 100;

/// `n` leads for [`Salesforce::load`](super::Salesforce::load), the same for the same seed.
///
/// E-mail addresses are unique where they are addresses at all. One record in a hundred is awkward, the kinds in turn:
/// no e-mail, the e-mail `not-an-email`, a company of 255 characters, quotes, backslashes, line breaks, or spaces around
/// a name, a null phone, and characters that mislead (zero-width, combining, right-to-left marks).
pub fn people(seed: u64, n: usize) -> impl Iterator<Item = Record> {
    let mut random = Random(seed);
    let first_awkward = random.below(AWKWARD_EVERY);
    (0..n).map(move |index| {
        let mut person = person(&mut random, seed, index);
        if index % AWKWARD_EVERY == first_awkward {
            spoil(&mut person, index / AWKWARD_EVERY);
        }
        person
    })
}

fn person(random: &mut Random, seed: u64, index: usize) -> Record {
    let Some(locale) = random.pick(&LOCALES) else {
        return Record::new();
    };
    let Locale { country, top_domain, dial_code, .. } = locale;
    let (first, first_latin) = random.pick(locale.first).copied().unwrap_or_default();
    let (last, last_latin) = random.pick(locale.last).copied().unwrap_or_default();
    let (company, domain) = random.pick(locale.companies).copied().unwrap_or_default();
    let mut fields = Record::new();
    let mut set = |name: &str, value: Value| {
        fields.insert(name.to_owned(), value);
    };
    // A few leads are known by one name only.
    if random.below(20) > 0 {
        set("FirstName", json!(first));
    }
    set("LastName", json!(last));
    set("Company", json!(company));
    set("Email", json!(format!("{first_latin}.{last_latin}.{seed}.{index}@{domain}.example.{top_domain}")));
    set("Phone", json!(format!("{dial_code} {:04}", random.below(10_000))));
    if random.below(3) == 0 {
        set("MobilePhone", json!(format!("{dial_code} 9{:04}", random.below(10_000))));
    }
    if random.below(4) > 0 {
        set("Title", json!(random.pick(locale.titles)));
    }
    let street = random.pick(locale.streets).copied().unwrap_or_default();
    set("Street", json!(format!("{street} {}", 1 + random.below(199))));
    set("City", json!(random.pick(locale.cities)));
    set("Country", json!(country));
    if random.below(2) == 0 {
        set("Website", json!(format!("https://www.{domain}.example.{top_domain}")));
    }
    set(
        "LeadSource",
        json!(random.pick(&["Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Other"])),
    );
    set(
        "Status",
        json!(random.pick(&["Open - Not Contacted", "Working - Contacted", "Closed - Not Converted"])),
    );
    if random.below(2) == 0 {
        set(
            "Industry",
            json!(random.pick(&["Agriculture", "Banking", "Education", "Manufacturing", "Technology"])),
        );
    }
    if random.below(3) == 0 {
        set("Rating", json!(random.pick(&["Hot", "Warm", "Cold"])));
    }
    if random.below(2) == 0 {
        set("NumberOfEmployees", json!(1 + random.below(20_000)));
        set("AnnualRevenue", json!(1_000 * (1 + random.below(900_000))));
    }
    let cents = random.below(10_000_000);
    let spend: f64 = format!("{}.{:02}", cents / 100, cents % 100).parse().unwrap_or_default();
    set("AnnualSpend__c", json!(spend));
    set("HasOptedOutOfEmail", json!(random.below(10) == 0));
    fields
}

fn spoil(person: &mut Record, kind: usize) {
    let mut set = |name: &str, value: Value| {
        person.insert(name.to_owned(), value);
    };
    match kind % 9 {
        0 => {
            person.shift_remove("Email");
        }
        1 => set("Email", json!("not-an-email")),
        2 => set(
            "Company",
            json!(
                "Vereinigte Österreichische Brückenbaugesellschaft "
                    .repeat(6)
                    .chars()
                    .take(255)
                    .collect::<String>()
            ),
        ),
        3 => set("LastName", json!("O'Brien \"Bob\" d\u{2019}Arc")),
        4 => set("Company", json!("C:\\temp\\new \\' OR Name LIKE '%' \\")),
        5 => set("LastName", json!("Line\nBreak\r\n\tTab")),
        6 => {
            set("FirstName", json!("  Leading"));
            set("LastName", json!("Trailing  "));
        }
        7 => set("Phone", Value::Null),
        _ => {
            set("FirstName", json!("Zo\u{308}e\u{301}\u{200b}"));
            set("LastName", json!("\u{202e}\u{1f469}\u{200d}\u{1f4bb}\u{fffd}"));
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): small, even enough, and the same everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to, but without, `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap_or(1);
        usize::try_from(self.next() % bound).unwrap_or(0)
    }

    fn pick<'t, T>(&mut self, from: &'t [T]) -> Option<&'t T> {
        from.get(self.below(from.len()))
    }
}
