-- What is known to be wrong with the versions that are in use (docs/field-notes.md).

local core = require "herald.core"

local versions = {}

-- "3.40.1" as a number that can be compared.
local function rank(version)
  local a, b, c = tostring(version):match "(%d+)%.(%d+)%.?(%d*)"
  if not a then return nil end
  return tonumber(a) * 1000000 + tonumber(b) * 1000 + (tonumber(c) or 0)
end

-- name, below (the first version without it), severity, what, what to do.
local KNOWN <const> = {
  { "sqlite", "3.51.3", "note", "a checkpoint of another program may lose commits (the WAL-reset bug); herald keeps "
    .. "others from it while a router runs", "let programs that write to it set `pragma wal_autocheckpoint = 0`; "
    .. "take 3.51.3 or later where you can" },
  { "rabbitmq-c", "0.15", "note", "bytes of a hostile broker may crash it (issue 837); herald checks frames first and "
    .. "never reads a connection on that broke a rule", "reach the broker over a network that you trust, or over TLS" },
  { "libuv", "1.45", "note", "a loop that was busy takes as late what lies unread; herald judges after the next reads",
    "nothing" },
}

-- Of RabbitMQ: from, below.
local BROKERS <const> = {
  { "3.0", "4.0", "note", "classic mirrored queues may lose acknowledged messages in a partition; there is no "
    .. "delivery limit", "declare quorum queues" },
  { "4.0", "99.0", "note", "a quorum queue drops or dead-letters a message after 20 deliveries by default",
    "let queues that are not herald's own have x-delivery-limit and a dead-letter exchange" },
}

function versions.judge(found)
  for _, k in ipairs(KNOWN) do
    local has = core.libraries[k[1]]
    local own, fixed = rank(has), rank(k[2])
    if own and fixed and own < fixed then
      found:add(k[3], "version", ("%s %s"):format(k[1], has), k[4], k[5])
    else
      found:add("ok", "version", ("%s %s"):format(k[1], has), "nothing is known against it")
    end
  end
  found:add("ok", "version", "herald " .. core.version, ("built for Lua %s, OpenSSL %s"):format(core.lua_release,
    core.libraries.openssl))
end

-- "RabbitMQ 4.0.5" as the broker says it.
function versions.broker(server, where, found)
  local own = server:match "^RabbitMQ " and rank(server)
  for _, k in ipairs(own and BROKERS or {}) do
    if own >= rank(k[1]) and own < rank(k[2]) then found:add(k[3], "version", where, server .. ": " .. k[4], k[5]) end
  end
end

return versions
