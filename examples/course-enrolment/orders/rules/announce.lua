local herald = require "herald"

-- Every service that cares binds a queue of its own to this exchange.
herald.route {
  type = "payresult_notify",
  to   = herald.fanout "paynotify_exchange_fanout",
}
