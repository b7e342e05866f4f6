-- The learning service: it enrols the courses that were paid for.
return {
  name = "learning",
  store = "learning.db",
  broker = "embedded", -- HERALD_BROKER or --broker names a RabbitMQ instead
}
