-- What happens when somebody registers: an account with ten points, once, and a mail.
local herald = require "herald"

-- Where a message type goes. Any program may add a row of this type to the table
-- herald_outbox, in the transaction that made the user; herald publishes it.
herald.route {
  type = "user_registered",
  to   = herald.fanout "users",
}

-- Nobody sends mails yet. What no queue takes is kept and tried again; here it may go.
herald.route {
  type = "mail_wanted",
  to   = herald.fanout "mails",
  unroutable = "drop",
}

-- What we listen to. When a handler fails, its message comes again: after 1 s, 2 s, 4 s ...
herald.subscribe {
  queue = "welcome",
  from  = herald.fanout "users",
  retry = { attempts = 6, delay = "1s", max_delay = "1m" },
}

-- What we do for a type; "*" stands for every order type (business key 2). All that a handler
-- writes and emits is committed together with the fact that the message was handled, or not
-- at all: returning commits, error(...) undoes it and tries again later.
herald.on("user_registered", "*", function(msg, tx)
  local user = msg.business_key1
  if not user then herald.reject "no business_key1: it holds the user's id" end -- a dead letter

  local points = tx:value("select points from account where user_id = ?", user)
  if points then return end -- welcomed before

  tx:exec("insert into account (user_id, points) values (?, ?)", user, 10)
  tx:emit { type = "mail_wanted", business_key1 = user, body = { template = "welcome" } }
  herald.log.info("welcomed", { user = user })
end)
