-- pause: an operator stops a subscription, or all publishing, until it is resumed (resume.lua).

local core = require "herald.core"
local folder = require "cli.folder"
local json = require "cli.json"
local nearest = require "herald.nearest"
local show = require "cli.show"

local pause = { PUBLISH = "publish" }

local ASK_MS <const> = 10000 -- a router may be in a long turn

function pause.add(parser, common)
  local command = parser:command("pause", "Stop handling a queue, or all publishing, until `herald resume`; "
    .. "without a name, list what is paused. Nothing is lost: the broker keeps the messages, the store the rows.")
  command:argument("what", "A queue's name, or publish: what the outbox sends."):args("?"):argname("QUEUE|publish")
  command:flag("--json", "Print JSON.")
  common(command)
end

-- The name of one that core.halts lists.
function pause.name(h)
  return h.queue or pause.PUBLISH
end

function pause.halt_json(h)
  return json.object { { "what", pause.name(h) }, { "since", show.time(h.since) } }
end

local function list(args, s)
  local halts, kind, why = core.halts(s.store)
  if not halts then return folder.exit_code(kind), why end
  if args.json then
    local objects = {}
    for i, h in ipairs(halts) do objects[i] = pause.halt_json(h) end
    io.stdout:write(json.encode(objects), "\n")
    return
  end
  if #halts == 0 then io.stdout:write("nothing is paused by hand\n") end
  for _, h in ipairs(halts) do
    io.stdout:write(("%s is paused since %s: herald resume %s\n"):format(show.line(pause.name(h), 255),
      show.second(h.since), show.line(pause.name(h), 255)))
  end
end

local UNTOLD <const> = "; the rules cannot be read, so whether one subscribes to it nobody can tell"

-- What is wrong with the name of a queue; nil: nothing, or, with words for that, nobody can tell.
local function unknown(s, name)
  if name == pause.PUBLISH then return nil end
  if not s.handler_memory then return nil, UNTOLD end -- the settings are broken
  s.folders = folder.parts(s)
  local rules = core.inspect_rules(s)
  if not rules or not rules.subscriptions then return nil, UNTOLD end
  local names = {}
  for i, subscription in ipairs(rules.subscriptions) do
    if subscription.queue == name then return nil end
    names[i] = subscription.queue
  end
  local guess = nearest(name, names)
  return ("no rule subscribes to a queue %q%s: name one that `herald.subscribe` has, or publish"):format(
    show.line(name, 255), guess and (" (did you mean %q?)"):format(guess) or "")
end

-- Has the router that runs, if one does, take what was written. Nil, or what is wrong.
function pause.tell(s)
  if core.router_pid(s.store) == 0 then return nil, "no router runs: it holds from the next start on" end
  local answer, why = core.ask(s.socket, '{"ask":"halts"}', ASK_MS)
  if answer and answer[1].looked then return nil, "the router has it" end
  return "it is written down, but the router that runs does not take it before its next start: "
    .. (why or answer and answer[1].error or "it gave no answer that can be read")
end

-- Prints what was done, and `more` words; or a code and what is wrong.
function pause.change(args, s, on, more)
  local name = args.what
  local queue = name ~= pause.PUBLISH and name or nil
  local changed, kind, why = core.halt(s.store, queue, on)
  if changed == nil then return folder.exit_code(kind), why end
  local problem, said = pause.tell(s)
  if problem then return folder.FAILED, problem end
  if args.json then
    io.stdout:write(json.encode(json.object { { "what", name }, { "paused", on }, { "changed", changed } }), "\n")
    return
  end
  local verb = on and (changed and "is paused" or "was paused before") or "goes on"
  io.stdout:write(("%s %s; %s%s\n"):format(show.line(name, 255), verb, said, more or ""))
end

function pause.run(args)
  local s, code, problem = folder.open_store(args)
  if not s then return code, problem end
  if not args.what then return list(args, s) end
  local bad, untold = unknown(s, args.what)
  if bad then return folder.USAGE, bad end
  return pause.change(args, s, true, untold)
end

return pause
