-- arguments: the tables of AMQP arguments in rules: `arguments = { ["x-max-length"] = 10 }` of a
-- queue, and those of a binding to a headers exchange. Trusted code, called by rules.lua with its
-- `fail`. What passes becomes a list of { name, value } in order of name: strings, integers and
-- booleans as they are. What nobody knows is passed to the broker, as plugins have their own.

local nearest = ...

local COUNT_MAX, NAME_MAX, TEXT_MAX = 32, 128, 1024
local QUEUE = "arguments in herald.subscribe"
local BINDING = "the arguments of herald.headers"

-- What the well-known ones take: a type, or the words that there are.
local KNOWN = {
  ["x-message-ttl"] = "integer", ["x-expires"] = "integer", ["x-max-length"] = "integer",
  ["x-max-length-bytes"] = "integer", ["x-delivery-limit"] = "integer",
  ["x-max-priority"] = "integer", ["x-queue-version"] = "integer",
  ["x-quorum-initial-group-size"] = "integer", ["x-quorum-target-group-size"] = "integer",
  ["x-max-in-memory-length"] = "integer", ["x-max-in-memory-bytes"] = "integer",
  ["x-consumer-timeout"] = "integer", ["x-consumer-disconnected-timeout"] = "integer",
  ["x-delayed-retry-type"] = "string", ["x-delayed-retry-min"] = "integer",
  ["x-delayed-retry-max"] = "integer", ["x-single-active-consumer"] = "boolean",
  ["x-dead-letter-exchange"] = "string", ["x-dead-letter-routing-key"] = "string",
  ["x-queue-master-locator"] = "string",
  ["x-dead-letter-strategy"] = { "at-most-once", "at-least-once" },
  ["x-overflow"] = { "drop-head", "reject-publish", "reject-publish-dlx" },
  ["x-queue-leader-locator"] = { "client-local", "balanced" },
  ["x-queue-mode"] = { "default", "lazy" },
}

local function article(value)
  local kind = math.type(value) or type(value)
  return (kind:find("^[aeiou]") and "an " or "a ") .. kind
end

local names = { "x-queue-type" }
for name in pairs(KNOWN) do names[#names + 1] = name end
table.sort(names)

return function(fail, is_text)
  local function check_name(origin, where, name)
    if type(name) ~= "string" then
      fail(origin, "%s has %s among its names: write { [\"name\"] = value }", where, article(name))
    end
    if name == "" or #name > NAME_MAX or not is_text(name) then
      fail(origin, "%s has a name that is not UTF-8 text of 1 to %d bytes", where, NAME_MAX)
    end
  end

  local function check_value(origin, what, value)
    if type(value) == "boolean" or math.type(value) == "integer" then return end
    if type(value) ~= "string" then
      fail(origin, "%s is %s: it takes a string, an integer or a boolean", what, article(value))
    end
    if #value > TEXT_MAX or value ~= "" and not is_text(value) then
      fail(origin, "%s is not UTF-8 text of at most %d bytes", what, TEXT_MAX)
    end
  end

  -- A well-known one, misspelt: a plugin's own name is further away than that.
  local function check_spelling(origin, name)
    local meant = not KNOWN[name] and nearest(name, names, true)
    if meant then
      fail(origin, "unknown argument '%s' in %s: did you mean '%s'?", name, QUEUE, meant)
    end
    if not name:find("^x%-") then
      fail(origin, "%s has '%s': the arguments of a queue begin with x-", QUEUE, name)
    end
  end

  local function check_words(origin, what, value, words)
    for _, word in ipairs(words) do
      if value == word then return end
    end
    fail(origin, "%s is %s, not one of \"%s\"", what,
      type(value) == "string" and ('"%s"'):format(value) or article(value),
      table.concat(words, '", "'))
  end

  local function check_known(origin, name, value)
    local takes, what = KNOWN[name], name .. " in " .. QUEUE
    if type(takes) == "table" then return check_words(origin, what, value, takes) end
    if takes and (math.type(value) or type(value)) ~= takes then
      fail(origin, "%s is %s: it takes %s", what, article(value),
        takes == "integer" and "a whole number" or "a " .. takes)
    end
    local least = name == "x-delivery-limit" and -1 or 0
    if takes == "integer" and value < least then
      fail(origin, "%s is %d: it is at least %d", what, value, least)
    end
  end

  local function list_of(origin, where, given, check)
    if type(given) ~= "table" then
      fail(origin, "%s: write a table { [\"name\"] = value }, not %s", where, article(given))
    end
    local list = {}
    for name, value in pairs(given) do
      check_name(origin, where, name)
      check_value(origin, name .. " in " .. where, value)
      check(name, value)
      list[#list + 1] = { name = name, value = value }
    end
    if #list > COUNT_MAX then
      fail(origin, "%s: there are %d of them, and at most %d can be given", where, #list, COUNT_MAX)
    end
    table.sort(list, function(a, b) return a.name < b.name end)
    return list[1] and list
  end

  local M = {}

  -- Those of a queue; nil: none.
  function M.queue(origin, given)
    if given == nil then return nil end
    return list_of(origin, QUEUE, given, function(name, value)
      if name == "x-queue-type" then
        fail(origin, "%s has x-queue-type: write queue_type = \"quorum\" or \"classic\" instead",
          QUEUE)
      end
      check_spelling(origin, name)
      check_known(origin, name, value)
    end)
  end

  -- Those of a binding to a headers exchange; nil: none.
  function M.binding(origin, given)
    if given == nil then return nil end
    return list_of(origin, BINDING, given, function(name, value)
      if name == "x-match" then
        check_words(origin, "x-match in " .. BINDING, value,
          { "all", "any", "all-with-x", "any-with-x" })
      end
    end)
  end

  return M
end
