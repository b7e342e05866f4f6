// A NestJS service that listens to a queue and prints what it is given: node nest_server.js QUEUE
require('reflect-metadata')
const { NestFactory } = require('@nestjs/core')
const { Module, Controller } = require('@nestjs/common')
const { Transport, EventPattern, Payload } = require('@nestjs/microservices')

class Listener {
  paid(data) { console.log('got ' + JSON.stringify(data)) }
}
Payload()(Listener.prototype, 'paid', 0)
EventPattern('order.paid')(Listener.prototype, 'paid',
  Object.getOwnPropertyDescriptor(Listener.prototype, 'paid'))
Controller()(Listener)
class App {}
Module({ controllers: [Listener] })(App)

NestFactory.createMicroservice(App, {
  logger: false,
  transport: Transport.RMQ,
  options: { urls: [process.env.RABBIT_URL], queue: process.argv[2], noAck: false, queueOptions: { durable: true } },
}).then((app) => app.listen()).then(() => console.log('listening'))
