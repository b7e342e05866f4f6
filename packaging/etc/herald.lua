-- Settings of the router that herald.service runs: man herald.lua. Its rules are in rules/.
return {
  store = "/var/lib/herald/herald.db",
  socket = "/run/herald/herald.sock",
  broker = "embedded", -- or "amqp://user@host/vhost", with password_file = "password"
}
