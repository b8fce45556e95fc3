'use strict'
// What the scripts for Node share: cases, patience, and how they are run.

const path = require('node:path')

const WAIT_MS = 10_000
const cases = []

/** Adds a case; `run` gets a bench. */
function defineCase (name, run) {
  cases.push({ name, run })
}

/** A value, or an error that names what did not come in time. */
function inTime (promise, what, limit = WAIT_MS) {
  let timer
  const late = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within ${limit} ms`)), limit)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** Runs the cases whose names match, each with a bench of its own, and ends the script: with 1 if one fails, or late. */
async function main ({ only, limitSeconds, newBench }) {
  setTimeout(() => { console.log(`FAIL  ${limitSeconds} s are over`); process.exit(1) }, limitSeconds * 1000)
  let failed = 0
  let run = 0
  for (const { name, run: body } of cases) {
    if (!name.match(only)) continue
    run++
    const bench = newBench(name)
    const start = Date.now()
    try {
      await bench.start?.()
      await body(bench)
      console.log(`  ok  ${name} (${((Date.now() - start) / 1000).toFixed(2)} s)`)
    } catch (error) {
      failed++
      console.log(`FAIL  ${name}: ${error.stack}`)
    }
    await bench.close().catch(error => console.log(`      ${error.message}`))
  }
  console.log(`${path.basename(process.argv[1])}: ${run - failed} of ${run} cases hold`)
  process.exit(failed || !run ? 1 : 0) // clients may leave timers and sockets behind
}

module.exports = { WAIT_MS, defineCase, inTime, main }
