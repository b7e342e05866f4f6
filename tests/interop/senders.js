// Sends one message as a library of Node does: node senders.js CASE QUEUE
const url = process.env.RABBIT_URL
const [, , name, queue] = process.argv
const PAID = { id: 1 }

const cases = {
  async amqplib() {
    const connection = await require('amqplib').connect(url)
    const channel = await connection.createConfirmChannel()
    channel.sendToQueue(queue, Buffer.from(JSON.stringify(PAID)), { persistent: true, type: 'paid' })
    await channel.waitForConfirms()
    await connection.close()
  },
  async 'amqplib-raw'() {
    const connection = await require('amqplib').connect(url)
    const channel = await connection.createConfirmChannel()
    channel.sendToQueue(queue, Buffer.from([0, 255, 1]))
    await channel.waitForConfirms()
    await connection.close()
  },
  async nestjs() {
    require('reflect-metadata')
    const client = nest()
    const { firstValueFrom } = require('rxjs')
    await firstValueFrom(client.emit('order.paid', PAID))
    await client.close()
  },
  async 'nestjs-object'() {
    require('reflect-metadata')
    const client = nest()
    const { firstValueFrom } = require('rxjs')
    await firstValueFrom(client.emit({ cmd: 'paid', area: 'shop' }, PAID))
    await client.close()
  },
  // A request, which a handler answers by tx:reply.
  async 'nestjs-request'() {
    require('reflect-metadata')
    const client = nest()
    const { firstValueFrom, timeout } = require('rxjs')
    const sum = await firstValueFrom(client.send('sum', [1, 2]).pipe(timeout(20000)))
    if (sum !== 3) throw new Error('answered with ' + JSON.stringify(sum))
    await client.close()
  },
  async rascal() {
    const { BrokerAsPromised } = require('rascal')
    const broker = await BrokerAsPromised.create({
      vhosts: { '/': { connection: { url }, publications: { out: { exchange: '', routingKey: queue } } } },
    })
    const publication = await broker.publish('out', PAID, { options: { type: 'paid' } })
    await new Promise((resolve, reject) => publication.on('success', resolve).on('error', reject))
    await broker.shutdown()
  },
  async 'rabbitmq-client'() {
    const { Connection } = require('rabbitmq-client')
    const connection = new Connection(url)
    const publisher = connection.createPublisher({ confirm: true })
    await publisher.send({ routingKey: queue, type: 'paid', durable: true }, PAID)
    await publisher.close()
    await connection.close()
  },
  async cloudamqp() {
    const { AMQPClient } = require('@cloudamqp/amqp-client')
    const connection = await new AMQPClient(url).connect()
    const channel = await connection.channel()
    await channel.confirmSelect()
    await channel.basicPublish('', queue, JSON.stringify(PAID), { type: 'paid', deliveryMode: 2 })
    await connection.close()
  },
  async 'cloudevents-binary'() { await cloudevent('binary') },
  async 'cloudevents-structured'() { await cloudevent('structured') },
  // An event as it goes to another node, into herald's queue instead of that node's.
  async moleculer() {
    const { ServiceBroker } = require('moleculer')
    const broker = new ServiceBroker({ nodeID: 'n1', logger: false, transporter: url })
    await broker.start()
    const transporter = broker.transit.tx
    transporter.prepublish = async (packet) =>
      transporter.channel.sendToQueue(queue, transporter.serialize(packet))
    const context = broker.ContextFactory.create(broker, null, PAID, {})
    Object.assign(context, { eventName: 'order.paid', eventType: 'emit', eventGroups: ['mail'] })
    await broker.transit.sendEvent(context)
    await new Promise((resolve) => setTimeout(resolve, 300))
    await broker.stop()
  },
}

function nest() {
  const { ClientProxyFactory, Transport } = require('@nestjs/microservices')
  return ClientProxyFactory.create({
    transport: Transport.RMQ,
    options: { urls: [url], queue, noAssert: true, persistent: true },
  })
}

async function cloudevent(mode) {
  const { CloudEvent, HTTP } = require('cloudevents')
  const event = new CloudEvent({ id: 'e-' + mode, type: 'order.paid', source: '/shop', data: PAID })
  const message = HTTP[mode](event)
  const connection = await require('amqplib').connect(url)
  const channel = await connection.createConfirmChannel()
  channel.sendToQueue(queue, Buffer.from(typeof message.body === 'string' ? message.body
    : JSON.stringify(message.body)), { contentType: message.headers['content-type'],
    headers: message.headers })
  await channel.waitForConfirms()
  await connection.close()
}

cases[name]().then(() => process.exit(0), (why) => { console.error(why); process.exit(1) })
