-- Settings of this router. Data only: a mistake here is found by `herald check`.
return {
  -- The SQLite file that holds your tables and herald's own, so that both change together.
  store = "herald.db",

  -- "embedded" needs no server. A RabbitMQ is "amqp://user@host/vhost"; its password need not
  -- stand here: password_file names a file that holds it.
  broker = "embedded",
}
