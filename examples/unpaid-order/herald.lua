-- Orders that are not paid in time are closed.
return {
  name = "unpaid-order",
  broker = "embedded", -- HERALD_BROKER or --broker names a RabbitMQ instead
}
