-- run: runs busted in the open state, as its command line says (core/face/lib_testing.c).
-- Returns a function(words) -> exit code.

-- busted ends the process; here it ends itself alone, so that stores are closed and removed.
local function without_exit(fn)
  local exit, over = os.exit, {}
  os.exit = function(code) -- luacheck: ignore
    over.code = (code == true or code == nil) and 0 or code == false and 1 or code
    error(over, 0)
  end
  local ok, why = xpcall(fn, function(e) return e == over and e or debug.traceback(e, 2) end)
  os.exit = exit -- luacheck: ignore
  if ok then return 0 end
  return why == over and over.code or error(why, 0)
end

-- busted's core, which counts the specs that it begins.
local function count_specs()
  local new, count = require "busted.core", { begun = 0 }
  package.loaded["busted.core"] = function()
    local busted = new()
    busted.subscribe({ "test", "start" }, function() count.begun = count.begun + 1 return nil, true end)
    return busted
  end
  return count
end

local function none_ran(words)
  for _, word in ipairs(words) do
    local filter = word:match "^%-%-filter=(.*)$"
    if filter then error(("no spec has a name that matches \"%s\" (--filter)"):format(filter), 0) end
  end
  error("the spec files have no specs: one is it(\"...\", function() ... end)", 0)
end

return function(words)
  if not pcall(require, "busted.core") then
    local _, why = pcall(require, "busted.core")
    error("busted cannot be loaded; on Debian: apt-get install lua-busted\n" .. tostring(why), 0)
  end
  words[0] = "herald test"
  arg = words -- luacheck: ignore
  local count = count_specs()
  local code = without_exit(function() require "busted.runner" { standalone = false } end)
  if code == 0 and count.begun == 0 then none_ran(words) end
  return code == 0 and 0 or 1
end
