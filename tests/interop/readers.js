// Listens to a queue as a library of Node does, and prints what it is given:
// node readers.js CASE QUEUE. Says "listening" first.
const url = process.env.RABBIT_URL
const [, , name, queue] = process.argv

function got(what) { console.log('got ' + JSON.stringify(what)) }

// What a plain client has of a message.
function plain(body, properties) {
  got([properties.type, properties.messageId ? 'an id' : 'no id', JSON.parse(body.toString())])
}

const cases = {
  // A service with an event and a request, which it answers.
  async nestjs() {
    require('reflect-metadata')
    const { NestFactory } = require('@nestjs/core')
    const { Module, Controller } = require('@nestjs/common')
    const { Transport, EventPattern, MessagePattern, Payload } = require('@nestjs/microservices')
    class Listener {
      paid(data) { got(data) }
      sum(data) { return data[0] + data[1] }
    }
    const method = (of, decorator) => {
      Payload()(Listener.prototype, of, 0)
      decorator(Listener.prototype, of, Object.getOwnPropertyDescriptor(Listener.prototype, of))
    }
    method('paid', EventPattern('nest.paid'))
    method('sum', MessagePattern('nest.sum'))
    Controller()(Listener)
    class App {}
    Module({ controllers: [Listener] })(App)
    const app = await NestFactory.createMicroservice(App, {
      logger: false,
      transport: Transport.RMQ,
      options: { urls: [url], queue, noAck: false, queueOptions: { durable: true } },
    })
    await app.listen()
  },
  async golevelup() {
    const { AmqpConnection } = require('@golevelup/nestjs-rabbitmq')
    const connection = new AmqpConnection({ uri: url, connectionInitOptions: { wait: true } })
    await connection.init()
    await connection.createRpc(async (message) => {
      got(message)
      return { sum: message[0] + message[1] }
    }, { exchange: '', routingKey: queue, queue, queueOptions: { durable: true } })
  },
  async amqplib() {
    const channel = await open()
    await channel.consume(queue, (message) => {
      plain(message.content, message.properties)
      channel.ack(message)
    })
  },
  async 'amqp-connection-manager'() {
    const channel = require('amqp-connection-manager').connect([url]).createChannel({
      setup: (inner) => inner.assertQueue(queue, { durable: true }),
    })
    await channel.consume(queue, (message) => {
      plain(message.content, message.properties)
      channel.ack(message)
    })
    await channel.waitForConnect()
  },
  // Both modes, each told from the other by the SDK.
  async cloudevents() {
    const { HTTP } = require('cloudevents')
    const channel = await open()
    await channel.consume(queue, (message) => {
      const event = HTTP.toEvent({
        headers: { ...message.properties.headers, 'content-type': message.properties.contentType },
        body: message.content.toString(),
      })
      got([event.validate(), event.id, event.source, event.type, event.data])
      channel.ack(message)
    })
  },
  async rascal() {
    const { BrokerAsPromised } = require('rascal')
    const broker = await BrokerAsPromised.create({
      vhosts: { '/': { connection: { url }, queues: { [queue]: { assert: true } }, subscriptions: { in: { queue } } } },
    })
    const subscription = await broker.subscribe('in')
    subscription.on('message', (message, content, done) => {
      got([message.properties.type, message.properties.messageId ? 'an id' : 'no id', content])
      done()
    })
  },
  async 'rabbitmq-client'() {
    const { Connection } = require('rabbitmq-client')
    const consumer = new Connection(url).createConsumer({ queue, queueOptions: { durable: true } }, async (message) =>
      got([message.type, message.messageId ? 'an id' : 'no id', message.body]))
    await new Promise((resolve) => consumer.on('ready', resolve))
  },
  async cloudamqp() {
    const { AMQPClient } = require('@cloudamqp/amqp-client')
    const channel = await (await new AMQPClient(url).connect()).channel()
    await channel.queueDeclare(queue, { durable: true })
    await channel.basicConsume(queue, { noAck: true }, (message) =>
      plain(message.bodyString(), message.properties))
  },
  async 'node-ts'() {
    const { Bus } = require('@node-ts/bus-core')
    const { Event } = require('@node-ts/bus-messages')
    const { RabbitMqTransport } = require('@node-ts/bus-rabbitmq')
    class OrderPaid extends Event {
      $name = 'shop/order-read'
      $version = 0
    }
    const bus = Bus.configure()
      .withTransport(new RabbitMqTransport({ queueName: queue, connectionString: url }))
      .withHandler({ messageType: OrderPaid, messageHandler: async (message) => got(message) }).build()
    await bus.initialize()
    bus.start()
  },
}

async function open() {
  const channel = await (await require('amqplib').connect(url)).createChannel()
  await channel.assertQueue(queue, { durable: true })
  return channel
}

cases[name]().then(() => console.log('listening'), (why) => { console.error(why); process.exit(1) })
