'use strict'

const cds = require('@sap/cds')
const { statisticalValue } = require('../db/generate')
const { toNumbers, wantsStrings } = require('./numbers')

module.exports = class BusinessPartnerService extends cds.ApplicationService {
  init() {
    // The server stamps every change with its own clock, unless the client
    // sends a time: a test that needs equal or old times sends them.
    this.before(['CREATE', 'UPDATE'], ['BusinessPartners', 'SalesOrders'], (req) => {
      const now = req.timestamp.toISOString()
      req.data.LastChangeDateTime ??= now
      if (req.event === 'CREATE') req.data.CreationDateTime ??= now
    })
    this.after('READ', 'BusinessPartners', (rows, req) => {
      if (!selects(req.query, 'StatisticalValue')) return
      for (const row of rows) {
        if (row?.BusinessPartner) row.StatisticalValue = statisticalValue(row.BusinessPartner)
      }
    })
    this.after('READ', '*', (rows, req) => {
      const headers = req.http?.req?.headers ?? req.headers
      if (!wantsStrings(headers)) toNumbers(rows, req.target)
    })
    // The database's own message for a used key would be a 500.
    this.on('error', (error) => {
      if (!/UNIQUE constraint failed/.test(error.message)) return
      error.message = 'Entity already exists'
      error.code = 'ENTITY_ALREADY_EXISTS'
      error.status = error.statusCode = 400
    })
    return super.init()
  }
}

function selects(query, name) {
  const columns = query.SELECT?.columns
  return !columns || columns.some((column) => column === '*' || column.ref?.[0] === '*' || column.ref?.[0] === name)
}
