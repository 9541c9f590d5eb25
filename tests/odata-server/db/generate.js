'use strict'

// Deterministic data: the same rows at every start, on every machine.

const PARTNERS = 600
const ORDERS = 2530
const DAY = 86_400_000
const EPOCH = Date.UTC(2025, 0, 1)

/** Small seeded generator (mulberry32); Math.random cannot be seeded. */
function random(seed) {
  let a = seed >>> 0
  return () => {
    a = (a + 0x6d2b79f5) >>> 0
    let t = Math.imul(a ^ (a >>> 15), a | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

const FIRST = ['Ana', 'Björn', 'Chloé', 'Dmitrij', 'Éva', 'Łukasz', '太郎', 'مريم', 'Nguyễn', 'Zoë', 'Ida', 'Paul']
const LAST = ["O'Neil", 'Müller-Lüdenscheidt', 'Ibáñez', 'Søgård', 'Weiß', '山田', 'الحسن', 'Šimek', 'Smith', 'van der Berg', 'Ng', 'Kowalski']
const FIRMS = ['Acme "Quoted" Ltd.', 'Bäckerei 100% & Söhne', 'C:\\Temp\\ GmbH', '<Tag> & Co', 'Emoji 🚀👩‍👩‍👧 Inc', 'Semi;Colon, Comma', 'Plus+Plus #1', 'Ünïcødé AG']
const CITIES = [['Berlin', 'DE', '01067'], ['München', 'DE', '80331'], ['Zürich', 'CH', '8001'], ['Boston', 'US', '02108'], ['São Paulo', 'BR', '01000-000'], ['東京', 'JP', '100-0001']]
const LANGUAGES = ['DE', 'EN', 'ES', 'FR', 'JA']
const CURRENCIES = ['EUR', 'USD', 'CHF', 'JPY', 'KWD']

const iso = (ms) => new Date(ms).toISOString()
const day = (ms) => iso(ms).slice(0, 10)
const seconds = (ms) => iso(ms).slice(0, 19) + 'Z'
const pick = (next, list) => list[Math.floor(next() * list.length)]

/** Key with leading zeros, as S/4HANA keeps numeric keys inside. */
const partnerKey = (i) => String(i).padStart(10, '0')
const orderKey = (i) => String(i).padStart(10, '0')

function uuid(next) {
  const hex = Array.from({ length: 32 }, () => Math.floor(next() * 16).toString(16))
  hex[12] = '4'
  hex[16] = '8'
  return hex.join('').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** A decimal with 31 digits, more than a double holds; null for some. */
function statisticalValue(key) {
  if (!/^\d{10}$/.test(key) || key.endsWith('9')) return null
  const sign = key.endsWith('4') ? '-' : ''
  return `${sign}123456789012345${key.slice(4)}.0123456789`
}

function partner(i, next) {
  const person = next() < 0.6
  const first = pick(next, FIRST)
  const last = pick(next, LAST)
  const firm = `${pick(next, FIRMS)} ${i}`
  // Seven neighbours share one time, so a page border falls between equal times.
  const changed = EPOCH + Math.floor(i / 7) * DAY + (i % 14 < 7 ? 123 : 0)
  const full = person ? `${first} ${last}` : firm
  return {
    BusinessPartner: partnerKey(i),
    BusinessPartnerUUID: uuid(next),
    BusinessPartnerCategory: person ? '1' : '2',
    BusinessPartnerFullName: full,
    FirstName: person ? first : null,
    LastName: person ? last : null,
    OrganizationName: person ? null : firm,
    EmailAddress: next() < 0.15 ? null : `partner.${i}+test@example.com`,
    PhoneNumber: next() < 0.2 ? null : `+49 30 ${String(1_000_000 + i)}`,
    Language: pick(next, LANGUAGES),
    ExternalNumber: i % 10 === 0 ? null : String(9_007_199_254_740_993n + BigInt(i) * 1_000_000_007n),
    CreditLimit: i % 11 === 0 ? null : `${i % 13 === 0 ? '-' : ''}${Math.floor(next() * 9_999_999_999)}.${String(i % 100).padStart(2, '0')}`,
    RiskFactor: i % 8 === 0 ? null : Math.round(next() * 1e6) / 1e6,
    NumberOfEmployees: person ? null : Math.floor(next() * 2_147_483_647),
    IsBlocked: i % 9 === 0 ? null : next() < 0.1,
    BirthDate: person ? day(Date.UTC(1925, 0, 1) + Math.floor(next() * 29_000) * DAY) : null,
    PreferredCallTime: i % 4 === 0 ? null : iso(Math.floor(next() * DAY)).slice(11, 19),
    Note: note(i),
    CreationDateTime: seconds(EPOCH - 1000 * DAY + i * 3_600_000),
    LastChangeDateTime: iso(changed),
  }
}

/** Texts that break naive quoting and line handling. */
function note(i) {
  switch (i % 25) {
    case 0: return ''
    case 1: return null
    case 2: return `It's "quoted" \\ back\\slash / slash`
    case 3: return 'line one\nline two\r\n\ttabbed'
    case 4: return '🚀 emoji 👩‍👩‍👧 and e\u0301 combining'
    case 5: return '%27 %2F + & = ? #'
    case 6: return '  spaces around  '
    case 7: return '/Date(1735689600000)/'
    case 8: return 'null'
    case 9: return '0000123'
    case 10: return 'x'.repeat(4000) + 'é'
    default: return `Note ${i}`
  }
}

function addresses(i, next) {
  return Array.from({ length: 1 + (i % 3) }, (_, n) => {
    const [city, country, postal] = pick(next, CITIES)
    return {
      Partner_BusinessPartner: partnerKey(i),
      AddressID: String(n + 1).padStart(10, '0'),
      StreetName: `${pick(next, LAST)}-Straße ${i}/${n + 1}`,
      CityName: city,
      PostalCode: postal,
      Country: country,
      ValidFrom: n === 0 ? day(EPOCH) : null,
    }
  })
}

function order(i, next) {
  // Orders 1001 to 1500 carry one and the same time: more than two pages of
  // it, so a reader that resumes by time alone loses rows or never ends.
  const tied = i > 1000 && i <= 1500
  const changed = EPOCH + (tied ? 1000 : i) * 3_600_000 + (tied ? 0 : i % 1000)
  return {
    SalesOrder: orderKey(i),
    SoldToParty: partnerKey(1 + Math.floor(next() * PARTNERS)),
    SalesOrderType: pick(next, ['OR', 'TA', 'RE']),
    PurchaseOrder: i % 6 === 0 ? null : `PO/${i}#${Math.floor(next() * 1e6)}`,
    TotalNetAmount: `${Math.floor(next() * 99_999_999)}.${String(i % 1000).padStart(3, '0')}`,
    TransactionCurrency: pick(next, CURRENCIES),
    SalesOrderDate: day(EPOCH + i * 3_600_000),
    CreationDateTime: seconds(EPOCH + i * 3_600_000),
    LastChangeDateTime: iso(changed),
  }
}

/** All rows, by entity name of the schema. */
function generate() {
  const next = random(20250101)
  const numbers = (n) => Array.from({ length: n }, (_, i) => i + 1)
  return {
    BusinessPartners: numbers(PARTNERS).map((i) => partner(i, next)),
    Addresses: numbers(PARTNERS).flatMap((i) => addresses(i, next)),
    SalesOrders: numbers(ORDERS).map((i) => order(i, next)),
  }
}

module.exports = { generate, statisticalValue }
