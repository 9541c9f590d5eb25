'use strict'

// OData 4.01 JSON: Int64 and Decimal are JSON numbers, unless the client asks
// for strings with `Accept: application/json;IEEE754Compatible=true`. The
// framework knows only one of the two for all requests, so it is told to give
// strings and the negotiation happens here. Numbers lose digits beyond a
// double, as they do in real services.

// Set by our own server on requests that the v2 adapter passes on: in v2 both
// types are always strings.
const FROM_V2 = 'x-odata-v2-request'

/** Does the request behind this event want strings? */
function wantsStrings(headers) {
  return headers[FROM_V2] !== undefined || /IEEE754Compatible=true/i.test(headers.accept ?? '')
}

/** Turns the exact strings of `rows` into numbers, following the model. */
function toNumbers(rows, entity) {
  for (const row of [rows].flat()) {
    if (row === null || typeof row !== 'object') continue
    for (const [name, value] of Object.entries(row)) {
      const element = entity.elements[name]
      if (element?.isAssociation && value !== null) toNumbers(value, element._target)
      else if (typeof value === 'string' && isExact(element)) row[name] = Number(value)
    }
  }
}

function isExact(element) {
  return element?.type === 'cds.Integer64' || element?.type === 'cds.Decimal'
}

module.exports = { FROM_V2, toNumbers, wantsStrings }
