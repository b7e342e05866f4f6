-- Both services in one store, on the embedded broker: no server is needed.
return {
  include = { "orders", "learning" },
  store = "herald.db",
  broker = "embedded",
}
