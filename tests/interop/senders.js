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
  // The second one waits for a direct answer.
  async golevelup() {
    const connection = await golevelup()
    await connection.publish('', queue, PAID, { type: 'order.paid', persistent: true })
    await connection.close()
  },
  async 'golevelup-request'() {
    const connection = await golevelup()
    const answer = await connection.request({ exchange: '', routingKey: queue, payload: [1, 2], timeout: 20000 })
    if (answer.sum !== 3) throw new Error('answered with ' + JSON.stringify(answer))
    await connection.close()
  },
  async 'amqp-connection-manager'() {
    const connection = require('amqp-connection-manager').connect([url])
    const channel = connection.createChannel({ json: true })
    await channel.sendToQueue(queue, PAID, { persistent: true, type: 'paid', messageId: 'm-1' })
    await connection.close()
  },
  async 'node-ts'() {
    const { Bus } = require('@node-ts/bus-core')
    const { Event } = require('@node-ts/bus-messages')
    const { RabbitMqTransport } = require('@node-ts/bus-rabbitmq')
    const { connect } = require('amqplib')
    class OrderPaid extends Event {
      $name = 'shop/order-paid'
      $version = 0
      id = 1
    }
    const connection = await connect(url)
    const channel = await connection.createChannel()
    await channel.assertExchange('shop/order-paid', 'fanout', { durable: true })
    await channel.bindQueue(queue, 'shop/order-paid', '')
    const bus = Bus.configure().asSendOnly()
      .withTransport(new RabbitMqTransport({ queueName: queue + '.bus', connectionString: url })).build()
    await bus.initialize()
    await bus.publish(new OrderPaid())
    await bus.dispose()
    await connection.close()
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

async function golevelup() {
  const { AmqpConnection } = require('@golevelup/nestjs-rabbitmq')
  const connection = new AmqpConnection({ uri: url, connectionInitOptions: { wait: true } })
  await connection.init()
  return connection
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
