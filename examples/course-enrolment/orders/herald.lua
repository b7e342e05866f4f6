-- The order service: it announces what was paid.
return {
  name = "orders",
  store = "orders.db",
  broker = "embedded", -- HERALD_BROKER or --broker names a RabbitMQ instead
}
