'use strict'
// mqtt.js: publish and subscribe at every QoS, sessions, wills, retained messages, $SYS, takeover.
// Found through NODE_PATH. Cases end by events; the whole script ends after two minutes.

const assert = require('node:assert/strict')
const { parseArgs } = require('node:util')
const mqtt = require('mqtt')

const { WAIT_MS, defineCase, inTime, main } = require('./common.cjs')

const { values: args } = parseArgs({
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    'mqtt-port': { type: 'string', default: '1883' },
    peer: { type: 'string', default: 'turnstone' },
    only: { type: 'string', default: '' }
  }
})
const url = `mqtt://${args.host}:${args['mqtt-port']}`
/** One mqtt.js client whose messages queue up until they are asked for. */
class Client {
  constructor (name, options) {
    this.waiting = []
    this.inbox = []
    this.client = mqtt.connect(url, { clientId: name, reconnectPeriod: 0, connectTimeout: WAIT_MS, ...options })
    this.client.on('error', () => {}) // an error also ends the connection, which is what cases wait for
    this.closed = new Promise(resolve => this.client.once('close', resolve))
    this.connack = new Promise((resolve, reject) => {
      this.client.once('connect', resolve)
      this.client.once('error', reject)
      this.client.once('close', () => reject(new Error('closed before CONNACK')))
    })
    this.client.on('message', (topic, payload, { qos, retain, dup }) => {
      const got = { topic, payload: payload.toString(), qos, retain, dup }
      const next = this.waiting.shift()
      if (next) next(got)
      else this.inbox.push(got)
    })
  }

  next () {
    if (this.inbox.length) return Promise.resolve(this.inbox.shift())
    return inTime(new Promise(resolve => this.waiting.push(resolve)), 'message')
  }

  async take (count) {
    const got = []
    while (got.length < count) got.push(await this.next())
    return got
  }

  /** What comes before the message with this payload. */
  async until (payload) {
    const got = []
    for (let next = await this.next(); next.payload !== payload; next = await this.next()) got.push(next)
    return got
  }

  async subscribe (filter, qos = 0) {
    const granted = await inTime(this.client.subscribeAsync(filter, { qos }), 'SUBACK')
    return granted.map(g => g.qos)
  }

  publish (topic, payload, options = {}) {
    return inTime(this.client.publishAsync(topic, payload, options), 'acknowledgement')
  }

  async end () {
    await inTime(this.client.endAsync(), 'end')
  }

  /** Ends the TCP connection without DISCONNECT. */
  async cut () {
    this.client.stream.destroy()
    await inTime(this.closed, 'close')
  }
}

class Bench {
  constructor (name) {
    this.name = `${name}-${process.pid}`
    this.clients = []
  }

  topic (rest) { return `js/${this.name}/${rest}` }
  id (short) { return `${short}-${this.name}` }

  async client (short = 'c', options = {}) {
    const client = new Client(this.id(short), options)
    this.clients.push(client)
    const connack = await inTime(client.connack, 'CONNACK')
    client.sessionPresent = connack.sessionPresent
    return client
  }

  async close () {
    for (const { client } of this.clients) await new Promise(resolve => client.end(true, resolve))
  }
}

defineCase('publish_and_subscribe_at_every_qos', async bench => {
  const publisher = await bench.client('p')
  for (const granted of [0, 1, 2]) {
    const subscriber = await bench.client(`s${granted}`)
    const topic = bench.topic(`q/${granted}`)
    assert.deepEqual(await subscriber.subscribe(topic, granted), [granted])
    for (const qos of [0, 1, 2]) {
      await publisher.publish(topic, `qos ${qos}`, { qos })
      const got = await subscriber.next()
      assert.deepEqual([got.payload, got.qos, got.retain], [`qos ${qos}`, Math.min(qos, granted), false])
    }
  }
})

defineCase('many_messages_at_once_keep_their_order', async bench => {
  const publisher = await bench.client('p')
  const subscriber = await bench.client('s')
  // MQTT 3.1.1 gives a publisher no window: mqtt.js sends all at once, and a server that refuses, or stops reading
  // before the PUBRELs, loses the client. Mosquitto acknowledges all and then loses what exceeds its window of 20.
  for (const qos of args.peer === 'mosquitto' ? [0, 1] : [0, 1, 2]) {
    const topic = bench.topic(`o/${qos}`)
    await subscriber.subscribe(topic, 2)
    const numbers = Array.from({ length: 200 }, (_, number) => String(number))
    await Promise.all(numbers.map(number => publisher.publish(topic, number, { qos })))
    assert.deepEqual((await subscriber.take(200)).map(m => m.payload), numbers)
  }
})

defineCase('overlapping_filters_deliver_once', async bench => {
  const client = await bench.client()
  await client.subscribe([bench.topic('o/#'), bench.topic('o/+'), bench.topic('o/a')], 1)
  await client.publish(bench.topic('o/a'), 'once', { qos: 1 })
  await client.publish(bench.topic('o/a'), 'end', { qos: 1 })
  assert.deepEqual((await client.until('end')).map(m => m.payload), ['once'])
})

defineCase('persistent_session_keeps_queue_and_subscriptions', async bench => {
  const topic = bench.topic('s')
  const first = await bench.client('sleeper', { clean: false })
  assert.equal(first.sessionPresent, false)
  await first.subscribe(topic, 2)
  await first.end()
  const publisher = await bench.client('p')
  for (let number = 0; number < 20; number++) await publisher.publish(topic, String(number), { qos: 2 })
  const again = await bench.client('sleeper', { clean: false })
  assert.equal(again.sessionPresent, true)
  assert.deepEqual((await again.take(20)).map(m => m.payload), Array.from({ length: 20 }, (_, n) => String(n)))
  await again.end()
  const fresh = await bench.client('sleeper', { clean: true })
  assert.equal(fresh.sessionPresent, false)
})

defineCase('will_is_published_when_the_socket_breaks', async bench => {
  const witness = await bench.client('w')
  await witness.subscribe(bench.topic('will/#'), 2)
  for (const qos of [0, 1, 2]) {
    const topic = bench.topic(`will/${qos}`)
    const victim = await bench.client(`v${qos}`, { will: { topic, payload: Buffer.from('gone'), qos, retain: true } })
    await victim.cut()
    const { dup, ...got } = await witness.next()
    assert.deepEqual(got, { topic, payload: 'gone', qos, retain: false })
    const late = await bench.client(`l${qos}`)
    await late.subscribe(topic, 2)
    const { dup: _, ...kept } = await late.next()
    assert.deepEqual(kept, { topic, payload: 'gone', qos, retain: true })
    await late.publish(topic, '', { qos: 1, retain: true })
    assert.equal((await witness.next()).payload, '')
  }
})

defineCase('will_is_forgotten_after_disconnect', async bench => {
  const topic = bench.topic('will')
  const witness = await bench.client('w')
  await witness.subscribe(topic, 1)
  const polite = await bench.client('polite', { will: { topic, payload: Buffer.from('gone'), qos: 1, retain: false } })
  await polite.end()
  const again = await bench.client('polite') // its CONNACK comes after its DISCONNECT was handled
  await again.publish(topic, 'end', { qos: 1 })
  assert.deepEqual(await witness.until('end'), [])
})

defineCase('retained_message_is_set_replaced_and_deleted', async bench => {
  const topic = bench.topic('r')
  const publisher = await bench.client('p')
  for (const payload of ['old', 'new']) {
    await publisher.publish(topic, payload, { qos: 1, retain: true })
    const late = await bench.client(`late-${payload}`)
    await late.subscribe(topic, 1)
    const got = await late.next()
    assert.deepEqual([got.payload, got.retain], [payload, true])
  }
  await publisher.publish(topic, '', { qos: 1, retain: true })
  const late = await bench.client('late')
  await late.subscribe([topic, bench.topic('end')], 1)
  await publisher.publish(bench.topic('end'), 'end', { qos: 1 })
  assert.deepEqual(await late.until('end'), [])
})

defineCase('second_connection_closes_the_first', async bench => {
  const first = await bench.client('same')
  const second = await bench.client('same')
  await inTime(first.closed, 'end of the first connection')
  await second.subscribe(bench.topic('t'))
  await second.publish(bench.topic('t'), 'alive')
  assert.equal((await second.next()).payload, 'alive')
})

defineCase('shared_subscription_divides_the_messages', async bench => {
  const topic = bench.topic('t')
  const members = [await bench.client('a'), await bench.client('b')]
  for (const member of members) await member.subscribe([`$share/${bench.name}/${topic}`, bench.topic('end')], 1)
  const publisher = await bench.client('p')
  const numbers = Array.from({ length: 40 }, (_, n) => String(n))
  for (const number of numbers) await publisher.publish(topic, number, { qos: 1 })
  await publisher.publish(bench.topic('end'), 'end', { qos: 1 })
  const got = (await Promise.all(members.map(m => m.until('end')))).flat().map(m => m.payload)
  assert.deepEqual(got.sort((a, b) => a - b), numbers)
})

defineCase('sys_topics_tell_about_the_broker', async bench => {
  const client = await bench.client()
  const wanted = new Set(['version', 'uptime', 'clients/connected', 'messages/received', 'bytes/sent'])
  if (args.peer === 'turnstone') wanted.add('metrics/packets/received')
  await client.subscribe('$SYS/broker/#')
  const deadline = Date.now() + 30_000
  while (wanted.size) {
    const { topic, payload } = await inTime(client.next(), [...wanted].join(', '), Math.max(1, deadline - Date.now()))
    if (wanted.delete(topic.replace('$SYS/broker/', ''))) assert.notEqual(payload, '')
  }
})

defineCase('empty_client_id_is_accepted_for_a_clean_session', async bench => {
  const client = new Client('', { clean: true })
  bench.clients.push(client)
  await inTime(client.connack, 'CONNACK')
  await client.subscribe(bench.topic('t'))
  await client.publish(bench.topic('t'), 'nameless')
  assert.equal((await client.next()).payload, 'nameless')
})

main({ only: args.only, limitSeconds: 120, newBench: name => new Bench(name) })
