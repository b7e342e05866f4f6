-- make: writes the manual and the shells' completions into a folder; run by the build.
--
--   lua5.4 packaging/manual/make.lua SOURCE ARGPARSE VERSION FOLDER

local source, argparse, version, folder = table.unpack(arg)

package.path = ("%s/scripts/?.lua;%s/packaging/?.lua"):format(source, source)
package.preload.argparse = assert(loadfile(argparse))
-- The words of the command line need nothing of what the binary does.
package.preload["herald.core"] = function()
  return setmetatable({}, { __index = function() return function() error "no command runs here" end end })
end

local pages = require "manual.pages"
local parser = require "cli.words".parser()
parser._name = "herald"

local function write(name, text)
  local file = assert(io.open(folder .. "/" .. name, "wb"))
  assert(file:write(text))
  assert(file:close())
end

-- A build that can be repeated has the date of its source.
local context = { folder = source .. "/docs", version = version,
                  date = os.date("!%Y-%m-%d", tonumber(os.getenv "SOURCE_DATE_EPOCH")) }

write("herald.1", pages.herald(parser, context))
write("herald.lua.5", pages.settings(context))
write("herald-rules.7", pages.rules(context))
write("herald.bash", parser:get_bash_complete())
write("_herald", parser:get_zsh_complete())
write("herald.fish", parser:get_fish_complete())
