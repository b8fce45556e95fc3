'use strict'
// coap-node as a device: registers by itself, is read, written, executed, observed and discovered by MQTT commands.
// It speaks LwM2M JSON (11543) and the first LwM2M. Found through NODE_PATH; the script ends after a minute.

const assert = require('node:assert/strict')
const { parseArgs } = require('node:util')
const mqtt = require('mqtt')
const CoapNode = require('coap-node')
const SmartObject = require('smartobject')

const { WAIT_MS, defineCase, inTime, main } = require('./common.cjs')

const { values: args } = parseArgs({
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    'mqtt-port': { type: 'string', default: '1883' },
    'coap-port': { type: 'string', default: '5683' },
    peer: { type: 'string', default: 'turnstone' },
    only: { type: 'string', default: '' }
  }
})
/** Calls a function of coap-node, which ends in a callback, and checks the code of the answer. */
async function answered (node, call, code, ...parameters) {
  const done = new Promise((resolve, reject) => {
    node[call](...parameters, (error, answer) => error ? reject(error) : resolve(answer.status))
  })
  assert.equal(await inTime(done, `answer to ${call}`), code, call)
}

/** A device with a sensor, a switch and what can be executed, and an MQTT client that commands it. */
class Bench {
  constructor (name) {
    this.ep = `${name}-${process.pid}`
    this.messages = []
    this.waiting = null
    this.executed = []
    const objects = new SmartObject()
    objects.init('temperature', 0, { sensorValue: 21.5, units: 'Cel' })
    objects.init('lightCtrl', 0, { onOff: false })
    const reset = (...words) => { this.executed.push(words.slice(0, -1)); words.at(-1)(null) }
    objects.init('temperature', 1, { sensorValue: 0, resetMinMaxMeaValues: { exec: reset } })
    this.objects = objects
    this.node = new CoapNode(this.ep, objects, { lifetime: 300, manuf: 'ACME' })
    this.node.on('error', error => console.log(`      coap-node: ${error.message}`))
  }

  async start () {
    const url = `mqtt://${args.host}:${args['mqtt-port']}`
    this.client = mqtt.connect(url, { clientId: this.ep, reconnectPeriod: 0, connectTimeout: WAIT_MS })
    this.client.on('message', (topic, payload) => {
      this.messages.push({ topic, data: JSON.parse(payload) })
      if (this.waiting) this.waiting()
    })
    await inTime(new Promise((resolve, reject) => this.client.once('connect', resolve).once('error', reject)), 'CONNACK')
    await inTime(this.client.subscribeAsync(`lwm2m/${this.ep}/#`), 'SUBACK')
    await answered(this.node, 'register', '2.01', args.host, Number(args['coap-port']))
  }

  /** The next message on this topic of the device's that fits; others before it are passed over. */
  async next (leaf, fits = () => true) {
    const topic = `lwm2m/${this.ep}/${leaf}`
    const found = async () => {
      for (;;) {
        const at = this.messages.findIndex(message => message.topic === topic && fits(message.data))
        if (at >= 0) return this.messages.splice(at, 1)[0].data
        await new Promise(resolve => { this.waiting = resolve })
      }
    }
    return inTime(found(), `message on ${topic}`)
  }

  /** One command in form B, and `data` of its answer. */
  async ask (msgType, data) {
    const reqID = `${msgType} ${JSON.stringify(data)}`
    await inTime(this.client.publishAsync(`lwm2m/${this.ep}/dn`, JSON.stringify({ reqID, msgType, data }), { qos: 1 }), 'PUBACK')
    const answer = await this.next('up/resp', answer => answer.reqID === reqID)
    assert.equal(answer.msgType, msgType)
    return answer.data
  }

  async close () {
    this.client?.end(true)
    if (this.node._registered) await answered(this.node, 'deregister', '2.02')
  }
}

defineCase('register_tells_what_it_has', async bench => {
  const { data } = await bench.next('up/resp', message => message.msgType === 'register')
  assert.equal(data.ep, bench.ep)
  assert.equal(data.lt, 300)
  for (const path of ['/3/0', '/3303/0', '/3311/0']) assert.ok(data.objectList.includes(path), `${path}: ${data.objectList}`)
  assert.equal((await bench.next('status')).status, 'online')
})

defineCase('read_a_resource_and_an_instance', async bench => {
  const one = await bench.ask('read', { path: '/3/0/0' })
  assert.deepEqual(one, { reqPath: '/3/0/0', code: '2.05', codeMsg: 'content', content: [{ path: '/3/0/0', value: 'ACME' }] })
  const all = await bench.ask('read', { path: '/3303/0' })
  assert.equal(all.code, '2.05')
  assert.deepEqual(Object.fromEntries(all.content.map(item => [item.path, item.value])),
    { '/3303/0/5700': 21.5, '/3303/0/5701': 'Cel' })
  assert.equal((await bench.ask('read', { path: '/3303/7' })).code, '4.04')
})

defineCase('write_a_resource', async bench => {
  const written = await bench.ask('write', { path: '/3311/0/5850', type: 'Boolean', value: true })
  assert.deepEqual(written, { reqPath: '/3311/0/5850', code: '2.04', codeMsg: 'changed' })
  assert.equal(bench.objects.get('lightCtrl', 0, 'onOff'), true)
  assert.deepEqual((await bench.ask('read', { path: '/3311/0/5850' })).content, [{ path: '/3311/0/5850', value: true }])
})

defineCase('execute', async bench => {
  assert.equal((await bench.ask('execute', { path: '/3303/1/5605' })).code, '2.04')
  assert.equal(bench.executed.length, 1)
  assert.equal((await bench.ask('execute', { path: '/3303/0/5700' })).code, '4.05')
})

defineCase('discover', async bench => {
  const { code, content } = await bench.ask('discover', { path: '/3303/0' })
  assert.equal(code, '2.05')
  assert.ok(content.some(link => link.startsWith('</3303/0/5700>')), content.join())
})

defineCase('observe_and_cancel', async bench => {
  const observed = await bench.ask('observe', { path: '/3303/0/5700' })
  assert.deepEqual([observed.code, observed.content[0].value], ['2.05', 21.5])
  bench.objects.write('temperature', 0, 'sensorValue', 22.5, () => {})
  const told = await bench.next('up/notify')
  assert.deepEqual([told.msgType, told.data.reqPath, told.data.content[0].value], ['notify', '/3303/0/5700', 22.5])
  assert.equal((await bench.ask('cancel-observe', { path: '/3303/0/5700' })).code, '2.05')
})

defineCase('update_and_deregister', async bench => {
  await answered(bench.node, 'update', '2.04', { lifetime: 600 })
  const { data } = await bench.next('up/resp', message => message.msgType === 'update')
  assert.equal(data.lt, 600)
  await answered(bench.node, 'deregister', '2.02')
  assert.equal((await bench.next('status', status => status.status === 'offline')).reason, 'deregistered')
  assert.equal((await bench.ask('read', { path: '/3/0/0' })).code, '4.04')
})

main({ only: args.only, limitSeconds: 60, newBench: name => new Bench(name) })
